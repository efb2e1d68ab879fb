//! The closed list of changes. Each resource's module says how its changes become rows.

use linli_core::activity::{Activity, Attendance};
use linli_core::assessment::Attention;
use linli_core::calendar::DayKind;
use linli_core::care_plan::{CarePlan, PlanDecision, PlanWords, Revision};
use linli_core::community_body::CommunityBody;
use linli_core::compliance::ClosedPeriod;
use linli_core::consent::{Consent, Disclosure, Withdrawal};
use linli_core::delivery::Attempt;
use linli_core::emergency::EmergencyAccess;
use linli_core::event::CareEvent;
use linli_core::facility::Facility;
use linli_core::fund::{BudgetLine, Fund, FundReport, LedgerEntry, Spending};
use linli_core::id::{
    ActivityId, AreaId, ConsentId, DwellingId, EventId, FacilityId, PostId, RecordId, ReferralId, ResidentId,
    SiteId, Subject,
};
use linli_core::membership::Membership;
use linli_core::pause::Pause;
use linli_core::record::{Evaluation, ServiceRecord};
use linli_core::referral::{Referral, ReferralWords};
use linli_core::request::{Request, RequestWords};
use linli_core::resident::{Fact, FieldClass, Resident};
use linli_core::site::{Area, Dwelling, Post, Site};
use linli_core::staff::{Credential, Staff};
use linli_core::standard_override::StandardOverride;
use linli_core::survey::{Survey, SurveyAnswer};
use linli_core::time::CivilDate;
use linli_core::waiver::StandardWaiver;

use crate::assessment::StoredAssessment;
use crate::change::Rows;
use crate::erasure::{Erasure, Remains};
use crate::error::SealError;
use crate::history::HistoryDraft;
use crate::key_rotation::{KeyRotation, OldCell};
use crate::plugin::PluginManifest;
use crate::record::StoredRecord;
use crate::resident::{CellChanges, ResidentHead, SealedResident};
use crate::seal::Sealer;
use crate::search::IndexRows;
use crate::site::PluginParameters;
use crate::survey::SurveyedDraft;

/// One change of one resource.
#[derive(Debug)]
pub(crate) enum Change {
    Site(Site),
    RequireSite(SiteId),
    Dwelling(Dwelling),
    RequireDwelling(SiteId, DwellingId),
    Area(Area),
    RequireArea(SiteId, AreaId),
    Post(Post),
    RequirePost(SiteId, PostId),
    Staff(Box<Staff>, Vec<Credential>),
    PluginParameters(PluginParameters),
    PluginManifest(PluginManifest),
    CalendarDay(SiteId, CivilDate, Option<DayKind>),
    StandardOverride(Box<StandardOverride>),
    CreateResident(Box<Resident>),
    UpdateResident(Box<ResidentHead>, Box<CellChanges>),
    RequireResident(SiteId, ResidentId, Option<u64>),
    Fact(SiteId, ResidentId, FieldClass, Fact),
    Membership(Membership),
    Attention(SiteId, ResidentId, Attention),
    DropAttention(SiteId, ResidentId, CivilDate),
    Assessment(Box<StoredAssessment>),
    Record(Box<ServiceRecord>),
    Correction(Box<StoredRecord>, Box<ServiceRecord>),
    RequireRecord(SiteId, RecordId),
    Evaluation(SiteId, Box<Evaluation>, u64),
    Pause(Pause),
    Waiver(Box<StandardWaiver>),
    CarePlan(Box<CarePlan>, Box<PlanWords>),
    PlanDecision(SiteId, ResidentId, Revision, Box<PlanDecision>),
    RequireLatestPlan(SiteId, ResidentId, Revision),
    EmergencyAccess(Box<EmergencyAccess>),
    Consent(Box<Consent>),
    ConsentWithdrawal(SiteId, ResidentId, ConsentId, Withdrawal),
    Disclosure(Box<Disclosure>),
    CommunityBody(Box<CommunityBody>),
    Referral(Box<Referral>),
    ReferralWords(Box<ReferralWords>),
    RequireReferral(SiteId, ReferralId, u64),
    Attempt(Box<Attempt>),
    CareEvent(CareEvent),
    RequireCareEvent(SiteId, Subject, linli_core::time::Instant, EventId),
    Fund(Box<Fund>),
    BudgetLine(Box<BudgetLine>),
    LedgerEntry(Box<LedgerEntry>),
    Spending(Box<Spending>),
    FundReport(Box<FundReport>),
    ClosedPeriod(Box<ClosedPeriod>),
    Facility(Facility),
    RequireFacility(SiteId, FacilityId),
    Request(Box<Request>),
    RequestWords(Box<RequestWords>),
    Activity(Box<Activity>),
    RequireActivity(SiteId, ActivityId),
    Attendance(Box<Attendance>),
    Survey(Box<Survey>),
    SurveyAnswer(Box<SurveyAnswer>),
    Surveyed(Box<SurveyedDraft>),
    History(Box<HistoryDraft>),
    KeyRotation(KeyRotation),
    Reseal(Vec<OldCell>),
    Reindex(Box<SealedResident>),
    Erase(Box<ResidentHead>),
    Erasure(Erasure),
    Remains(Vec<Remains>),
}

