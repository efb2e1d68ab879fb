//! The gate: from a call's path, credentials and metadata to a [`Call`], or a refusal.

use std::sync::Arc;

use linli_core::id::StaffId;
use linli_core::invalid::Invalid;
use linli_core::staff::{Credential, Grant, Reach, Role};
use linli_core::text::Language;
use linli_core::time::Clock;
use sha2::{Digest, Sha256};
use tonic::codegen::http::HeaderMap;

use super::rules::Acting;
use super::token::Tokens;
use super::{Call, Caller, Principal, Purpose, PurposeKind, Rights, table};
use crate::error::{Error, Violation};

/// Longest accepted free text of a purpose, in characters.
const PURPOSE_NOTE_MAX: usize = 200;

/// Knows which credentials are good; whom they belong to is another question.
pub struct Gate {
    development: Vec<(TokenHash, Principal)>,
    tokens: Option<Tokens>,
    clock: Arc<dyn Clock>,
}

/// SHA-256 of a bearer token; the token itself is not kept.
type TokenHash = [u8; 32];

impl Gate {
    /// A gate that lets nobody in but those with a certificate that the listener has verified. `clock` is the machine's.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { development: Vec::new(), tokens: None, clock }
    }

    /// With signed tokens.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// With tokens for development: one that may do everything, one of an outsider, who is authenticated but not of the
    /// working group, and for every role somebody who has that role at every site and no other: their token is the first one
    /// with the role as policies call it, such as `…-finance` or `…-member.security`, and they are `dev-finance` or
    /// `dev-member-security`.
    #[must_use]
    pub fn with_development(self, member_token: &str, outsider_token: &str) -> Self {
        let everywhere = |role, department| Grant {
            role,
            department,
            reach: Reach::Everywhere,
            from: None,
            until: None,
            children: role == Role::Leader,
        };
        let principal = |id: &str, grants| Principal { staff: staff(id), rights: Rights::Grants(grants) };
        let mut development = vec![
            (hash(member_token), principal("dev", vec![everywhere(Role::Leader, None)])),
            (hash(outsider_token), principal("outsider", Vec::new())),
        ];
        for acting in Acting::all() {
            let grant = match acting {
                // A member is one of a department.
                Acting::Nobody | Acting::Server | Acting::Role(Role::Member) => continue,
                Acting::Role(role) => everywhere(role, None),
                Acting::Member(department) => everywhere(Role::Member, Some(department)),
            };
            let name = acting.name();
            let id = format!("dev-{}", name.replace(['.', '_'], "-"));
            development.push((hash(&format!("{member_token}-{name}")), principal(&id, vec![grant])));
        }
        Self { development, ..self }
    }

    /// Admits a call to `path` (`/linli.v1.SiteService/GetSite`) on a connection whose client certificate bears the names of
    /// `certificate`.
    ///
    /// # Errors
    /// [`Error::Denied`] for an RPC that the table does not list, [`Error::Unauthenticated`] without valid credentials,
    /// [`Error::Invalid`] for a malformed `x-purpose`.
    pub fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        certificate: &[Credential],
        request_id: &str,
    ) -> Result<Call, Error> {
        let caller = self.authenticate(headers, certificate)?;
        let method = table::find(path).ok_or(Error::Denied)?;
        Ok(Call {
            caller,
            method,
            request_id: request_id.to_owned(),
            purpose: purpose(headers)?,
            language: language(headers),
        })
    }

    fn authenticate(&self, headers: &HeaderMap, certificate: &[Credential]) -> Result<Caller, Error> {
        let mut sent = headers.get_all("authorization").iter();
        let (value, further) = (sent.next(), sent.next());
        if further.is_some() {
            return Err(Error::Unauthenticated);
        }
        let Some(value) = value else {
            if certificate.is_empty() {
                return Err(Error::Unauthenticated);
            }
            return Ok(Caller::Presented { token: None, certificate: certificate.to_vec() });
        };
        let bearer = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Error::Unauthenticated)?;
        let presented = hash(bearer);
        // Comparing hashes of the tokens gives a guesser nothing to time.
        let known = self.development.iter().find(|(hash, _)| *hash == presented);
        if let Some((_, principal)) = known.filter(|_| certificate.is_empty()) {
            return Ok(Caller::Fixed(principal.clone()));
        }
        let tokens = self.tokens.as_ref().ok_or(Error::Unauthenticated)?;
        match tokens.verify(bearer, self.clock.now()) {
            Ok(token) => Ok(Caller::Presented { token: Some(token), certificate: certificate.to_vec() }),
            Err(why) => {
                tracing::debug!(?why, "a token was refused");
                Err(Error::Unauthenticated)
            }
        }
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
    use linli_core::staff::CredentialKind;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn admission() {
        let gate = Gate::new(Arc::new(crate::time::SystemClock)).with_development("secret", "stranger");
        let check = |path: &str, pairs: &[(&'static str, &str)], expect: &str| {
            let found = match gate.admit(path, &headers(pairs), &[], "r1") {
                Ok(Call { caller: Caller::Fixed(principal), language, .. }) => {
                    format!("{} {language:?}", principal.staff.as_str())
                }
                Ok(call) => format!("{:?}", call.caller),
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
        check(path, &[("authorization", "Bearer secret-finance")], "dev-finance En");
        check(
            path,
            &[("authorization", "Bearer secret-member.customer_service")],
            "dev-member-customer-service En",
        );
        for wrong in
            ["Bearer secret-", "Bearer secret-member", "Bearer secret-server", "Bearer stranger-leader"]
        {
            check(path, &[("authorization", wrong)], "Unauthenticated");
        }
        check(path, &[("authorization", "Bearer secreT")], "Unauthenticated");
        check(path, &[("authorization", "secret")], "Unauthenticated");
        check(path, &[], "Unauthenticated");
        let twice = [("authorization", "Bearer secret"), ("authorization", "Bearer secret")];
        let appended = twice.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(*name, value.parse().unwrap());
            headers
        });
        assert!(matches!(gate.admit(path, &appended, &[], "r1"), Err(Error::Unauthenticated)));
        // A development token is nobody's certificate: both do not agree.
        let certificate = [Credential::presented(CredentialKind::Certificate, "gateway.example").unwrap()];
        let both = gate.admit(path, &headers(&[("authorization", "Bearer secret")]), &certificate, "r1");
        assert!(matches!(both, Err(Error::Unauthenticated)));
        let alone = gate.admit(path, &HeaderMap::new(), &certificate, "r1").unwrap().caller;
        assert_eq!(alone, Caller::Presented { token: None, certificate: certificate.to_vec() });
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
