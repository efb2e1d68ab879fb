//! Finding care files by sealed values: blind indexes of identity number, phone, birth date and name.

use std::collections::{BTreeSet, HashMap, HashSet};

use linli_core::duplicate::Person;
use linli_core::id::{ResidentId, SiteId};
use linli_core::identity::IdentityNumber;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{Expect, Rows};
use crate::convert::version_column;
use crate::crypto::index::{self, IndexColumn};
use crate::error::{SealError, StoreError};
use crate::page::padded;
use crate::resident::{CellChanges, ResidentHead};
use crate::seal::Sealer;
use crate::store::Store;
use crate::table::{Table, Val, resident, resident_identity, resident_index};

/// What is missing where the index rows of a file are no longer those that a change set was prepared for: it is prepared
/// again.
pub(crate) const INDEX_ROW: &str = "index row";

/// The index rows of a resident as they stand before an update.
#[derive(Debug, Clone, Default)]
pub(crate) struct IndexRows {
    by_resident: HashMap<String, ResidentIndexRows>,
}

#[derive(Debug, Clone, Default)]
struct ResidentIndexRows {
    identity: HashSet<Vec<u8>>,
    fields: HashSet<(String, Vec<u8>)>,
}

/// Replaces the index rows of the classes that change.
pub(crate) fn rows(
    head: &ResidentHead,
    cells: &CellChanges,
    index: &IndexRows,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) {
    let empty = ResidentIndexRows::default();
    let before = index.by_resident.get(head.id.as_str()).unwrap_or(&empty);
    let site = head.site.as_str();
    // A protected file lies in an index of its own: neither a search nor a number that is taken tells of it.
    let place = |value: String| if head.protected_for.is_some() { protected(&value) } else { value };
    let mut replace = |field: IndexColumn, value: Option<String>| {
        let now = value.map(|value| sealer.blind(field, &place(value)));
        for (_, hash) in before.fields.iter().filter(|(f, _)| f == field.code()) {
            let key =
                vec![site.into(), field.code().into(), Val::Bytes(hash.clone()), head.id.as_str().into()];
            if Some(hash) != now.as_ref() {
                rows.delete(Table::ResidentIndex, key.clone());
            }
            rows.guard(Table::ResidentIndex, key, Expect::Present, INDEX_ROW);
        }
        if let Some(hash) = now {
            let row = resident_index::Model {
                site: site.to_owned(),
                field: field.code().to_owned(),
                hash,
                resident: head.id.as_str().to_owned(),
                version: version_column(head.version),
                key_version: sealer.version(),
            };
            rows.put(Table::ResidentIndex, row);
        }
    };
    if let Some(contact) = &cells.contact {
        replace(IndexColumn::Phone, contact.phone.as_ref().map(|phone| phone.reveal().to_owned()));
        replace(IndexColumn::Name, Some(contact.name.reveal().to_owned()));
    }
    if let Some(identity) = &cells.identity {
        replace(IndexColumn::BirthDate, identity.birth_date.map(|date| date.to_string()));
        let number = identity.number.as_ref().map(|number| place(number.reveal().to_owned()));
        let now = number.as_deref().map(|number| sealer.blind(IndexColumn::Identity, number));
        let key = |hash: &Vec<u8>| vec![site.into(), Val::Bytes(hash.clone())];
        for hash in &before.identity {
            if Some(hash) != now.as_ref() {
                rows.delete(Table::ResidentIdentity, key(hash));
            }
            rows.guard(Table::ResidentIdentity, key(hash), Expect::Present, INDEX_ROW);
        }
        if let Some(hash) = now.filter(|hash| !before.identity.contains(hash)) {
            // While the keys of the index are being replaced, the number may stand under an older one.
            let older = number.as_deref().map(|number| sealer.blind_before(IndexColumn::Identity, number));
            for hash in older.unwrap_or_default().iter().filter(|hash| !before.identity.contains(*hash)) {
                rows.guard(Table::ResidentIdentity, key(hash), Expect::Absent, "identity number");
            }
            let (site, resident) = (site.to_owned(), head.id.as_str().to_owned());
            let key_version = sealer.version();
            let row = resident_identity::Model { site, hash, version: 1, resident, key_version };
            rows.put_versioned(Table::ResidentIdentity, row, "identity number");
        }
    }
}

