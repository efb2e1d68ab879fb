//! What is left of a worklist for volunteers: the task, and of the file no more than what to call the person.

use super::WorklistItem;

impl WorklistItem {
    /// What is left for somebody who sees the task and not the file.
    pub(super) fn task(self) -> Self {
        Self { subject: None, tier: None, answers: Vec::new(), obligations: Vec::new(), ..self }
    }
}

/// Surnames of two characters that are met with.
const LONG_SURNAMES: &[&str] = &[
    "欧阳", "上官", "司马", "诸葛", "夏侯", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "轩辕",
    "南宫", "端木", "宇文", "长孙", "独孤", "西门", "东郭", "呼延", "百里", "钟离", "闻人",
];

/// What somebody is called without the surname: 秦安然 is 安然. Of a name in parts (`阿依古丽·买买提`, `Mary Smith`) the first; a
/// name of one character is the name.
pub(super) fn first_name(name: &str) -> String {
    let is_between = |c: char| matches!(c, '·' | '•' | '・' | ' ');
    if let Some((first, _)) = name.split_once(is_between) {
        return first.to_owned();
    }
    let is_han = |c: char| ('\u{3400}'..='\u{9fff}').contains(&c);
    let count = name.chars().count();
    if !name.chars().all(is_han) || count < 2 {
        return name.to_owned();
    }
    let long = count > 2 && LONG_SURNAMES.iter().any(|surname| name.starts_with(surname));
    name.chars().skip(if long { 2 } else { 1 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_called_by_their_first_names() {
        for (name, expect) in [
            ("秦安然", "安然"),
            ("张三", "三"),
            ("欧阳青", "青"),
            ("欧阳", "阳"),
            ("诸葛小雨", "小雨"),
            ("阿依古丽·买买提", "阿依古丽"),
            ("Zzyzx Quillfeather", "Zzyzx"),
            ("Mary", "Mary"),
            ("秦", "秦"),
        ] {
            assert_eq!(first_name(name), expect, "{name}");
        }
    }
}
