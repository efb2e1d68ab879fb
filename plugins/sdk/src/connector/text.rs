//! Text that crosses between a care file and somebody else's system.

/// Text as one line that shows what it holds: control characters, line breaks among them, become blanks; characters that nobody
/// sees, or that change how others are shown (direction, zero width, tags), go, and so do blanks at the ends.
///
/// ```
/// use linli_plugin_sdk::connector::text::one_line;
///
/// assert_eq!(one_line(" 王\u{202e}秀英\r\nBcc: x@evil.example "), "王秀英  Bcc: x@evil.example");
/// ```
pub fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line: String =
        text.chars().filter(|c| !is_hidden(*c)).map(|c| if breaks(c) { ' ' } else { c }).collect();
    line.trim().to_owned()
}

/// Whether nobody sees a character: marks of direction, joints and spaces without width, fillers, tags, byte-order marks.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The id of a referral, out of its name `sites/{site}/referrals/{referral}`; `None`: this is no such name.
///
/// ```
/// use linli_plugin_sdk::connector::text::referral_id;
///
/// assert_eq!(referral_id("sites/gardens/referrals/0193-a"), Some("0193-a"));
/// assert_eq!(referral_id("sites/gardens/referrals/../0193-a"), None);
/// ```
pub fn referral_id(name: &str) -> Option<&str> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["sites", site, "referrals", referral] if is_id(site) && is_id(referral) => Some(referral),
        _ => None,
    }
}

/// Whether a text has the shape of an id: 1 to 63 of `a-z`, `0-9` and `-`.
pub fn is_id(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(sign)
}
