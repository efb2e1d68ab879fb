//! Community bodies. All of them lie under `*system`: one body may serve several sites.

use linli_core::community_body::{Agreement, CommunityBody};
use linli_core::consent::{BodyKind, DisclosurePurpose};
use linli_core::id::{BodyId, ChannelName, SiteId};
use linli_core::referral::DisclosedField;
use linli_core::text::Line;
use linli_core::time::{CivilDate, DateRange};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows, Scope};
use crate::convert::{date, date_opt, days, instant, version, version_column};
use crate::error::StoreError;
use crate::page::{PAGE_MAX, padded};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, community_body};

impl ChangeSet {
    /// Stores a body: version 1 is new, a higher one follows the one before it. The scope must be [`Scope::System`].
    pub fn put_body(&mut self, body: CommunityBody) -> &mut Self {
        self.push(Change::CommunityBody(Box::new(body)))
    }
}

pub(crate) fn rows(value: &CommunityBody, rows: &mut Rows) {
    let agreement = value.agreement.as_ref();
    let row = community_body::Model {
        site: Scope::System.text().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        kind: value.kind.code().to_owned(),
        title: value.title.as_str().to_owned(),
        title_en: value.title_en.as_ref().map(|title| title.as_str().to_owned()),
        contacts: lines(value.contacts.iter().map(Line::as_str)),
        sites: words(value.sites.iter().map(SiteId::as_str)),
        channel: value.channel.as_ref().map(|channel| channel.as_str().to_owned()),
        agreement: agreement.map(|agreement| agreement.number.as_str().to_owned()),
        fields: agreement.map(|agreement| words(agreement.fields.iter().map(|field| field.code()))),
        purposes: agreement.map(|agreement| words(agreement.purposes.iter().map(|purpose| purpose.code()))),
        from_day: agreement.map(|agreement| days(agreement.days.start())),
        until_day: agreement.and_then(Agreement::ends_on).map(days),
        enabled: i64::from(value.enabled),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::CommunityBody, row, "body");
}

/// Codes and ids, separated by blanks.
pub(crate) fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// A line each: a contact of two lines becomes one.
fn lines<'a>(contacts: impl Iterator<Item = &'a str>) -> String {
    contacts.map(|line| line.replace('\n', " ")).collect::<Vec<_>>().join("\n")
}

impl Store {
    /// A body.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn body(&self, id: &BodyId) -> Result<Option<CommunityBody>, StoreError> {
        Ok(self.bodies_by_id(std::slice::from_ref(id)).await?.pop())
    }

    /// The bodies among `ids` that exist, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bodies_by_id(&self, ids: &[BodyId]) -> Result<Vec<CommunityBody>, StoreError> {
        let found = community_body::Entity::find()
            .filter(community_body::Column::Site.eq(Scope::System.text()))
            .filter(community_body::Column::Id.is_in(padded(ids.iter().map(BodyId::as_str))))
            .order_by_asc(community_body::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_body).collect()
    }

    /// A page of bodies, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bodies(&self, after: Option<&str>, limit: u64) -> Result<Vec<CommunityBody>, StoreError> {
        let mut query =
            community_body::Entity::find().filter(community_body::Column::Site.eq(Scope::System.text()));
        if let Some(after) = after {
            query = query.filter(community_body::Column::Id.gt(after));
        }
        let query = query.order_by_asc(community_body::Column::Id).limit(limit.clamp(1, PAGE_MAX));
        query.all(self.reader()).await?.into_iter().map(to_body).collect()
    }
}

fn to_body(row: community_body::Model) -> Result<CommunityBody, StoreError> {
    let build = || {
        let sites = row.sites.split_ascii_whitespace().map(|site| SiteId::new(site).ok());
        let contacts = row.contacts.split('\n').filter(|line| !line.is_empty());
        Some(CommunityBody {
            id: BodyId::new(&row.id).ok()?,
            kind: BodyKind::from_code(&row.kind).ok()?,
            title: Line::new(&row.title).ok()?,
            title_en: row.title_en.as_deref().map(Line::new).transpose().ok()?,
            contacts: contacts.map(|line| Line::new(line).ok()).collect::<Option<_>>()?,
            sites: sites.collect::<Option<_>>()?,
            channel: row.channel.as_deref().map(ChannelName::new).transpose().ok()?,
            agreement: match &row.agreement {
                Some(number) => Some(agreement(&row, number)?),
                None => None,
            },
            enabled: row.enabled == 1,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "community_body" })
}

fn agreement(row: &community_body::Model, number: &str) -> Option<Agreement> {
    let purposes = row.purposes.as_deref()?.split_ascii_whitespace();
    let (from, until) = (date(row.from_day?)?, date_opt(row.until_day)?);
    Some(Agreement {
        number: Line::new(number).ok()?,
        fields: fields(row.fields.as_deref()?)?,
        purposes: purposes.map(|code| DisclosurePurpose::from_code(code).ok()).collect::<Option<_>>()?,
        days: DateRange::new(from, until.unwrap_or(CivilDate::MAX)),
    })
}

/// Fields by their codes.
pub(crate) fn fields(column: &str) -> Option<Vec<DisclosedField>> {
    column.split_ascii_whitespace().map(|code| DisclosedField::from_code(code).ok()).collect()
}
