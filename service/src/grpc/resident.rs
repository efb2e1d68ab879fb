//! `ResidentService`: care files. Memberships and pauses have conversions of their own beside this file.

use linli_core::event::EventAspect;
use linli_core::id::{FieldCode, SiteId};
use linli_core::identity::IdentityNumber;
use linli_core::invalid::Invalid;
use linli_core::resident::{
    Contact, EMERGENCY_CONTACTS_MAX, EmergencyContact, FACTS_MAX, FieldClass, FileState, Identity, Need,
    PersonName, Phone, Sex,
};
use linli_core::text::{Line, Paragraph};
use linli_core::time::CivilDate;
use linli_proto::v1;
use tonic::{Request, Response, Status, Streaming};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, fact_value, label, parse_etag};
use super::page::Binding;
use super::request::{Mask, mask, next, one, required_date, text, wanted};
use crate::app::assessment::{AssessmentView, Coded};
use crate::app::change::{Applied, ChangeReport, Reported};
use crate::app::file::{FileChange, NewFact, NewFile};
use crate::app::history::HistoryEntry;
use crate::app::resident::{FileView, Filter, Shown, View};
use crate::app::site::Update;
use crate::app::tenure::{MoveIn, MovedIn};
use crate::error::Result;
use crate::name::{self, Sites};

type Answer<M> = std::result::Result<Response<M>, Status>;

/// Fields of a file that an update may name.
const UPDATABLE: &[&str] = &[
    "full_name",
    "phone",
    "identity_number",
    "birth_date",
    "sex",
    "emergency_contacts",
    "needs",
    "family_note",
    "health_note",
    "status_note",
    "facts",
];
/// Most reported changes that one update answers.
const ANSWERS_MAX: usize = 50;

