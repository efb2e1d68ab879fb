//! Files that mean harm: every one of them ends with a problem in words or a roster, in bounded time and memory.

use std::io::{Cursor, Read as _, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::roster::workbook::check_unpacked_size;

const SHEET: &str = "xl/worksheets/sheet1.xml";
const HEADER: &str = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>姓名</t></is></c>\
                      <c r=\"B1\" t=\"inlineStr\"><is><t>住址</t></is></c></row>";
const DAMAGED: &str = "!! the file is cut off or damaged";

/// An honest workbook with parts replaced or added.
fn with_parts(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let honest = workbook("花名册", &[row(["姓名", "住址"]), row(["张某", "3-2-501"])], &[]).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(honest)).unwrap();
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).unwrap();
        let name = part.name().unwrap().into_owned();
        if parts.iter().any(|(replaced, _)| *replaced == name) {
            continue;
        }
        let mut body = Vec::new();
        part.read_to_end(&mut body).unwrap();
        out.start_file(name, SimpleFileOptions::default()).unwrap();
        out.write_all(&body).unwrap();
    }
    for (name, body) in parts {
        out.start_file(*name, SimpleFileOptions::default()).unwrap();
        out.write_all(body).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn sheet(rows: &str) -> Vec<u8> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{rows}</sheetData></worksheet>"
    );
    with_parts(&[(SHEET, xml.as_bytes())])
}

/// What reading it gives: a roster in words, or the problem.
fn read_words(bytes: &[u8]) -> String {
    match read(bytes, &options("")) {
        Ok(roster) => shown(&roster),
        Err(problem) => format!("!! {}", problem.message(Language::En)),
    }
}

#[test]
fn a_zip_bomb_is_counted_not_kept() {
    // A thousand to one: 8 MiB out of 8 KiB, behind a limit of one.
    let bomb = with_parts(&[("xl/media/image1.png", &vec![0; 8 << 20])]);
    assert!(bomb.len() < 64 << 10, "{} bytes", bomb.len());
    assert_eq!(check_unpacked_size(&bomb, 1 << 20), Err(FileProblem::TooLarge { max_mib: 1 }));
    assert_eq!(check_unpacked_size(&bomb, 16 << 20), Ok(()));
    // What the sizes in the file declare is not believed.
    let mut lying = bomb.clone();
    let size = u32::try_from(8 << 20).unwrap().to_le_bytes();
    let places: Vec<usize> =
        lying.windows(4).enumerate().filter(|(_, window)| *window == size).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        lying[at..at + 4].copy_from_slice(&16_u32.to_le_bytes());
    }
    assert!(check_unpacked_size(&lying, 1 << 20).is_err());
    // Very many parts of nothing.
    let names: Vec<String> = (0..1_100).map(|at| format!("xl/media/{at}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(read_words(&with_parts(&many)), DAMAGED);
}

#[test]
fn a_million_columns() {
    let wide = format!("姓名,住址{}\n张某,3-2-501\n", ",".repeat(1_000_000));
    assert_eq!(read_words(wide.as_bytes()), "!! the file has more than 256 columns");
    for column in ["XFD", "BDWGN", "ZZZZZZZ"] {
        let far =
            format!("{HEADER}<row r=\"2\"><c r=\"{column}2\" t=\"inlineStr\"><is><t>x</t></is></c></row>");
        let words = read_words(&sheet(&far));
        assert!(words == "!! the file has more than 256 columns" || words == DAMAGED, "{column}: {words}");
    }
    let far = format!("{HEADER}<row r=\"4294967295\"><c r=\"A4294967295\"><v>1</v></c></row>");
    let words = read_words(&sheet(&far));
    assert!(words.contains("more than 200000 rows") || words == DAMAGED, "{words}");
}

#[test]
fn shared_strings_that_promise_or_hold_too_much() {
    let strings = |count: &str, text: &str| {
        format!(
            "<sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" count=\"{count}\" uniqueCount=\"{count}\">\
             <si><t>姓名</t></si><si><t>住址</t></si><si><t>{text}</t></si></sst>"
        )
    };
    let relations = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
        <Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
        <Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/>\
        <Relationship Id=\"rId3\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings\" Target=\"sharedStrings.xml\"/>\
        </Relationships>";
    let cells = |third: &str| {
        format!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>\
             <row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row>\
             <row r=\"2\"><c r=\"A2\" t=\"s\"><v>{third}</v></c><c r=\"B2\" t=\"inlineStr\"><is><t>3-2-501</t></is></c></row>\
             </sheetData></worksheet>"
        )
    };
    let of = |count: &str, text: &str, third: &str| {
        read_words(&with_parts(&[
            ("xl/sharedStrings.xml", strings(count, text).as_bytes()),
            ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
            (SHEET, cells(third).as_bytes()),
        ]))
    };
    assert_eq!(of("3", "张某", "2"), "2: 张某, 3栋2单元501\n", "an honest one");
    // Who promises more strings than the part has room for is not believed: the reader would keep memory free for them.
    for promised in ["4294967295", "99999999999999999999999999", "18446744073709551615", "1000"] {
        assert_eq!(of(promised, "张某", "2"), DAMAGED, "{promised}");
    }
    // Nor who tries not to be seen promising.
    let (blanks, zeros) = (" ".repeat(100), "0".repeat(100));
    let hidden =
        [format!("3\" x=\"1\"{blanks}uniqueCount{blanks}=\"4294967295"), format!("{zeros}4294967295")];
    for promised in &hidden {
        assert_eq!(of(promised, "张某", "2"), DAMAGED, "{promised}");
    }
    assert_eq!(of("3", &"长".repeat(1 << 20), "2"), "!! line 2 has a cell of more than 4000 characters");
    for absent in ["3", "4294967295", "-1", "x"] {
        let words = of("3", "张某", absent);
        assert!(!words.contains("张某"), "{absent}: {words}");
    }
}

