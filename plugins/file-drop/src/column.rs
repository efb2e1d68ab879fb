//! What a heading means, in Chinese or by code.

/// A column: its code, and other words for it.
pub(crate) struct Column {
    pub(crate) code: &'static str,
    words: &'static [&'static str],
}

const fn column(code: &'static str, words: &'static [&'static str]) -> Column {
    Column { code, words }
}

/// Columns of answers.
pub(crate) const ANSWER: &[Column] = &[
    column("referral", &["转介编号", "转介单号", "编号", "单号", "reference"]),
    column("state", &["办理结果", "结果", "状态", "答复"]),
    column("remark", &["说明", "备注", "意见"]),
    column("decided_on", &["办理日期", "答复日期", "办结日期", "日期", "decided_at", "date"]),
];

/// Columns of lists of people.
pub(crate) const PEOPLE: &[Column] = &[
    column("name", &["姓名"]),
    column("birth_date", &["出生日期", "出生年月日", "出生年月", "生日", "birthday"]),
    column("identity_number", &["身份证号码", "身份证号", "身份证", "公民身份号码", "证件号码", "id_number"]),
    column("phone", &["联系电话", "电话", "手机", "手机号", "手机号码", "telephone", "mobile"]),
    column("address", &["住址", "地址", "家庭住址", "居住地址"]),
    column("group", &["群体", "类别", "人员类别", "对象类别"]),
    column("certificate", &["证件编号", "证号", "证书编号", "救助证号"]),
    column("valid_until", &["有效期至", "有效期", "有效期限"]),
];

/// The column that a heading names: as a whole, or by its first or last word, as in `办理结果（已受理/不受理/已办结） state`.
pub(crate) fn meaning(heading: &str, columns: &[Column]) -> Option<usize> {
    let heading = half_width(heading).to_lowercase();
    let parts = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '/' | ':' | '*');
    let words: Vec<&str> = heading.split(parts).filter(|word| !word.is_empty()).collect();
    let named =
        |word: &str| columns.iter().position(|column| column.code == word || column.words.contains(&word));
    named(&words.join("_")).or_else(|| named(words.first()?)).or_else(|| named(words.last()?))
}

/// Full-width letters, digits and signs as half-width ones.
pub(crate) fn half_width(text: &str) -> String {
    let half = |c: char| match c {
        '\u{3000}' | '\u{a0}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    };
    text.chars().map(half).collect()
}

/// The care groups of the regulation by their Chinese names.
const GROUPS: &[(&str, &[&str])] = &[
    ("living_alone", &["独居老人", "独居"]),
    ("empty_nest", &["空巢老人", "空巢"]),
    ("advanced_age", &["高龄老人", "高龄"]),
    ("disabled", &["残疾人", "残疾"]),
    ("child_in_difficulty", &["困境儿童"]),
    ("pregnant", &["孕妇", "孕产妇"]),
    ("nursing", &["哺乳期妇女", "哺乳期"]),
    ("subsistence_allowance", &["低保对象", "低保", "低保户"]),
    ("near_threshold", &["低保边缘家庭", "低保边缘", "低边"]),
    ("disabled_service_member", &["残疾军人"]),
    ("veteran", &["退役军人"]),
    ("survivor", &["军人遗属", "烈士遗属"]),
];

/// The code of a care group, by its name or itself.
pub(crate) fn group(text: &str) -> Option<String> {
    let text = half_width(text).trim().to_lowercase();
    let named = GROUPS.iter().find(|(_, words)| words.contains(&text.as_str()));
    named.map(|(code, _)| (*code).to_owned()).or_else(|| is_code(&text).then_some(text))
}

/// Whether a text has the shape of a code.
pub(crate) fn is_code(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_understood_in_chinese_and_by_code() {
        for (heading, expect) in [
            ("姓名", Some("name")),
            (" Name ", Some("name")),
            ("姓名 name", Some("name")),
            ("身份证号（必填）", Some("identity_number")),
            ("ｂｉｒｔｈ　ｄａｔｅ", Some("birth_date")),
            ("有效期至*", Some("valid_until")),
            ("", None),
            ("姓名拼音", None),
            ("序号", None),
        ] {
            let found = meaning(heading, PEOPLE).and_then(|at| PEOPLE.get(at)).map(|column| column.code);
            assert_eq!(found, expect, "{heading}");
        }
        let state = meaning("办理结果（已受理/不受理/已办结） state", ANSWER);
        assert_eq!(state.map(|at| ANSWER[at].code), Some("state"));
    }

    #[test]
    fn no_word_names_two_columns_or_groups() {
        for columns in [ANSWER, PEOPLE] {
            let mut words: Vec<&str> =
                columns.iter().flat_map(|column| column.words.iter().copied().chain([column.code])).collect();
            let all = words.len();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), all);
        }
        for (text, expect) in [
            ("低保户", Some("subsistence_allowance")),
            ("Veteran", Some("veteran")),
            ("chronic_illness", Some("chronic_illness")),
            ("低保、高龄", None),
            ("", None),
        ] {
            assert_eq!(group(text).as_deref(), expect, "{text}");
        }
    }
}
