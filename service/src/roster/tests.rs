//! Rosters as estates keep them, as text and as workbooks. Identity numbers here are the standard's samples or
//! have a region that does not exist.

mod hostile;
mod values;

use std::fmt::Write as _;

use encoding_rs::GB18030;
use linli_core::resident::FactValue;
use linli_core::text::Language;
use linli_core::time::CivilDate;

use super::column::ColumnMap;
use super::problem::FileProblem;
use super::write::{Value, workbook};
use super::{Options, Roster, read};

fn options(map: &str) -> Options {
    let columns = ColumnMap::parse(map).expect("the test's column map is right");
    Options { columns, today: Some(CivilDate::from_ymd(2026, 3, 16).expect("a day")) }
}

/// A roster in words, one line per row.
fn shown(roster: &Roster) -> String {
    let mut text = String::new();
    for row in &roster.rows {
        write!(text, "{}: ", row.line).expect("a string");
        match &row.person {
            Ok(person) => {
                let mut parts = vec![person.name.reveal().to_owned(), person.place.shown()];
                parts.extend(person.identity_number.as_ref().map(|n| format!("id {}", n.reveal())));
                parts.extend(person.birth_date.map(|d| format!("born {d}")));
                parts.extend(person.sex.map(|s| s.code().to_owned()));
                parts.extend(person.phone.as_ref().map(|p| format!("phone {}", p.reveal())));
                parts.extend(person.moved_in.map(|d| format!("in {d}")));
                parts.extend(person.surveyed_on.map(|d| format!("surveyed {d}")));
                parts.extend(person.emergency.iter().map(|e| {
                    let relation = e.relation.as_ref().map_or("-", |r| r.as_str());
                    format!("call {} {} {relation}", e.name.reveal(), e.phone.reveal())
                }));
                parts.extend(person.health.as_ref().map(|t| format!("health {}", t.as_str())));
                parts.extend(person.family.as_ref().map(|t| format!("family {}", t.as_str())));
                parts.extend(
                    person.status.as_ref().map(|t| format!("status {}", t.as_str().replace('\n', "+"))),
                );
                parts.extend(person.needs.iter().map(|n| n.code().to_owned()));
                parts.extend(person.facts.iter().map(|(field, value)| match value {
                    FactValue::Bool(value) => format!("{field}={value}"),
                    FactValue::Integer(value) => format!("{field}={value}"),
                    FactValue::Date(value) => format!("{field}={value}"),
                    FactValue::Code(value) | FactValue::Text(value) => format!("{field}={value}"),
                }));
                text.push_str(&parts.join(", "));
            }
            Err(problems) => {
                let words: Vec<String> = problems.iter().map(|p| p.message(Language::En)).collect();
                write!(text, "! {}", words.join("; ")).expect("a string");
            }
        }
        for note in &row.notes {
            write!(text, " ({})", note.message(Language::En)).expect("a string");
        }
        text.push('\n');
    }
    for column in &roster.unknown_columns {
        writeln!(text, "? {column}").expect("a string");
    }
    text
}

#[track_caller]
fn check_with(bytes: &[u8], map: &str, expect: &str) {
    let found = match read(bytes, &options(map)) {
        Ok(roster) => shown(&roster),
        Err(problem) => format!("!! {}\n", problem.message(Language::En)),
    };
    let expect: String = expect.trim().lines().map(|line| format!("{}\n", line.trim())).collect();
    assert_eq!(found, expect);
}

#[track_caller]
fn check(csv: &str, expect: &str) {
    check_with(csv.as_bytes(), "", expect);
}

