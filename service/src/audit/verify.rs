//! Verifying a log against its anchors. Whoever does needs the database, the file of anchors and the public key.
//!
//! `tests/fixtures/audit_verify.py` does the same and shares nothing with it; both name a flaw alike.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;
use linli_store::{AUDIT_PAGE_MAX, ChainHead, GENESIS, Ledger, RawEntry, entry_hash, entry_place};

use super::anchor::{Anchor, FIRST};
use super::{AuditError, Flaw};
use crate::hex::hex;

/// The anchors of a file, in order.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    anchors: Vec<Anchor>,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Chains.
    pub chains: u64,
    /// Entries.
    pub entries: i64,
    /// Anchors.
    pub anchors: u64,
    /// Entries after the newest anchor of their chains: they fit, and nothing outside the database vouches for them.
    pub unanchored: i64,
}

impl Anchors {
    /// Reads the text of a file, and checks that the anchors follow one another. `key` made every one of them; without
    /// it signatures are not looked at.
    ///
    /// # Errors
    /// The first anchor that is wrong.
    pub fn read(text: &str, key: Option<&VerifyingKey>) -> Result<Self, Flaw> {
        let mut anchors = Self::default();
        let mut rest = text;
        let (mut previous, mut newest) = (FIRST, BTreeMap::new());
        for number in 1.. {
            if rest.is_empty() {
                break;
            }
            let Some((line, after)) = rest.split_once('\n') else {
                return Err(Flaw::anchor(number, "is cut off"));
            };
            rest = after;
            let Some(anchor) = Anchor::parse(line) else {
                return Err(Flaw::anchor(number, "is not in the form of an anchor"));
            };
            if anchor.number != number || anchor.previous != previous {
                return Err(Flaw::anchor(number, "does not follow the one before"));
            }
            if !anchor.is_whole() {
                return Err(Flaw::anchor(number, "its Merkle root is not that of its heads"));
            }
            if key.is_some_and(|key| !anchor.is_signed_by(key)) {
                return Err(Flaw::anchor(number, "its signature is wrong"));
            }
            let ordered = anchor.heads.is_sorted_by(|left, right| left.site < right.site);
            let grows = anchor.heads.iter().all(|head| {
                newest.insert(head.site.clone(), head.seq).is_none_or(|before| before < head.seq)
            });
            if !ordered || !grows {
                return Err(Flaw::anchor(number, "its heads go backwards"));
            }
            previous = anchor.hash();
            anchors.anchors.push(anchor);
        }
        Ok(anchors)
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Anchor] {
        &self.anchors
    }

    /// The first `count` of them.
    pub fn first(&self, count: usize) -> Self {
        Self { anchors: self.anchors.iter().take(count).cloned().collect() }
    }

    /// As their owner.
    pub fn into_vec(self) -> Vec<Anchor> {
        self.anchors
    }

    /// What is anchored of a site: number and hash of the entry, and the anchor, in order.
    fn of<'a>(&'a self, site: &'a str) -> impl Iterator<Item = (ChainHead, u64)> + 'a {
        self.anchors.iter().filter_map(move |anchor| {
            let (_, head) = anchor.head(site)?;
            Some((ChainHead { seq: head.seq, hash: head.hash }, anchor.number))
        })
    }

    /// Compares with the newest anchor that the database remembers: the file holds it.
    ///
    /// # Errors
    /// [`AuditError::Flaw`].
    pub async fn check_remembered(&self, ledger: &Ledger, key: &VerifyingKey) -> Result<(), AuditError> {
        let Some((number, hash)) = ledger.anchored(&hex(key.as_bytes())).await? else { return Ok(()) };
        let number = u64::try_from(number).unwrap_or_default();
        let held = self.anchors.iter().find(|anchor| anchor.number == number);
        match held {
            None => {
                let first = u64::try_from(self.anchors.len()).unwrap_or_default() + 1;
                Err(Flaw::anchor(first, "is missing: the database remembers it or a later one").into())
            }
            Some(anchor) if anchor.hash().as_slice() != hash => {
                Err(Flaw::anchor(number, "is another one than the database remembers").into())
            }
            Some(_) => Ok(()),
        }
    }

    /// Verifies everything: every chain from its beginning, against every anchor.
    ///
    /// # Errors
    /// The first flaw: anchors come first, then the sites in order.
    pub async fn verify(&self, ledger: &Ledger, key: &VerifyingKey) -> Result<Verified, AuditError> {
        self.check_remembered(ledger, key).await?;
        let mut sites: BTreeSet<String> = ledger.sites().await?.into_iter().collect();
        sites.extend(ledger.heads().await?.into_keys());
        sites.extend(self.anchors.iter().flat_map(|anchor| &anchor.heads).map(|head| head.site.clone()));
        let anchors = u64::try_from(self.anchors.len()).unwrap_or_default();
        let mut verified = Verified { anchors, ..Verified::default() };
        for site in sites {
            let (end, anchored) = self.verify_site(ledger, &site).await?;
            verified.chains += 1;
            verified.entries += end.seq;
            verified.unanchored += end.seq - anchored;
        }
        Ok(verified)
    }

