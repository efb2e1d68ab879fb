//! Care files: a clear head, one sealed cell per class of fields, blind indexes, facts.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use linli_core::id::{DwellingId, FieldCode, GroupCode, ResidentId, SiteId};
use linli_core::identity::IdentityNumber;
use linli_core::resident::{Contact, Fact, FactValue, FieldClass, FileState, Identity, Resident, Tenure};
use linli_core::text::Paragraph;
use linli_core::time::{CivilDate, Instant};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::audit::FieldClasses;
use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{date, date_opt, days, instant, version, version_column};
use crate::crypto::index::{self, IndexColumn};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::form::{Plain, Status};
use crate::page::{Page, Sites, keyset, padded};
use crate::resource::Change;
use crate::seal::{Holder, Opener, Sealed, Sealer};
use crate::store::Store;
use crate::table::{
    Table, Val, fact, membership, resident, resident_cell, resident_identity, resident_index,
};

/// The clear part of a care file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidentHead {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: ResidentId,
    /// Where they live.
    pub dwelling: DwellingId,
    /// State of the file.
    pub state: FileState,
    /// When they live here.
    pub tenure: Tenure,
    /// When they lived here before they left and came back, in order.
    pub earlier_tenures: Vec<Tenure>,
    /// The day of death.
    pub died_on: Option<CivilDate>,
    /// When the file was opened (care clock).
    pub created_at: Instant,
    /// When it last changed (care clock).
    pub updated_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

impl ResidentHead {
    /// The clear part of a resident.
    pub fn of(resident: &Resident) -> Self {
        Self {
            site: resident.site.clone(),
            id: resident.id.clone(),
            dwelling: resident.dwelling.clone(),
            state: resident.state,
            tenure: resident.tenure,
            earlier_tenures: Vec::new(),
            died_on: resident.died_on,
            created_at: resident.created_at,
            updated_at: resident.updated_at,
            version: resident.version,
        }
    }
}

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

/// A fact as it lies in the database.
#[derive(Debug, Clone)]
pub struct SealedFact {
    /// The resident.
    pub resident: ResidentId,
    /// The field of a plugin's schema.
    pub field: FieldCode,
    /// Its class.
    pub class: FieldClass,
    /// The day from which it is true.
    pub true_from: CivilDate,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
    value: Sealed<Option<FactValue>>,
}

impl SealedFact {
    /// The fact.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open(&self, opener: &Opener<'_>) -> Result<Fact, SealError> {
        Ok(Fact {
            field: self.field.clone(),
            value: opener.open(&self.value)?,
            true_from: self.true_from,
            recorded_at: self.recorded_at,
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
}

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

    /// Adds a fact. Facts are never overwritten; one of the same field, instant and day replaces itself.
    pub fn add_fact(
        &mut self,
        site: &SiteId,
        resident: &ResidentId,
        class: FieldClass,
        fact: Fact,
    ) -> &mut Self {
        self.push(Change::Fact(site.clone(), resident.clone(), class, fact))
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
        died_on: head.died_on.map(days),
        created_at: head.created_at.micros(),
        updated_at: head.updated_at.micros(),
    };
    rows.put_versioned(Table::Resident, row, "resident");
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
    index_rows(head, cells, index, sealer, rows);
    Ok(())
}

/// Replaces the index rows of the classes that change.
fn index_rows(
    head: &ResidentHead,
    cells: &CellChanges,
    index: &IndexRows,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) {
    let empty = ResidentIndexRows::default();
    let before = index.by_resident.get(head.id.as_str()).unwrap_or(&empty);
    let site = head.site.as_str();
    let mut replace = |field: IndexColumn, value: Option<String>| {
        let now = value.map(|value| sealer.blind(field, &value));
        for (_, hash) in
            before.fields.iter().filter(|(f, hash)| f == field.code() && Some(hash) != now.as_ref())
        {
            let key =
                vec![site.into(), field.code().into(), Val::Bytes(hash.clone()), head.id.as_str().into()];
            rows.delete(Table::ResidentIndex, key);
        }
        if let Some(hash) = now {
            let row = resident_index::Model {
                site: site.to_owned(),
                field: field.code().to_owned(),
                hash,
                resident: head.id.as_str().to_owned(),
                version: version_column(head.version),
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
        let now = identity.number.as_ref().map(|number| sealer.blind(IndexColumn::Identity, number.reveal()));
        for hash in before.identity.iter().filter(|hash| Some(*hash) != now.as_ref()) {
            rows.delete(Table::ResidentIdentity, vec![site.into(), Val::Bytes(hash.clone())]);
        }
        if let Some(hash) = now.filter(|hash| !before.identity.contains(hash)) {
            let resident = head.id.as_str().to_owned();
            let row = resident_identity::Model { site: site.to_owned(), hash, version: 1, resident };
            rows.put_versioned(Table::ResidentIdentity, row, "identity number");
        }
    }
}

pub(crate) fn require(site: &SiteId, id: &ResidentId, version: Option<u64>, rows: &mut Rows) {
    let expect = version.map_or(Expect::Present, |version| Expect::Version(version_column(version)));
    rows.guard(Table::Resident, vec![site.as_str().into(), id.as_str().into()], expect, "resident");
}

pub(crate) fn fact_rows(
    site: &SiteId,
    resident: &ResidentId,
    class: FieldClass,
    value: &Fact,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let (recorded_at, id) = (value.recorded_at.micros(), resident.as_str());
    let plain = zeroize::Zeroizing::new(Encode::encode(&value.value));
    let cell = sealer.resident(id, "fact", &[id, value.field.as_str()], class.code(), recorded_at, &plain)?;
    let row = fact::Model {
        site: site.as_str().to_owned(),
        resident: id.to_owned(),
        field: value.field.as_str().to_owned(),
        recorded_at,
        true_from: days(value.true_from),
        class: class.code().to_owned(),
        cell,
    };
    rows.put(Table::Fact, row);
    Ok(())
}

impl Store {
    /// A care file with the cells of these classes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resident(
        &self,
        site: &SiteId,
        id: &ResidentId,
        classes: FieldClasses,
    ) -> Result<Option<SealedResident>, StoreError> {
        Ok(self.residents_by_id(site, std::slice::from_ref(id), classes).await?.pop())
    }

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
        let found = self.residents_by_id(site, ids, FieldClasses::NONE).await?;
        Ok(found.into_iter().map(|sealed| sealed.head).collect())
    }

    /// A page of care files, by site and id, with the cells of these classes: for lists, `contact` alone.
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
            if let Sites::One(site) = sites {
                members.and_where(membership::Column::Site.eq(site.as_str()));
            }
            query = query.filter(resident::Column::Id.in_subquery(members));
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

    /// The residents of a site whose value of a column is equal to `value`, normalised: phone numbers as
    /// [`linli_core::resident::Phone`] spells them, birth dates `YYYY-MM-DD`, names in full. By id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_residents(
        &self,
        site: &SiteId,
        column: IndexColumn,
        value: &str,
    ) -> Result<Vec<ResidentId>, StoreError> {
        let keys = self.keys().site(site.as_str()).await?;
        let hash = index::blind(self.keys().provider(), keys.index(), column, value);
        let ids = if column == IndexColumn::Identity {
            let query = resident_identity::Entity::find()
                .filter(resident_identity::Column::Site.eq(site.as_str()))
                .filter(resident_identity::Column::Hash.eq(hash));
            query.all(self.reader()).await?.into_iter().map(|row| row.resident).collect::<Vec<_>>()
        } else {
            let query = resident_index::Entity::find()
                .filter(resident_index::Column::Site.eq(site.as_str()))
                .filter(resident_index::Column::Field.eq(column.code()))
                .filter(resident_index::Column::Hash.eq(hash))
                .order_by_asc(resident_index::Column::Resident);
            query.all(self.reader()).await?.into_iter().map(|row| row.resident).collect()
        };
        let row = StoreError::Row { table: "resident_index" };
        ids.iter().map(|id| ResidentId::new(id).map_err(|_| row)).collect()
    }

