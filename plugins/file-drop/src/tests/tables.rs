//! What tables mean: answers and lists of people, in every file that a body may leave.

use std::io::{Cursor, Write as _};

use encoding_rs::GB18030;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::outgoing::workbook;

/// What a run makes of one file: what it says, and what the next run says is wrong with it.
fn answers(name: &str, content: impl Into<Vec<u8>>) -> (Vec<Acknowledgement>, Option<String>) {
    let mut folders = Folders::default();
    folders.put(name, content);
    let mut first = folders.poll("").unwrap();
    if first.cursor.ends_with("? ") {
        // It does not end with a line break, and had to lie still first.
        first = folders.poll(&first.cursor).unwrap();
    }
    let wrong = folders.poll(&first.cursor).err().map(|error| {
        assert!(!error.is_later());
        error.message().to_owned()
    });
    let shelf = if wrong.is_some() { &folders.quarantine } else { &folders.archive };
    assert_eq!(shelf, &[name], "{wrong:?}");
    (first.items, wrong)
}

fn people(name: &str, content: impl Into<Vec<u8>>, settings: &str) -> (Vec<Vec<Field>>, Option<String>) {
    let mut folders = Folders::default();
    folders.put(name, content);
    let first = folders.pull("", settings).unwrap();
    let wrong = folders.pull(&first.cursor, settings).err().map(|error| error.message().to_owned());
    (first.entries, wrong)
}

#[test]
fn the_table_that_was_sent_comes_back_filled_in() {
    let mut folders = Folders::default();
    for settings in ["{}", r#"{"format": "xlsx"}"#] {
        assert!(folders.deliver(&delivery(&[("name", "王秀英"), ("phone", "+86 138")]), settings).is_ok());
    }
    let sent = String::from_utf8(folders.outgoing["referral-0193-a.csv"].clone()).unwrap();
    let filled = sent.replace(",,,\r\n", ",已受理,下周上门,2026/3/15\r\n");
    assert_ne!(sent, filled);
    let expect = Acknowledgement {
        external_reference: String::new(),
        referral: REFERRAL.into(),
        decision: Decision::Accepted,
        remark: "下周上门".into(),
        // The last second of that day in Shanghai.
        decided_at_micros: Some(1_773_590_399_000_000),
    };
    assert_eq!(answers("ack-1.csv", filled), (vec![expect], None));
    let (items, wrong) = answers("ack-2.xlsx", folders.outgoing["referral-0193-a.xlsx"].clone());
    assert_eq!((items.len(), wrong.unwrap().contains("row 2: the state is missing")), (0, true));
}

#[test]
fn a_table_with_every_field_comes_back_and_its_fields_are_no_answers() {
    let mut folders = Folders::default();
    let fields: Vec<(&str, &str)> = crate::outgoing::TITLES.iter().map(|(code, _)| (*code, "x")).collect();
    assert_eq!(fields.len(), 13);
    assert!(folders.deliver(&delivery(&fields), "{}").is_ok());
    let sent = String::from_utf8(folders.outgoing["referral-0193-a.csv"].clone()).unwrap();
    let (items, wrong) = answers("ack-1.csv", sent.replace(",,,\r\n", ",已办结,,\r\n"));
    let expect = Acknowledgement {
        external_reference: String::new(),
        referral: REFERRAL.into(),
        ..acknowledgement("", Decision::Closed)
    };
    assert_eq!((items, wrong), (vec![expect], None));
}

#[test]
fn answers_are_read_in_chinese_and_by_code() {
    let rows = [
        ("1,accepted,,", Decision::Accepted, "1"),
        ("referral-1,受理,,", Decision::Accepted, "1"),
        ("referral-a-2.csv,不受理,,", Decision::Rejected, "a-2"),
        ("Referral-3.XLSX,REJECTED,,", Decision::Rejected, "3"),
        ("'4,已办结,,", Decision::Closed, "4"),
        ("\"=\"\"0005\"\"\",Done,,", Decision::Closed, "0005"),
        ("６,　办结　,,", Decision::Closed, "6"),
    ];
    for heading in
        ["referral,state,remark,decided_on", "转介编号,办理结果,说明,办理日期", "Reference;State;备注;Date"]
    {
        let separator = if heading.contains(';') { ";" } else { "," };
        let mut table = format!("{heading}\n");
        for (row, _, _) in rows {
            table.push_str(&row.replace(',', separator));
            table.push('\n');
        }
        let expect: Vec<_> = rows.iter().map(|(_, decision, id)| acknowledgement(id, *decision)).collect();
        assert_eq!(answers("ack-1.csv", table), (expect, None), "{heading}");
    }
}

