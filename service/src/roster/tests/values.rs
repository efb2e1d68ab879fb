//! What the cells of a roster say: dates, yes and no, scales, numbers, phones, words.

use super::*;

#[test]
fn dates() {
    let date = |text: &str, expect: &str| {
        check(&format!("姓名,住址,入住日期\n张某,3-2-501,{text}"), &format!("2: {expect}"));
    };
    for text in [
        "2026-03-01",
        "2026/3/1",
        "2026.3.1",
        "2026年3月1日",
        "2026 年 3 月 1 日",
        "２０２６年３月１日",
        "20260301",
        "2026-03-01 00:00:00",
        "2026-03-01T08:00:00",
        "46082",
    ] {
        date(text, "张某, 3栋2单元501, in 2026-03-01");
    }
    date("", "张某, 3栋2单元501");
    date("不详", "张某, 3栋2单元501");
    date("2026年3月", "! `入住日期` is an incomplete date; year, month and day are needed");
    date("2026", "! `入住日期` is an incomplete date; year, month and day are needed");
    date(
        "3/1/2026",
        "! `入住日期` must be a date that begins with a year of four digits, such as 2026-03-01",
    );
    date("26.3.1", "! `入住日期` must be a date that begins with a year of four digits, such as 2026-03-01");
    date("农历正月初五", "! `入住日期` is a lunar date; the Gregorian date is needed");
    date("2026-02-30", "! `入住日期` is a day that does not exist");
    date("1899-12-31", "! `入住日期` must lie between 1900-01-01 and 2199-12-31");
    date("2026-03-17", "! `入住日期` lies in the future");
    date("去年", "! `入住日期` is not a date such as 2026-03-01, 2026/3/1, 2026年3月1日 or 20260301");

    let day = CivilDate::from_ymd(2026, 3, 1).expect("a day");
    let header = row(["姓名", "住址", "入住日期"]);
    let with = |value: Value, expect: &str| {
        check_cells(&[header.clone(), vec!["张某".into(), "3-2-501".into(), value]], &[], expect);
    };
    with(Value::Date(day), "2: 张某, 3栋2单元501, in 2026-03-01");
    with(Value::Number(46_082.0), "2: 张某, 3栋2单元501, in 2026-03-01");
    with(Value::Number(46_082.5), "2: 张某, 3栋2单元501, in 2026-03-01");
    with(Value::Number(20_260_301.0), "2: 张某, 3栋2单元501, in 2026-03-01");
    with(Value::Number(2026.0), "2: ! `入住日期` is an incomplete date; year, month and day are needed");
    with(Value::Error, "2: ! `入住日期` holds an error value such as `#REF!`");
}

#[test]
fn yes_and_no() {
    let word = |text: &str, expect: &str| {
        check(&format!("姓名,住址,独居\n张某,3-2-501,{text}"), &format!("2: {expect}"));
    };
    for yes in ["是", "有", "√", "✓", "Y", "yes", "1", "TRUE", "独居", "对", "Ｙ"] {
        word(yes, "张某, 3栋2单元501, lives_alone=true");
    }
    for no in ["否", "无", "×", "N", "no", "0", "false", "非独居", "不独居", "没有"] {
        word(no, "张某, 3栋2单元501, lives_alone=false");
    }
    for blank in ["", "-", "/", "不详", "待核实"] {
        word(blank, "张某, 3栋2单元501");
    }
    word("也许", "! `独居` must be yes or no (是/否, 有/无)");
    check(
        "姓名,住址,听力\n张某,3-2-501,重听\n李某,3-2-502,正常",
        "2: 张某, 3栋2单元501, hearing_impaired=true\n3: 李某, 3栋2单元502, hearing_impaired=false",
    );
}

