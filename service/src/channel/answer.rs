//! Links by which a body answers a referral without an account. Who has the link may answer: it names one referral, ends after a
//! time, and nobody can make one without the server's key.
//!
//! `{url}/a/{name}.{mac}`: the name is base64url of the site's id, the referral's id and the end in Unix seconds, one a line; the mac
//! is HMAC-SHA-256 of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use linli_core::id::{ReferralId, SiteId};
use linli_core::time::Instant;
use ring::hmac;

use crate::key_file::Key;

/// For how many days a link answers: the year in which most matters come to their end.
const LINK_DAYS: i64 = 365;
/// Longest path of a link, in bytes.
const LINK_BYTES_MAX: usize = 1024;

/// Makes links and reads them.
pub(crate) struct AnswerLinks {
    url: String,
    key: hmac::Key,
}

impl std::fmt::Debug for AnswerLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnswerLinks({})", self.url)
    }
}

impl AnswerLinks {
    /// Links that begin with `url`, which has no slash at its end.
    pub(crate) fn new(url: String, key: &Key) -> Self {
        Self { url, key: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()) }
    }

    /// The link of a referral that was made at an instant: always the same.
    pub(crate) fn link(&self, site: &SiteId, referral: &ReferralId, made_at: Instant) -> String {
        let end = made_at.plus_hours(LINK_DAYS * 24).micros().div_euclid(1_000_000);
        let name = format!("{}\n{}\n{end}", site.as_str(), referral.as_str());
        let mac = hmac::sign(&self.key, name.as_bytes());
        format!("{}/a/{}.{}", self.url, URL_SAFE_NO_PAD.encode(name), URL_SAFE_NO_PAD.encode(mac))
    }

    /// The referral of a link's path after `/a/`; `None`: nobody made it, or it has ended.
    pub(crate) fn read(&self, path: &str, now: Instant) -> Option<(SiteId, ReferralId)> {
        let (name, mac) = path.split_once('.').filter(|_| path.len() <= LINK_BYTES_MAX)?;
        let name = URL_SAFE_NO_PAD.decode(name).ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        hmac::verify(&self.key, &name, &mac).ok()?;
        let name = String::from_utf8(name).ok()?;
        let mut parts = name.split('\n');
        let (site, referral, end) = (parts.next()?, parts.next()?, parts.next()?);
        let end: i64 = end.parse().ok()?;
        if now.micros().div_euclid(1_000_000) >= end {
            return None;
        }
        Some((SiteId::new(site).ok()?, ReferralId::new(referral).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_answers_for_one_referral_until_its_end() {
        let key = |byte: u8| Key::new([byte; 32]);
        let links = AnswerLinks::new("https://answers.example.cn".into(), &key(1));
        let now = Instant::from_micros(1_770_000_000_000_000).unwrap();
        let (site, referral) = (SiteId::new("gardens").unwrap(), ReferralId::new("r-1").unwrap());
        let link = links.link(&site, &referral, now);
        let path = link.strip_prefix("https://answers.example.cn/a/").unwrap();
        assert_eq!(links.read(path, now), Some((site.clone(), referral)));
        assert_eq!(links.read(path, now.plus_hours(LINK_DAYS * 24)), None);
        assert_eq!(AnswerLinks::new(String::new(), &key(2)).read(path, now), None);
        // No byte of it can be another one.
        for place in 0..path.len() {
            let mut other = path.as_bytes().to_vec();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(links.read(&other, now), None, "{place}");
        }
        for nonsense in ["", ".", "a.b", "AAAA.AAAA", &"A".repeat(4000)] {
            assert_eq!(links.read(nonsense, now), None, "{nonsense}");
        }
    }
}
