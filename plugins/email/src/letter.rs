//! The letter: fixed sentences, with the referral's name as its number. Nothing that comes from a care file reaches the subject, and
//! nothing at all reaches a header: values are one line each, without control characters.

use linli_plugin_sdk::connector::Delivery;
use linli_plugin_sdk::connector::text::one_line;

/// Longest value in a letter, in characters: a letter in two languages says each twice and must stay within 64 KiB.
const VALUE_CHARACTERS_MAX: usize = 1_000;
/// Longest subject, in characters.
const SUBJECT_CHARACTERS_MAX: usize = 200;

/// The languages of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// 中文.
    Chinese,
    /// English.
    English,
    /// Chinese, then English.
    Both,
}

/// The sentences of one language.
struct Sentences {
    subject: &'static str,
    greeting: &'static str,
    waits: &'static str,
    number: &'static str,
    urgency: &'static str,
    /// Codes of fields, the first that there is of each, and what stands before them.
    urgent: &'static [&'static str],
    fields: [(&'static [&'static str], &'static str); 4],
    answer: &'static str,
    reply: &'static str,
    once: &'static str,
    discreet: &'static str,
}

const CHINESE: Sentences = Sentences {
    subject: "关怀转介",
    greeting: "您好：",
    waits: "有一件居民关怀事项转介给贵单位，请受理或告知不能受理的原因。",
    number: "转介编号：",
    urgency: "紧急程度：",
    urgent: &["urgency"],
    fields: [
        (&["matter"], "事项："),
        (&["name"], "姓名："),
        (&["phone"], "联系电话："),
        (&["address"], "住址："),
    ],
    answer: "请在此查看并答复（受理、不受理或已办结），无需账号：",
    reply: "请与物业公司联系答复，并报上述编号。",
    once: "同一编号的信件只对应一件事项，重复收到时不必再次办理。",
    discreet: "本函涉及个人信息，请只用于办理本事项，请勿转发。",
};

const ENGLISH: Sentences = Sentences {
    subject: "Care referral",
    greeting: "Good day,",
    waits: "A matter of care for a resident has been referred to you. Please take it up, or say why you cannot.",
    number: "Number of the referral: ",
    urgency: "Urgency: ",
    urgent: &["urgency_en", "urgency"],
    fields: [
        (&["matter_en", "matter"], "Matter: "),
        (&["name"], "Name: "),
        (&["phone"], "Telephone: "),
        (&["address"], "Address: "),
    ],
    answer: "Please see to it and answer here (accepted, declined or done); no account is needed:",
    reply: "Please answer to the property company, with the number above.",
    once: "Letters with the same number are about one matter: if this comes twice, it is to be done once.",
    discreet: "This letter concerns personal data. Please use it for this matter only, and do not forward it.",
};

/// Subject and text.
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// Writes the letter of a referral.
pub(crate) fn letter(
    delivery: &Delivery,
    language: Language,
    with_fields: bool,
    signature: Option<&str>,
) -> Letter {
    let languages: &[&Sentences] = match language {
        Language::Chinese => &[&CHINESE],
        Language::English => &[&ENGLISH],
        Language::Both => &[&CHINESE, &ENGLISH],
    };
    let number = one_line(&delivery.referral);
    let subjects: Vec<&str> = languages.iter().map(|sentences| sentences.subject).collect();
    let mut parts: Vec<String> =
        languages.iter().map(|sentences| part(sentences, &number, delivery, with_fields)).collect();
    if let Some(signature) = signature {
        let lines: Vec<String> = signature.lines().map(one_line).collect();
        parts.push(format!("{}\n", lines.join("\n")));
    }
    let subject = format!("{} {number}", subjects.join(" / "));
    Letter { subject: cut(&subject, SUBJECT_CHARACTERS_MAX), text: parts.join("\n--\n\n") }
}

fn part(sentences: &Sentences, number: &str, delivery: &Delivery, with_fields: bool) -> String {
    let mut text = format!("{}\n\n{}\n\n{}{number}\n", sentences.greeting, sentences.waits, sentences.number);
    // How pressing it is says nothing about anybody.
    let fields: &[(&[&str], &str)] = if with_fields { &sentences.fields } else { &[] };
    for (codes, title) in [&(sentences.urgent, sentences.urgency)].into_iter().chain(fields) {
        if let Some(value) = codes.iter().find_map(|code| delivery.field(code)) {
            text.push_str(&format!("{title}{}\n", cut(&one_line(value), VALUE_CHARACTERS_MAX)));
        }
    }
    let answer = match one_line(&delivery.answer_url) {
        url if url.is_empty() => sentences.reply.to_owned(),
        url => format!("{}\n{url}", sentences.answer),
    };
    text.push_str(&format!("\n{answer}\n\n{}\n{}\n", sentences.once, sentences.discreet));
    text
}

/// Text of at most so many characters; that something was cut off is seen.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}