#[track_caller]
fn check_cells(rows: &[Vec<Value>], merged: &[super::write::Region], expect: &str) {
    let bytes = workbook("花名册", rows, merged).expect("a small workbook");
    check_with(&bytes, "", expect);
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<Value> {
    cells.into_iter().map(Value::from).collect()
}

#[test]
fn columns_in_chinese_and_english() {
    check(
        "姓名,楼栋,单元,房号,身份证号,联系电话,独居,入住日期\n\
         张秀英,3号楼,2单元,501,11010519491231002X,13800000000,是,2019/5/1",
        "2: 张秀英, 3栋2单元501, id 11010519491231002X, born 1949-12-31, female, phone 13800000000, in 2019-05-01, \
         lives_alone=true",
    );
    check(
        "Full Name,Address,Date of Birth,Sex,Mobile Phone,Emergency Contact,Emergency Phone,Relationship,Remarks\n\
         Zhang San,3-2-501,1940-02-29,M,+86 138-0000-0000,Li Si,010-62345678,son,keeps a dog",
        "2: Zhang San, 3栋2单元501, born 1940-02-29, male, phone 13800000000, call Li Si 01062345678 son, status keeps a dog",
    );
    check(
        "*姓 名(必填),住址【楼栋-单元-房号】,是否独居,是否为空巢老人,失能等级,年龄(周岁),人员 类别,籍贯\n\
         王某,3-2-501,否,有,中度失能,82,独居、高龄,某地",
        "2: ! `人员 类别` contradicts another column of the row (`人员 类别` follows from the birth date, which the row does not have)
         ? 籍贯",
    );
}

#[test]
fn titles_above_and_groups_over_the_header() {
    let csv = "幸福家园特殊群体关怀台账,,,,,,,\n\
               填表日期:2026年3月1日,,,,,,,\n\
               序号,姓名,住址,,,紧急联系人,,\n\
               ,,楼栋,单元,房号,姓名,电话,关系\n\
               1,张秀英,3,2,501,李某,13900000000,女儿\n\
               ,,,,,,,\n\
               序号,姓名,住址,,,紧急联系人,,\n\
               2,王建国,4栋,,0302,,,\n\
               合计,2人,,,,,,\n\
               填表人:,赵某,,,,,,\n";
    check(
        csv,
        "5: 张秀英, 3栋2单元501, call 李某 13900000000 女儿
         8: 王建国, 4栋0302",
    );
    // The same as a workbook, where merges are known: the header over two rows, a building over two people.
    check_cells(
        &[
            row(["幸福家园特殊群体关怀台账"]),
            row(["填表日期:2026年3月1日"]),
            row(["序号", "姓名", "住址", "", "", "紧急联系人", "", ""]),
            row(["", "", "楼栋", "单元", "房号", "姓名", "电话", "关系"]),
            row(["1", "张秀英", "3", "2", "501", "李某", "13900000000", "女儿"]),
            row(["2", "王建国", "", "", "502", "李某", "13900000000", "儿子"]),
            row(["备注:重点人员每日巡查"]),
        ],
        &[
            ((0, 0), (0, 7)),
            ((1, 0), (1, 7)),
            ((2, 0), (3, 0)),
            ((2, 1), (3, 1)),
            ((2, 2), (2, 4)),
            ((2, 5), (2, 7)),
            ((4, 2), (5, 2)),
            ((4, 3), (5, 3)),
            ((6, 0), (6, 7)),
        ],
        "5: 张秀英, 3栋2单元501, call 李某 13900000000 女儿
         6: 王建国, 3栋2单元502, call 李某 13900000000 儿子",
    );
}

#[test]
fn merged_cells_that_the_format_lost() {
    let csv = "楼栋,单元,房号,姓名\n3,2,501,张秀英\n,,502,王建国\n,,,李淑兰\n4,,101,赵某";
    check(
        csv,
        "2: 张秀英, 3栋2单元501
         3: ! `房号` cannot be taken apart into building, unit and room; write 3号楼2单元501 or 3-2-501
         4: ! `房号` has no room; if cells were merged, set `carry_down = true` in the column map or keep the file as `.xlsx`
         5: 赵某, 4栋101",
    );
    check_with(
        csv.as_bytes(),
        "carry_down = true",
        "2: 张秀英, 3栋2单元501
         3: 王建国, 3栋2单元502
         4: 李淑兰, 3栋2单元502
         5: 赵某, 4栋101",
    );
}

#[test]
fn encodings_and_separators() {
    let csv = "姓名,住址,独居\r\n张某,3-2-501,是\r\n";
    let expect = "2: 张某, 3栋2单元501, lives_alone=true";
    check(csv, expect);
    check(&format!("\u{feff}{csv}"), expect);
    check(&csv.replace(',', "\t"), expect);
    check(
        &format!("\r\n\r\n{csv}\r\n\r\n李某,3-2-502,否"),
        "4: 张某, 3栋2单元501, lives_alone=true\n7: 李某, 3栋2单元502, lives_alone=false",
    );
    check(&csv.replace(',', ";"), expect);
    let (gb, _, unmappable) = GB18030.encode(csv);
    assert!(!unmappable, "the fixture fits GB18030");
    check_with(&gb, "", expect);
    let utf16: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(csv.replace(',', "\t").encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    check_with(&utf16, "", expect);
}

#[test]
fn an_operators_column_map() {
    check_with(
        "老人,门牌,血压,编码,籍贯\n张某,3-2-501,150,ⅱ,某地".as_bytes(),
        "[columns]\n\"老人\" = \"name\"\n\"血压\" = \"fact.blood_pressure:integer\"\n\"编码\" = \"fact.risk:code\"\n\"籍贯\" = \"ignore\"\n\
         [values.\"fact.risk:code\"]\n\"ⅱ\" = \"second\"",
        "2: 张某, 3栋2单元501, blood_pressure=150, risk=second",
    );
    let refused = |map: &str, expect: &str| {
        let found = ColumnMap::parse(map).err().map(|problem| problem.message(Language::En));
        assert_eq!(found.as_deref(), Some(expect), "{map}");
    };
    refused("[columns]\n\"a\" = \"nmae\"", "the column map is wrong: `nmae` is not a meaning of a column");
    refused(
        "[columns]\n\"a\" = \"fact.pulse\"",
        "the column map is wrong: `fact.pulse` needs a type: `fact.pulse:bool`, `:integer`, `:date`, `:code` or `:text`",
    );
    refused(
        "colums = 1",
        "the column map is wrong: unknown field `colums`, expected one of `sheet`, `carry_down`, `columns`, `values`",
    );
}

#[test]
fn files_that_cannot_be_read() {
    let no_header = "!! the first 30 rows hold no header (at least a name and a room are needed); a column map can say what the columns mean";
    check("", no_header);
    check("a,b,c\n1,2,3", no_header);
    check(
        "姓名,性别,出生日期\n张某,男,1940-01-01",
        "!! no column holds rooms or addresses; a column map can say which one does",
    );
    check(
        "住址,性别,出生日期\n3-2-501,男,1940-01-01",
        "!! no column holds names; a column map can say which one does",
    );
    check(
        "姓名,业主姓名,住址\n张某,李某,3-2-501",
        "!! the columns `姓名` and `业主姓名` mean the same; a column map can tell them apart or ignore one",
    );
    check_with(
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        "",
        "!! this is an old `.xls` workbook or one with a password; save it as `.xlsx` without a password",
    );
    check_with(b"PK\x03\x04not a workbook", "", "!! the file is cut off or damaged");
    check_with(
        b"\xFF\xFF\x00\x01\x02",
        "",
        "!! the text is neither UTF-8, UTF-16 nor GB18030; save it as UTF-8",
    );
    let wide = vec!["x"; 300].join(",");
    check(&wide, "!! the file has more than 256 columns");
    check(&"x".repeat(20_000), "!! line 1 has a cell of more than 4000 characters");
}

/// A few bytes may ask for a cell in the last column of the last row; they must not ask for all of memory.
#[test]
fn a_small_workbook_cannot_ask_for_all_of_memory() {
    let mut far = vec![Value::Blank; 16_000];
    far.push("x".into());
    check_cells(&[row(["姓名", "住址"]), far], &[], "!! the file has more than 256 columns");
    // A merge over a million rows fills only the lines that exist.
    check_cells(
        &[row(["姓名", "住址"]), row(["张某", "3-2-501"])],
        &[((1, 1), (1_048_575, 16_383))],
        "2: 张某, 3栋2单元501",
    );
}

/// Damage anywhere in the file gives a problem or a roster, never a panic.
#[test]
fn damaged_workbooks() {
    let rows: Vec<Vec<Value>> = std::iter::once(row(["姓名", "住址", "独居"]))
        .chain((0..40).map(|i| row(["张某", "3-2-501", if i % 2 == 0 { "是" } else { "否" }])))
        .collect();
    let whole = workbook("花名册", &rows, &[((1, 0), (2, 0))]).expect("a small workbook");
    let mut refused = 0;
    for cut in (0..whole.len()).step_by(29) {
        let mut bytes = whole.clone();
        bytes.truncate(cut);
        refused += usize::from(read(&bytes, &Options::default()).is_err());
    }
    for at in (4..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5A;
        refused += usize::from(read(&bytes, &Options::default()).is_err());
    }
    assert!(refused > 200, "only {refused} damaged files were refused");
}

/// No message repeats a value: the values of a bad row are planted and looked for.
#[test]
fn problems_never_repeat_a_value() {
    let csv = "姓名,住址,身份证号,联系电话,入住日期,独居,失能等级,需求,居住状况,人员类别,紧急联系人\n\
               ,planted1,planted2,planted3,planted4,planted5,planted6,planted7,planted8,planted9,planted10";
    let roster = read(csv.as_bytes(), &Options::default()).expect("a readable file");
    let mut said = 0;
    for row in &roster.rows {
        let problems = row.person.as_ref().err().into_iter().flatten();
        for problem in problems.chain(&row.notes) {
            for language in [Language::Zh, Language::En] {
                let message = problem.message(language);
                assert!(!message.contains("planted"), "{message}");
                said += 1;
            }
        }
        assert!(!format!("{row:?}").contains("planted"), "debug output repeats a value");
    }
    assert!(said >= 20, "only {said} messages were looked at");
    assert_eq!(
        read(b"", &Options::default()).err().map(|p| p.message(Language::Zh)),
        Some(FileProblem::NoHeader { rows: 30 }.message(Language::Zh)),
    );
}

/// Whatever stands in the cells: no panic, and every line is a person, a problem or no person at all.
#[test]
fn any_cells_at_all() {
    const PIECES: &[&str] = &[
        "姓名",
        "住址",
        "楼栋",
        "单元",
        "房号",
        "身份证号",
        "独居",
        "紧急联系人",
        "入住日期",
        "3",
        "-",
        "号楼",
        "单元",
        "2026",
        "年",
        "/",
        "是",
        "无",
        "(",
        ")",
        "（",
        "1.1E+17",
        "11010519491231002X",
        "\"",
        "=\"",
        "'",
        " ",
        "\u{3000}",
        "\u{feff}",
        "x",
        "十",
        "#",
        "+86",
        "合计",
        "农历",
        "é",
        "𠀀",
        "层",
        "室",
    ];
    let mut state = 20_260_316_u64;
    eprintln!("seed {state}");
    let mut next = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % end
    };
    let (mut rows, mut good) = (0, 0);
    for _ in 0..600 {
        let mut csv = String::from(["", "台账,,,\n"][next(2)]);
        csv.push_str("姓名,住址,楼栋,房号,身份证号,入住日期,独居,联系电话,紧急联系人,失能等级,需求\n");
        for _ in 0..next(6) {
            // Some rows say who and where, so that the other columns decide.
            let from = if next(3) == 0 { 4 } else { 0 };
            csv.push_str(if from > 0 { "张某,3-2-501,,," } else { "" });
            for column in from..11 {
                let pieces = next(12);
                for _ in 0..pieces.saturating_sub(8) {
                    csv.push_str(PIECES[next(PIECES.len())]);
                }
                if column < 10 {
                    csv.push(',');
                }
            }
            csv.push('\n');
        }
        if let Ok(roster) = read(csv.as_bytes(), &options("carry_down = true")) {
            rows += roster.rows.len();
            good += roster.good().count();
            assert_eq!(roster.good().count() + roster.bad().count(), roster.rows.len(), "{csv}");
            assert!(
                roster.bad().all(|(_, problems)| !problems.is_empty()),
                "a row is refused without a reason: {csv}"
            );
        }
    }
    assert!(rows > 600 && good > 10, "only {rows} rows, {good} of them good");
}