#[test]
fn text_comes_in_the_encodings_of_excel() {
    let table = "街道转介答复表,,\r\n编号,结果,备注\r\n\r\n7,已受理,张三丰说好\r\n";
    let mut expect = acknowledgement("7", Decision::Accepted);
    expect.remark = "张三丰说好".into();
    let utf16: Vec<u8> = "\u{feff}"
        .chars()
        .chain(table.replace(',', "\t").chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for bytes in [
        table.as_bytes().to_vec(),
        format!("\u{feff}{table}").into_bytes(),
        GB18030.encode(table).0.into_owned(),
        utf16,
    ] {
        assert_eq!(answers("ACK-1.CSV", bytes), (vec![expect.clone()], None));
    }
}

#[test]
fn rows_that_are_not_understood_are_named_and_the_others_count() {
    let long = "言".repeat(1_001);
    let table = format!(
        "编号,结果,备注,日期\n\n1,已受理,,\n{PERSONAL},已受理,,\n2,{PERSONAL},,\n3,,{PERSONAL},\n,已受理,,\n4,已办结,{long},\n\
         5,已办结,,{PERSONAL}\n6,已办结,,2026-03-17\n\"7\n8\",已办结,,\n9,已办结,,\n"
    );
    let (items, wrong) = answers("ack-1.csv", table);
    assert_eq!(items, [acknowledgement("1", Decision::Accepted), acknowledgement("9", Decision::Closed)]);
    let wrong = wrong.unwrap();
    for says in [
        "in quarantine now: `ack-1.csv`: rows 4, 11: the referral's number is not",
        "row 5: the state is none of",
        "row 6: the state is missing",
        "row 7: the referral's number is missing",
        "row 8: the remark has more than 1000",
        "rows 9, 10: the date of the decision",
    ] {
        assert!(wrong.contains(says), "{says} is not in {wrong}");
    }
    let (_, wrong) = answers("ack-1.csv", format!("编号,结果\n{}", "1,大概\n".repeat(200)));
    let says = "`ack-1.csv`: rows 2, 3, 4, 5, 6 and 195 more: the state is none of";
    assert!(wrong.as_ref().unwrap().contains(says), "{wrong:?}");
}

#[test]
fn a_list_of_people_is_read_with_its_dates_and_groups() {
    let table = "花名册\n姓名,出生日期,身份证号码,联系电话,住址,类别,证件编号,有效期至,备注\n\
        王秀英,1948年3月5日,33010219480305123x,'+86 138,3幢1单元302,低保户,C 1,2027/2/28,家里有狗\n\
        李四,,,,,,,,\n,,99010219480305123X,,,,,,\n";
    let (entries, wrong) =
        people("roster-1.csv", GB18030.encode(table).0.into_owned(), r#"{"group": "veteran"}"#);
    let field = |(code, value): &(&str, &str)| Field::new(*code, *value);
    let first = [
        ("name", "王秀英"),
        ("birth_date", "1948-03-05"),
        ("identity_number", "33010219480305123X"),
        ("phone", "+86 138"),
        ("address", "3幢1单元302"),
        ("group", "subsistence_allowance"),
        ("certificate", "C 1"),
        ("valid_until", "2027-02-28"),
    ];
    let expect = vec![
        first.iter().map(field).collect::<Vec<_>>(),
        [("name", "李四"), ("group", "veteran")].iter().map(field).collect(),
        [("identity_number", "99010219480305123X"), ("group", "veteran")].iter().map(field).collect(),
    ];
    assert_eq!((entries, wrong), (expect, None));
    let wrong = "name,birth_date,identity_number,group,phone\n王秀英,1948-02-30,,,\n王秀英,,3.30102E+17,,\n王秀英,,,低保、高龄,\n,,,,138\n王五,,,,\n";
    let (entries, wrong) = people("roster-1.csv", wrong, "{}");
    assert_eq!(entries, [vec![Field::new("name", "王五")]]);
    let wrong = wrong.unwrap();
    for says in
        ["row 2: `birth_date`", "row 3: `identity_number`", "row 4: `group`", "row 5: there is neither"]
    {
        assert!(wrong.contains(says), "{says} is not in {wrong}");
    }
}

#[test]
fn what_a_spreadsheet_did_to_a_list_is_told_row_by_row() {
    // All of these were right before a spreadsheet opened and saved them; the numbers are of an impossible region.
    let table = "姓名,身份证号,电话,住址,证件编号\n\
        王秀英,9.90102E+17,,,\n\
        王秀兰,990102194803041000,,,\n\
        李四,990102194803051000,,,\n\
        赵六,990102194803051234,13800001234.0,,\n\
        钱七,,1.38E+10,,\n\
        孙八,,,3月2日,\n\
        周九,,,,9.90102E+19\n";
    let (entries, wrong) = people("roster-1.csv", table, "{}");
    let whole = [("name", "赵六"), ("identity_number", "990102194803051234"), ("phone", "13800001234")];
    assert_eq!(entries, [whole.map(|(code, value)| Field::new(code, value)).to_vec()]);
    let wrong = wrong.unwrap();
    for says in [
        // That of row 4 proves by chance; its neighbours were rounded.
        "rows 2, 3, 4: `identity_number` has been made a number by a spreadsheet, which loses digits",
        "row 6: `phone` has been made a number",
        "row 7: `address` has been made a date",
        "row 8: `certificate` has been made a number",
    ] {
        assert!(wrong.contains(says), "{says} is not in {wrong}");
    }
    let (entries, wrong) = people("roster-1.csv", "姓名,身份证号,电话\n吴十,,########\n郑一,不详,\n", "{}");
    let wrong = wrong.unwrap();
    for says in
        ["row 2: `phone` is an error of the spreadsheet", "row 3: `identity_number` holds something else"]
    {
        assert!(entries.is_empty() && wrong.contains(says), "{says} is not in {wrong}");
    }
}

#[test]
fn values_are_one_line_each_and_hide_nothing() {
    let table = "姓名,住址\n\"张\u{202e}三\",\"3幢\r\n302\"\n\"\u{200b}\",\u{feff}\n";
    let (entries, wrong) = people("roster-1.csv", table, "{}");
    assert_eq!(entries, [vec![Field::new("name", "张三"), Field::new("address", "3幢 302")]]);
    assert_eq!(wrong, None);
}

/// A sheet of cells as XML, after a row of headings.
fn people_sheet(cells: &str) -> Vec<u8> {
    let text = |text: &str| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let headings: String = ["姓名", "出生日期", "身份证号", "电话"].map(text).concat();
    let sheet = format!(
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>\
         <row r=\"1\">{headings}</row>{cells}</sheetData></worksheet>"
    );
    workbook(&sheet, &[]).unwrap()
}

#[test]
fn a_workbook_is_read_as_people_see_it() {
    let name = "<c r=\"A2\" t=\"inlineStr\"><is><t> 王秀英 </t></is></c>";
    // A serial number without a format, a number of eight digits, a telephone number, and an identity number that lost digits.
    let sheet = format!(
        "<row r=\"2\">{name}<c r=\"B2\"><v>17597</v></c><c r=\"D2\"><v>13800001234</v></c></row>\
         <row r=\"5\"><c r=\"A5\" t=\"inlineStr\"><is><t>李四</t></is></c><c r=\"B5\"><v>19480305</v></c></row>\
         <row r=\"6\"><c r=\"A6\" t=\"inlineStr\"><is><t>王五</t></is></c><c r=\"C6\"><v>330102194803051234</v></c></row>\
         <row r=\"7\"><c r=\"A7\" t=\"e\"><v>#REF!</v></c></row><row r=\"8\"><c r=\"B8\" t=\"b\"><v>1</v></c></row>"
    );
    let (entries, wrong) = people("roster-1.xlsx", people_sheet(&sheet), "{}");
    let expect = [
        vec![
            Field::new("name", "王秀英"),
            Field::new("birth_date", "1948-03-05"),
            Field::new("phone", "13800001234"),
        ],
        vec![Field::new("name", "李四"), Field::new("birth_date", "1948-03-05")],
    ];
    assert_eq!(entries, expect);
    let wrong = wrong.unwrap();
    assert!(
        wrong.contains("row 6: `identity_number` has been made a number")
            && wrong.contains("row 7: `name` is an error of the spreadsheet")
            && !wrong.contains("row 8"),
        "{wrong}"
    );
}

#[test]
fn workbooks_that_another_program_has_saved_are_read() {
    // openpyxl opened the table that was sent, and filled it in; a title, a hidden sheet and date formats are of its making too.
    let (items, wrong) = answers("ack-1.xlsx", include_bytes!("answers.xlsx"));
    let first = Acknowledgement {
        external_reference: String::new(),
        referral: REFERRAL.into(),
        decision: Decision::Accepted,
        remark: "下周上门".into(),
        decided_at_micros: Some(1_773_556_200_000_000),
    };
    let mut second = acknowledgement("0193-b", Decision::Rejected);
    second.decided_at_micros = Some(1_773_503_999_000_000);
    assert_eq!((items, wrong), (vec![first, second], None));

    let (entries, wrong) = people("roster-1.xlsx", include_bytes!("people.xlsx"), "{}");
    let field = |(code, value): &(&str, &str)| Field::new(*code, *value);
    let expect = [
        [
            ("name", "王秀英"),
            ("birth_date", "1948-03-05"),
            ("identity_number", "330102194803051234"),
            ("phone", "13800001234"),
            ("valid_until", "2027-02-28"),
        ]
        .iter()
        .map(field)
        .collect::<Vec<_>>(),
        [("name", "李四"), ("birth_date", "1950-01-02"), ("phone", "0571-88000000")]
            .iter()
            .map(field)
            .collect(),
    ];
    assert_eq!((entries.as_slice(), wrong), (&expect[..], None));
}

fn packed(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, body) in parts {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file(*name, options).unwrap();
        archive.write_all(body).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn files_that_are_no_tables_are_said_to_be_none() {
    let good = people_sheet("");
    let strings = "<sst uniqueCount = \"4000000000\"><si><t>a</t></si></sst>";
    let sheet = |cells: &str| people_sheet(cells);
    let many = "<row><c r=\"A1\"><v>1</v></c></row>";
    // One text of 4,000 characters in 3,000 cells: a megabyte unpacked, 36 to be held.
    let shared = format!("<sst uniqueCount=\"1\"><si><t>{}</t></si></sst>", "长".repeat(4_000));
    let cells: String = (1..=1_000)
        .map(|row| format!("<row r=\"{row}\">{}</row>", "<c t=\"s\"><v>0</v></c>".repeat(3)))
        .collect();
    let bomb = format!(
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{cells}</sheetData></worksheet>"
    );
    let rows: String = (0..10_002).map(|number| format!("{number},已受理\n")).collect();
    for (name, content, says) in [
        ("ack-1.csv", b"".to_vec(), "no row with the headings"),
        ("ack-1.csv", "姓名,电话\n王秀英,138\n".into(), "no row with the headings"),
        ("ack-1.csv", b"\xff\xfe\x00".to_vec(), "neither UTF-8 nor GB18030"),
        ("ack-1.csv", b"\x81\x20\xff\xff".to_vec(), "neither UTF-8 nor GB18030"),
        ("ack-1.csv", b"a\0b".to_vec(), "neither UTF-8 nor GB18030"),
        (
            "ack-1.csv",
            "编号,结果,备注\n1,已受理,\"先去看\n2,已受理,\n".into(),
            "row 2: a quotation mark is not closed",
        ),
        ("ack-1.csv", "编号,结果\n\"1,已受理\n\u{3}\n".into(), "neither UTF-8 nor GB18030"),
        // Cut within a character: as GB18030 it would be another name.
        (
            "ack-1.csv",
            "referral,state,remark\n1,done,王芳芳".as_bytes()[..37].to_vec(),
            "is UTF-8, but damaged or cut off",
        ),
        ("ack-1.csv", "编号,转介编号,结果\n".into(), "two columns are `referral`"),
        ("ack-1.csv", format!("编号,结果\n{rows}").into_bytes(), "more than 10001 rows"),
        (
            "ack-1.csv",
            format!("编号,结果\n1,{}\n", "x".repeat(4_001)).into_bytes(),
            "row 2: a cell has more than 4000",
        ),
        ("ack-1.csv", ",".repeat(300).into_bytes(), "more than 200 columns"),
        ("ack-1.xls", b"\xd0\xcf\x11\xe0".to_vec(), "neither `.csv` nor `.xlsx`"),
        ("ack-1.xlsx", b"".to_vec(), "no workbook"),
        ("ack-1.xlsx", "编号,结果\n1,已受理\n".into(), "no workbook"),
        ("ack-1.xlsx", good[..good.len() / 2].to_vec(), "no workbook"),
        ("ack-1.xlsx", packed(&[("xl/workbook.xml", vec![b' '; 70 * 1024 * 1024])]), "no workbook"),
        (
            "ack-1.xlsx",
            workbook("<worksheet/>", &[("xl/sharedStrings.xml", strings)]).unwrap(),
            "no workbook",
        ),
        ("ack-1.xlsx", workbook(&bomb, &[("xl/sharedStrings.xml", &shared)]).unwrap(), "bytes of text"),
        ("ack-1.xlsx", sheet("<row><c r=\"XFD1048576\"><v>1</v></c></row>"), "more than"),
        ("ack-1.xlsx", sheet("<row><c r=\"AAAAAAA1\"><v>1</v></c></row>"), "ack-1.xlsx"),
        ("ack-1.xlsx", sheet(&format!("<row><c r=\"A3\"><v>1</v></c></row>{many}")), "no workbook"),
        ("ack-1.xlsx", packed(&vec![("a", vec![]); 1]), "no workbook"),
    ] {
        let (items, wrong) = answers(name, content);
        let wrong = wrong.unwrap_or_default();
        assert!(items.is_empty() && wrong.contains(says), "{says} is not in {wrong:?}");
    }
}
