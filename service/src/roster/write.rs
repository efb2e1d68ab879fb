//! The smallest workbook writer that rosters need: one sheet, text, numbers, dates and merged regions. The demo
//! writes its roster with it, and tests their fixtures.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use linli_core::time::CivilDate;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

/// A cell to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Blank,
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// A date, as a serial number with a date format.
    Date(CivilDate),
    /// An error value, `#REF!`.
    Error,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Blank } else { Self::Text(text.to_owned()) }
    }
}

/// Text that no spreadsheet takes for a formula when it opens a text file: `'` before what would be one. The reader of
/// rosters takes it away again, as spreadsheets do.
pub fn inert(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'', '＝', '＋', '－', '＠']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

/// A region of merged cells, from row and column to row and column, each from 0 and included.
pub type Region = ((u32, u32), (u32, u32));

/// A workbook of one sheet, as the bytes of an `.xlsx` file.
///
/// # Errors
/// When the archive cannot be written, which in memory means that it is too large for the format.
pub fn workbook(sheet: &str, rows: &[Vec<Value>], merged: &[Region]) -> Result<Vec<u8>, ZipError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut part = |name: &str, body: &str| -> Result<(), ZipError> {
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(HEAD.as_bytes())?;
        Ok(archive.write_all(body.as_bytes())?)
    };
    part("[Content_Types].xml", CONTENT_TYPES)?;
    part("_rels/.rels", RELATIONS)?;
    part("xl/_rels/workbook.xml.rels", WORKBOOK_RELATIONS)?;
    part("xl/styles.xml", STYLES)?;
    part(
        "xl/workbook.xml",
        &format!(
            "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}/relationships\"><sheets>\
             <sheet name=\"{}\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
            escaped(sheet)
        ),
    )?;
    part("xl/worksheets/sheet1.xml", &sheet_xml(rows, merged))?;
    Ok(archive.finish()?.into_inner())
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006";
const CONTENT_TYPES: &str = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
<Default Extension=\"xml\" ContentType=\"application/xml\"/>\
<Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>\
<Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>\
<Override PartName=\"/xl/styles.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml\"/>\
</Types>";
const RELATIONS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/>\
</Relationships>";
const WORKBOOK_RELATIONS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
<Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/>\
</Relationships>";
/// Style 1 is the built-in date format 14.
const STYLES: &str = "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
<fonts count=\"1\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts>\
<fills count=\"1\"><fill><patternFill patternType=\"none\"/></fill></fills>\
<borders count=\"1\"><border/></borders>\
<cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>\
<cellXfs count=\"2\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"/>\
<xf numFmtId=\"14\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/></cellXfs>\
</styleSheet>";

fn sheet_xml(rows: &[Vec<Value>], merged: &[Region]) -> String {
    let mut xml = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>");
    for (row, cells) in (1_u32..).zip(rows) {
        add(&mut xml, format_args!("<row r=\"{row}\">"));
        for (column, value) in (0_u32..).zip(cells) {
            let at = format!("{}{row}", column_name(column));
            match value {
                Value::Blank => {}
                Value::Text(text) => add(
                    &mut xml,
                    format_args!(
                        "<c r=\"{at}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
                        escaped(text)
                    ),
                ),
                Value::Number(number) => add(&mut xml, format_args!("<c r=\"{at}\"><v>{number}</v></c>")),
                // Days since 1899-12-30.
                Value::Date(date) => {
                    add(&mut xml, format_args!("<c r=\"{at}\" s=\"1\"><v>{}</v></c>", date.days() + 25_569));
                }
                Value::Error => add(&mut xml, format_args!("<c r=\"{at}\" t=\"e\"><v>#REF!</v></c>")),
            }
        }
        xml.push_str("</row>");
    }
    xml.push_str("</sheetData>");
    if !merged.is_empty() {
        add(&mut xml, format_args!("<mergeCells count=\"{}\">", merged.len()));
        for ((top, left), (bottom, right)) in merged {
            let (first, last) = (column_name(*left), column_name(*right));
            add(&mut xml, format_args!("<mergeCell ref=\"{first}{}:{last}{}\"/>", top + 1, bottom + 1));
        }
        xml.push_str("</mergeCells>");
    }
    xml.push_str("</worksheet>");
    xml
}

fn add(xml: &mut String, what: std::fmt::Arguments<'_>) {
    xml.write_fmt(what).expect("writing to a string does not fail");
}

/// A, B, …, Z, AA, …
fn column_name(mut column: u32) -> String {
    let mut name = String::new();
    loop {
        name.insert(0, char::from(b'A' + u8::try_from(column % 26).unwrap_or(0)));
        if column < 26 {
            return name;
        }
        column = column / 26 - 1;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
