//! The sealed cell: `format(1) ‖ suite(1) ‖ key version(4, big-endian) ‖ nonce ‖ ciphertext ‖ tag`.
//!
//! The plaintext is its length (4 bytes, big-endian), the value and zeros up to the next multiple of 32 bytes, so
//! that the length does not tell "none" from "pregnant". The associated data are the header and the place.

use zeroize::{Zeroize, Zeroizing};

use super::{CryptoProvider, Key, Random};
use crate::error::SealError;

const FORMAT: u8 = 1;
const HEADER: usize = 6;
/// Lengths are hidden in steps of this many bytes.
const PAD_STEP: usize = 32;

/// Where a cell stands. A cell opens at its own place only: it cannot be moved to another row or column, nor can an
/// older one be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// The site, or `*system`.
    pub(crate) site: &'a str,
    /// The table.
    pub(crate) table: &'static str,
    /// The row's key within the site.
    pub(crate) row: &'a [&'a str],
    /// The column.
    pub(crate) column: &'a str,
    /// The row's version.
    pub(crate) version: i64,
}

impl Place<'_> {
    fn associated(&self, header: &[u8; HEADER]) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        out.extend_from_slice(header);
        let mut push = |part: &str| {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        };
        push(self.site);
        push(self.table);
        for part in self.row {
            push(part);
        }
        push(self.column);
        out.extend_from_slice(&self.version.to_be_bytes());
        out
    }
}

/// Seals `plain` for `place` with `key`, which is version `key_version` of its line.
pub(crate) fn seal(
    provider: &dyn CryptoProvider,
    random: &dyn Random,
    key: &Key,
    key_version: u32,
    place: &Place<'_>,
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let header = header(provider.suite(), key_version);
    let mut padded = Zeroizing::new(Vec::with_capacity((plain.len() + 4).next_multiple_of(PAD_STEP)));
    padded.extend_from_slice(&u32::try_from(plain.len()).map_err(|_| SealError::Format)?.to_be_bytes());
    padded.extend_from_slice(plain);
    let full = padded.len().next_multiple_of(PAD_STEP);
    padded.resize(full, 0);
    let sealed = provider.seal(key, random, &place.associated(&header), &padded)?;
    let mut out = Vec::with_capacity(HEADER + sealed.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// Opens a cell that stands at `place`.
pub(crate) fn open(
    provider: &dyn CryptoProvider,
    key: &Key,
    place: &Place<'_>,
    cell: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (head, sealed) = cell.split_first_chunk::<HEADER>().ok_or(SealError::Format)?;
    if *head != header(provider.suite(), key_version(cell)?) {
        return Err(SealError::Format);
    }
    let mut padded = provider.open(key, &place.associated(head), sealed)?;
    let (length, rest) = padded.split_first_chunk::<4>().ok_or(SealError::Format)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| SealError::Format)?;
    let plain = Zeroizing::new(rest.get(..length).ok_or(SealError::Format)?.to_vec());
    padded.zeroize();
    Ok(plain)
}

/// The version of the key that sealed a cell.
pub(crate) fn key_version(cell: &[u8]) -> Result<u32, SealError> {
    match cell {
        [FORMAT, _, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(SealError::Format),
    }
}

fn header(suite: u8, key_version: u32) -> [u8; HEADER] {
    let [a, b, c, d] = key_version.to_be_bytes();
    [FORMAT, suite, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::super::{Chacha, NoRandomness};
    use super::*;

    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    const PLACE: Place<'static> =
        Place { site: "a", table: "resident_cell", row: &["r1"], column: "contact", version: 3 };

    fn sealed(plain: &[u8]) -> Vec<u8> {
        seal(&Chacha, &Fixed(9), &Key::new([7; 32]), 2, &PLACE, plain).unwrap()
    }

    #[test]
    fn a_cell_opens_at_its_place_with_its_key() {
        let cell = sealed("张三".as_bytes());
        assert_eq!(key_version(&cell), Ok(2));
        assert_eq!(open(&Chacha, &Key::new([7; 32]), &PLACE, &cell).unwrap().as_slice(), "张三".as_bytes());
        assert_eq!(open(&Chacha, &Key::new([8; 32]), &PLACE, &cell), Err(SealError::Tag));
    }

    #[test]
    fn a_cell_opens_nowhere_else() {
        let cell = sealed(b"x");
        let elsewhere: [Place<'_>; 6] = [
            Place { site: "b", ..PLACE },
            Place { table: "fact", ..PLACE },
            Place { row: &["r2"], ..PLACE },
            Place { row: &["r1", ""], ..PLACE },
            Place { column: "health", ..PLACE },
            Place { version: 2, ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(open(&Chacha, &Key::new([7; 32]), &place, &cell), Err(SealError::Tag), "{place:?}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let cell = sealed(b"secret");
        for bit in 0..cell.len() * 8 {
            let mut bad = cell.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&Chacha, &Key::new([7; 32]), &PLACE, &bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn lengths_are_hidden_in_steps() {
        let length = |n: usize| sealed(&vec![b'x'; n]).len();
        assert_eq!(length(0), length(28));
        assert_eq!(length(29), length(60));
        assert_eq!(length(29) - length(28), 32);
    }
}
