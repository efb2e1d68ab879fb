//! The smallest workbook writer that rosters and reports need: sheets of text, numbers, shares and dates, with column widths, a
//! head that stays in sight, and merged regions.

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
    /// The title of a column.
    Head(String),
    /// A number.
    Number(f64),
    /// A whole number, with its thousands set apart.
    Count(u64),
    /// A share, 1 being all of it, as percent with one decimal.
    Share(f64),
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

/// A region of merged cells, from row and column to row and column, each from 0 and included.
pub type Region = ((u32, u32), (u32, u32));

/// A sheet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sheet<'a> {
    /// Its name: at most 31 characters, none of `[]:*?/\`.
    pub title: &'a str,
    /// Widths of its columns, in characters; those that are left out have the usual one.
    pub widths: &'a [u32],
    /// How many rows stay in sight.
    pub frozen_rows: u32,
    /// Its rows.
    pub rows: &'a [Vec<Value>],
    /// Its merged regions.
    pub merged: &'a [Region],
}

/// A workbook, as the bytes of an `.xlsx` file.
///
/// # Errors
/// When the archive cannot be written, which in memory means that it is too large for the format.
pub(crate) fn workbook(sheets: &[Sheet<'_>]) -> Result<Vec<u8>, ZipError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut part = |name: &str, body: &str| -> Result<(), ZipError> {
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(HEAD.as_bytes())?;
        Ok(archive.write_all(body.as_bytes())?)
    };
    let numbered = || (1_u32..).zip(sheets);
    let overrides: String = numbered().map(|(number, _)| content_type(number)).collect();
    part("[Content_Types].xml", &format!("{CONTENT_TYPES}{overrides}</Types>"))?;
    part("_rels/.rels", RELATIONS)?;
    let relations: String = numbered().map(|(number, _)| relation(number)).collect();
    part("xl/_rels/workbook.xml.rels", &format!("{WORKBOOK_RELATIONS}{relations}</Relationships>"))?;
    part("xl/styles.xml", STYLES)?;
    let listed: String = numbered()
        .map(|(number, sheet)| {
            let title = escaped(sheet.title);
            format!("<sheet name=\"{title}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>")
        })
        .collect();
    part(
        "xl/workbook.xml",
        &format!(
            "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}/relationships\"><sheets>{listed}</sheets></workbook>"
        ),
    )?;
    for (number, sheet) in numbered() {
        part(&format!("xl/worksheets/sheet{number}.xml"), &sheet_xml(sheet))?;
    }
    Ok(archive.finish()?.into_inner())
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006";
const CONTENT_TYPES: &str = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
<Default Extension=\"xml\" ContentType=\"application/xml\"/>\
<Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>\
<Override PartName=\"/xl/styles.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml\"/>";
const RELATIONS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/>\
</Relationships>";
/// The styles have an id that no sheet has: those count from 1.
const WORKBOOK_RELATIONS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId0\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/>";
/// Styles: 0 plain; 1 the built-in date format 14; 2 the built-in `#,##0`; 3 percent with one decimal; 4 the head of a table.
const STYLES: &str = "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
<numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"0.0%\"/></numFmts>\
<fonts count=\"2\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font>\
<font><b/><sz val=\"11\"/><color rgb=\"FFFFFFFF\"/><name val=\"Calibri\"/></font></fonts>\
<fills count=\"3\"><fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill>\
<fill><patternFill patternType=\"solid\"><fgColor rgb=\"FF1D4E6B\"/><bgColor indexed=\"64\"/></patternFill></fill></fills>\
<borders count=\"1\"><border/></borders>\
<cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>\
<cellXfs count=\"5\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/>\
<xf numFmtId=\"14\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"3\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"164\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"0\" fontId=\"1\" fillId=\"2\" borderId=\"0\" xfId=\"0\" applyFont=\"1\" applyFill=\"1\" applyAlignment=\"1\">\
<alignment vertical=\"center\" wrapText=\"1\"/></xf></cellXfs>\
</styleSheet>";

fn content_type(number: u32) -> String {
    format!(
        "<Override PartName=\"/xl/worksheets/sheet{number}.xml\" \
         ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>"
    )
}

fn relation(number: u32) -> String {
    format!(
        "<Relationship Id=\"rId{number}\" Type=\"{OFFICE}/relationships/worksheet\" \
         Target=\"worksheets/sheet{number}.xml\"/>"
    )
}

fn sheet_xml(sheet: &Sheet<'_>) -> String {
    let mut xml = format!("<worksheet xmlns=\"{MAIN}\">");
    if sheet.frozen_rows > 0 {
        let (rows, first) = (sheet.frozen_rows, sheet.frozen_rows + 1);
        add(
            &mut xml,
            format_args!(
                "<sheetViews><sheetView workbookViewId=\"0\"><pane ySplit=\"{rows}\" topLeftCell=\"A{first}\" \
                 activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews>"
            ),
        );
    }
    if !sheet.widths.is_empty() {
        xml.push_str("<cols>");
        for (column, width) in (1_u32..).zip(sheet.widths) {
            add(
                &mut xml,
                format_args!("<col min=\"{column}\" max=\"{column}\" width=\"{width}\" customWidth=\"1\"/>"),
            );
        }
        xml.push_str("</cols>");
    }
    xml.push_str("<sheetData>");
    for (row, cells) in (1_u32..).zip(sheet.rows) {
        add(&mut xml, format_args!("<row r=\"{row}\">"));
        for (column, value) in (0_u32..).zip(cells) {
            cell(&mut xml, &format!("{}{row}", column_name(column)), value);
        }
        xml.push_str("</row>");
    }
    xml.push_str("</sheetData>");
    if !sheet.merged.is_empty() {
        add(&mut xml, format_args!("<mergeCells count=\"{}\">", sheet.merged.len()));
        for ((top, left), (bottom, right)) in sheet.merged {
            let (first, last) = (column_name(*left), column_name(*right));
            add(&mut xml, format_args!("<mergeCell ref=\"{first}{}:{last}{}\"/>", top + 1, bottom + 1));
        }
        xml.push_str("</mergeCells>");
    }
    xml.push_str("</worksheet>");
    xml
}

fn cell(xml: &mut String, at: &str, value: &Value) {
    let mut text = |style: &str, text: &str| {
        add(
            xml,
            format_args!(
                "<c r=\"{at}\"{style} t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
                escaped(text)
            ),
        );
    };
    match value {
        Value::Blank => {}
        Value::Text(words) => text("", words),
        Value::Head(words) => text(" s=\"4\"", words),
        Value::Number(number) => add(xml, format_args!("<c r=\"{at}\"><v>{number}</v></c>")),
        Value::Count(count) => add(xml, format_args!("<c r=\"{at}\" s=\"2\"><v>{count}</v></c>")),
        Value::Share(share) => add(xml, format_args!("<c r=\"{at}\" s=\"3\"><v>{share}</v></c>")),
        // Days since 1899-12-30.
        Value::Date(date) => {
            add(xml, format_args!("<c r=\"{at}\" s=\"1\"><v>{}</v></c>", date.days() + 25_569))
        }
        Value::Error => add(xml, format_args!("<c r=\"{at}\" t=\"e\"><v>#REF!</v></c>")),
    }
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

/// Text between tags or in an attribute of XML or HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{Data, Reader, Xlsx};

    #[test]
    fn sheets_are_read_as_they_were_written() {
        let date = CivilDate::parse("2026-03-31").unwrap();
        let rows = [
            vec![Value::Head("标准".into()), Value::Head("rate".into())],
            vec![Value::Text("=1+1 & <b>".into()), Value::Share(0.964)],
            vec![Value::Count(12_345), Value::Date(date)],
        ];
        let first = Sheet { title: "概览", widths: &[30, 12], frozen_rows: 1, rows: &rows, merged: &[] };
        let second = Sheet { title: "A & B", rows: &rows[..1], ..Sheet::default() };
        let bytes = workbook(&[first, second]).unwrap();
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.clone())).unwrap();
        assert_eq!(book.sheet_names(), ["概览", "A & B"]);
        let range = book.worksheet_range("概览").unwrap();
        let cell = |row, column| range.get((row, column)).cloned().unwrap();
        assert_eq!(cell(1, 0), Data::String("=1+1 & <b>".into()), "text, never a formula");
        assert_eq!((cell(1, 1), cell(2, 0)), (Data::Float(0.964), Data::Float(12_345.0)));
        assert!(matches!(cell(2, 1), Data::DateTime(_)), "{:?}", cell(2, 1));

        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut part = String::new();
        let mut file = archive.by_name("xl/worksheets/sheet1.xml").unwrap();
        std::io::Read::read_to_string(&mut file, &mut part).unwrap();
        for expected in ["ySplit=\"1\"", "state=\"frozen\"", "width=\"30\"", "s=\"3\"", "s=\"4\""] {
            assert!(part.contains(expected), "{expected} in {part}");
        }
    }

    #[test]
    fn columns_have_letters() {
        for (column, expect) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")] {
            assert_eq!(column_name(column), expect);
        }
    }
}