    /// Verifies the chain of one site from its beginning; its end, and the number of the newest anchored entry.
    ///
    /// # Errors
    /// The first flaw.
    pub async fn verify_site(&self, ledger: &Ledger, site: &str) -> Result<(ChainHead, i64), AuditError> {
        let start = ChainHead { seq: 0, hash: GENESIS };
        let mut anchored = self.of(site).peekable();
        let mut trusted = 0;
        let mut walk = Walk::new(ledger, site, start);
        let expected = head(ledger, site).await?;
        while let Some(end) = walk.next().await? {
            if let Some((head, number)) = anchored.next_if(|(head, _)| head.seq == end.seq) {
                if head.hash != end.hash {
                    let (site, from) = (site.to_owned(), trusted + 1);
                    return Err(Flaw::Entries { site, from, to: head.seq, anchor: number }.into());
                }
                trusted = head.seq;
            }
            if end.seq == expected.seq && end.hash != expected.hash {
                return Err(
                    Flaw::entry(site, end.seq, "is not the one that the head of its site names").into()
                );
            }
        }
        let end = walk.end;
        if let Some((head, number)) = anchored.next() {
            let why = format!("is missing: anchor {number} holds entries up to {}", head.seq);
            return Err(Flaw::entry(site, end.seq + 1, why).into());
        }
        if end.seq < expected.seq {
            let why = format!("is missing: the head of its site names {}", expected.seq);
            return Err(Flaw::entry(site, end.seq + 1, why).into());
        }
        // What was written meanwhile has moved the head; what was added without it has not.
        let now = head(ledger, site).await?;
        if end.seq > now.seq {
            return Err(Flaw::entry(site, now.seq + 1, "lies beyond the head of its site").into());
        }
        Ok((end, trusted))
    }
}

/// Verifies what a chain has after an anchored entry, up to the end that its head names.
///
/// # Errors
/// The first flaw.
pub async fn verify_tail(
    ledger: &Ledger,
    site: &str,
    anchored: Option<(ChainHead, u64)>,
    expected: &ChainHead,
) -> Result<(), AuditError> {
    let (start, number) = anchored.unwrap_or((ChainHead { seq: 0, hash: GENESIS }, 0));
    if expected.seq < start.seq {
        let why = format!("is missing: anchor {number} holds entries up to {}", start.seq);
        return Err(Flaw::entry(site, expected.seq + 1, why).into());
    }
    if start.seq > 0 {
        let found = ledger.entries(site, start.seq - 1, 1).await?;
        match found.first() {
            Some(entry) if entry.seq == start.seq && entry.hash == start.hash => {}
            Some(_) | None => {
                return Err(Flaw::entry(site, start.seq, format!("is not what anchor {number} says")).into());
            }
        }
    }
    let mut walk = Walk::new(ledger, site, start);
    while walk.end.seq < expected.seq {
        if walk.next().await?.is_none() {
            let why = format!("is missing: the head of its site names {}", expected.seq);
            return Err(Flaw::entry(site, walk.end.seq + 1, why).into());
        }
    }
    if walk.end.hash != expected.hash {
        return Err(Flaw::entry(site, expected.seq, "is not the one that the head of its site names").into());
    }
    Ok(())
}

async fn head(ledger: &Ledger, site: &str) -> Result<ChainHead, AuditError> {
    Ok(ledger.heads().await?.remove(site).unwrap_or(ChainHead { seq: 0, hash: GENESIS }))
}

/// A walk along a chain that stops at the first entry that does not fit.
struct Walk<'a> {
    ledger: &'a Ledger,
    site: &'a str,
    end: ChainHead,
    page: std::vec::IntoIter<RawEntry>,
}

impl<'a> Walk<'a> {
    fn new(ledger: &'a Ledger, site: &'a str, start: ChainHead) -> Self {
        Self { ledger, site, end: start, page: Vec::new().into_iter() }
    }

    /// The end after one more entry; `None` after the last.
    async fn next(&mut self) -> Result<Option<ChainHead>, AuditError> {
        let entry = match self.page.next() {
            Some(entry) => entry,
            None => {
                self.page = self.ledger.entries(self.site, self.end.seq, AUDIT_PAGE_MAX).await?.into_iter();
                match self.page.next() {
                    Some(entry) => entry,
                    None => return Ok(None),
                }
            }
        };
        let seq = self.end.seq + 1;
        let flaw = |why: &str| Err(Flaw::entry(self.site, seq, why).into());
        if entry.seq != seq {
            return flaw(&format!("is missing: {} follows", entry.seq));
        }
        if entry_place(&entry.body) != Some((self.site, seq)) {
            return flaw("is an entry of another place");
        }
        let hash = entry_hash(&self.end.hash, &entry.body);
        if hash.as_slice() != entry.hash {
            return flaw("its hash is not that of its content after the entry before");
        }
        self.end = ChainHead { seq, hash };
        Ok(Some(self.end.clone()))
    }
}
