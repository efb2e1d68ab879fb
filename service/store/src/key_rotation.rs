//! The replacement of keys while everything is read and written.
//!
//! ```text
//! the next version of a scope's keys is made, then its head names it ── from then on it alone seals, both open
//! cells of older versions are sealed anew, batch by batch ── whoever writes one meanwhile seals it anew himself
//! index rows of older versions are made anew, file by file
//! nothing is left, twice, with the longest call in between ── the older versions are deleted from the key store
//! ```
//!
//! Nothing of it is lost or done twice when it is broken off: what is left to do is what the database holds. Values are
//! opened and sealed again within the store, under the audit entry of the commit that writes them.

use linli_core::id::{ResidentId, SiteId};
use linli_core::time::Instant;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};
use zeroize::Zeroizing;

use crate::change::{ChangeSet, Expect, Rows, Scope};
use crate::convert::{instant, instant_opt, version, version_column};
use crate::crypto::cell;
use crate::error::{Fault, OpenError, SealError, StoreError};
use crate::form::Plain;
use crate::resident::{CellChanges, SealedResident};
use crate::resource::Change;
use crate::seal::{Sealed, Sealer};
use crate::sealed_column::{SEALED, StoredCell};
use crate::search::IndexRows;
use crate::store::Store;
use crate::table::{Key, Table, key_rotation, resident_identity, resident_index, site_head};
use crate::writer::sql::placeholder;

/// How far the replacement of a scope's keys is. That of the system is the whole of it: begun first, finished last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRotation {
    /// Whose keys.
    pub scope: Scope,
    /// Which replacement it is: they are counted from 1.
    pub number: u64,
    /// The version of the root key that belongs to it.
    pub root_version: u32,
    /// When it began (system clock).
    pub started_at: Instant,
    /// When the last older key was deleted (system clock).
    pub finished_at: Option<Instant>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// A cell that an older key sealed.
#[derive(Debug, Clone)]
pub struct OldCell(StoredCell);

impl OldCell {
    /// Whose key seals it; `None`: the site's.
    pub(crate) fn resident(&self) -> Option<&ResidentId> {
        self.0.resident.as_ref()
    }
}

/// How far the cells of a scope were looked through.
#[derive(Debug, Clone, Default)]
pub struct CellCursor {
    column: usize,
    after: Option<Key>,
}

impl ChangeSet {
    /// Stores how far a replacement of keys is: version 1 is the first of its scope, a higher one follows the one before it.
    pub fn put_key_rotation(&mut self, rotation: KeyRotation) -> &mut Self {
        self.push(Change::KeyRotation(rotation))
    }

    /// Lets the next version of the scope's keys seal from this commit on.
    pub fn renew_keys(&mut self) -> &mut Self {
        self.renews_keys = true;
        self
    }

    /// Seals cells anew, where they are still what they were.
    pub fn reseal(&mut self, cells: Vec<OldCell>) -> &mut Self {
        self.push(Change::Reseal(cells))
    }

    /// Makes the index rows of a file anew; it must come with the cells of `contact` and `identity`.
    pub fn reindex(&mut self, file: SealedResident) -> &mut Self {
        self.push(Change::Reindex(Box::new(file)))
    }
}

pub(crate) fn rotation_rows(value: &KeyRotation, rows: &mut Rows) {
    let row = key_rotation::Model {
        site: value.scope.text().to_owned(),
        version: version_column(value.version),
        number: version_column(value.number),
        root_version: i64::from(value.root_version),
        started_at: value.started_at.micros(),
        finished_at: value.finished_at.map(Instant::micros),
    };
    rows.put_versioned(Table::KeyRotation, row, "key rotation");
}

pub(crate) fn reseal_rows(cells: &[OldCell], sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    for OldCell(old) in cells {
        let new = old.at_its_place(|place| {
            let key = sealer.key_of(&old.holder, &old.bytes)?;
            let plain = cell::open(sealer.keys.provider(), key, place, &old.bytes)?;
            sealer.at(&old.holder, place, &plain)
        })?;
        rows.swap(old.table, old.column, old.key.clone(), (old.bytes.clone(), Some(new)));
    }
    Ok(())
}