#[tonic::async_trait]
impl v1::resident_service_server::ResidentService for Face {
    async fn create_resident(&self, request: Request<v1::CreateResidentRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let resident = message.resident.clone().unwrap_or_default();
            let file = new_file(&mut check, "resident", site.as_ref(), &resident);
            let (site, file) = check.finish(site.zip(file))?;
            app.create_resident(&call, repeat, site, file).await
        })
        .await
    }

    async fn get_resident(&self, request: Request<v1::GetResidentRequest>) -> Answer<v1::Resident> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let view = check.take("view", view(message.view));
            let (at, view) = check.finish(at.zip(view))?;
            app.resident(&call, &at.site, &at.id, view).await.map(|file| file.to_wire())
        })
        .await
    }

    async fn reveal_resident(&self, request: Request<v1::RevealResidentRequest>) -> Answer<v1::Resident> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let classes = classes(&mut check, &message.classes);
            let (at, classes) = check.finish(at.zip(classes))?;
            app.reveal_resident(&call, &at.site, &at.id, &classes).await.map(|file| file.to_wire())
        })
        .await
    }

    async fn list_residents(
        &self,
        request: Request<v1::ListResidentsRequest>,
    ) -> Answer<v1::ListResidentsResponse> {
        self.read(request, |app, call, message| async move {
            let filter = filter(&message)?;
            let query: [&[u8]; 8] = [
                &[u8::from(message.needs_manual_assessment)],
                message.parent.as_bytes(),
                message.care_group.as_bytes(),
                &message.min_tier.to_be_bytes(),
                &message.state.to_be_bytes(),
                message.dwelling.as_bytes(),
                message.identity_number.as_bytes(),
                message.phone.as_bytes(),
            ];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.residents(&call, &filter, wanted).await?;
            Ok(v1::ListResidentsResponse {
                residents: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn update_resident(&self, request: Request<v1::UpdateResidentRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let resident = message.resident.clone().unwrap_or_default();
            let at = check.take("resident.name", name::parse_resident(&resident.name));
            let version = check.take("resident.etag", parse_etag(&resident.etag));
            let mask = mask(&mut check, message.update_mask.as_ref(), UPDATABLE, "resident");
            let change = file_change(&mut check, &mask, &resident);
            let ((at, version), change) = check.finish(at.zip(version).zip(change))?;
            app.update_resident(&call, repeat, Update { site: at.site, id: at.id, version, change }).await
        })
        .await
    }

    async fn import_residents(
        &self,
        request: Request<Streaming<v1::ImportResidentsRequest>>,
    ) -> Answer<v1::ImportResidentsResponse> {
        self.carry_out(request, super::import::import).await
    }

    async fn report_change(&self, request: Request<v1::ReportChangeRequest>) -> Answer<v1::CareEvent> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let aspect = check.take("kind", change_aspect(message.kind));
            let note = check.take("description", Paragraph::optional(&message.description));
            let time = match &message.report_time {
                Some(_) => check.instant("report_time", message.report_time.as_ref()).map(Some),
                None => Some(None),
            };
            let kind = check.take("event_kind", reported_kind(message.event_kind));
            let parsed = at.zip(aspect).zip(note.zip(time)).zip(kind);
            let (((at, aspect), (note, reported_at)), reported) = check.finish(parsed)?;
            let report = ChangeReport { reported, aspect, note, reported_at };
            app.report_change(&call, repeat, at.site, at.id, report).await
        })
        .await
    }

    async fn apply_change(
        &self,
        request: Request<v1::ApplyChangeRequest>,
    ) -> Answer<v1::ApplyChangeResponse> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let resident = message.resident.clone().unwrap_or_default();
            let at = check.take("resident.name", name::parse_resident(&resident.name));
            let version = check.take("resident.etag", parse_etag(&resident.etag));
            let named = message.update_mask.as_ref().filter(|mask| !mask.paths.is_empty());
            let mask = match named {
                Some(_) => mask(&mut check, named, UPDATABLE, "resident"),
                None => Mask::empty(),
            };
            let change = file_change(&mut check, &mask, &resident);
            let performer = check.optional("performer", &message.performer, name::parse_staff);
            if message.answers.is_empty() {
                check.refuse("answers", Invalid::Missing);
            }
            if message.answers.len() > ANSWERS_MAX {
                check.refuse("answers", Invalid::TooMany { max: ANSWERS_MAX });
            }
            let mut answers = Vec::new();
            for (index, answer) in message.answers.iter().enumerate() {
                let event = check.take(format!("answers[{index}]"), name::parse_event(answer));
                if let (Some(event), Some(at)) = (event, &at) {
                    check.same_site(format!("answers[{index}]"), &at.site, &event.site);
                    answers.push(event.id);
                }
            }
            let parsed = at.zip(version).zip(change.zip(performer));
            let ((at, version), (change, performer)) = check.finish(parsed)?;
            let update = Update { site: at.site, id: at.id, version, change };
            app.apply_change(&call, repeat, update, answers, performer).await
        })
        .await
    }

    async fn record_move_in(
        &self,
        request: Request<v1::RecordMoveInRequest>,
    ) -> Answer<v1::RecordMoveInResponse> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let dwelling = check.take("dwelling", name::parse_dwelling(&message.dwelling));
            let on = check.take("move_in_date", required_date(&message.move_in_date));
            let resident = check.optional("resident", &message.resident, name::parse_resident);
            let version = check.take("etag", parse_etag(&message.etag));
            if let Some(site) = &site {
                if let Some(dwelling) = &dwelling {
                    check.same_site("dwelling", site, &dwelling.site);
                }
                if let Some(Some(resident)) = &resident {
                    check.same_site("resident", site, &resident.site);
                }
            }
            let parsed = site.zip(dwelling).zip(on.zip(resident).zip(version));
            let ((site, dwelling), ((on, resident), version)) = check.finish(parsed)?;
            let resident = resident.map(|resident| resident.id);
            let new_household = message.new_household || resident.is_none();
            let move_in = MoveIn { dwelling: dwelling.id, on, resident, new_household, version };
            app.record_move_in(&call, repeat, site, move_in).await
        })
        .await
    }

    async fn record_move_out(&self, request: Request<v1::RecordMoveOutRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let on = check.take("move_out_date", required_date(&message.move_out_date));
            let reason = check.take("reason", Line::optional(&message.reason));
            let version = check.take("etag", parse_etag(&message.etag));
            let ((at, version), (on, reason)) = check.finish(at.zip(version).zip(on.zip(reason)))?;
            let update = Update { site: at.site, id: at.id, version, change: (on, reason) };
            app.record_move_out(&call, repeat, update).await
        })
        .await
    }

    async fn record_death(&self, request: Request<v1::RecordDeathRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let on = check.take("death_date", required_date(&message.death_date));
            let version = check.take("etag", parse_etag(&message.etag));
            let ((at, version), on) = check.finish(at.zip(version).zip(on))?;
            app.record_death(&call, repeat, Update { site: at.site, id: at.id, version, change: on }).await
        })
        .await
    }

    async fn assess_resident(&self, request: Request<v1::AssessResidentRequest>) -> Answer<v1::Assessment> {
        self.write(request, |app, call, repeat, message| async move {
            let at = one("name", name::parse_resident(&message.name))?;
            app.assess_resident(&call, repeat, at.site, at.id).await
        })
        .await
    }

    async fn declare_membership(
        &self,
        request: Request<v1::DeclareMembershipRequest>,
    ) -> Answer<v1::Membership> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, resident, declaration) = super::membership::declaration(&message)?;
            app.declare_membership(&call, repeat, site, resident, declaration).await
        })
        .await
    }

    async fn confirm_exit(&self, request: Request<v1::ConfirmExitRequest>) -> Answer<v1::Membership> {
        self.write(request, |app, call, repeat, message| async move {
            let (update, resident) = super::membership::exit(&message)?;
            app.confirm_exit(&call, repeat, resident, update).await
        })
        .await
    }

    async fn list_memberships(
        &self,
        request: Request<v1::ListMembershipsRequest>,
    ) -> Answer<v1::ListMembershipsResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let parent = check.take("parent", name::parse_residents(&message.parent));
            let state = check.take("state", super::membership::state(message.state));
            let (parent, state) = check.finish(parent.zip(state))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), &message.state.to_be_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.memberships(&call, &parent.site, parent.id.as_ref(), state, wanted).await?;
            Ok(v1::ListMembershipsResponse {
                memberships: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::Pause> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, resident, pause) = super::pause::new_pause(&message)?;
            app.pause(&call, repeat, site, resident, pause).await
        })
        .await
    }

    async fn end_pause(&self, request: Request<v1::EndPauseRequest>) -> Answer<v1::Pause> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_pause(&message.name));
            let on = check.take("return_date", required_date(&message.return_date));
            let version = check.take("etag", parse_etag(&message.etag));
            let ((at, version), on) = check.finish(at.zip(version).zip(on))?;
            let update = Update { site: at.site, id: at.id, version, change: on };
            app.end_pause(&call, repeat, at.resident, update).await
        })
        .await
    }

    async fn confirm_pause(&self, request: Request<v1::ConfirmPauseRequest>) -> Answer<v1::Pause> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_pause(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let (at, version) = check.finish(at.zip(version))?;
            let update = Update { site: at.site, id: at.id, version, change: () };
            app.confirm_pause(&call, repeat, at.resident, update).await
        })
        .await
    }

    async fn list_pauses(&self, request: Request<v1::ListPausesRequest>) -> Answer<v1::ListPausesResponse> {
        self.read(request, |app, call, message| async move {
            let parent = one("parent", name::parse_residents(&message.parent))?;
            let awaiting = message.awaiting_confirmation;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), &[u8::from(awaiting)]]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.pauses(&call, &parent.site, parent.id.as_ref(), awaiting, wanted).await?;
            Ok(v1::ListPausesResponse {
                pauses: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn list_history(
        &self,
        request: Request<v1::ListHistoryRequest>,
    ) -> Answer<v1::ListHistoryResponse> {
        self.read(request, |app, call, message| async move {
            let parent = one("parent", name::parse_resident(&message.parent))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.history(&call, &parent.site, &parent.id, wanted).await?;
            Ok(v1::ListHistoryResponse {
                entries: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

/// The file that a message describes; `None` and notes of why not.
pub(super) fn new_file(
    check: &mut Check,
    path: &str,
    site: Option<&SiteId>,
    resident: &v1::Resident,
) -> Option<NewFile> {
    let dwelling = check.take(format!("{path}.dwelling"), name::parse_dwelling(&resident.dwelling));
    if let (Some(site), Some(dwelling)) = (site, &dwelling) {
        check.same_site(format!("{path}.dwelling"), site, &dwelling.site);
    }
    let moved_in = check.take(format!("{path}.move_in_date"), required_date(&resident.move_in_date));
    let personal = personal(check, path, resident);
    let (dwelling, (moved_in, personal)) = dwelling.zip(moved_in.zip(personal))?;
    Some(NewFile { dwelling: dwelling.id, moved_in, ..personal })
}

/// The personal part of a file, with a placeholder dwelling and move-in.
pub(super) fn personal(check: &mut Check, path: &str, resident: &v1::Resident) -> Option<NewFile> {
    let name = check.take(format!("{path}.full_name"), PersonName::new(&resident.full_name));
    let phone = check.optional(format!("{path}.phone"), &resident.phone, Phone::new);
    let emergency = emergency_contacts(check, path, &resident.emergency_contacts);
    let number =
        check.optional(format!("{path}.identity_number"), &resident.identity_number, IdentityNumber::new);
    let birth_date = check.date(&format!("{path}.birth_date"), &resident.birth_date);
    let sex = check.take(format!("{path}.sex"), Sex::optional(resident.sex));
    let needs = needs(check, path, &resident.needs);
    let family = check.take(format!("{path}.family_note"), Paragraph::optional(&resident.family_note));
    let health = check.take(format!("{path}.health_note"), Paragraph::optional(&resident.health_note));
    let status = check.take(format!("{path}.status_note"), Paragraph::optional(&resident.status_note));
    let facts = facts(check, path, &resident.facts);
    let contact =
        name.zip(phone.zip(emergency)).map(|(name, (phone, emergency))| Contact { name, phone, emergency });
    let identity = number.zip(birth_date.zip(sex)).map(|(number, (birth_date, sex))| Identity {
        number,
        birth_date,
        sex,
    });
    let words = family.zip(health.zip(status));
    let (contact, (identity, (words, (needs, facts)))) =
        contact.zip(identity.zip(words.zip(needs.zip(facts))))?;
    let (family, (health, status)) = words;
    Some(NewFile {
        dwelling: NewFile::placeholder_dwelling(),
        moved_in: CivilDate::MIN,
        contact,
        identity,
        family,
        health,
        status,
        needs,
        facts,
    })
}

fn file_change(check: &mut Check, mask: &Mask, resident: &v1::Resident) -> Option<FileChange> {
    let optional = |text: &str| if text.is_empty() { None } else { Some(text.to_owned()) };
    let name = mask.taken(check, "full_name", "resident", || PersonName::new(&resident.full_name));
    let phone = mask
        .taken(check, "phone", "resident", || optional(&resident.phone).map(|t| Phone::new(&t)).transpose());
    let number = mask.taken(check, "identity_number", "resident", || {
        optional(&resident.identity_number).map(|t| IdentityNumber::new(&t)).transpose()
    });
    let birth_date = mask.taken(check, "birth_date", "resident", || {
        optional(&resident.birth_date).map(|t| CivilDate::parse(&t)).transpose()
    });
    let sex = mask.taken(check, "sex", "resident", || Sex::optional(resident.sex));
    let family = mask.taken(check, "family_note", "resident", || Paragraph::optional(&resident.family_note));
    let health = mask.taken(check, "health_note", "resident", || Paragraph::optional(&resident.health_note));
    let status = mask.taken(check, "status_note", "resident", || Paragraph::optional(&resident.status_note));
    let emergency = if mask.holds("emergency_contacts") {
        emergency_contacts(check, "resident", &resident.emergency_contacts).map(Some)
    } else {
        Some(None)
    };
    let needs =
        if mask.holds("needs") { needs(check, "resident", &resident.needs).map(Some) } else { Some(None) };
    let facts =
        if mask.holds("facts") { facts(check, "resident", &resident.facts) } else { Some(Vec::new()) };
    let (name, (phone, emergency)) = name.zip(phone.zip(emergency))?;
    let (number, (birth_date, sex)) = number.zip(birth_date.zip(sex))?;
    let (family, (health, status)) = family.zip(health.zip(status))?;
    let (needs, facts) = needs.zip(facts)?;
    Some(FileChange { name, phone, emergency, number, birth_date, sex, family, health, status, needs, facts })
}

fn emergency_contacts(
    check: &mut Check,
    path: &str,
    contacts: &[v1::EmergencyContact],
) -> Option<Vec<EmergencyContact>> {
    if contacts.len() > EMERGENCY_CONTACTS_MAX {
        check.refuse(format!("{path}.emergency_contacts"), Invalid::TooMany { max: EMERGENCY_CONTACTS_MAX });
        return None;
    }
    let mut parsed = Vec::new();
    for (at, contact) in contacts.iter().enumerate() {
        let path = format!("{path}.emergency_contacts[{at}]");
        let name = check.take(format!("{path}.full_name"), PersonName::new(&contact.full_name));
        let phone = check.take(format!("{path}.phone"), Phone::new(&contact.phone));
        let relation = check.take(format!("{path}.relation"), Line::optional(&contact.relation));
        let contact = name.zip(phone.zip(relation));
        parsed.push(contact.map(|(name, (phone, relation))| EmergencyContact { name, phone, relation }));
    }
    parsed.into_iter().collect()
}

fn needs(check: &mut Check, path: &str, numbers: &[i32]) -> Option<Vec<Need>> {
    let mut needs = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let need = check.take(format!("{path}.needs[{at}]"), Need::listed(*number))?;
        if needs.contains(&need) {
            check.refuse(format!("{path}.needs[{at}]"), Invalid::Duplicate);
            return None;
        }
        needs.push(need);
    }
    Some(needs)
}

fn facts(check: &mut Check, path: &str, facts: &[v1::Fact]) -> Option<Vec<NewFact>> {
    if facts.len() > FACTS_MAX {
        check.refuse(format!("{path}.facts"), Invalid::TooMany { max: FACTS_MAX });
        return None;
    }
    let mut parsed: Vec<Option<NewFact>> = Vec::new();
    for (at, fact) in facts.iter().enumerate() {
        let path = format!("{path}.facts[{at}]");
        let field = check.take(format!("{path}.field"), FieldCode::new(&fact.field));
        let value = match fact.value.as_ref().filter(|value| value.kind.is_some()) {
            Some(value) => check.take(format!("{path}.value"), fact_value(value)).map(Some),
            None => Some(None),
        };
        let true_from = check.date(&format!("{path}.true_from_date"), &fact.true_from_date);
        let fact = field.zip(value.zip(true_from));
        let fact = fact.map(|(field, (value, true_from))| NewFact { field, value, true_from });
        if let Some(fact) = &fact {
            let twice =
                parsed.iter().flatten().any(|f| f.field == fact.field && f.true_from == fact.true_from);
            if twice {
                check.refuse(format!("{path}.field"), Invalid::Duplicate);
            }
        }
        parsed.push(fact);
    }
    parsed.into_iter().collect()
}

fn filter(message: &v1::ListResidentsRequest) -> Result<Filter> {
    let mut check = Check::new();
    let sites = check.take("parent", name::parse_sites(&message.parent));
    let group = check.optional("care_group", &message.care_group, name::parse_care_group);
    let min_tier = check.take("min_tier", Listed::optional(message.min_tier));
    let state = check.take("state", FileState::optional(message.state));
    let dwelling = check.optional("dwelling", &message.dwelling, name::parse_dwelling);
    let number = check.optional("identity_number", &message.identity_number, IdentityNumber::new);
    let phone = check.optional("phone", &message.phone, Phone::new);
    match &sites {
        Some(Sites::All) => {
            if !message.identity_number.is_empty() {
                check.refuse("identity_number", Invalid::NotAllowed);
            }
            if !message.phone.is_empty() {
                check.refuse("phone", Invalid::NotAllowed);
            }
        }
        Some(Sites::One(site)) => {
            if let Some(Some(dwelling)) = &dwelling {
                check.same_site("dwelling", site, &dwelling.site);
            }
        }
        None => {}
    }
    let parsed = sites.zip(group).zip(min_tier.zip(state)).zip(dwelling.zip(number).zip(phone));
    let (((sites, group), (min_tier, state)), ((dwelling, number), phone)) = check.finish(parsed)?;
    let dwelling = dwelling.map(|dwelling| (dwelling.site, dwelling.id));
    Ok(Filter {
        sites,
        group,
        min_tier,
        state: state.unwrap_or(FileState::Active),
        dwelling,
        number,
        phone,
        manual: message.needs_manual_assessment,
    })
}

/// The classes that are asked for: at least one, each once.
fn classes(check: &mut Check, numbers: &[i32]) -> Option<Vec<FieldClass>> {
    if numbers.is_empty() {
        check.refuse("classes", Invalid::Missing);
        return None;
    }
    let mut classes = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let class = check.take(format!("classes[{at}]"), FieldClass::listed(*number))?;
        if classes.contains(&class) {
            check.refuse(format!("classes[{at}]"), Invalid::Duplicate);
            return None;
        }
        classes.push(class);
    }
    Some(classes)
}

fn view(number: i32) -> std::result::Result<View, Invalid> {
    match v1::View::try_from(number) {
        Ok(v1::View::Unspecified | v1::View::Masked) => Ok(View::Masked),
        Ok(v1::View::Basic) => Ok(View::Basic),
        Ok(v1::View::Full) => Ok(View::Full),
        Err(_) => Err(Invalid::Unknown),
    }
}

/// What a report may say that happened; the other kinds come about in other ways.
fn reported_kind(number: i32) -> std::result::Result<Reported, Invalid> {
    use v1::EventKind as Kind;
    match Kind::try_from(number) {
        Ok(Kind::Unspecified | Kind::ChangeReported) => Ok(Reported::Change),
        Ok(Kind::MajorChange) => Ok(Reported::MajorChange),
        Ok(Kind::Discharged) => Ok(Reported::Discharged),
        Ok(
            Kind::HouseholdMovedIn
            | Kind::ContactNotReached
            | Kind::SafetyConfirmed
            | Kind::PauseOverdue
            | Kind::ExtremeWeather
            | Kind::RequestSubmitted
            | Kind::RequestAccepted
            | Kind::RequestDispatched
            | Kind::RequestDone
            | Kind::ServiceDone,
        ) => Err(Invalid::NotAllowed),
        Err(_) => Err(Invalid::Unknown),
    }
}

fn change_aspect(number: i32) -> std::result::Result<EventAspect, Invalid> {
    use v1::ChangeKind as Kind;
    match Kind::try_from(number) {
        Ok(Kind::Unspecified) => Err(Invalid::Missing),
        Ok(Kind::Address) => Ok(EventAspect::Address),
        Ok(Kind::Contact) => Ok(EventAspect::Contact),
        Ok(Kind::Health) => Ok(EventAspect::Health),
        Ok(Kind::Need) => Ok(EventAspect::Need),
        Ok(Kind::Household) => Ok(EventAspect::Household),
        Ok(Kind::Status) => Ok(EventAspect::Status),
        Ok(Kind::Other) => Ok(EventAspect::Other),
        Err(_) => Err(Invalid::Unknown),
    }
}

impl Shows<FileView> for v1::Resident {
    fn shows(file: &FileView) -> Self {
        let resident = &file.resident;
        let Shown { view, opened, clear } = file.shown;
        let [contact, identified, health, family, status] = [
            FieldClass::Contact,
            FieldClass::Identity,
            FieldClass::Health,
            FieldClass::Family,
            FieldClass::Status,
        ]
        .map(|class| clear.contains(class));
        let shown = |show: bool, value: &str| if show { value.to_owned() } else { String::new() };
        let identity = resident.identity.number.as_ref();
        let phone = resident.contact.phone.as_ref();
        Self {
            name: name::resident(&resident.site, &resident.id),
            etag: etag(resident.version),
            state: resident.state.number(),
            view: match view {
                View::Masked => v1::View::Masked.into(),
                View::Basic => v1::View::Basic.into(),
                View::Full => v1::View::Full.into(),
            },
            display_name: if opened.contains(FieldClass::Contact) {
                resident.contact.name.masked()
            } else {
                String::new()
            },
            masked_phone: phone.map(Phone::masked).unwrap_or_default(),
            masked_identity_number: identity
                .filter(|_| opened.contains(FieldClass::Identity))
                .map(IdentityNumber::masked)
                .unwrap_or_default(),
            full_name: shown(contact, resident.contact.name.reveal()),
            phone: shown(contact, phone.map(Phone::reveal).unwrap_or_default()),
            identity_number: shown(identified, identity.map(IdentityNumber::reveal).unwrap_or_default()),
            birth_date: if identified { date(resident.identity.birth_date) } else { String::new() },
            sex: resident.identity.sex.filter(|_| identified).map(Listed::number).unwrap_or_default(),
            dwelling: name::dwelling(&resident.site, &resident.dwelling),
            dwelling_display_name: file.dwelling_name.clone(),
            move_in_date: date(Some(resident.tenure.moved_in)),
            move_out_date: date(resident.tenure.moved_out),
            death_date: date(resident.died_on),
            emergency_contacts: if contact {
                resident.contact.emergency.iter().map(ToWire::to_wire).collect()
            } else {
                Vec::new()
            },
            needs: if status {
                resident.needs.iter().map(|need| need.number()).collect()
            } else {
                Vec::new()
            },
            family_note: shown(family, &text(resident.family.as_ref())),
            health_note: shown(health, &text(resident.health.as_ref())),
            status_note: shown(status, &text(resident.status.as_ref())),
            facts: file.facts.iter().map(ToWire::to_wire).collect(),
            tier: file.tier.map(Listed::number).unwrap_or_default(),
            proposed_tier: file.proposed_tier.map(Listed::number).unwrap_or_default(),
            groups: file.groups.iter().map(|group| group.as_str().to_owned()).collect(),
            tags: file.tags.iter().map(ToWire::to_wire).collect(),
            cautions: file.cautions.iter().map(ToWire::to_wire).collect(),
            assess_time: file.assessed_at.map(timestamp),
            assessment_stale: file.stale,
            needs_manual_assessment: file.manual,
            revealed_classes: clear.iter().map(Listed::number).collect(),
            create_time: Some(timestamp(resident.created_at)),
            update_time: Some(timestamp(resident.updated_at)),
        }
    }
}

impl Shows<EmergencyContact> for v1::EmergencyContact {
    fn shows(contact: &EmergencyContact) -> Self {
        Self {
            full_name: contact.name.reveal().to_owned(),
            phone: contact.phone.reveal().to_owned(),
            relation: text(contact.relation.as_ref()),
        }
    }
}

impl Shows<linli_core::resident::Fact> for v1::Fact {
    fn shows(fact: &linli_core::resident::Fact) -> Self {
        Self {
            field: fact.field.as_str().to_owned(),
            value: fact.value.as_ref().map(ToWire::to_wire),
            true_from_date: date(Some(fact.true_from)),
            record_time: Some(timestamp(fact.recorded_at)),
        }
    }
}

impl Shows<Coded> for v1::CodedText {
    fn shows(coded: &Coded) -> Self {
        Self {
            code: coded.code.clone(),
            text: label(&coded.text),
            plugin: coded.plugin.as_ref().map(name::plugin).unwrap_or_default(),
        }
    }
}

impl Shows<AssessmentView> for v1::Assessment {
    fn shows(assessment: &AssessmentView) -> Self {
        let issue = |issue: &(FieldCode, Coded)| v1::FactIssue {
            field: issue.0.as_str().to_owned(),
            reason: Some(issue.1.to_wire()),
        };
        Self {
            resident: name::resident(&assessment.site, &assessment.resident),
            assess_time: Some(timestamp(assessment.assessed_at)),
            tier: assessment.tier.number(),
            tier_reasons: assessment.tier_reasons.iter().map(ToWire::to_wire).collect(),
            tags: assessment.tags.iter().map(ToWire::to_wire).collect(),
            cautions: assessment.cautions.iter().map(ToWire::to_wire).collect(),
            issues: assessment.issues.iter().map(issue).collect(),
            valid_until_date: date(assessment.valid_until),
            plugins: assessment.plugins.iter().map(ToWire::to_wire).collect(),
            missing_plugins: assessment.missing.iter().map(name::plugin).collect(),
            manual_plugins: assessment.manual.iter().map(name::plugin).collect(),
        }
    }
}

impl Shows<linli_core::assessment::PluginStamp> for v1::PluginStamp {
    fn shows(stamp: &linli_core::assessment::PluginStamp) -> Self {
        Self { plugin: name::plugin(&stamp.id), version: stamp.version.clone(), digest: stamp.digest.clone() }
    }
}

impl Shows<Applied> for v1::ApplyChangeResponse {
    fn shows(applied: &Applied) -> Self {
        Self { resident: Some(applied.file.to_wire()), record: Some(applied.record.to_wire()) }
    }
}

impl Shows<MovedIn> for v1::RecordMoveInResponse {
    fn shows(moved_in: &MovedIn) -> Self {
        Self {
            resident: moved_in.file.as_ref().map(ToWire::to_wire),
            event: moved_in.event.as_ref().map(ToWire::to_wire),
        }
    }
}

impl Shows<HistoryEntry> for v1::HistoryEntry {
    fn shows(entry: &HistoryEntry) -> Self {
        Self {
            revision: i64::try_from(entry.revision).unwrap_or(i64::MAX),
            change_time: Some(timestamp(entry.changed_at)),
            principal: name::staff(&entry.author),
            fields: entry.fields.clone(),
        }
    }
}
