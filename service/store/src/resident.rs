//! Care files: a clear head, one sealed cell per class of fields, blind indexes, facts.

mod head;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use linli_core::id::{DwellingId, GroupCode, ResidentId, SiteId, StaffId};
use linli_core::resident::{Contact, FieldClass, FileState, Identity, Resident};
use linli_core::text::Paragraph;
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

pub use self::head::{MergedFile, ResidentHead};
use self::head::{earlier_column, former_column, may_be_minor, merged_column};
pub(crate) use self::head::{named_column, to_head};
use crate::audit::FieldClasses;
use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{days, version_column};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::form::{Plain, Status};
use crate::page::{Page, Sites, keyset, padded};
use crate::resource::Change;
use crate::seal::{Holder, Opener, Sealed, Sealer};
use crate::search::IndexRows;
use crate::store::Store;
use crate::table::{Table, former_resident, membership, resident, resident_cell};

/// New values of sealed classes; `None` leaves the class as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CellChanges {
    /// Class `contact`.
    pub contact: Option<Contact>,
    /// Class `identity`.
    pub identity: Option<Identity>,
    /// Class `health`.
    pub health: Option<Option<Paragraph>>,
    /// Class `family`.
    pub family: Option<Option<Paragraph>>,
    /// Class `status`: difficulties and needs.
    pub status: Option<Status>,
}

impl CellChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.contact.is_none()
            && self.identity.is_none()
            && self.health.is_none()
            && self.family.is_none()
            && self.status.is_none()
    }
}

/// A care file as it lies in the database. Classes that were not asked for are absent.
#[derive(Debug, Clone)]
pub struct SealedResident {
    /// The clear part.
    pub head: ResidentHead,
    /// Class `contact`.
    pub contact: Option<Sealed<Contact>>,
    /// Class `identity`.
    pub identity: Option<Sealed<Identity>>,
    /// Class `health`.
    pub health: Option<Sealed<Option<Paragraph>>>,
    /// Class `family`.
    pub family: Option<Sealed<Option<Paragraph>>>,
    /// Class `status`.
    pub status: Option<Sealed<Status>>,
}

impl SealedResident {
    /// The whole resident, where every class was asked for and the receipt covers every one.
    ///
    /// # Errors
    /// As [`Opener::open`]; [`SealError::Format`] where a class was not asked for.
    pub fn open(&self, opener: &Opener<'_>) -> Result<Resident, SealError> {
        let Self { head, .. } = self;
        let status = opener.open(self.status.as_ref().ok_or(SealError::Format)?)?;
        Ok(Resident {
            site: head.site.clone(),
            id: head.id.clone(),
            dwelling: head.dwelling.clone(),
            state: head.state,
            tenure: head.tenure,
            died_on: head.died_on,
            held: head.held,
            protected_for: head.protected_for.clone(),
            contact: opener.open(self.contact.as_ref().ok_or(SealError::Format)?)?,
            identity: opener.open(self.identity.as_ref().ok_or(SealError::Format)?)?,
            health: opener.open(self.health.as_ref().ok_or(SealError::Format)?)?,
            family: opener.open(self.family.as_ref().ok_or(SealError::Format)?)?,
            status: status.difficulties,
            needs: status.needs,
            created_at: head.created_at,
            updated_at: head.updated_at,
            version: head.version,
        })
    }
}

/// Which care files a list holds; all given conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResidentFilter {
    /// Files in one of these states; empty: any.
    pub states: Vec<FileState>,
    /// Of this dwelling.
    pub dwelling: Option<DwellingId>,
    /// With a membership, past or present, in this group.
    pub group: Option<GroupCode>,
    /// Only those about whom a person must decide instead of a plugin.
    pub manual: bool,
    /// Which protected files it holds.
    pub sight: Sight,
}

/// Which protected files somebody sees; of the others they learn nothing. Files that are not protected are not concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// All of them.
    All,
    /// Those for which they are named.
    Named(Vec<ResidentId>),
}

/// None, unless somebody says which.
impl Default for Sight {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl Sight {
    /// Whether a file is seen.
    pub fn sees(&self, head: &ResidentHead) -> bool {
        match self {
            Self::All => true,
            Self::Named(named) => head.protected_for.is_none() || named.contains(&head.id),
        }
    }

    /// A query of care files without those that are not seen.
    pub(crate) fn restrict(&self, query: Select<resident::Entity>) -> Select<resident::Entity> {
        match self {
            Self::All => query,
            Self::Named(named) if named.is_empty() => query.filter(resident::Column::ProtectedFor.is_null()),
            Self::Named(named) => query.filter(
                Condition::any()
                    .add(resident::Column::ProtectedFor.is_null())
                    .add(resident::Column::Id.is_in(padded(named.iter().map(ResidentId::as_str)))),
            ),
        }
    }
}

/// A protected file, and who may know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedFile {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// Who is named for it.
    pub named: Vec<StaffId>,
}

