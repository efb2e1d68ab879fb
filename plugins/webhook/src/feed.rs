//! What a recipient tells page by page: what became of referrals, and its list of people.

use linli_plugin_sdk::connector::text::referral_id;
use linli_plugin_sdk::connector::{Acknowledgement, Decision, Field};
use serde_json::{Map, Value};

use crate::answer::{encoded, object, reference, text};
use crate::instant;

/// Longest cursor, in bytes as it stands in an address.
const CURSOR_BYTES_MAX: usize = 1_024;
/// Longest remark, in characters.
const REMARK_CHARACTERS_MAX: usize = 1_000;
/// Longest value of a list of people, in characters.
const VALUE_CHARACTERS_MAX: usize = 4_000;
/// What an entry of a list of people may say, as in the manifest. Whether it says so in the way it should is looked at by who compares it,
/// so that one entry never spoils a list.
const ROSTER: &[&str] =
    &["name", "birth_date", "identity_number", "phone", "address", "group", "certificate", "valid_until"];

/// A page.
pub(crate) struct Page<T> {
    /// What it holds.
    pub(crate) items: Vec<T>,
    /// Where the next one begins; empty if the recipient does not say.
    pub(crate) cursor: String,
}

/// A page of what became of referrals: `{"items": […], "cursor": …}`.
pub(crate) fn acknowledgements(body: &[u8]) -> Result<Page<Acknowledgement>, String> {
    page(body, "items", "item", acknowledgement)
}

/// A page of a list of people: `{"entries": […], "cursor": …}`.
pub(crate) fn roster(body: &[u8]) -> Result<Page<Vec<Field>>, String> {
    page(body, "entries", "entry", entry)
}

fn page<T>(
    body: &[u8],
    list: &str,
    one: &str,
    read: fn(&Map<String, Value>, &str) -> Result<T, String>,
) -> Result<Page<T>, String> {
    let page = object(body)?;
    let cursor = text(&page, "cursor", "the answer")?.unwrap_or_default().to_owned();
    if encoded(&cursor).len() > CURSOR_BYTES_MAX {
        return Err(format!("`cursor` of the answer has more than {CURSOR_BYTES_MAX} bytes"));
    }
    let Some(Value::Array(items)) = page.get(list) else {
        return Err(format!("the answer has no list `{list}`"));
    };
    let items = (1_usize..).zip(items).map(|(number, item)| {
        let what = format!("{one} {number}");
        match item {
            Value::Object(item) => read(item, &what),
            _ => Err(format!("{} is no object", what)),
        }
    });
    Ok(Page { items: items.collect::<Result<_, _>>()?, cursor })
}

fn acknowledgement(item: &Map<String, Value>, what: &str) -> Result<Acknowledgement, String> {
    let external_reference = reference(item, what)?.unwrap_or_default().to_owned();
    let referral = text(item, "referral", what)?.unwrap_or_default().to_owned();
    if !referral.is_empty() && referral_id(&referral).is_none() {
        return Err(format!("`referral` of {} is not `sites/…/referrals/…`", what));
    }
    if referral.is_empty() && external_reference.is_empty() {
        return Err(format!("{} names neither `reference` nor `referral`", what));
    }
    let decision = match text(item, "state", what)? {
        Some("accepted") => Decision::Accepted,
        Some("rejected") => Decision::Rejected,
        Some("closed") => Decision::Closed,
        Some(_) | None => {
            return Err(format!("`state` of {} is not `accepted`, `rejected` or `closed`", what));
        }
    };
    let remark = text(item, "remark", what)?.unwrap_or_default().to_owned();
    if remark.chars().count() > REMARK_CHARACTERS_MAX {
        return Err(format!("`remark` of {} has more than {REMARK_CHARACTERS_MAX} characters", what));
    }
    let decided_at_micros = match text(item, "decided_at", what)? {
        None => None,
        Some(text) => Some(instant::read(text).ok_or_else(|| {
            format!("`decided_at` of {} is no instant such as `2026-12-01T10:00:00+08:00`", what)
        })?),
    };
    Ok(Acknowledgement { external_reference, referral, decision, remark, decided_at_micros })
}

fn entry(item: &Map<String, Value>, what: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for code in ROSTER {
        let Some(value) = text(item, code, what)? else { continue };
        if value.chars().count() > VALUE_CHARACTERS_MAX {
            return Err(format!("`{code}` of {what} has more than {VALUE_CHARACTERS_MAX} characters"));
        }
        fields.push(Field::new(*code, value));
    }
    if fields.is_empty() {
        return Err(format!("{} says nothing", what));
    }
    Ok(fields)
}
