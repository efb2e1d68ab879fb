//! The history of a care file: who changed which field when; values stay sealed.

use linli_core::id::{FieldCode, ResidentId, SiteId, StaffId};
use linli_core::identity::IdentityNumber;
use linli_core::resident::{Fact, FactValue, FieldClass, Phone, Resident};
use linli_core::text::Paragraph;
use linli_core::time::Instant;
use linli_store::{ChangeSet, HistoryDraft, ResidentHead, StoredHistory};

use super::work::{Touches, Work};
use super::{App, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};

/// One change of a file, as an answer shows it.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// The version of the file that it made.
    pub revision: u64,
    /// When (care clock).
    pub changed_at: Instant,
    /// Who.
    pub author: StaffId,
    /// The fields, sorted.
    pub fields: Vec<String>,
}

/// A field that changed.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) path: String,
    pub(super) class: FieldClass,
    pub(super) old: Option<Paragraph>,
    pub(super) new: Option<Paragraph>,
}

impl Field {
    /// A field whose values stand in the clear part of the file anyway.
    pub(super) fn clear(path: &str, class: FieldClass) -> Self {
        Self { path: path.to_owned(), class, old: None, new: None }
    }
}

impl App {
    /// The changes of a file, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn history(
        &self,
        call: &Call,
        site: &SiteId,
        resident: &ResidentId,
        page: PageRequest,
    ) -> Result<Page<HistoryEntry>> {
        /// Rows read together; a change of a file has at most tens of fields.
        const BATCH: u64 = 500;
        let work = self.begin_file(call, site, resident).await?;
        let head = self.load_head(&work, site, resident).await?;
        let resident = &head.id;
        let subject = vec![resident.as_str().to_owned()];
        work.disclose(&Touches::files(crate::name::resident(site, resident), subject, &[])).await?;
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        let mut after = page.after.clone();
        let mut entries: Vec<HistoryEntry> = Vec::new();
        let mut last = None;
        loop {
            let rows = self.store.history(site, resident, after.as_deref(), BATCH).await?;
            let exhausted = u64::try_from(rows.len()).unwrap_or(u64::MAX) < BATCH;
            for row in rows {
                after = Some(row.id.clone());
                let (entry, field) = entry_of(row)?;
                match entries.last_mut().filter(|last: &&mut HistoryEntry| last.revision == entry.revision) {
                    Some(last) => last.fields.push(field),
                    None => {
                        entries.push(entry);
                    }
                }
                if entries.len() <= wanted.saturating_sub(1) {
                    last.clone_from(&after);
                }
            }
            if exhausted || entries.len() > wanted {
                break;
            }
        }
        for entry in &mut entries {
            entry.fields.sort();
        }
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let more = entries.len() > size;
        entries.truncate(size);
        Ok(Page { items: entries, next: last.filter(|_| more) })
    }

    /// Notes the fields that a command changes, under the file's new version.
    pub(super) fn note(
        &self,
        work: &Work<'_>,
        changes: &mut ChangeSet,
        head: &ResidentHead,
        fields: &[Field],
    ) {
        for (at, field) in fields.iter().enumerate() {
            changes.add_history(HistoryDraft {
                site: head.site.clone(),
                resident: head.id.clone(),
                id: history_id(head.version, at),
                field: field.path.clone(),
                class: field.class,
                author: work.permit().principal().staff.as_str().to_owned(),
                recorded_at: work.now,
                old: field.old.clone(),
                new: field.new.clone(),
            });
        }
    }
}

/// Ids descend as versions ascend, so that the store's order is newest first.
fn history_id(version: u64, at: usize) -> String {
    format!("{:020}.{at:04}", u64::MAX - version)
}

fn entry_of(row: StoredHistory) -> Result<(HistoryEntry, String)> {
    let broken = || Error::Internal("a history row has an unknown id".into());
    let inverted: u64 = row.id.split('.').next().and_then(|text| text.parse().ok()).ok_or_else(broken)?;
    let author = StaffId::new(&row.author).map_err(|_| broken())?;
    let entry = HistoryEntry {
        revision: u64::MAX - inverted,
        changed_at: row.recorded_at,
        author,
        fields: vec![row.field.clone()],
    };
    Ok((entry, row.field))
}

/// The fields in which two states of a file differ, with old and new values for the sealed history.
pub(super) fn differences(
    old: &Resident,
    new: &Resident,
    facts: &[Fact],
    added: &[Fact],
    class_of: impl Fn(&FieldCode) -> FieldClass,
) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut differ = |path: &str, class: FieldClass, old: Option<String>, new: Option<String>| {
        if old != new {
            let text = |text: Option<String>| text.and_then(|text| Paragraph::new(&text).ok());
            fields.push(Field { path: path.to_owned(), class, old: text(old), new: text(new) });
        }
    };
    let contact = |resident: &Resident| {
        let line = |contact: &linli_core::resident::EmergencyContact| {
            let relation = contact.relation.as_ref().map(|relation| relation.as_str()).unwrap_or_default();
            format!("{} {} {relation}", contact.name.reveal(), contact.phone.reveal())
        };
        resident.contact.emergency.iter().map(line).collect::<Vec<_>>().join("; ")
    };
    let phone =
        |resident: &Resident| resident.contact.phone.as_ref().map(|phone| Phone::reveal(phone).to_owned());
    let number = |resident: &Resident| {
        resident.identity.number.as_ref().map(|number| IdentityNumber::reveal(number).to_owned())
    };
    let words = |text: &Option<Paragraph>| text.as_ref().map(|text| text.as_str().to_owned());
    let needs =
        |resident: &Resident| resident.needs.iter().map(|need| need.code()).collect::<Vec<_>>().join(" ");
    use FieldClass::{Contact, Family, Health, Identity, Status};
    differ(
        "birth_date",
        Identity,
        old.identity.birth_date.map(|d| d.to_string()),
        new.identity.birth_date.map(|d| d.to_string()),
    );
    differ("emergency_contacts", Contact, Some(contact(old)), Some(contact(new)));
    differ("family_note", Family, words(&old.family), words(&new.family));
    differ(
        "full_name",
        Contact,
        Some(old.contact.name.reveal().to_owned()),
        Some(new.contact.name.reveal().to_owned()),
    );
    differ("health_note", Health, words(&old.health), words(&new.health));
    differ("identity_number", Identity, number(old), number(new));
    differ("needs", Status, Some(needs(old)), Some(needs(new)));
    differ("phone", Contact, phone(old), phone(new));
    differ(
        "sex",
        Identity,
        old.identity.sex.map(|s| s.code().to_owned()),
        new.identity.sex.map(|s| s.code().to_owned()),
    );
    differ("status_note", Status, words(&old.status), words(&new.status));
    for fact in added {
        let before = super::file::current_facts(facts, fact.true_from);
        let before = before.into_iter().find(|held| held.field == fact.field);
        let old = before.and_then(|held| held.value.as_ref()).map(shown);
        differ(&format!("facts.{}", fact.field), class_of(&fact.field), old, fact.value.as_ref().map(shown));
    }
    fields
}

fn shown(value: &FactValue) -> String {
    match value {
        FactValue::Bool(flag) => flag.to_string(),
        FactValue::Integer(number) => number.to_string(),
        FactValue::Date(date) => date.to_string(),
        FactValue::Code(code) => code.clone(),
        FactValue::Text(text) => text.clone(),
    }
}