impl ChangeSet {
    /// Opens a care file (version 1). Its key is made before the file. Fails with `Exists` where the site has a
    /// file with the same identity number.
    pub fn create_resident(&mut self, resident: Resident) -> &mut Self {
        self.push(Change::CreateResident(Box::new(resident)))
    }

    /// Changes a care file: the head is the new one, its version one above that which was read.
    pub fn update_resident(&mut self, head: ResidentHead, cells: CellChanges) -> &mut Self {
        self.push(Change::UpdateResident(Box::new(head), Box::new(cells)))
    }

    /// Asks that the care file exist, and be in this version where one is given.
    pub fn require_resident(&mut self, site: &SiteId, id: &ResidentId, version: Option<u64>) -> &mut Self {
        self.push(Change::RequireResident(site.clone(), id.clone(), version))
    }
}

const CELL: &str = "resident_cell";

pub(crate) fn create_rows(value: &Resident, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let head = ResidentHead::of(value);
    let cells = CellChanges {
        contact: Some(value.contact.clone()),
        identity: Some(value.identity.clone()),
        health: Some(value.health.clone()),
        family: Some(value.family.clone()),
        status: Some(Status { difficulties: value.status.clone(), needs: value.needs.clone() }),
    };
    update_rows(&head, &cells, &IndexRows::default(), sealer, rows)
}

pub(crate) fn update_rows(
    head: &ResidentHead,
    cells: &CellChanges,
    index: &IndexRows,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let row = resident::Model {
        site: head.site.as_str().to_owned(),
        id: head.id.as_str().to_owned(),
        version: version_column(head.version),
        dwelling: head.dwelling.as_str().to_owned(),
        state: head.state.code().to_owned(),
        moved_in: days(head.tenure.moved_in),
        moved_out: head.tenure.moved_out.map(days),
        earlier_tenures: earlier_column(&head.earlier_tenures),
        former_dwellings: former_column(&head.former_dwellings),
        died_on: head.died_on.map(days),
        protected_for: head.protected_for.as_deref().map(named_column),
        may_be_minor: i64::from(match &cells.identity {
            Some(identity) => may_be_minor(identity, head.updated_at),
            None => head.may_be_minor,
        }),
        created_at: head.created_at.micros(),
        updated_at: head.updated_at.micros(),
        held: i64::from(head.held),
        merged_into: head.merged_into.as_ref().map(|id| id.as_str().to_owned()),
        merged_files: merged_column(&head.merged),
    };
    rows.put_versioned(Table::Resident, row, "resident");
    for former in &head.former_dwellings {
        let row = former_resident::Model {
            site: head.site.as_str().to_owned(),
            dwelling: former.dwelling.as_str().to_owned(),
            until_day: days(former.until),
            resident: head.id.as_str().to_owned(),
            version: version_column(head.version),
        };
        rows.put(Table::FormerResident, row);
    }
    let mut put = |class: FieldClass, plain: Option<Vec<u8>>| -> Result<(), SealError> {
        let Some(plain) = plain else { return Ok(()) };
        let plain = zeroize::Zeroizing::new(plain);
        let version = version_column(head.version);
        let id = head.id.as_str();
        let cell = sealer.resident(id, CELL, &[id], class.code(), version, &plain)?;
        let row = resident_cell::Model {
            site: head.site.as_str().to_owned(),
            resident: id.to_owned(),
            class: class.code().to_owned(),
            version,
            cell,
        };
        rows.put(Table::ResidentCell, row);
        Ok(())
    };
    put(FieldClass::Contact, cells.contact.as_ref().map(Encode::encode))?;
    put(FieldClass::Identity, cells.identity.as_ref().map(Encode::encode))?;
    put(FieldClass::Health, cells.health.as_ref().map(Encode::encode))?;
    put(FieldClass::Family, cells.family.as_ref().map(Encode::encode))?;
    put(FieldClass::Status, cells.status.as_ref().map(Encode::encode))?;
    crate::search::rows(head, cells, index, sealer, rows);
    Ok(())
}

pub(crate) fn require(site: &SiteId, id: &ResidentId, version: Option<u64>, rows: &mut Rows) {
    let expect = version.map_or(Expect::Present, |version| Expect::Version(version_column(version)));
    rows.guard(Table::Resident, vec![site.as_str().into(), id.as_str().into()], expect, "resident");
}

