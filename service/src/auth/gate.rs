//! The gate: from a call's path and metadata to a [`Call`], or a refusal.

use linli_core::id::StaffId;
use linli_core::text::Language;
use sha2::{Digest, Sha256};
use tonic::codegen::http::HeaderMap;

use super::{Call, Principal, Purpose, PurposeKind, Role, Scope, table};
use crate::error::{Error, Violation};
use linli_core::invalid::Invalid;

/// Longest accepted free text of a purpose, in characters.
const PURPOSE_NOTE_MAX: usize = 200;

/// Knows the credentials of this process.
pub struct Gate {
    tokens: Vec<(TokenHash, Principal)>,
}

/// SHA-256 of a bearer token; the token itself is not kept.
type TokenHash = [u8; 32];

impl Gate {
    /// A gate for development: one token that may do everything, and none, one or more tokens of outsiders, who are
    /// authenticated but not of the working group.
    pub fn development(member_token: &str, outsider_tokens: &[&str]) -> Self {
        let member = Principal { staff: staff("dev"), role: Some(Role::Leader), scope: Scope::Everywhere };
        let outsider = Principal { staff: staff("outsider"), role: None, scope: Scope::Nowhere };
        let mut tokens = vec![(hash(member_token), member)];
        tokens.extend(outsider_tokens.iter().map(|token| (hash(token), outsider.clone())));
        Self { tokens }
    }

    /// A gate that lets nobody in.
    pub fn closed() -> Self {
        Self { tokens: Vec::new() }
    }

    /// Admits a call to `path` (`/linli.v1.SiteService/GetSite`).
    ///
    /// # Errors
    /// [`Error::Denied`] for an RPC that the table does not list, [`Error::Unauthenticated`] without a valid token,
    /// [`Error::Invalid`] for a malformed `x-purpose`.
    pub fn admit(&self, path: &str, headers: &HeaderMap, request_id: &str) -> Result<Call, Error> {
        let principal = self.authenticate(headers)?;
        let method = table::find(path).ok_or(Error::Denied)?;
        Ok(Call {
            principal,
            method,
            request_id: request_id.to_owned(),
            purpose: purpose(headers)?,
            language: language(headers),
        })
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        let bearer = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Error::Unauthenticated)?;
        let presented = hash(bearer);
        // Comparing hashes of the tokens gives a guesser nothing to time.
        let known = self.tokens.iter().find(|(hash, _)| *hash == presented);
        known.map(|(_, principal)| principal.clone()).ok_or(Error::Unauthenticated)
    }
}

/// The caller's language by `accept-language`: the first of `zh…` and `en…` that is named, else English.
pub fn language(headers: &HeaderMap) -> Language {
    let wanted = headers.get("accept-language").and_then(|value| value.to_str().ok()).unwrap_or_default();
    for tag in wanted.split(',').map(str::trim) {
        let primary = tag.split(['-', '_', ';']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("zh") {
            return Language::Zh;
        }
        if primary.eq_ignore_ascii_case("en") {
            return Language::En;
        }
    }
    Language::En
}

/// `x-purpose: ROUTINE_CARE` or `x-purpose: PURPOSE_ROUTINE_CARE; free text`.
fn purpose(headers: &HeaderMap) -> Result<Option<Purpose>, Error> {
    let refused = |why| Error::Invalid(vec![Violation { field: "x-purpose".into(), why }]);
    let Some(value) = headers.get("x-purpose") else { return Ok(None) };
    let value = std::str::from_utf8(value.as_bytes()).map_err(|_| refused(Invalid::ControlCharacter))?;
    let (kind, note) = value.split_once(';').unwrap_or((value, ""));
    let code = kind.trim().to_ascii_lowercase();
    let code = code.strip_prefix("purpose_").unwrap_or(&code);
    let kind = PurposeKind::ALL.iter().copied().find(|kind| kind.code() == code);
    let kind = kind.ok_or_else(|| refused(Invalid::Unknown))?;
    let note = linli_core::text::Text::<PURPOSE_NOTE_MAX>::optional(note).map_err(refused)?;
    Ok(Some(Purpose { kind, note: note.map(|note| note.as_str().to_owned()) }))
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

fn staff(id: &str) -> StaffId {
    StaffId::new(id).expect("a literal of the accepted shape")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn admission() {
        let gate = Gate::development("secret", &["stranger"]);
        let check = |path: &str, pairs: &[(&'static str, &str)], expect: &str| {
            let found = match gate.admit(path, &headers(pairs), "r1") {
                Ok(call) => format!("{} {:?}", call.principal.staff.as_str(), call.language),
                Err(error) => format!("{error:?}"),
            };
            assert_eq!(found, expect, "{path} {pairs:?}");
        };
        let path = "/linli.v1.SiteService/GetSite";
        check(path, &[("authorization", "Bearer secret")], "dev En");
        check(
            path,
            &[("authorization", "bearer stranger"), ("accept-language", "fr, zh-CN;q=0.9")],
            "outsider Zh",
        );
        check(path, &[("authorization", "Bearer secreT")], "Unauthenticated");
        check(path, &[("authorization", "secret")], "Unauthenticated");
        check(path, &[], "Unauthenticated");
        check("/linli.v1.SiteService/Nothing", &[("authorization", "Bearer secret")], "Denied");
    }

    #[test]
    fn purposes() {
        let check = |value: &str, expect: Result<Option<(PurposeKind, Option<&str>)>, ()>| {
            let found = purpose(&headers(&[("x-purpose", value)]));
            let found = found.map(|p| p.map(|p| (p.kind, p.note))).map_err(|_| ());
            assert_eq!(
                found,
                expect.map(|p| p.map(|(kind, note)| (kind, note.map(str::to_owned)))),
                "{value}"
            );
        };
        check("routine_care", Ok(Some((PurposeKind::RoutineCare, None))));
        check(
            "PURPOSE_FILE_MAINTENANCE; phone changed",
            Ok(Some((PurposeKind::FileMaintenance, Some("phone changed")))),
        );
        check("curiosity", Err(()));
        assert_eq!(purpose(&HeaderMap::new()).ok(), Some(None));
    }
}