pub(crate) fn reindex_rows(
    file: &SealedResident,
    index: &IndexRows,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let head = &file.head;
    let key = vec![head.site.as_str().into(), head.id.as_str().into()];
    rows.guard(Table::Resident, key, Expect::Version(version_column(head.version)), "resident");
    let cells = CellChanges {
        contact: file.contact.as_ref().map(|sealed| opened(sealed, sealer)).transpose()?,
        identity: file.identity.as_ref().map(|sealed| opened(sealed, sealer)).transpose()?,
        ..CellChanges::default()
    };
    crate::search::rows(head, &cells, index, sealer, rows);
    Ok(())
}

fn opened<T: Plain>(sealed: &Sealed<T>, sealer: &Sealer<'_>) -> Result<T, SealError> {
    let key = sealer.key_of(&sealed.holder, &sealed.cell)?;
    let plain: Zeroizing<Vec<u8>> =
        sealed.at_its_place(|place| cell::open(sealer.keys.provider(), key, place, &sealed.cell))?;
    T::decode(&plain).ok_or(SealError::Format)
}

impl Store {
    /// How far the newest replacement of a scope's keys is; `None`: they are the first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn key_rotation(&self, scope: &Scope) -> Result<Option<KeyRotation>, StoreError> {
        let query = key_rotation::Entity::find().filter(key_rotation::Column::Site.eq(scope.text()));
        query.all(self.reader()).await?.into_iter().next().map(|row| to_rotation(scope, row)).transpose()
    }

    /// Of how many scopes the keys are replaced already by a replacement, and how many scopes there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotation_progress(&self, number: u64) -> Result<(u64, u64), StoreError> {
        let backend = self.reader().get_database_backend();
        let text = format!(
            "SELECT (SELECT COUNT(*) FROM key_rotation WHERE number >= {} AND finished_at IS NOT NULL), \
             (SELECT COUNT(*) FROM site_head)",
            placeholder(backend, 0)
        );
        let values = [Value::BigInt(Some(version_column(number)))];
        let rows = self.reader().query_all_raw(Statement::from_sql_and_values(backend, text, values)).await?;
        let row = rows.first().ok_or(StoreError::Database(Fault::Internal))?;
        let count = |index| -> Result<u64, StoreError> {
            Ok(u64::try_from(row.try_get_by_index::<i64>(index)?).unwrap_or_default())
        };
        Ok((count(0)?, count(1)?))
    }

    /// The scopes that have keys, in order after one of them: sites, and the system first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scopes(&self, after: Option<&Scope>, limit: u64) -> Result<Vec<Scope>, StoreError> {
        let mut query = site_head::Entity::find();
        if let Some(after) = after {
            query = query.filter(site_head::Column::Site.gt(after.text()));
        }
        let found = query.order_by_asc(site_head::Column::Site).limit(limit).all(self.reader()).await?;
        let scope = |row: site_head::Model| match row.site.as_str() {
            text if text == Scope::System.text() => Ok(Scope::System),
            text => SiteId::new(text).map(Scope::Site).map_err(|_| StoreError::Row { table: "site_head" }),
        };
        found.into_iter().map(scope).collect()
    }

    /// Up to `limit` cells of a scope that older keys sealed and that open at all, from where the cursor stands, which
    /// moves on; none: it has seen every one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn old_cells(
        &self,
        scope: &Scope,
        cursor: &mut CellCursor,
        limit: u64,
    ) -> Result<Vec<OldCell>, StoreError> {
        let keys = self.site_keys(scope.text()).await?;
        while let Some(column) = SEALED.get(cursor.column) {
            let after = cursor.after.as_ref();
            let found = self.cells_below(scope.text(), column, after, keys.version(), limit).await?;
            let Some(last) = found.last() else {
                *cursor = CellCursor { column: cursor.column + 1, after: None };
                continue;
            };
            cursor.after = Some(last.key.clone());
            let mut residents: Vec<String> =
                found.iter().filter_map(|cell| Some(cell.resident.as_ref()?.as_str().to_owned())).collect();
            residents.sort_unstable();
            residents.dedup();
            let held = self.keys().residents(scope.text(), &keys, &residents).await?;
            // What nobody can open any more is of somebody who was erased.
            let opens =
                |cell: &StoredCell| cell.resident.as_ref().is_none_or(|id| held.contains_key(id.as_str()));
            let found: Vec<OldCell> = found.into_iter().filter(opens).map(OldCell).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Up to `limit` residents of a site with index rows that stand under older keys, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn old_index(
        &self,
        site: &SiteId,
        after: Option<&ResidentId>,
        limit: u64,
    ) -> Result<Vec<ResidentId>, StoreError> {
        let current = i64::from(self.site_keys(site.as_str()).await?.version());
        let mut index = resident_index::Entity::find()
            .select_only()
            .column(resident_index::Column::Resident)
            .filter(resident_index::Column::Site.eq(site.as_str()))
            .filter(resident_index::Column::KeyVersion.lt(current));
        let mut identity = resident_identity::Entity::find()
            .select_only()
            .column(resident_identity::Column::Resident)
            .filter(resident_identity::Column::Site.eq(site.as_str()))
            .filter(resident_identity::Column::KeyVersion.lt(current));
        if let Some(after) = after {
            index = index.filter(resident_index::Column::Resident.gt(after.as_str()));
            identity = identity.filter(resident_identity::Column::Resident.gt(after.as_str()));
        }
        let index = index.distinct().order_by_asc(resident_index::Column::Resident).limit(limit);
        let identity = identity.distinct().order_by_asc(resident_identity::Column::Resident).limit(limit);
        let (index, identity) = tokio::try_join!(
            index.into_tuple::<String>().all(self.reader()),
            identity.into_tuple::<String>().all(self.reader())
        )?;
        let mut found: Vec<String> = index.into_iter().chain(identity).collect();
        found.sort_unstable();
        found.dedup();
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let row = StoreError::Row { table: "resident_index" };
        found.iter().map(|id| ResidentId::new(id).map_err(|_| row)).collect()
    }

    /// Deletes the older keys of a scope and of its residents. Only when nothing of theirs is left.
    ///
    /// # Errors
    /// [`SealError::KeyStore`].
    pub async fn retire_keys(&self, scope: &Scope) -> Result<(), SealError> {
        let keys = self.site_keys(scope.text()).await?;
        self.keys().retire(scope.text(), keys.version()).await
    }

    /// The version of the root key in use.
    pub fn root_version(&self) -> u32 {
        self.keys().root_version()
    }

    /// Whether there is a root key to follow the one in use.
    ///
    /// # Errors
    /// [`OpenError`] where it cannot be read.
    pub fn has_next_root(&self) -> Result<bool, OpenError> {
        Ok(self.keys().next_root()?.is_some())
    }

    /// Puts the next root key in the place of the one in use, which opens nothing from then on.
    ///
    /// # Errors
    /// [`OpenError::WrongRootKey`] where there is no next one; as the key store fails.
    pub async fn replace_root_key(&self) -> Result<(), OpenError> {
        let next = self.keys().next_root()?.ok_or(OpenError::WrongRootKey)?;
        self.keys().replace_root(next).await.map(drop).map_err(|error| match error {
            SealError::KeyStore(fault) => OpenError::Database(fault),
            SealError::NoRandomness => OpenError::NoRandomness,
            SealError::Format | SealError::Tag | SealError::NoKey | SealError::NotCovered => {
                OpenError::WrongRootKey
            }
        })
    }
}

fn to_rotation(scope: &Scope, row: key_rotation::Model) -> Result<KeyRotation, StoreError> {
    let build = || {
        Some(KeyRotation {
            scope: scope.clone(),
            number: version(row.number)?,
            root_version: u32::try_from(row.root_version).ok()?,
            started_at: instant(row.started_at)?,
            finished_at: instant_opt(row.finished_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "key_rotation" })
}