    /// The resident of a site with this identity number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_by_identity(
        &self,
        site: &SiteId,
        number: &IdentityNumber,
    ) -> Result<Option<ResidentId>, StoreError> {
        Ok(self.find_residents(site, IndexColumn::Identity, number.reveal()).await?.pop())
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
        let keys = self.keys().site(scope.text()).await?;
        Ok(index::audit_hash(self.keys().provider(), keys.index(), field, value.as_bytes()))
    }

    /// Every fact of these residents, by resident, field and time of recording.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<SealedFact>, StoreError> {
        let found = fact::Entity::find()
            .filter(fact::Column::Site.eq(site.as_str()))
            .filter(fact::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(fact::Column::Resident)
            .order_by_asc(fact::Column::Field)
            .order_by_asc(fact::Column::RecordedAt)
            .order_by_asc(fact::Column::TrueFrom)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_fact).collect()
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

/// Past tenures as `first/last` in days since 1970-01-01, separated by blanks.
fn earlier_column(tenures: &[Tenure]) -> Option<String> {
    let text = |tenure: &Tenure| {
        let last = tenure.moved_out.unwrap_or(tenure.moved_in);
        format!("{}/{}", tenure.moved_in.days(), last.days())
    };
    (!tenures.is_empty()).then(|| tenures.iter().map(text).collect::<Vec<_>>().join(" "))
}

fn earlier(column: &str) -> Option<Vec<Tenure>> {
    let tenure = |text: &str| {
        let (first, last) = text.split_once('/')?;
        Some(Tenure { moved_in: date(first.parse().ok()?)?, moved_out: Some(date(last.parse().ok()?)?) })
    };
    column.split_ascii_whitespace().map(tenure).collect()
}

pub(crate) fn to_head(row: resident::Model) -> Result<ResidentHead, StoreError> {
    let build = || {
        Some(ResidentHead {
            site: SiteId::new(&row.site).ok()?,
            id: ResidentId::new(&row.id).ok()?,
            dwelling: DwellingId::new(&row.dwelling).ok()?,
            state: FileState::from_code(&row.state).ok()?,
            tenure: Tenure { moved_in: date(row.moved_in)?, moved_out: date_opt(row.moved_out)? },
            earlier_tenures: earlier(row.earlier_tenures.as_deref().unwrap_or_default())?,
            died_on: date_opt(row.died_on)?,
            created_at: instant(row.created_at)?,
            updated_at: instant(row.updated_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "resident" })
}

fn to_fact(row: fact::Model) -> Result<SealedFact, StoreError> {
    let build = || {
        let class = FieldClass::from_code(&row.class).ok()?;
        Some(SealedFact {
            resident: ResidentId::new(&row.resident).ok()?,
            field: FieldCode::new(&row.field).ok()?,
            class,
            true_from: date(row.true_from)?,
            recorded_at: instant(row.recorded_at)?,
            value: Sealed {
                site: row.site.clone(),
                table: "fact",
                row: vec![row.resident.clone(), row.field.clone()],
                column: class.code(),
                version: row.recorded_at,
                class,
                holder: Holder::Resident(row.resident.clone()),
                cell: row.cell.clone(),
                value: PhantomData,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "fact" })
}
