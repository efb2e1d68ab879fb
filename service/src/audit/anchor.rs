//! An anchor: where the chains that changed since the one before end, signed.
//!
//! In the file it is one line of JSON, in exactly this form:
//!
//! ```text
//! {"number":2,"time":1790000000000000,"previous":"…","root":"…","heads":[{"site":"a","seq":7,"hash":"…"}],"signature":"…"}
//! ```
//!
//! `time` is in microseconds since 1970, bytes are lower-case hexadecimal, heads are in the order of their sites. Signed
//! (Ed25519, RFC 8032) is [`Anchor::statement`]; `previous` is SHA-256 of the statement and the signature of the anchor
//! before, 32 zero bytes for the first. `root` is the Merkle tree hash of RFC 6962 over the heads, each as the text
//! `site seq hash`.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::hex::{hex, unhex};

/// What the first anchor says of the one before.
pub const FIRST: [u8; 32] = [0; 32];

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The site, or `*system`.
    pub site: String,
    /// The number of its last entry.
    pub seq: i64,
    /// The hash of its last entry.
    pub hash: [u8; 32],
}

/// A signed anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// From 1, without a gap.
    pub number: u64,
    /// When it was signed, in microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// The hash of the anchor before.
    pub previous: [u8; 32],
    /// The Merkle root over the heads.
    pub root: [u8; 32],
    /// Where the chains end that changed since the anchor before, in the order of their sites.
    pub heads: Vec<Head>,
    /// Of the statement.
    pub signature: [u8; 64],
}

impl Anchor {
    /// Signs an anchor over these heads, which are in the order of their sites.
    pub fn sign(key: &SigningKey, number: u64, time: i64, previous: [u8; 32], heads: Vec<Head>) -> Self {
        let root = root(&leaves(&heads));
        let mut anchor = Self { number, time, previous, root, heads, signature: [0; 64] };
        anchor.signature = key.sign(anchor.statement().as_bytes()).to_bytes();
        anchor
    }

    /// What is signed.
    pub fn statement(&self) -> String {
        let Self { number, time, .. } = self;
        let (previous, root) = (hex(&self.previous), hex(&self.root));
        format!("linli audit anchor 1\nnumber {number}\ntime {time}\nprevious {previous}\nroot {root}\n")
    }

    /// The hash by which the next anchor names this one.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::new().chain_update(self.statement()).chain_update(self.signature).finalize().into()
    }

    /// Whether this key signed it.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.verify_strict(self.statement().as_bytes(), &Signature::from_bytes(&self.signature)).is_ok()
    }

    /// Whether its root is that of its heads.
    pub fn is_whole(&self) -> bool {
        self.root == root(&leaves(&self.heads))
    }

    /// Its head of a site, with the place of it.
    pub fn head(&self, site: &str) -> Option<(usize, &Head)> {
        let at = self.heads.binary_search_by(|head| head.site.as_str().cmp(site)).ok()?;
        self.heads.get(at).map(|head| (at, head))
    }

    /// What proves to somebody who has the root alone that the head at `index` is under it: the hashes beside its path,
    /// from the leaf upwards.
    pub fn proof(&self, index: usize) -> Vec<[u8; 32]> {
        let mut proof = Vec::new();
        path(&leaves(&self.heads), index, &mut proof);
        proof
    }

    /// Its line in the file, without the end of the line.
    pub fn line(&self) -> String {
        let heads: Vec<String> = self
            .heads
            .iter()
            .map(|Head { site, seq, hash }| {
                format!("{{\"site\":\"{site}\",\"seq\":{seq},\"hash\":\"{}\"}}", hex(hash))
            })
            .collect();
        format!(
            "{{\"number\":{},\"time\":{},\"previous\":\"{}\",\"root\":\"{}\",\"heads\":[{}],\"signature\":\"{}\"}}",
            self.number,
            self.time,
            hex(&self.previous),
            hex(&self.root),
            heads.join(","),
            hex(&self.signature)
        )
    }

    /// From its line; `None` where that is not in the one form that it has.
    pub fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let bytes = |value: &Value, key: &str| value.get(key)?.as_str().and_then(unhex::<32>);
        let head = |value: &Value| {
            Some(Head {
                site: value.get("site")?.as_str()?.to_owned(),
                seq: value.get("seq")?.as_i64()?,
                hash: bytes(value, "hash")?,
            })
        };
        let anchor = Self {
            number: value.get("number")?.as_u64()?,
            time: value.get("time")?.as_i64()?,
            previous: bytes(&value, "previous")?,
            root: bytes(&value, "root")?,
            heads: value.get("heads")?.as_array()?.iter().map(head).collect::<Option<_>>()?,
            signature: value.get("signature")?.as_str().and_then(unhex::<64>)?,
        };
        (anchor.line() == line).then_some(anchor)
    }
}

