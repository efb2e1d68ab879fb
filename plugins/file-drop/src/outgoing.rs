//! The table that a referral goes out as: one row under its headings, and three columns to fill in and send back. The same referral
//! gives the same bytes, so that a file that is there already is known to be this one.

use std::io::{Cursor, Write as _};

use chrono::NaiveDate;
use linli_plugin_sdk::connector::Delivery;
use linli_plugin_sdk::connector::text::one_line;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The kinds of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text, as every program reads it.
    Csv,
    /// A workbook.
    Xlsx,
}

impl Format {
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }
}

/// Titles of what a referral says, in the order of their columns: what is asked, and what may be disclosed.
pub(crate) const TITLES: &[(&str, &str)] = &[
    ("matter", "事项"),
    ("urgency", "紧急程度"),
    ("name", "姓名"),
    ("phone", "联系电话"),
    ("address", "住址"),
    ("emergency_contacts", "紧急联系人"),
    ("identity_number", "身份证号码"),
    ("birth_date", "出生日期"),
    ("sex", "性别"),
    ("health", "身体状况"),
    ("family", "家庭情况"),
    ("status", "特殊困难"),
    ("note", "情况说明"),
];
/// Said once more in English, which these tables are not in.
const LEFT_OUT: [&str; 2] = ["matter_en", "urgency_en"];
/// What the body fills in.
const TO_FILL_IN: [&str; 3] =
    ["办理结果（已受理/不受理/已办结） state", "说明 remark", "办理日期 decided_on"];

/// What a body may call a referral by: the name of its file, without the ending.
pub(crate) fn reference(id: &str) -> String {
    format!("referral-{id}")
}

/// The table of a referral.
pub(crate) fn table(delivery: &Delivery, format: Format) -> Result<Vec<u8>, String> {
    let mut fields: Vec<_> =
        delivery.fields.iter().filter(|field| !LEFT_OUT.contains(&field.code.as_str())).collect();
    let place = |code: &str| TITLES.iter().position(|(known, _)| *known == code).unwrap_or(TITLES.len());
    fields.sort_by_key(|field| place(&field.code));
    let mut headings = vec!["转介编号 referral".to_owned()];
    let mut values = vec![one_line(&delivery.referral)];
    for field in fields {
        let title = TITLES.iter().find(|(known, _)| *known == field.code);
        headings.push(title.map_or(field.code.clone(), |(code, title)| format!("{title} {code}")));
        values.push(one_line(&field.value));
    }
    // No link to answer at: it would be another one at each attempt, and the table is what to answer with.
    headings.extend(TO_FILL_IN.map(str::to_owned));
    values.resize(headings.len(), String::new());
    match format {
        Format::Csv => csv(&[headings, values]),
        Format::Xlsx => workbook(&sheet(&[headings, values]), &[]),
    }
    .ok_or_else(|| "the table cannot be written".to_owned())
}

/// UTF-8 with a byte-order mark, without which Excel takes it for another encoding, and lines as Windows ends them.
fn csv(rows: &[Vec<String>]) -> Option<Vec<u8>> {
    let mut bytes = "\u{feff}".as_bytes().to_vec();
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut bytes);
    for row in rows {
        writer.write_record(row.iter().map(|value| inert(value))).ok()?;
    }
    writer.flush().ok()?;
    drop(writer);
    Some(bytes)
}

/// Text that every spreadsheet shows as it is: `'` before what would be a formula, another number or a day. Who reads it takes that
/// away again. No semicolon either: where that separates cells, a formula could stand behind it.
fn inert(text: &str) -> String {
    let text = text.replace(';', "；");
    if text.starts_with(FORMULA) || is_changed(&text) { format!("'{text}") } else { text }
}

/// How a formula begins, or what is taken for one.
const FORMULA: [char; 13] = ['=', '+', '-', '@', '\t', '\r', '\'', '＝', '＋', '－', '＠', '|', '%'];

/// Whether a spreadsheet would make something else of a text. It reads digits as a number, keeps fifteen of them, shows eleven and no
/// zero before them; it reads `3-2-10` as a day and `2E5` as 200000.
fn is_changed(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split(['-', '/', '.', ',', ':', ' ', 'E', 'e']).collect();
    if !parts.iter().all(|part| is_digits(part)) {
        return false;
    }
    match parts.as_slice() {
        [number] => number.len() > 11 || (number.len() > 1 && number.starts_with('0')),
        // A birth date may be shown as one.
        [year, _, _] if year.len() == 4 => NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err(),
        _ => parts.iter().all(|part| part.len() <= 4),
    }
}

/// A workbook of one sheet. Parts lie unpacked in it and have one date, so that no version of any library changes a byte.
pub(crate) fn workbook(sheet: &str, more: &[(&str, &str)]) -> Option<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let sheet = ("xl/worksheets/sheet1.xml", sheet);
    let parts = PARTS.iter().chain([&sheet]).chain(more);
    for (name, body) in parts {
        archive.start_file(*name, options).ok()?;
        archive.write_all(HEAD.as_bytes()).ok()?;
        archive.write_all(body.as_bytes()).ok()?;
    }
    archive.finish().ok().map(Cursor::into_inner)
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const PARTS: [(&str, &str); 4] = [
    (
        "[Content_Types].xml",
        "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>\
         <Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>\
         </Types>",
    ),
    (
        "_rels/.rels",
        "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         <Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/>\
         </Relationships>",
    ),
    (
        "xl/_rels/workbook.xml.rels",
        "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         <Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
         </Relationships>",
    ),
    (
        "xl/workbook.xml",
        "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
         xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
         <sheets><sheet name=\"转介\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
    ),
];

/// A sheet whose cells are all text, which no spreadsheet takes for a formula.
fn sheet(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
    let mut xml = format!(
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
         <cols><col min=\"1\" max=\"{columns}\" width=\"24\" customWidth=\"1\"/></cols><sheetData>"
    );
    for (number, row) in (1_u32..).zip(rows) {
        xml.push_str(&format!("<row r=\"{number}\">"));
        for value in row {
            let text = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            // A cell without a place stands behind the one before it.
            xml.push_str(&format!("<c t=\"inlineStr\"><is><t xml:space=\"preserve\">{text}</t></is></c>"));
        }
        xml.push_str("</row>");
    }
    xml.push_str("</sheetData></worksheet>");
    xml
}
