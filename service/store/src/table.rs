//! The tables: one declaration each gives the sea-orm entity that reads it and the description that the writer
//! writes it by.
//!
//! The columns of the key come first, the site before all. In a *versioned* table the next column is `version`;
//! guards compare it. The other tables are append-only, or projections that are replaced by key.

use sea_orm::{DbErr, QueryResult, Value};

/// A value of a row on its way into the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Val {
    /// Text.
    Text(String),
    /// A whole number, an instant in microseconds, a date in days, or a truth value as 0 and 1.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// No text.
    NoText,
    /// No number.
    NoInt,
    /// No bytes.
    NoBytes,
}

impl From<Val> for Value {
    fn from(val: Val) -> Self {
        match val {
            Val::Text(text) => Self::String(Some(text)),
            Val::Int(number) => Self::BigInt(Some(number)),
            Val::Bytes(bytes) => Self::Bytes(Some(bytes)),
            Val::NoText => Self::String(None),
            Val::NoInt => Self::BigInt(None),
            Val::NoBytes => Self::Bytes(None),
        }
    }
}

macro_rules! into_val {
    ($($type:ty: $some:ident, $none:ident;)*) => {$(
        impl From<$type> for Val {
            fn from(value: $type) -> Self {
                Self::$some(value)
            }
        }

        impl From<Option<$type>> for Val {
            fn from(value: Option<$type>) -> Self {
                value.map_or(Self::$none, Self::$some)
            }
        }
    )*};
}

into_val! {
    String: Text, NoText;
    i64: Int, NoInt;
    Vec<u8>: Bytes, NoBytes;
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A row of a known table.
pub(crate) trait Entry: Sized {
    /// Its table.
    const META: &'static Meta;

    /// Reads a row that was selected with all columns in order, the first of them at place `first`. By place: looking
    /// columns up by name costs more than reading them.
    fn read(row: &QueryResult, first: usize) -> Result<Self, DbErr>;
}

/// The values of a row's key, in column order.
pub(crate) type Key = Vec<Val>;

/// How a table is described to the writer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its columns in order, the key first.
    pub(crate) columns: &'static [&'static str],
    /// How many columns the key has.
    pub(crate) key: usize,
    /// Whether the column after the key is `version`.
    pub(crate) versioned: bool,
}

macro_rules! count {
    () => { 0 };
    ($head:ident $($tail:ident)*) => { 1 + count!($($tail)*) };
}

macro_rules! flag {
    (versioned) => {
        true
    };
    (plain) => {
        false
    };
}