#[test]
fn scales_and_ways_of_living() {
    let level = |text: &str, expect: &str| {
        check(&format!("姓名,住址,失能等级\n张某,3-2-501,{text}"), &format!("2: {expect}"));
    };
    level("自理", "张某, 3栋2单元501, ability_level=0");
    level("中度失能", "张某, 3栋2单元501, ability_level=2");
    level("3级", "张某, 3栋2单元501, ability_level=3");
    level("4", "张某, 3栋2单元501, ability_level=4");
    level("", "张某, 3栋2单元501");
    let unclear = "! `失能等级` is not a known value; accepted are: 0 能力完好, 1 轻度失能, 2 中度失能, 3 重度失能, 4 完全失能";
    level("失能", unclear);
    level("半失能", unclear);
    level("5", unclear);
    check_with(
        "姓名,住址,失能等级\n张某,3-2-501,半失能".as_bytes(),
        "[values.\"fact.ability_level\"]\n\"半失能\" = \"2\"",
        "2: 张某, 3栋2单元501, ability_level=2",
    );
    let living = |text: &str, expect: &str| {
        check(&format!("姓名,住址,居住状况\n张某,3-2-501,{text}"), &format!("2: {expect}"));
    };
    living("独居", "张某, 3栋2单元501, empty_nest=true, lives_alone=true");
    living("与配偶同住", "张某, 3栋2单元501, empty_nest=true, lives_alone=false");
    living("与子女同住", "张某, 3栋2单元501, empty_nest=false, lives_alone=false");
    living("与配偶及女儿同住", "张某, 3栋2单元501, empty_nest=false, lives_alone=false");
    living("其他", "! `居住状况` is not a known value; accepted are: 独居, 与配偶同住, 与子女同住");
}

#[test]
fn identity_numbers() {
    let number = |text: &str, expect: &str| {
        check(&format!("姓名,住址,身份证号\n张某,3-2-501,{text}"), &format!("2: {expect}"));
    };
    let fine = "张某, 3栋2单元501, id 11010519491231002X, born 1949-12-31, female";
    for text in [
        "11010519491231002X",
        "11010519491231002x",
        "'11010519491231002X",
        "=\"\"11010519491231002X\"\"",
        "110105 19491231 002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105491231002",
    ] {
        // A field that begins with `=` is not a quoted one.
        number(&text.replace("\"\"", "\""), fine);
    }
    number(
        "110105194912310021",
        "! `身份证号` has a check digit that does not fit; a digit is probably mistyped",
    );
    number(
        "110105194912310000",
        "! `身份证号` was kept as a number, so that its last digits are lost; format the column as text and type it again",
    );
    number(
        "1.10105E+17",
        "! `身份证号` was kept as a number, so that its last digits are lost; format the column as text and type it again",
    );
    number(
        "1101051949",
        "! `身份证号` must be 18 digits, the last possibly `X`, or an old number of 15 digits",
    );
    number("无", "张某, 3栋2单元501");

    let header = row(["姓名", "住址", "身份证号"]);
    let with = |value: Value, expect: &str| {
        check_cells(&[header.clone(), vec!["张某".into(), "3-2-501".into(), value]], &[], expect);
    };
    with("11010519491231002X".into(), &format!("2: {fine}"));
    with(
        Value::Number(440_524_188_001_010_014.0),
        "2: ! `身份证号` was kept as a number, so that its last digits are lost; format the column as text and type it again",
    );
    with(Value::Number(110_105_491_231_002.0), &format!("2: {fine}"));

    check(
        "姓名,住址,身份证号,出生日期,性别\n张某,3-2-501,11010519491231002X,1949-12-30,男",
        "2: ! `出生日期` contradicts the identity number; `性别` contradicts the identity number",
    );
    check(
        "姓名,住址,身份证号,类别\n张某,3-2-501,11010519491231002X,独居\n张某,3-2-501,11010519491231002X,空巢",
        "2: 张某, 3栋2单元501, id 11010519491231002X, born 1949-12-31, female, lives_alone=true
         3: 张某, 3栋2单元501, id 11010519491231002X, born 1949-12-31, female, empty_nest=true (is the same person as in line 2; this line updates that one)",
    );
}

