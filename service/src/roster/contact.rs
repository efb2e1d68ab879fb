//! An emergency contact that stands in one cell.

/// An emergency contact in one cell.
pub(super) struct SplitContact {
    /// The name; empty where there is none.
    pub(super) name: String,
    /// The relation.
    pub(super) relation: Option<String>,
    /// What looks like a number.
    pub(super) phone: Option<String>,
}

/// 李某(女儿)13900000000 → name, relation, phone.
pub(super) fn split_contact(text: &str) -> SplitContact {
    let digits_from = text.find(|c: char| c.is_ascii_digit() || c == '+');
    let (words, phone) = match digits_from {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at..).map(str::to_owned)),
        None => (text, None),
    };
    let is_edge = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '、' | ';' | '/' | '(' | ')' | '-');
    let (name, relation) = match words.split_once('(') {
        Some((name, rest)) => (name, Some(rest)),
        // Without a number in the cell, a blank belongs to the name; Latin names have one of their own.
        None => {
            let words = words.trim_matches(is_edge);
            let split = if words.is_ascii() { words.rsplit_once(is_edge) } else { words.split_once(is_edge) };
            match split.filter(|_| phone.is_some()) {
                Some((name, rest)) => (name, Some(rest)),
                None => (words, None),
            }
        }
    };
    let relation = relation.map(|r| r.trim_matches(is_edge).to_owned()).filter(|r| !r.is_empty());
    SplitContact {
        name: name.trim_matches(is_edge).to_owned(),
        relation,
        phone: phone.map(|p| p.trim_end_matches(is_edge).to_owned()),
    }
}
