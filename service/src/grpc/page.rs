//! Paging: sizes coerced to a maximum, and opaque tokens that belong to one query of one caller.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::auth::Call;
use crate::error::{Error, Result, Violation};
use linli_core::invalid::Invalid;

/// Items of a page where the request names no number.
pub const PAGE_SIZE_DEFAULT: u32 = 50;
/// Most items of a page, whatever is asked: bounds the work and the disclosure of one call.
pub const PAGE_SIZE_MAX: u32 = 200;

const BINDING_BYTES: usize = 16;
const TOKEN_MAX_BYTES: usize = 1024;

/// What a token is bound to: the caller, the method and the query.
pub struct Binding([u8; BINDING_BYTES]);

impl Binding {
    /// Binds to `call` and the parts of the query other than its page fields.
    pub fn new(call: &Call, query: &[&[u8]]) -> Self {
        let caller = call.caller.key();
        Self::of(&[caller.as_slice(), call.method.path.as_bytes()], query)
    }

    /// Binds to what is the same for every caller: for places that they keep.
    pub fn of_all(what: &str, query: &[&[u8]]) -> Self {
        Self::of(&[what.as_bytes()], query)
    }

    fn of(whose: &[&[u8]], query: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in whose.iter().chain(query) {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut binding = [0; BINDING_BYTES];
        for (to, from) in binding.iter_mut().zip(digest) {
            *to = from;
        }
        Self(binding)
    }

    /// The token that continues after `cursor`.
    pub fn token(&self, cursor: &str) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend_from_slice(cursor.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor in a token; `None` for the empty token of a first page.
    ///
    /// # Errors
    /// [`Error::PageToken`] where the token is not one of ours, of another query or of another caller.
    pub fn cursor(&self, token: &str) -> Result<Option<String>> {
        self.cursor_within(token, TOKEN_MAX_BYTES)
    }

    /// As [`Binding::cursor`], for tokens of at most `max` bytes.
    ///
    /// # Errors
    /// As [`Binding::cursor`].
    pub fn cursor_within(&self, token: &str, max: usize) -> Result<Option<String>> {
        if token.is_empty() {
            return Ok(None);
        }
        if token.len() > max {
            return Err(Error::PageToken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::PageToken)?;
        let (binding, cursor) = bytes.split_at_checked(BINDING_BYTES).ok_or(Error::PageToken)?;
        if binding != self.0 {
            return Err(Error::PageToken);
        }
        String::from_utf8(cursor.to_vec()).map(Some).map_err(|_| Error::PageToken)
    }
}

/// The number of items to answer with: 0 means the default, more than the maximum means the maximum.
///
/// # Errors
/// [`Error::Invalid`] for a negative number.
pub fn size(asked: i32) -> Result<u32> {
    match u32::try_from(asked) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) => Err(Error::Invalid(vec![Violation {
            field: "page_size".into(),
            why: Invalid::TooSmall { min: 0 },
        }])),
    }
}

/// After how many answers a stream ends, at most `max`; `None`: by time alone.
///
/// # Errors
/// [`Invalid`] for a negative number or one above.
pub fn answer_limit(number: i32, max: u32) -> std::result::Result<Option<u32>, Invalid> {
    match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) if number <= max => Ok(Some(number)),
        Ok(_) => Err(Invalid::TooLarge { max: max.into() }),
        Err(_) => Err(Invalid::TooSmall { min: 0 }),
    }
}