impl Store {
    /// The care files among `ids` that exist, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn residents_by_id(
        &self,
        site: &SiteId,
        ids: &[ResidentId],
        classes: FieldClasses,
    ) -> Result<Vec<SealedResident>, StoreError> {
        let heads = resident::Entity::find()
            .filter(resident::Column::Site.eq(site.as_str()))
            .filter(resident::Column::Id.is_in(padded(ids.iter().map(ResidentId::as_str))))
            .order_by_asc(resident::Column::Id)
            .all(self.reader());
        if classes == FieldClasses::NONE {
            return heads.await?.into_iter().map(|row| Ok(sealed(to_head(row)?))).collect();
        }
        let cells = cells(self, site.as_str(), ids.iter().map(ResidentId::as_str), classes);
        let (heads, cells) = tokio::join!(heads, cells);
        with_cells(heads?, cells?)
    }

    /// The clear parts of the care files among `ids` that exist, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resident_heads(
        &self,
        site: &SiteId,
        ids: &[ResidentId],
    ) -> Result<Vec<ResidentHead>, StoreError> {
        if let [only] = ids {
            let found = self.resident(site, only, FieldClasses::NONE).await?;
            return Ok(found.into_iter().map(|sealed| sealed.head).collect());
        }
        let found = self.residents_by_id(site, ids, FieldClasses::NONE).await?;
        Ok(found.into_iter().map(|sealed| sealed.head).collect())
    }

    /// Up to `limit` files of a site that were left or sealed and are under no hold, by id after one of them. Files that were
    /// merged into others end with these.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ending_files(
        &self,
        site: &SiteId,
        after: Option<&ResidentId>,
        limit: u64,
    ) -> Result<Vec<ResidentHead>, StoreError> {
        // As literals, or the index is not seen to cover it.
        let ending = sea_orm::sea_query::Expr::cust(
            "state IN ('left', 'sealed') AND held = 0 AND merged_into IS NULL",
        );
        let mut query =
            resident::Entity::find().filter(resident::Column::Site.eq(site.as_str())).filter(ending);
        if let Some(after) = after {
            query = query.filter(resident::Column::Id.gt(after.as_str()));
        }
        let found = query.order_by_asc(resident::Column::Id).limit(limit).all(self.reader()).await?;
        found.into_iter().map(to_head).collect()
    }

    /// The protected files of a site: few. Where this process alone writes, they are remembered as authorisation epochs are,
    /// and a change of them ends an epoch. Read them after the epoch; never on a replica.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn protected_files(&self, site: &SiteId) -> Result<Arc<[ProtectedFile]>, StoreError> {
        let generation = match self.known_protected().get(site.as_str()) {
            Ok(files) => return Ok(files),
            Err(generation) => generation,
        };
        let files: Arc<[ProtectedFile]> = self.protected_files_in(&Sites::from(site)).await?.into();
        self.known_protected().remember(site.as_str(), &files, generation);
        Ok(files)
    }

    /// The protected files of these sites, by site and id. As for [`Store::protected_files`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn protected_files_in(&self, sites: &Sites) -> Result<Vec<ProtectedFile>, StoreError> {
        let query = resident::Entity::find().filter(resident::Column::ProtectedFor.is_not_null());
        let query = match sites {
            Sites::All => query,
            Sites::One(site) => query.filter(resident::Column::Site.eq(site.as_str())),
            Sites::Among(these) => {
                query.filter(resident::Column::Site.is_in(padded(these.iter().map(SiteId::as_str))))
            }
        };
        let query = query.order_by_asc(resident::Column::Site).order_by_asc(resident::Column::Id);
        let found = query.all(self.reader()).await?.into_iter().map(|row| {
            let head = to_head(row)?;
            let named = head.protected_for.unwrap_or_default();
            Ok(ProtectedFile { site: head.site, resident: head.id, named })
        });
        found.collect()
    }

    /// A page of care files, by site and id, with the cells of these classes: for lists, `contact` alone. Files that were
    /// merged into others are left out: these stand for them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn residents(
        &self,
        sites: &Sites,
        filter: &ResidentFilter,
        page: &Page,
        classes: FieldClasses,
    ) -> Result<Vec<SealedResident>, StoreError> {
        let mut query =
            keyset(resident::Entity::find(), sites, page, resident::Column::Site, resident::Column::Id);
        query = query.filter(resident::Column::MergedInto.is_null());
        if !filter.states.is_empty() {
            query =
                query.filter(resident::Column::State.is_in(filter.states.iter().map(|state| state.code())));
        }
        if let Some(dwelling) = &filter.dwelling {
            query = query.filter(resident::Column::Dwelling.eq(dwelling.as_str()));
        }
        if let Some(group) = &filter.group {
            let mut members = Query::select();
            members
                .column(membership::Column::Resident)
                .from(membership::Entity)
                .and_where(membership::Column::CareGroup.eq(group.as_str()));
            match sites {
                Sites::All => {}
                Sites::One(site) => {
                    members.and_where(membership::Column::Site.eq(site.as_str()));
                }
                Sites::Among(these) => {
                    members
                        .and_where(membership::Column::Site.is_in(padded(these.iter().map(SiteId::as_str))));
                }
            }
            query = query.filter(resident::Column::Id.in_subquery(members));
        }
        query = filter.sight.restrict(query);
        if filter.manual {
            query = query.filter(resident::Column::Id.in_subquery(crate::assessment::undecided()));
        }
        let heads = query.all(self.reader()).await?;
        if classes == FieldClasses::NONE {
            return heads.into_iter().map(|row| Ok(sealed(to_head(row)?))).collect();
        }
        // The page is ordered by site: one look-up of cells per site on it, one in all for a list of one site.
        let mut found = Vec::with_capacity(heads.len());
        let mut rest = heads.into_iter().peekable();
        while let Some(first) = rest.next() {
            let site = first.site.clone();
            let mut of_site = vec![first];
            while let Some(next) = rest.next_if(|next| next.site == site) {
                of_site.push(next);
            }
            let cells = cells(self, &site, of_site.iter().map(|row| row.id.as_str()), classes).await?;
            found.extend(with_cells(of_site, cells)?);
        }
        Ok(found)
    }
}