impl Change {
    /// The residents whose keys seal something of it.
    pub(crate) fn sealed_for<'a>(&'a self, out: &mut Vec<&'a ResidentId>) {
        match self {
            Self::CreateResident(resident) => out.push(&resident.id),
            Self::UpdateResident(head, cells) if !cells.is_empty() => out.push(&head.id),
            Self::Fact(_, resident, _, _) => out.push(resident),
            Self::Membership(membership) if membership.evidence.is_some() => out.push(&membership.resident),
            Self::Record(record) | Self::Correction(_, record) => {
                out.extend(record.subjects.iter().filter(|s| s.content.is_some()).filter_map(|s| {
                    match &s.subject {
                        Subject::Resident(id) => Some(id),
                        Subject::Dwelling(_)
                        | Subject::Area(_)
                        | Subject::Facility(_)
                        | Subject::Request(_)
                        | Subject::Site => None,
                    }
                }));
            }
            Self::Evaluation(_, evaluation, _) => {
                if let (Subject::Resident(id), Some(_)) = (&evaluation.subject, &evaluation.comment) {
                    out.push(id);
                }
            }
            Self::Pause(pause) if pause.remark.is_some() => out.push(&pause.resident),
            Self::Waiver(waiver) if waiver.reason.is_some() => out.push(&waiver.resident),
            Self::CarePlan(plan, _) => out.push(&plan.resident),
            Self::PlanDecision(_, resident, _, decision) if decision.reason.is_some() => out.push(resident),
            Self::EmergencyAccess(access) => out.push(&access.resident),
            Self::Consent(consent) => out.push(&consent.resident),
            Self::ReferralWords(words) => out.push(&words.resident),
            Self::CareEvent(event) => {
                if let (Subject::Resident(id), Some(_)) = (&event.subject, &event.note) {
                    out.push(id);
                }
            }
            Self::RequestWords(words) => {
                if let Subject::Resident(id) = &words.subject {
                    out.push(id);
                }
            }
            Self::Surveyed(draft) => out.extend(&draft.person.marks.resident),
            Self::History(draft) => out.push(&draft.resident),
            Self::Reseal(cells) => out.extend(cells.iter().filter_map(OldCell::resident)),
            Self::Reindex(file) => out.push(&file.head.id),
            Self::Site(_)
            | Self::RequireSite(_)
            | Self::Dwelling(_)
            | Self::RequireDwelling(..)
            | Self::Area(_)
            | Self::RequireArea(..)
            | Self::Post(_)
            | Self::RequirePost(..)
            | Self::Staff(..)
            | Self::PluginParameters(_)
            | Self::PluginManifest(_)
            | Self::UpdateResident(..)
            | Self::RequireResident(..)
            | Self::Membership(_)
            | Self::Attention(..)
            | Self::DropAttention(..)
            | Self::Assessment(_)
            | Self::RequireRecord(..)
            | Self::Pause(_)
            | Self::Waiver(_)
            | Self::PlanDecision(..)
            | Self::RequireLatestPlan(..)
            | Self::StandardOverride(_)
            | Self::Facility(_)
            | Self::RequireFacility(..)
            | Self::Request(_)
            | Self::Activity(_)
            | Self::RequireActivity(..)
            | Self::Attendance(_)
            | Self::Survey(_)
            | Self::SurveyAnswer(_)
            | Self::CalendarDay(..)
            | Self::RequireCareEvent(..)
            | Self::KeyRotation(_)
            | Self::Erase(_)
            | Self::Erasure(_)
            | Self::Remains(_)
            | Self::Fund(_)
            | Self::BudgetLine(_)
            | Self::LedgerEntry(_)
            | Self::ConsentWithdrawal(..)
            | Self::Disclosure(_)
            | Self::Attempt(_)
            | Self::RequireReferral(..)
            | Self::CommunityBody(_)
            | Self::Referral(_)
            | Self::Spending(_)
            | Self::FundReport(_)
            | Self::ClosedPeriod(_) => {}
        }
    }

    /// The resident whose key is made before anything is sealed with it.
    pub(crate) fn creates(&self) -> Option<&ResidentId> {
        if let Self::CreateResident(resident) = self { Some(&resident.id) } else { None }
    }

    /// The resident whose index rows must be known to replace them.
    pub(crate) fn reindexes(&self) -> Option<&ResidentId> {
        match self {
            Self::UpdateResident(head, cells) if cells.contact.is_some() || cells.identity.is_some() => {
                Some(&head.id)
            }
            Self::Reindex(file) => Some(&file.head.id),
            Self::Erase(head) => Some(&head.id),
            _ => None, // one question about three variants
        }
    }

    /// Its guards and rows.
    pub(crate) fn rows(
        &self,
        sealer: &Sealer<'_>,
        index: &IndexRows,
        rows: &mut Rows,
    ) -> Result<(), SealError> {
        match self {
            Self::Site(site) => crate::site::site_rows(site, rows),
            Self::RequireSite(site) => crate::site::require_site(site, rows),
            Self::Dwelling(dwelling) => crate::site::dwelling_rows(dwelling, rows),
            Self::RequireDwelling(site, id) => crate::site::require_dwelling(site, id, rows),
            Self::Area(area) => crate::site::area_rows(area, rows),
            Self::RequireArea(site, id) => crate::site::require_area(site, id, rows),
            Self::Post(post) => crate::site::post_rows(post, rows),
            Self::RequirePost(site, id) => crate::site::require_post(site, id, rows),
            Self::Staff(staff, before) => crate::staff::rows(staff, before, rows),
            Self::PluginParameters(parameters) => crate::site::parameter_rows(parameters, rows),
            Self::PluginManifest(manifest) => crate::plugin::rows(manifest, rows),
            Self::CalendarDay(site, day, kind) => crate::site::calendar_rows(site, *day, *kind, rows),
            Self::StandardOverride(value) => crate::standard_override::rows(value, rows),
            Self::CreateResident(resident) => return crate::resident::create_rows(resident, sealer, rows),
            Self::UpdateResident(head, cells) => {
                return crate::resident::update_rows(head, cells, index, sealer, rows);
            }
            Self::RequireResident(site, id, version) => crate::resident::require(site, id, *version, rows),
            Self::Fact(site, resident, class, fact) => {
                return crate::fact::rows(site, resident, *class, fact, sealer, rows);
            }
            Self::Membership(membership) => return crate::membership::rows(membership, sealer, rows),
            Self::Attention(site, resident, attention) => {
                crate::assessment::attention_rows(site, resident, attention, rows);
            }
            Self::DropAttention(site, resident, from) => {
                crate::assessment::drop_attention(site, resident, *from, rows);
            }
            Self::Assessment(assessment) => crate::assessment::rows(assessment, rows),
            Self::Record(record) => return crate::record::rows(record, sealer, rows),
            Self::Correction(old, new) => return crate::record::correction_rows(old, new, sealer, rows),
            Self::RequireRecord(site, id) => crate::record::require(site, id, rows),
            Self::Evaluation(site, evaluation, version) => {
                return crate::evaluation::rows(site, evaluation, *version, sealer, rows);
            }
            Self::Pause(pause) => return crate::pause::rows(pause, sealer, rows),
            Self::Waiver(waiver) => return crate::waiver::rows(waiver, sealer, rows),
            Self::CarePlan(plan, words) => return crate::care_plan::rows(plan, words, sealer, rows),
            Self::PlanDecision(site, resident, revision, decision) => {
                let at = (site, resident, *revision);
                return crate::care_plan::decision_rows(at, decision, sealer, rows);
            }
            Self::RequireLatestPlan(site, resident, revision) => {
                crate::care_plan::require_latest(site, resident, *revision, rows);
            }
            Self::EmergencyAccess(access) => return crate::emergency::rows(access, sealer, rows),
            Self::Consent(consent) => return crate::consent::rows(consent, sealer, rows),
            Self::ConsentWithdrawal(site, resident, id, withdrawal) => {
                crate::consent::withdrawal_rows((site, resident, id), withdrawal, rows);
            }
            Self::Disclosure(disclosure) => crate::consent::disclosure_rows(disclosure, rows),
            Self::CommunityBody(body) => crate::community_body::rows(body, rows),
            Self::Referral(referral) => crate::referral::rows(referral, rows),
            Self::ReferralWords(words) => return crate::referral::words_rows(words, sealer, rows),
            Self::RequireReferral(site, id, version) => {
                crate::delivery::require_referral(site, id, *version, rows);
            }
            Self::Attempt(attempt) => crate::delivery::rows(attempt, rows),
            Self::CareEvent(event) => return crate::event::rows(event, sealer, rows),
            Self::RequireCareEvent(site, subject, occurred_at, id) => {
                crate::event::require(site, subject, *occurred_at, id, rows);
            }
            Self::Fund(fund) => crate::fund::fund_rows(fund, rows),
            Self::BudgetLine(line) => crate::fund::line_rows(line, rows),
            Self::LedgerEntry(entry) => crate::fund::entry_rows(entry, rows),
            Self::Spending(spending) => crate::fund::spending_rows(spending, rows),
            Self::FundReport(report) => crate::fund::report_rows(report, rows),
            Self::ClosedPeriod(period) => crate::closed_period::rows(period, rows),
            Self::Facility(facility) => crate::facility::rows(facility, rows),
            Self::RequireFacility(site, id) => crate::facility::require(site, id, rows),
            Self::Request(request) => crate::request::rows(request, rows),
            Self::RequestWords(words) => return crate::request::words_rows(words, sealer, rows),
            Self::Activity(activity) => crate::activity::rows(activity, rows),
            Self::RequireActivity(site, id) => crate::activity::require(site, id, rows),
            Self::Attendance(attendance) => crate::activity::attendance_rows(attendance, rows),
            Self::Survey(survey) => crate::survey::rows(survey, rows),
            Self::SurveyAnswer(answer) => crate::survey::answer_rows(answer, rows),
            Self::Surveyed(draft) => return crate::survey::person_rows(draft, sealer, rows),
            Self::History(draft) => return crate::history::rows(draft, sealer, rows),
            Self::KeyRotation(rotation) => crate::key_rotation::rotation_rows(rotation, rows),
            Self::Erase(head) => crate::erasure::tombstone_rows(head, index, rows),
            Self::Erasure(erasure) => crate::erasure::rows(erasure, rows),
            Self::Remains(remains) => crate::erasure::remains_rows(remains, rows),
            Self::Reseal(cells) => return crate::key_rotation::reseal_rows(cells, sealer, rows),
            Self::Reindex(file) => return crate::key_rotation::reindex_rows(file, index, sealer, rows),
        }
        Ok(())
    }
}
