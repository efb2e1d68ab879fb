//! What a recipient's answer means: whether it took what was sent, whether to ask again, and what its JSON holds. No message repeats
//! anything out of an answer, because all of it may be personal.

use std::borrow::Cow;

use linli_plugin_sdk::connector::{HttpResponse, RunError};
use serde_json::{Map, Value};

use crate::instant;

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What an answer says that does not know who asks.
pub(crate) const STRANGER: &str =
    "the recipient does not know the sender; compare the channel's secrets with the recipient's";
/// Longest reference, in bytes.
const REFERENCE_BYTES_MAX: usize = 200;

/// An answer that the recipient is well and content with what was sent; of any other, what it means for the run.
pub(crate) fn content(asked: &str, answer: HttpResponse, now_micros: i64) -> Result<HttpResponse, RunError> {
    let status = answer.status;
    let said = |what: &str| format!("{asked} was answered with status {status}: {what}");
    match status {
        200..=299 => Ok(answer),
        429 | 503 => {
            let error = RunError::later(said("the recipient asks to wait"));
            let wait = answer.header("retry-after").and_then(|text| instant::wait(text, now_micros));
            Err(match wait {
                Some(wait) => error.after(wait),
                None => error,
            })
        }
        408 | 425 | 500..=599 => Err(RunError::later(said("the recipient is not well"))),
        300..=399 => Err(RunError::never(said(
            "redirects are not followed; let the channel's `url` name the address itself",
        ))),
        401 | 403 => Err(RunError::never(said(STRANGER))),
        _ => Err(RunError::never(said("the recipient does not take it"))),
    }
}

/// The object that an answer is.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, String> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("the answer is JSON, but no object".to_owned()),
        Err(error) => {
            Err(format!("the answer is not JSON (line {}, column {})", error.line(), error.column()))
        }
    }
}

/// A member that is text; absent, null and empty are the same. `what` says whose member it is.
pub(crate) fn text<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    what: &str,
) -> Result<Option<&'a str>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("`{name}` of {} is no text", what)),
    }
}

/// A reference, short and in one line.
pub(crate) fn reference<'a>(object: &'a Map<String, Value>, what: &str) -> Result<Option<&'a str>, String> {
    let Some(reference) = text(object, "reference", what)? else { return Ok(None) };
    if !is_reference(reference) {
        return Err(format!(
            "`reference` of {} has more than {REFERENCE_BYTES_MAX} bytes or control characters",
            what
        ));
    }
    Ok(Some(reference))
}

/// Whether a text can be kept as a reference.
pub(crate) fn is_reference(text: &str) -> bool {
    text.len() <= REFERENCE_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Text for a query, by percent.
pub(crate) fn encoded(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if text.bytes().all(plain) {
        return text.into();
    }
    let sign = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(sign).collect()
}
