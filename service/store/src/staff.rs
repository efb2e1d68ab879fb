//! The working group: who belongs to it, and whose a credential is. All of it lies under `*system`.

use linli_core::id::{SiteId, StaffId};
use linli_core::kind::Department;
use linli_core::staff::{Credential, CredentialKind, Grant, Reach, Role, Staff};
use linli_core::text::Line;
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows, Scope};
use crate::convert::{instant, instant_opt, version, version_column};
use crate::error::StoreError;
use crate::form::{GrantForm, decode_grants, encode_grants};
use crate::page::{PAGE_MAX, padded};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Key, Table, staff, staff_credential};

impl ChangeSet {
    /// Stores a member of staff: version 1 is new, a higher one follows the one before it. `before` are the credentials
    /// of that version; those that are gone are free again. The scope must be [`Scope::System`]. A credential of
    /// somebody else is refused as [`crate::CommitError::Exists`] with `credential`.
    ///
    /// Whoever changes rights says with [`ChangeSet::bump_epochs`] where.
    pub fn put_staff(&mut self, staff: Staff, before: Vec<Credential>) -> &mut Self {
        self.push(Change::Staff(Box::new(staff), before))
    }
}

pub(crate) fn rows(value: &Staff, before: &[Credential], rows: &mut Rows) {
    let row = staff::Model {
        site: Scope::System.text().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        title: value.title.as_str().to_owned(),
        detail: encode_grants(value.grants.iter().map(grant_form).collect()),
        credentials: encode_credentials(&value.credentials),
        deactivated_at: value.deactivated_at.map(linli_core::time::Instant::micros),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::Staff, row, "staff");
    for gone in before.iter().filter(|credential| !value.credentials.contains(credential)) {
        rows.delete(Table::StaffCredential, credential_key(gone));
    }
    for new in value.credentials.iter().filter(|credential| !before.contains(credential)) {
        let row = staff_credential::Model {
            site: Scope::System.text().to_owned(),
            kind: new.kind.code().to_owned(),
            name: new.name.as_str().to_owned(),
            version: 1,
            staff: value.id.as_str().to_owned(),
        };
        rows.put_versioned(Table::StaffCredential, row, "credential");
    }
}

fn credential_key(credential: &Credential) -> Key {
    vec![Scope::System.text().into(), credential.kind.code().into(), credential.name.as_str().into()]
}

/// Kind and name of each, a line each: names hold no line feed.
fn encode_credentials(credentials: &[Credential]) -> String {
    let lines = credentials.iter().map(|one| format!("{} {}", one.kind.code(), one.name.as_str()));
    lines.collect::<Vec<_>>().join("\n")
}

fn decode_credentials(text: &str) -> Option<Vec<Credential>> {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let parsed = lines.map(|line| {
        let (kind, name) = line.split_once(' ')?;
        Some(Credential { kind: CredentialKind::from_code(kind).ok()?, name: Line::new(name).ok()? })
    });
    parsed.collect()
}

fn grant_form(grant: &Grant) -> GrantForm {
    let sites = match &grant.reach {
        Reach::Everywhere => Vec::new(),
        Reach::Sites(sites) => sites.iter().map(|site| site.as_str().to_owned()).collect(),
    };
    GrantForm {
        role: grant.role.code().to_owned(),
        department: grant.department.map(|department| department.code().to_owned()),
        everywhere: grant.reach == Reach::Everywhere,
        sites,
        from: grant.from.map(linli_core::time::Instant::micros),
        until: grant.until.map(linli_core::time::Instant::micros),
        children: grant.children,
    }
}

fn grant(form: &GrantForm) -> Option<Grant> {
    let sites = form.sites.iter().map(|site| SiteId::new(site).ok()).collect::<Option<Vec<_>>>()?;
    Some(Grant {
        role: Role::from_code(&form.role).ok()?,
        department: form.department.as_deref().map(Department::from_code).transpose().ok()?,
        reach: if form.everywhere { Reach::Everywhere } else { Reach::Sites(sites) },
        from: instant_opt(form.from)?,
        until: instant_opt(form.until)?,
        children: form.children,
    })
}

impl Store {
    /// A member of staff.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn staff(&self, id: &StaffId) -> Result<Option<Staff>, StoreError> {
        let found = staff::Entity::find()
            .filter(staff::Column::Site.eq(Scope::System.text()))
            .filter(staff::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_staff).transpose()
    }

    /// Those whom the credentials belong to: one each, in order of their ids, nobody twice. Never on a replica.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn staff_by_credentials(&self, credentials: &[Credential]) -> Result<Vec<Staff>, StoreError> {
        let key = encode_credentials(credentials);
        let generation = match self.holders().get(&key) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let found = self.read_staff_by_credentials(credentials).await?;
        // Whom nobody knows is not remembered: strangers could fill the memory with names.
        if !found.is_empty() {
            self.holders().remember(&key, &found, generation);
        }
        Ok(found)
    }

    async fn read_staff_by_credentials(&self, credentials: &[Credential]) -> Result<Vec<Staff>, StoreError> {
        let mut found: Vec<Staff> = Vec::new();
        for kind in CredentialKind::ALL {
            let names = credentials.iter().filter(|one| one.kind == *kind).map(|one| one.name.as_str());
            let names = padded(names);
            if names.is_empty() {
                continue;
            }
            let holders = Query::select()
                .column(staff_credential::Column::Staff)
                .from(staff_credential::Entity)
                .and_where(staff_credential::Column::Site.eq(Scope::System.text()))
                .and_where(staff_credential::Column::Kind.eq(kind.code()))
                .and_where(staff_credential::Column::Name.is_in(names))
                .to_owned();
            let rows = staff::Entity::find()
                .filter(staff::Column::Site.eq(Scope::System.text()))
                .filter(staff::Column::Id.in_subquery(holders))
                .all(self.reader())
                .await?;
            for row in rows {
                let staff = to_staff(row)?;
                if found.iter().all(|known| known.id != staff.id) {
                    found.push(staff);
                }
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// A page of staff, by id; `after` is the last id seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn staff_page(&self, after: Option<&str>, limit: u64) -> Result<Vec<Staff>, StoreError> {
        let mut query = staff::Entity::find().filter(staff::Column::Site.eq(Scope::System.text()));
        if let Some(after) = after {
            query = query.filter(staff::Column::Id.gt(after));
        }
        let limit = limit.clamp(1, PAGE_MAX);
        let found = query.order_by_asc(staff::Column::Id).limit(limit).all(self.reader()).await?;
        found.into_iter().map(to_staff).collect()
    }
}

fn to_staff(row: staff::Model) -> Result<Staff, StoreError> {
    let build = || {
        Some(Staff {
            id: StaffId::new(&row.id).ok()?,
            title: Line::new(&row.title).ok()?,
            grants: decode_grants(&row.detail)?.iter().map(grant).collect::<Option<_>>()?,
            credentials: decode_credentials(&row.credentials)?,
            deactivated_at: instant_opt(row.deactivated_at)?,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "staff" })
}