/// Removes the index rows of a file.
pub(crate) fn remove_rows(head: &ResidentHead, index: &IndexRows, rows: &mut Rows) {
    let empty = ResidentIndexRows::default();
    let before = index.by_resident.get(head.id.as_str()).unwrap_or(&empty);
    let site = head.site.as_str();
    let fields = before.fields.iter().map(|(field, hash)| {
        let key = vec![site.into(), field.as_str().into(), Val::Bytes(hash.clone()), head.id.as_str().into()];
        (Table::ResidentIndex, key)
    });
    let identity = before.identity.iter().map(|hash| {
        let key = vec![site.into(), Val::Bytes(hash.clone())];
        (Table::ResidentIdentity, key)
    });
    for (table, key) in fields.chain(identity) {
        rows.delete(table, key.clone());
        rows.guard(table, key, Expect::Present, INDEX_ROW);
    }
}

/// A value in the index of protected files; no value holds a NUL.
fn protected(value: &str) -> String {
    format!("protected\0{value}")
}

impl Store {
    /// The residents of a site whose value of a column is equal to `value`, normalised: phone numbers as
    /// [`linli_core::resident::Phone`] spells them, birth dates `YYYY-MM-DD`, names in full. By id; protected ones too, which
    /// not everybody may know of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_residents(
        &self,
        site: &SiteId,
        column: IndexColumn,
        value: &str,
    ) -> Result<Vec<ResidentId>, StoreError> {
        let mut keys = self.site_keys(site.as_str()).await?;
        let ids = loop {
            let versions = std::iter::once(keys.current()).chain(keys.older());
            let blind = |key, value: &str| index::blind(self.keys().provider(), key, column, value);
            let hashes =
                versions.flat_map(|key| [blind(&key.find, value), blind(&key.find, &protected(value))]);
            let found = self.indexed(site, column, hashes.collect()).await?;
            // Nobody may mean that another server has begun to move the index to a key that is not known here yet.
            if !found.is_empty() || !self.shared() {
                break found;
            }
            let current = self.site_head(&site.into()).await?.key_version;
            if current <= i64::from(keys.version()) {
                break found;
            }
            keys = self.newer_site_keys(site.as_str(), current).await?;
        };
        let row = StoreError::Row { table: "resident_index" };
        ids.iter().map(|id| ResidentId::new(id).map_err(|_| row)).collect()
    }

    async fn indexed(
        &self,
        site: &SiteId,
        column: IndexColumn,
        hashes: Vec<Vec<u8>>,
    ) -> Result<Vec<String>, StoreError> {
        if column == IndexColumn::Identity {
            let query = resident_identity::Entity::find()
                .filter(resident_identity::Column::Site.eq(site.as_str()))
                .filter(resident_identity::Column::Hash.is_in(hashes));
            return Ok(query.all(self.reader()).await?.into_iter().map(|row| row.resident).collect());
        }
        let query = resident_index::Entity::find()
            .filter(resident_index::Column::Site.eq(site.as_str()))
            .filter(resident_index::Column::Field.eq(column.code()))
            .filter(resident_index::Column::Hash.is_in(hashes))
            .order_by_asc(resident_index::Column::Resident);
        Ok(query.all(self.reader()).await?.into_iter().map(|row| row.resident).collect())
    }

    /// The residents of a site that share a name, a birth date, a telephone number or a dwelling with one of `people`, each
    /// with the place of that one, in order, none twice: whom to compare with whom, protected ones too. A statement for each
    /// of the four.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn residents_sharing(
        &self,
        site: &SiteId,
        people: &[Person<'_>],
    ) -> Result<Vec<(usize, ResidentId)>, StoreError> {
        let mut keys = self.site_keys(site.as_str()).await?;
        if self.shared() {
            // Another server may have begun to move the index to a key that is not known here yet.
            let current = self.site_head(&site.into()).await?.key_version;
            if current > i64::from(keys.version()) {
                keys = self.newer_site_keys(site.as_str(), current).await?;
            }
        }
        let mut found: BTreeSet<(usize, String)> = BTreeSet::new();
        for column in [IndexColumn::Name, IndexColumn::BirthDate, IndexColumn::Phone] {
            let mut wanted: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
            for (at, person) in people.iter().enumerate() {
                let value = match column {
                    IndexColumn::Name => person.name.map(|name| name.reveal().to_owned()),
                    IndexColumn::BirthDate => person.birth_date.map(|date| date.to_string()),
                    IndexColumn::Phone => person.phone.map(|phone| phone.reveal().to_owned()),
                    IndexColumn::Identity => None, // an index of its own; nobody is like somebody by it
                };
                let Some(value) = value else { continue };
                for key in std::iter::once(keys.current()).chain(keys.older()) {
                    for value in [&value, &protected(&value)] {
                        let hash = index::blind(self.keys().provider(), &key.find, column, value);
                        wanted.entry(hash).or_default().push(at);
                    }
                }
            }
            if wanted.is_empty() {
                continue;
            }
            let rows = resident_index::Entity::find()
                .filter(resident_index::Column::Site.eq(site.as_str()))
                .filter(resident_index::Column::Field.eq(column.code()))
                .filter(resident_index::Column::Hash.is_in(padded(wanted.keys().cloned())))
                .all(self.reader())
                .await?;
            for row in rows {
                for at in wanted.get(&row.hash).into_iter().flatten() {
                    found.insert((*at, row.resident.clone()));
                }
            }
        }
        let mut homes: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, person) in people.iter().enumerate() {
            let Some(dwelling) = person.dwelling else { continue };
            homes.entry(dwelling.as_str()).or_default().push(at);
        }
        if !homes.is_empty() {
            let rows: Vec<(String, String)> = resident::Entity::find()
                .select_only()
                .column(resident::Column::Dwelling)
                .column(resident::Column::Id)
                .filter(resident::Column::Site.eq(site.as_str()))
                .filter(resident::Column::Dwelling.is_in(padded(homes.keys().copied())))
                .into_tuple()
                .all(self.reader())
                .await?;
            for (dwelling, id) in rows {
                for at in homes.get(dwelling.as_str()).into_iter().flatten() {
                    found.insert((*at, id.clone()));
                }
            }
        }
        let row = StoreError::Row { table: "resident_index" };
        found.into_iter().map(|(at, id)| Ok((at, ResidentId::new(&id).map_err(|_| row)?))).collect()
    }

    /// The residents of a site with this identity number: one at most that is not protected, and one that is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_by_identity(
        &self,
        site: &SiteId,
        number: &IdentityNumber,
    ) -> Result<Vec<ResidentId>, StoreError> {
        self.find_residents(site, IndexColumn::Identity, number.reveal()).await
    }

    /// The keyed hash of a value for an audit entry: searched terms and the like. Who knows the value can confirm it.
    ///
    /// # Errors
    /// [`SealError`].
    pub async fn audit_hash(
        &self,
        scope: &crate::change::Scope,
        field: &str,
        value: &str,
    ) -> Result<[u8; 32], SealError> {
        let keys = self.site_keys(scope.text()).await?;
        Ok(index::audit_hash(self.keys().provider(), keys.audit(), field, value.as_bytes()))
    }

    /// The index rows of residents, for an update that replaces them.
    pub(crate) async fn index_rows(&self, site: &str, residents: &[&str]) -> Result<IndexRows, StoreError> {
        let mut rows = IndexRows::default();
        if residents.is_empty() {
            return Ok(rows);
        }
        let residents = padded(residents.iter().copied());
        let fields = resident_index::Entity::find()
            .filter(resident_index::Column::Site.eq(site))
            .filter(resident_index::Column::Resident.is_in(residents.iter().copied()))
            .all(self.reader())
            .await?;
        for row in fields {
            rows.by_resident.entry(row.resident).or_default().fields.insert((row.field, row.hash));
        }
        let identities = resident_identity::Entity::find()
            .filter(resident_identity::Column::Site.eq(site))
            .filter(resident_identity::Column::Resident.is_in(residents))
            .all(self.reader())
            .await?;
        for row in identities {
            rows.by_resident.entry(row.resident).or_default().identity.insert(row.hash);
        }
        Ok(rows)
    }
}