#[test]
fn xml_that_goes_deep_or_defines_its_own_words() {
    let deep = format!("{HEADER}{}{}", "<x>".repeat(200_000), "</x>".repeat(200_000));
    let words = read_words(&sheet(&deep));
    assert!(words.is_empty() || words == DAMAGED, "{words}");
    // Each word nine of the one before: a thousand million letters, were they said.
    let mut doctype = String::from("<!DOCTYPE w [<!ENTITY a \"aaaaaaaaaa\">");
    for (one, next) in ('a'..'i').zip('b'..='i') {
        doctype.push_str(&format!("<!ENTITY {next} \"{}\">", format!("&{one};").repeat(10)));
    }
    let xml = format!(
        "<?xml version=\"1.0\"?>{doctype}]><worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
         <sheetData>{HEADER}<row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>&i;</t></is></c>\
         <c r=\"B2\" t=\"inlineStr\"><is><t>3-2-501</t></is></c></row></sheetData></worksheet>"
    );
    let words = read_words(&with_parts(&[(SHEET, xml.as_bytes())]));
    assert!(words.len() < 1_000 && !words.contains("aaaaaaaaaa"), "{words}");
    // And a file of the machine is not read into a cell.
    let xml = xml.replace("<!ENTITY a \"aaaaaaaaaa\">", "<!ENTITY i SYSTEM \"file:///etc/passwd\">");
    assert!(!read_words(&with_parts(&[(SHEET, xml.as_bytes())])).contains("root"));
}

#[test]
fn formulas_are_values_and_nothing_is_carried_out() {
    let rows = format!(
        "{HEADER}<row r=\"2\"><c r=\"A2\" t=\"str\"><f>HYPERLINK(\"http://x\",\"y\")</f><v>张某</v></c>\
         <c r=\"B2\" t=\"str\"><f>cmd|' /C calc'!A0</f><v>3-2-501</v></c></row>\
         <row r=\"3\"><c r=\"A3\"><f>1/0</f></c><c r=\"B3\" t=\"inlineStr\"><is><t>3-2-502</t></is></c></row>"
    );
    let words = read_words(&sheet(&rows));
    assert!(words.starts_with("2: 张某, 3栋2单元501\n"), "{words}");
    assert!(!words.contains("HYPERLINK") && !words.contains("cmd"), "{words}");
    check("姓名,住址,备注\n张某,3-2-501,=1+1\n", "2: 张某, 3栋2单元501, status =1+1");
}

#[test]
fn files_that_are_something_else() {
    let no_header = "hold no header";
    for (bytes, expect) in [
        (&b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj"[..], no_header),
        (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], ""),
        (&b"<html><table><tr><td>x</td></tr></table></html>"[..], no_header),
        (&b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 EncryptedPackage"[..], "with a password"),
        (&b"Rar!\x1a\x07\x01\0"[..], ""),
        (&b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], ""),
    ] {
        let words = read_words(bytes);
        assert!(words.starts_with("!! ") && words.contains(expect), "{bytes:?}: {words}");
    }
    // A workbook whose parts are not those of one.
    for part in ["xl/workbook.xml", "[Content_Types].xml", SHEET, "xl/_rels/workbook.xml.rels"] {
        for body in [&b""[..], b"<", b"not xml at all", b"\xff\xfe\0\0"] {
            let words = read_words(&with_parts(&[(part, body)]));
            assert!(words.starts_with("!! ") || words.starts_with("2: 张某"), "{part}: {words}");
        }
    }
}

/// A part that asks for a password, as an archiver of today makes it, is a file with a password.
#[test]
fn a_workbook_that_an_archiver_encrypted() {
    let mut bytes = with_parts(&[]);
    // The bit that says so, in every head of a part and in the directory.
    for (signature, flags) in [(*b"PK\x03\x04", 6), (*b"PK\x01\x02", 8)] {
        let places: Vec<usize> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, window)| *window == signature)
            .map(|(at, _)| at)
            .collect();
        for at in places {
            bytes[at + flags] |= 1;
        }
    }
    assert!(read_words(&bytes).starts_with("!! "));
}