macro_rules! tables {
    ($($(#[$doc:meta])* $module:ident $variant:ident = $name:literal $flavour:ident
        ($($key:ident: $ktype:ty),*) { $($column:ident: $type:ty),* $(,)? })*) => {
        /// Every table that change sets write. The order is the order of statements within a commit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Table { $($(#[$doc])* $variant,)* }

        impl Table {
            /// Every table.
            #[cfg(any(test, feature = "testing"))]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its description.
            pub(crate) const fn meta(self) -> &'static Meta {
                match self { $(Self::$variant => &$module::META,)* }
            }
        }

        $(
            $(#[$doc])*
            pub(crate) mod $module {
                use sea_orm::entity::prelude::*;

                pub(crate) const META: super::Meta = super::Meta {
                    name: $name,
                    columns: &[$(stringify!($key),)* $(stringify!($column),)*],
                    key: count!($($key)*),
                    versioned: flag!($flavour),
                };

                $(#[$doc])*
                #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
                #[sea_orm(table_name = $name)]
                pub(crate) struct Model {
                    $(#[sea_orm(primary_key, auto_increment = false)] pub(crate) $key: $ktype,)*
                    $(pub(crate) $column: $type,)*
                }

                #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
                pub(crate) enum Relation {}

                impl ActiveModelBehavior for ActiveModel {}

                impl super::Entry for Model {
                    const META: &'static super::Meta = &META;

                    fn read(row: &sea_orm::QueryResult, first: usize) -> Result<Self, sea_orm::DbErr> {
                        let mut columns = first..;
                        let mut next = || columns.next().unwrap_or_default();
                        Ok(Self {
                            $($key: row.try_get_by_index(next())?,)*
                            $($column: row.try_get_by_index(next())?,)*
                        })
                    }
                }

                impl From<Model> for Vec<super::Val> {
                    fn from(row: Model) -> Self {
                        vec![$(row.$key.into(),)* $(row.$column.into(),)*]
                    }
                }
            }
        )*
    };
}

tables! {
    /// The spine: one row per site, and `*system`.
    site_head SiteHead = "site_head" plain (site: String) {
        audit_seq: i64, audit_hash: Vec<u8>, event_seq: i64, authz_epoch: i64, key_version: i64,
    }
    /// Sites.
    site Site = "site" versioned (site: String) {
        version: i64, title: String, zone: String, created_at: i64,
    }
    /// Dwellings.
    dwelling Dwelling = "dwelling" versioned (site: String, id: String) {
        version: i64, building: String, unit: Option<String>, room: String, created_at: i64,
    }
    /// Buildings, stairwells, passages, gates.
    area Area = "area" versioned (site: String, id: String) {
        version: i64, kind: String, title: String, building: Option<String>, created_at: i64,
    }
    /// Posts, with their buildings and holders as one value.
    post Post = "post" versioned (site: String, id: String) {
        version: i64, title: String, department: String, detail: Vec<u8>, created_at: i64,
    }
    /// The working group, under `*system`: grants and credentials as one value each.
    staff Staff = "staff" versioned (site: String, id: String) {
        version: i64, title: String, detail: Vec<u8>, credentials: String, deactivated_at: Option<i64>,
        created_at: i64,
    }
    /// Whose a credential is, under `*system`.
    staff_credential StaffCredential = "staff_credential" versioned (site: String, kind: String, name: String) {
        version: i64, staff: String,
    }
    /// A site's parameters for a plugin.
    plugin_parameter PluginParameter = "plugin_parameter" versioned (site: String, plugin: String) {
        version: i64, detail: Vec<u8>, updated_at: i64,
    }
    /// What each plugin declared when it was last loaded, under `*system`.
    plugin_manifest PluginManifest = "plugin_manifest" plain (site: String, plugin: String) {
        digest: String, manifest: String, recorded_at: i64,
    }
    /// Days on which a site departs from the calendar.
    calendar_override CalendarOverride = "calendar_override" plain (site: String, day: i64) {
        kind: String,
    }
    /// What a site promises beyond the catalogue, or below it.
    standard_override StandardOverride = "standard_override" versioned (site: String, id: String) {
        version: i64, standard: String, numbers: Vec<u8>, looser: i64, reason: String, from_day: i64,
        until_day: Option<i64>, proposed_by: String, proposed_at: i64, approved_by: Option<String>,
        approved_at: Option<i64>, retired_by: Option<String>, retired_at: Option<i64>,
    }
    /// Care files: the clear part.
    resident Resident = "resident" versioned (site: String, id: String) {
        version: i64, dwelling: String, state: String, moved_in: i64, moved_out: Option<i64>,
        earlier_tenures: Option<String>, former_dwellings: Option<String>, died_on: Option<i64>,
        created_at: i64, updated_at: i64, held: i64, merged_into: Option<String>, merged_files: Option<String>,
        protected_for: Option<String>, may_be_minor: i64,
    }
    /// Who lived in a dwelling before a change of room: the index of `resident.former_dwellings`.
    former_resident FormerResident = "former_resident" plain
        (site: String, dwelling: String, until_day: i64, resident: String) { version: i64 }
    /// Care files: one sealed cell per field class.
    resident_cell ResidentCell = "resident_cell" plain (site: String, resident: String, class: String) {
        version: i64, cell: Vec<u8>,
    }
    /// Whose an identity number is: unique within a site.
    resident_identity ResidentIdentity = "resident_identity" versioned (site: String, hash: Vec<u8>) {
        version: i64, resident: String, key_version: i64,
    }
    /// Blind indexes of phone, birth date and name.
    resident_index ResidentIndex = "resident_index" plain (site: String, field: String, hash: Vec<u8>, resident: String) {
        version: i64, key_version: i64,
    }
    /// Facts, each value sealed; a newer fact about a field is a further row.
    fact Fact = "fact" plain (site: String, resident: String, field: String, recorded_at: i64, true_from: i64) {
        class: String, cell: Vec<u8>,
    }
    /// Memberships in care groups.
    membership Membership = "membership" versioned (site: String, resident: String, id: String) {
        version: i64, care_group: String, basis: String, reason: Option<String>, start_day: i64, end_day: Option<i64>,
        exit_on: Option<i64>, exit_cause: Option<String>, exit_proposed_at: Option<i64>, recorded_at: i64,
        evidence: Option<Vec<u8>>,
    }
    /// Tier and tags from a day on.
    attention Attention = "attention" plain (site: String, resident: String, from_day: i64) {
        tier: String, tags: String,
    }
    /// The last answer of each plugin about a resident.
    assessment Assessment = "assessment" versioned (site: String, resident: String, plugin: String) {
        version: i64, plugin_version: String, digest: String, assessed_at: i64, stale: i64, valid_until: Option<i64>,
        findings: Vec<u8>,
    }
    /// Service records in their current version.
    record Record = "record" versioned (site: String, id: String) {
        version: i64, kind: String, occurred_at: i64, recorded_at: i64, first_recorded_at: i64, performer: String,
        department: String, voided_at: Option<i64>, subjects: Vec<u8>, correction: Option<Vec<u8>>,
    }
    /// Superseded versions of service records.
    record_version RecordVersion = "record_version" plain (site: String, id: String, version: i64) {
        kind: String, occurred_at: i64, recorded_at: i64, first_recorded_at: i64, performer: String,
        department: String, voided_at: Option<i64>, subjects: Vec<u8>, correction: Option<Vec<u8>>,
    }
    /// Current records as each subject sees them: what obligations are computed from.
    record_subject RecordSubject = "record_subject" plain
        (site: String, subject_kind: String, subject: String, occurred_at: i64, record: String) {
        kind: String, outcome: String, recorded_at: i64, voided_at: Option<i64>, answers: Option<String>,
    }
    /// What was done, seen or said: sealed per subject, kept for every version.
    record_content RecordContent = "record_content" plain
        (site: String, record: String, version: i64, subject_kind: String, subject: String) {
        cell: Vec<u8>,
    }
    /// Evaluations of records by those who received the service.
    evaluation Evaluation = "evaluation" versioned (site: String, record: String, subject_kind: String, subject: String) {
        version: i64, satisfaction: i64, recorded_at: i64, comment: Option<Vec<u8>>,
    }
    /// Pauses.
    pause Pause = "pause" versioned (site: String, resident: String, id: String) {
        version: i64, reason: String, left_on: i64, expected_return: i64, recorded_at: i64, returned_on: Option<i64>,
        end_recorded_at: Option<i64>, confirmed_at: Option<i64>, remark: Option<Vec<u8>>,
    }
    /// Waivers.
    waiver Waiver = "waiver" versioned (site: String, resident: String, id: String) {
        version: i64, standard: String, cause: String, from_day: i64, until_day: i64, requested_by: String,
        requested_at: i64, approved_by: Option<String>, approved_at: Option<i64>, ended_by: Option<String>,
        ended_at: Option<i64>, reason: Option<Vec<u8>>,
    }
    /// Revisions of care plans: they never change.
    care_plan CarePlan = "care_plan" plain (site: String, resident: String, revision: i64) {
        items: Vec<u8>, from_day: i64, submitted_by: String, submitted_at: i64, words: Vec<u8>,
    }
    /// What was decided about a revision: once.
    plan_decision PlanDecision = "plan_decision" plain (site: String, resident: String, revision: i64) {
        approved: i64, decided_by: String, decided_at: i64, reason: Option<Vec<u8>>,
    }
    /// Emergency access to files.
    emergency_access EmergencyAccess = "emergency_access" versioned (site: String, id: String) {
        version: i64, resident: String, staff: String, granted_at: i64, expires_at: i64, reason: Option<Vec<u8>>,
        reviewer: Option<String>, reviewed_at: Option<i64>, justified: Option<i64>, remark: Option<Vec<u8>>,
    }
    /// What was said about handing values on: never changed, but for who signed, which goes with the person.
    consent Consent = "consent" plain (site: String, resident: String, id: String) {
        body: String, purpose: String, classes: String, granted: i64, signatory: String, form: String, given_at: i64,
        expires_at: Option<i64>, recorded_by: String, recorded_at: i64, signed_by: Option<Vec<u8>>,
    }
    /// What was taken back.
    consent_withdrawal ConsentWithdrawal = "consent_withdrawal" plain (site: String, resident: String, consent: String) {
        withdrawn_at: i64, recorded_by: String,
    }
    /// What went out: never changed.
    disclosure Disclosure = "disclosure" plain (site: String, resident: String, id: String) {
        body: String, recipient: String, purpose: String, basis: String, classes: String, consents: String,
        agreement: Option<String>, disclosed_at: i64, disclosed_by: String, recorded_at: i64,
    }
    /// Bodies that matters are handed to, under `*system`.
    community_body CommunityBody = "community_body" versioned (site: String, id: String) {
        version: i64, kind: String, title: String, title_en: Option<String>, contacts: String, sites: String,
        channel: Option<String>, agreement: Option<String>, fields: Option<String>, purposes: Option<String>,
        from_day: Option<i64>, until_day: Option<i64>, enabled: i64, created_at: i64,
    }
    /// Matters handed to bodies: where they stand.
    referral Referral = "referral" versioned (site: String, id: String) {
        version: i64, resident: String, body: String, body_kind: String, purpose: String, basis: String,
        matter: String, urgency: String, fields: String, by_hand: i64, state: String, queued_at: Option<i64>,
        disclosure: Option<String>, sent_at: Option<i64>, decision: Option<String>, decided_at: Option<i64>,
        decision_by: Option<String>, decision_recorded_at: Option<i64>, ended_at: Option<i64>,
        external_reference: Option<String>, clock: Option<String>, reviewed_by: Option<String>,
        reviewed_at: Option<i64>, justified: Option<i64>, created_by: String, created_at: i64,
    }
    /// What is said with referrals, values and texts, sealed.
    referral_words ReferralWords = "referral_words" plain (site: String, referral: String, part: String) {
        version: i64, resident: String, cell: Vec<u8>,
    }
    /// How the lanes of bodies stand, under `*system`.
    delivery_lane DeliveryLane = "delivery_lane" plain (site: String, body: String) {
        owner: Option<String>, lease_until: i64, failures: i64, next_at: i64, reached_at: Option<i64>,
        trouble: Option<String>, poll_at: i64, poll_cursor: String,
    }
    /// Attempts to hand referrals over.
    delivery_attempt DeliveryAttempt = "delivery_attempt" versioned (site: String, referral: String, number: i64) {
        version: i64, body: String, began_at: i64, ended_at: Option<i64>, outcome: Option<String>,
        detail: Option<String>,
    }
    /// Events that start clocks.
    care_event CareEvent = "care_event" plain
        (site: String, subject_kind: String, subject: String, occurred_at: i64, id: String) {
        kind: String, recorded_at: i64, aspect: Option<String>, note: Option<Vec<u8>>,
    }
    /// Fund years.
    fund Fund = "fund" versioned (site: String, year: i64) {
        version: i64, opened_by: String, opened_at: i64, reports: i64,
    }
    /// Budget lines with the balances of their accounts.
    fund_line FundLine = "fund_line" versioned (site: String, year: i64, id: String) {
        version: i64, title: String, purpose: String, available: i64, committed: i64, spent: i64, entries: i64,
    }
    /// The ledger of the fund, by line.
    fund_entry FundEntry = "fund_entry" plain (site: String, year: i64, line: String, number: i64) {
        movement: String, amount: i64, spending: Option<String>, resident: Option<String>, people: i64,
        note: Option<String>, booked_by: String, booked_at: i64,
    }
    /// Spendings.
    fund_spending FundSpending = "fund_spending" versioned (site: String, year: i64, id: String) {
        version: i64, line: String, title: String, amount: i64, cause_kind: Option<String>, cause: Option<String>,
        people: i64, requested_by: String, requested_at: i64, state: String, decided_by: Option<String>,
        decided_at: Option<i64>, reason: Option<String>, paid: Option<i64>, voucher: Option<String>,
        paid_on: Option<i64>, paid_by: Option<String>, paid_at: Option<i64>,
    }
    /// Publications of fund years, with what they show as one value.
    fund_report FundReport = "fund_report" plain (site: String, year: i64, number: i64) {
        published_by: String, published_at: i64, record: String, detail: Vec<u8>,
    }
    /// Periods that were closed, with their figures as one value.
    closed_period ClosedPeriod = "closed_period" plain (site: String, unit: String, first_day: i64) {
        closed_by: String, closed_at: i64, detail: Vec<u8>,
    }
    /// Accessible facilities.
    facility Facility = "facility" versioned (site: String, id: String) {
        version: i64, kind: String, title: String, building: Option<String>, retired_on: Option<i64>, created_at: i64,
    }
    /// Requests: what is asked for and where it stands, with its course as one value. What is open is settled later than ever.
    request Request = "request" versioned (site: String, id: String) {
        version: i64, kind: String, urgency: String, state: String, subject_kind: String, subject: String,
        department: String, course: Vec<u8>, satisfaction: Option<i64>, created_at: i64, settled_at: i64,
    }
    /// What is said of requests in words, sealed.
    request_words RequestWords = "request_words" plain (site: String, request: String, part: String) {
        subject_kind: String, subject: String, cell: Vec<u8>,
    }
    /// Festival visits and events.
    activity Activity = "activity" versioned (site: String, id: String) {
        version: i64, kind: String, title: String, occasion: Option<String>, day: i64, place: Option<String>,
        care_groups: String, budget: Option<i64>, planned_by: String, planned_at: i64, state: String,
        held_at: Option<i64>, reason: Option<String>, noted_by: Option<String>, noted_at: Option<i64>,
    }
    /// Who helped at activities; who came stands in the records.
    activity_attendance ActivityAttendance = "activity_attendance" plain
        (site: String, activity: String, record: String) { staff: String, recorded_at: i64 }
    /// Survey campaigns; what a closed one came to as one value.
    survey Survey = "survey" versioned (site: String, id: String) {
        version: i64, kind: String, title: String, from_day: i64, until_day: i64, opened_by: String, opened_at: i64,
        closed_by: Option<String>, closed_at: Option<i64>, answers: i64, result: Option<Vec<u8>>,
    }
    /// What was learned of a dwelling.
    survey_answer SurveyAnswer = "survey_answer" versioned (site: String, survey: String, id: String) {
        version: i64, dwelling: String, channel: String, outcome: String, household: Option<i64>, distinct_people: i64,
        occurred_at: i64, recorded_at: i64, late: i64, performer: String, record: String,
        withdrawn_by: Option<String>, withdrawn_at: Option<i64>,
    }
    /// Whom an answer tells of: what is compared.
    survey_person SurveyPerson = "survey_person" plain
        (site: String, survey: String, answer: String, person: String) {
        subject_kind: String, subject: String, person_mark: Option<Vec<u8>>, phone_mark: Option<Vec<u8>>,
        event: Option<String>,
    }
    /// What was found of them, sealed by class.
    survey_words SurveyWords = "survey_words" plain
        (site: String, survey: String, answer: String, person: String, class: String) {
        subject_kind: String, subject: String, cell: Vec<u8>,
    }
    /// Who changed which field of a file, with the sealed old and new values.
    history History = "history" plain (site: String, resident: String, id: String) {
        field: String, class: String, author: String, recorded_at: i64, old_cell: Option<Vec<u8>>,
        new_cell: Option<Vec<u8>>,
    }
    /// The audit chain.
    audit_entry AuditEntry = "audit_entry" plain (site: String, seq: i64) {
        hash: Vec<u8>, body: Vec<u8>,
    }
    /// Events for others, in commit order per site.
    outbox_event OutboxEvent = "outbox_event" plain (site: String, seq: i64) {
        kind: String, resource: String, care_time: i64, system_time: i64, audit_seq: i64,
    }
    /// How far a site's events have gone out to a sink. The sink writes it, no change set.
    sink_position SinkPosition = "sink_position" plain (site: String, sink: String) {
        seq: i64,
    }
    /// Which server takes events out to a sink, under `*system`. No change set writes it either.
    sink_lease SinkLease = "sink_lease" plain (site: String, sink: String) {
        holder: String, held_until: i64,
    }
    /// The ledger of erasures: who is gone, and how far it is.
    erasure Erasure = "erasure" versioned (site: String, resident: String) {
        version: i64, staff: String, cause: String, erased_at: i64, key_deleted_at: Option<i64>,
        finished_at: Option<i64>,
    }
    /// How far the replacement of each scope's keys is; that of `*system` is the whole of it.
    key_rotation KeyRotation = "key_rotation" versioned (site: String) {
        version: i64, number: i64, root_version: i64, started_at: i64, finished_at: Option<i64>,
    }
    /// Answers to requests that may be repeated.
    idempotency Idempotency = "idempotency" plain (site: String, principal: String, method: String, request_id: String) {
        request_hash: Vec<u8>, answer: Vec<u8>, expires_at: i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_leads_every_key_and_versions_follow_the_key() {
        for table in Table::ALL {
            let meta = table.meta();
            assert_eq!(meta.columns.first(), Some(&"site"), "{}", meta.name);
            assert!(meta.key >= 1 && meta.key <= meta.columns.len(), "{}", meta.name);
            if meta.versioned {
                assert_eq!(meta.columns.get(meta.key), Some(&"version"), "{}", meta.name);
            }
        }
    }
}