async fn cells(
    store: &Store,
    site: &str,
    residents: impl Iterator<Item = &str>,
    classes: FieldClasses,
) -> Result<HashMap<(String, FieldClass), resident_cell::Model>, StoreError> {
    let found = resident_cell::Entity::find()
        .filter(resident_cell::Column::Site.eq(site))
        .filter(resident_cell::Column::Resident.is_in(padded(residents)))
        .filter(resident_cell::Column::Class.is_in(classes.iter().map(|class| class.code())))
        .all(store.reader())
        .await?;
    found
        .into_iter()
        .map(|row| {
            let class = FieldClass::from_code(&row.class).map_err(|_| StoreError::Row { table: CELL })?;
            Ok(((row.resident.clone(), class), row))
        })
        .collect()
}

fn with_cells(
    heads: Vec<resident::Model>,
    mut cells: HashMap<(String, FieldClass), resident_cell::Model>,
) -> Result<Vec<SealedResident>, StoreError> {
    heads
        .into_iter()
        .map(|row| {
            let id = row.id.clone();
            let mut take = |class| cells.remove(&(id.clone(), class));
            Ok(SealedResident {
                contact: take(FieldClass::Contact).map(|row| sealed_cell(row, FieldClass::Contact)),
                identity: take(FieldClass::Identity).map(|row| sealed_cell(row, FieldClass::Identity)),
                health: take(FieldClass::Health).map(|row| sealed_cell(row, FieldClass::Health)),
                family: take(FieldClass::Family).map(|row| sealed_cell(row, FieldClass::Family)),
                status: take(FieldClass::Status).map(|row| sealed_cell(row, FieldClass::Status)),
                head: to_head(row)?,
            })
        })
        .collect()
}

/// A file from its rows, with those of the cells that are of these classes.
pub(crate) fn sealed_resident(
    head: resident::Model,
    cells: &[resident_cell::Model],
    classes: FieldClasses,
) -> Result<SealedResident, StoreError> {
    let mut of_class = HashMap::with_capacity(cells.len());
    for row in cells {
        let class = FieldClass::from_code(&row.class).map_err(|_| StoreError::Row { table: CELL })?;
        if classes.contains(class) {
            of_class.insert((row.resident.clone(), class), row.clone());
        }
    }
    let mut found = with_cells(vec![head], of_class)?;
    found.pop().ok_or(StoreError::Row { table: "resident" })
}

fn sealed(head: ResidentHead) -> SealedResident {
    SealedResident { head, contact: None, identity: None, health: None, family: None, status: None }
}

fn sealed_cell<T: Plain>(row: resident_cell::Model, class: FieldClass) -> Sealed<T> {
    Sealed {
        site: row.site,
        table: CELL,
        row: vec![row.resident.clone()],
        column: class.code(),
        version: row.version,
        class,
        holder: Holder::Resident(row.resident),
        cell: row.cell,
        value: PhantomData,
    }
}
