//! A letter of referral by mail, for bodies that have no system but read mail. `letter.rs` writes it; here is to whom it goes, and when.

mod letter;

use linli_plugin_sdk::connector::{Connector, Delivered, Delivery, Io, Mail, RunError, Settings};

use letter::{Language, letter};

/// Most recipients of a letter.
const RECIPIENTS_MAX: usize = 10;
/// Longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 254;
/// Longest signature, in lines and in characters.
const SIGNATURE_LINES_MAX: usize = 5;
const SIGNATURE_CHARACTERS_MAX: usize = 500;

struct Email;

linli_plugin_sdk::export_connector!(Email);

impl Connector for Email {
    fn check(settings: &Settings) -> Result<(), String> {
        Writing::of(settings).map(|_| ())
    }

    async fn deliver(io: &Io, delivery: Delivery) -> Result<Delivered, RunError> {
        let writing = Writing::of(io.settings()).map_err(RunError::never)?;
        let letter = letter(&delivery, writing.language, writing.fields, writing.signature);
        let to = writing.to.iter().map(|address| (*address).to_owned()).collect();
        // The host makes the message id out of the idempotency key: mail programs show a repetition as the same letter.
        io.mail(Mail { to, subject: letter.subject, text: letter.text }).await?;
        Ok(Delivered::default())
    }

    /// A relay is known to take mail when it has taken some; there is nothing to ask it. What a probe says is that the settings
    /// can be used.
    async fn probe(io: &Io) -> Result<(), RunError> {
        Writing::of(io.settings()).map(|_| ()).map_err(RunError::never)
    }
}

/// How the letters of a channel are written.
struct Writing<'a> {
    to: Vec<&'a str>,
    language: Language,
    fields: bool,
    signature: Option<&'a str>,
}

impl<'a> Writing<'a> {
    fn of(settings: &'a Settings) -> Result<Self, String> {
        let to = settings.text("to").unwrap_or_default();
        let to: Vec<&str> =
            to.split([',', '，', ';', '；']).map(str::trim).filter(|address| !address.is_empty()).collect();
        if !(1..=RECIPIENTS_MAX).contains(&to.len()) {
            return Err(format!("`to` must hold 1 to {RECIPIENTS_MAX} addresses, separated by commas"));
        }
        if let Some(place) = to.iter().position(|address| !is_address(address)) {
            return Err(format!(
                "address {} of `to` is not one such as `office@example.cn`: letters and digits of ASCII, no names",
                place + 1
            ));
        }
        let language = match settings.text("language").unwrap_or("both") {
            "zh" => Language::Chinese,
            "en" => Language::English,
            "both" => Language::Both,
            _ => return Err("`language` must be `zh`, `en` or `both`".to_owned()),
        };
        let signature = settings.text("signature").filter(|text| !text.trim().is_empty());
        let long = |text: &str| {
            text.lines().count() > SIGNATURE_LINES_MAX || text.chars().count() > SIGNATURE_CHARACTERS_MAX
        };
        if signature.is_some_and(long) {
            return Err(format!(
                "`signature` may have {SIGNATURE_LINES_MAX} lines and {SIGNATURE_CHARACTERS_MAX} characters at most"
            ));
        }
        Ok(Self { to, language, fields: settings.flag("fields_in_letter").unwrap_or(false), signature })
    }
}

/// Whether this is a plain address, `local@domain`: no quotes, no comments, nothing that could end a header.
fn is_address(text: &str) -> bool {
    let local = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let dots = |text: &str| !text.is_empty() && text.split('.').all(|part| !part.is_empty());
    let Some((before, behind)) = text.split_once('@') else { return false };
    text.len() <= ADDRESS_BYTES_MAX
        && dots(before)
        && dots(behind)
        && before.chars().all(local)
        && behind.chars().all(domain)
}

#[cfg(test)]
mod tests;