fn leaves(heads: &[Head]) -> Vec<[u8; 32]> {
    let leaf = |head: &Head| {
        let text = format!("{} {} {}", head.site, head.seq, hex(&head.hash));
        Sha256::new().chain_update([0]).chain_update(text).finalize().into()
    };
    heads.iter().map(leaf).collect()
}

fn node(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Two halves, the left one of the largest power of two below the whole.
fn halves(leaves: &[[u8; 32]]) -> (&[[u8; 32]], &[[u8; 32]]) {
    let left = leaves.len().next_power_of_two() / 2;
    leaves.split_at_checked(left).unwrap_or((leaves, &[]))
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        [_, _, ..] => {
            let (left, right) = halves(leaves);
            node(root(left), root(right))
        }
    }
}

fn path(leaves: &[[u8; 32]], index: usize, proof: &mut Vec<[u8; 32]>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = halves(leaves);
    match index.checked_sub(left.len()) {
        None => {
            path(left, index, proof);
            proof.push(root(right));
        }
        Some(index) => {
            path(right, index, proof);
            proof.push(root(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(heads: usize) -> (SigningKey, Anchor) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let head = |n: usize| Head { site: format!("s{n:03}"), seq: 1 + n as i64, hash: [n as u8; 32] };
        let anchor = Anchor::sign(&key, 3, 1_790_000_000_000_000, [9; 32], (0..heads).map(head).collect());
        (key, anchor)
    }

    #[test]
    fn a_line_has_one_form() {
        let (key, anchor) = anchor(3);
        let line = anchor.line();
        assert_eq!(Anchor::parse(&line), Some(anchor.clone()));
        assert!(anchor.is_signed_by(&key.verifying_key()) && anchor.is_whole());
        let check = |line: String| assert_eq!(Anchor::parse(&line), None, "{line}");
        check(line.replace(':', ": "));
        check(line.replace("\"number\":3", "\"number\":3.0"));
        check(line.replace("\"number\":3", "\"number\":3,\"number\":3"));
        check(line.to_uppercase());
        check(format!("{line} "));
        check(line.split_at(line.len() - 1).0.to_owned());
    }

    #[test]
    fn every_field_is_signed() {
        let (key, anchor) = anchor(3);
        let changes: [fn(&mut Anchor); 5] = [
            |anchor| anchor.number += 1,
            |anchor| anchor.time += 1,
            |anchor| anchor.previous[0] ^= 1,
            |anchor| anchor.root[31] ^= 1,
            |anchor| anchor.signature[5] ^= 1,
        ];
        for change in changes {
            let mut changed = anchor.clone();
            change(&mut changed);
            assert!(!changed.is_signed_by(&key.verifying_key()));
            assert_ne!(changed.hash(), anchor.hash());
        }
        let mut changed = anchor.clone();
        changed.heads[1].seq += 1;
        assert!(!changed.is_whole());
    }

    #[test]
    fn heads_are_proved_under_the_root() {
        for count in 1..20 {
            let (_, anchor) = anchor(count);
            for index in 0..count {
                // From the leaf upwards, by the widths of the tree alone.
                let (mut hash, mut at, mut last) = (leaves(&anchor.heads)[index], index, count - 1);
                for beside in anchor.proof(index) {
                    while at % 2 == 0 && at == last {
                        (at, last) = (at / 2, last / 2);
                    }
                    hash = if at % 2 == 1 { node(beside, hash) } else { node(hash, beside) };
                    (at, last) = (at / 2, last / 2);
                }
                assert_eq!(hash, anchor.root, "{index} of {count}");
            }
        }
    }
}
