//! Blind indexes: equality search over sealed values by a keyed hash.
//!
//! The key is per site and column and is not an encryption key: two sites cannot be joined, and a column's hash
//! says nothing about another's.

use super::{CryptoProvider, Key};

/// What is searchable by equality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IndexColumn {
    /// The resident's identity number, normalised to 18 characters.
    Identity,
    /// A telephone number, normalised to digits.
    Phone,
    /// The birth date, `YYYY-MM-DD`; finds candidates for duplicates.
    BirthDate,
    /// The full name; finds candidates for duplicates.
    Name,
}

impl IndexColumn {
    /// The code stored beside the hash.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Phone => "phone",
            Self::BirthDate => "birth_date",
            Self::Name => "name",
        }
    }
}

/// The hash of a normalised value under a site's index key, cut to 128 bits.
pub(crate) fn blind(
    provider: &dyn CryptoProvider,
    site_index_key: &Key,
    column: IndexColumn,
    value: &str,
) -> Vec<u8> {
    let column_key = Key::new(provider.mac(site_index_key, &[b"linli.index.v1", column.code().as_bytes()]));
    let full = provider.mac(&column_key, &[value.as_bytes()]);
    full.iter().take(16).copied().collect()
}

/// The hash of a value for an audit entry, so that an auditor who knows the value can confirm it.
pub(crate) fn audit_hash(
    provider: &dyn CryptoProvider,
    site_index_key: &Key,
    field: &str,
    value: &[u8],
) -> [u8; 32] {
    let key = Key::new(provider.mac(site_index_key, &[b"linli.audit.v1", field.as_bytes()]));
    provider.mac(&key, &[value])
}