#[test]
fn phones_and_contacts() {
    let phone = |text: &str, expect: &str| {
        check(&format!("姓名,住址,联系电话\n张某,3-2-501,{text}"), &format!("2: {expect}"));
    };
    phone("138 0000 0000", "张某, 3栋2单元501, phone 13800000000");
    phone("+86-138-0000-0000", "张某, 3栋2单元501, phone 13800000000");
    phone("(010)62345678", "张某, 3栋2单元501, phone 01062345678");
    phone(
        "13800000000/010-62345678",
        "张某, 3栋2单元501, phone 13800000000 (`联系电话` holds several numbers; only the first was read)",
    );
    phone("无", "张某, 3栋2单元501");
    phone("1380000", "张某, 3栋2单元501, phone 1380000");
    phone("12345678901", "! `联系电话` must be a telephone number");
    phone(
        "1.38E+10",
        "! `联系电话` was kept as a number, so that its last digits are lost; format the column as text and type it again",
    );

    let header = row(["姓名", "住址", "联系电话"]);
    let with = |number: f64, expect: &str| {
        let cells = vec!["张某".into(), "3-2-501".into(), Value::Number(number)];
        check_cells(&[header.clone(), cells], &[], expect);
    };
    with(13_800_000_000.0, "2: 张某, 3栋2单元501, phone 13800000000");
    // 010-62345678 and 0531-86012345, typed as numbers.
    with(1_062_345_678.0, "2: 张某, 3栋2单元501, phone 01062345678");
    with(53_186_012_345.0, "2: 张某, 3栋2单元501, phone 053186012345");

    let contact = |text: &str, expect: &str| {
        check(&format!("姓名,住址,紧急联系人\n张某,3-2-501,{text}"), &format!("2: {expect}"));
    };
    contact("李某(女儿)13900000000", "张某, 3栋2单元501, call 李某 13900000000 女儿");
    contact("李某（女儿）：13900000000", "张某, 3栋2单元501, call 李某 13900000000 女儿");
    contact("李某 女儿 139-0000-0000", "张某, 3栋2单元501, call 李某 13900000000 女儿");
    contact("李某13900000000", "张某, 3栋2单元501, call 李某 13900000000 -");
    contact("李某", "! `紧急联系人` is an emergency contact without a name or without a number");
    contact("无", "张某, 3栋2单元501");
    check(
        "姓名,住址,紧急联系人1姓名,紧急联系人1电话,紧急联系人2姓名,紧急联系人2电话,监护人,监护人电话\n\
         张某,3-2-501,李一,13900000001,李二,13900000002,李三,13900000003",
        "2: 张某, 3栋2单元501, call 李一 13900000001 -, call 李二 13900000002 -, call 李三 13900000003 -",
    );
}

#[test]
fn every_problem_of_a_row_at_once() {
    check(
        "姓名,住址,身份证号,联系电话,入住日期,独居,失能等级\n\
         ,没有,123,abc,昨天,也许,很重\n\
         李某,3-2-502,,,,,",
        "2: ! `住址` has no room; if cells were merged, set `carry_down = true` in the column map or keep the file as `.xlsx`; \
         `姓名` is required; \
         `身份证号` must be 18 digits, the last possibly `X`, or an old number of 15 digits; \
         `联系电话` must be a telephone number; \
         `入住日期` is not a date such as 2026-03-01, 2026/3/1, 2026年3月1日 or 20260301; \
         `独居` must be yes or no (是/否, 有/无); \
         `失能等级` is not a known value; accepted are: 0 能力完好, 1 轻度失能, 2 中度失能, 3 重度失能, 4 完全失能
         3: 李某, 3栋2单元502",
    );
}

#[test]
fn words() {
    check(
        "姓名,住址,健康状况,家庭情况,特殊困难,备注,需求\n张某,3-2-501,高血压,老伴去世,无,只会说方言,生活照料、精神慰藉",
        "2: 张某, 3栋2单元501, health 高血压, family 老伴去世, status 只会说方言, living_care, companionship",
    );
    check(
        "姓名,住址,特殊困难,备注\n张某,3-2-501,低视力,\"两行\n备注\"\n李某,3-2-502,,",
        "2: 张某, 3栋2单元501, status 低视力+两行+备注
         4: 李某, 3栋2单元502",
    );
    check(
        "姓名,住址,需求\n张某,3-2-501,聊天",
        "2: ! `需求` is not a known value; accepted are: 生活照料, 医疗帮扶, 精神慰藉, 便民服务",
    );
    check(
        "姓名,住址,人员类别,出生日期\n张某,3-2-501,独居、高龄,1940/1/1\n李某,3-2-502,某类,1940/1/1",
        "2: 张某, 3栋2单元501, born 1940-01-01, lives_alone=true
         3: 李某, 3栋2单元502, born 1940-01-01 (`人员类别` names classes that are not known here; they were not read)",
    );
}
