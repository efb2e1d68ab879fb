//! What requests about care files say: from messages to the words of the use cases, with every violation.

use linli_core::event::EventAspect;
use linli_core::id::{FieldCode, ResidentId, SiteId, StaffId};
use linli_core::identity::IdentityNumber;
use linli_core::invalid::Invalid;
use linli_core::resident::{
    Contact, EMERGENCY_CONTACTS_MAX, EmergencyContact, FACTS_MAX, FieldClass, FileState, Identity, Need,
    PersonName, Phone, Sex,
};
use linli_core::text::{Line, Paragraph};
use linli_core::time::CivilDate;
use linli_proto::v1;

use crate::app::change::Reported;
use crate::app::file::{FileChange, NewFact, NewFile};
use crate::app::resident::{Filter, View};
use crate::error::Result;
use crate::grpc::check::Check;
use crate::grpc::consent::guardian;
use crate::grpc::convert::{Listed, fact_value};
use crate::grpc::request::{Mask, required_date};
use crate::name::{self, Sites};

/// Most files that one call asks for by name: a page of a worklist.
const NAMES_MAX: usize = 100;

/// The file that a message describes; `None` and notes of why not.
pub(in crate::grpc) fn new_file(
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

/// Somebody whose file is to be opened, as far as duplicates are looked for: name, dwelling, numbers, birth date.
pub(in crate::grpc) fn described(
    check: &mut Check,
    site: Option<&SiteId>,
    resident: &v1::Resident,
) -> Option<NewFile> {
    let dwelling = check.take("resident.dwelling", name::parse_dwelling(&resident.dwelling));
    if let (Some(site), Some(dwelling)) = (site, &dwelling) {
        check.same_site("resident.dwelling", site, &dwelling.site);
    }
    let read = v1::Resident {
        full_name: resident.full_name.clone(),
        phone: resident.phone.clone(),
        identity_number: resident.identity_number.clone(),
        birth_date: resident.birth_date.clone(),
        ..v1::Resident::default()
    };
    let (dwelling, personal) = dwelling.zip(personal(check, "resident", &read))?;
    Some(NewFile { dwelling: dwelling.id, ..personal })
}

/// The personal part of a file, with a placeholder dwelling and move-in.
pub(in crate::grpc) fn personal(check: &mut Check, path: &str, resident: &v1::Resident) -> Option<NewFile> {
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
    let guardian = guardian(check, path, resident.guardian_consent.as_ref());
    let contact =
        name.zip(phone.zip(emergency)).map(|(name, (phone, emergency))| Contact { name, phone, emergency });
    let identity = number.zip(birth_date.zip(sex)).map(|(number, (birth_date, sex))| Identity {
        number,
        birth_date,
        sex,
    });
    let words = family.zip(health.zip(status));
    let (contact, (identity, (words, (needs, (facts, guardian_consent))))) =
        contact.zip(identity.zip(words.zip(needs.zip(facts.zip(guardian)))))?;
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
        guardian_consent,
    })
}

pub(super) fn file_change(check: &mut Check, mask: &Mask, resident: &v1::Resident) -> Option<FileChange> {
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

/// What somebody needs, each once.
pub(in crate::grpc) fn needs(check: &mut Check, path: &str, numbers: &[i32]) -> Option<Vec<Need>> {
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

pub(super) fn filter(message: &v1::ListResidentsRequest) -> Result<Filter> {
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

/// The files that are asked for by name: at least one, all of one site, each once.
pub(super) fn batch(message: &v1::BatchGetResidentsRequest) -> Result<(SiteId, Vec<ResidentId>, View)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let view = check.take("view", view(message.view));
    if message.names.is_empty() {
        check.refuse("names", Invalid::Missing);
    }
    if message.names.len() > NAMES_MAX {
        check.refuse("names", Invalid::TooMany { max: NAMES_MAX });
    }
    let mut ids: Vec<ResidentId> = Vec::new();
    for (at, text) in message.names.iter().take(NAMES_MAX).enumerate() {
        let Some(named) = check.take(format!("names[{at}]"), name::parse_resident(text)) else { continue };
        if let Some(site) = &site {
            check.same_site(format!("names[{at}]"), site, &named.site);
        }
        if ids.contains(&named.id) {
            check.refuse(format!("names[{at}]"), Invalid::Duplicate);
        }
        ids.push(named.id);
    }
    let (site, view) = check.finish(site.zip(view))?;
    Ok((site, ids, view))
}

/// The classes that are asked for: at least one, each once.
pub(in crate::grpc) fn classes(check: &mut Check, field: &str, numbers: &[i32]) -> Option<Vec<FieldClass>> {
    if numbers.is_empty() {
        check.refuse(field, Invalid::Missing);
        return None;
    }
    let mut classes = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let class = check.take(format!("{field}[{at}]"), FieldClass::listed(*number))?;
        if classes.contains(&class) {
            check.refuse(format!("{field}[{at}]"), Invalid::Duplicate);
            return None;
        }
        classes.push(class);
    }
    Some(classes)
}

pub(super) fn view(number: i32) -> std::result::Result<View, Invalid> {
    match v1::View::try_from(number) {
        Ok(v1::View::Unspecified | v1::View::Masked) => Ok(View::Masked),
        Ok(v1::View::Basic) => Ok(View::Basic),
        Ok(v1::View::Full) => Ok(View::Full),
        Err(_) => Err(Invalid::Unknown),
    }
}

/// What a report may say that happened; the other kinds come about in other ways.
pub(super) fn reported_kind(number: i32) -> std::result::Result<Reported, Invalid> {
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
            | Kind::RequestReviewDue
            | Kind::ReferralSent
            | Kind::ReferralAccepted
            | Kind::ServiceDone,
        ) => Err(Invalid::NotAllowed),
        Err(_) => Err(Invalid::Unknown),
    }
}

/// What a reported change is about.
pub(in crate::grpc) fn change_aspect(number: i32) -> std::result::Result<EventAspect, Invalid> {
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

/// Names of staff.
pub(in crate::grpc) fn staff(check: &mut Check, field: &str, names: &[String]) -> Option<Vec<StaffId>> {
    let mut parsed = Vec::with_capacity(names.len());
    for (at, staff) in names.iter().enumerate() {
        parsed.push(check.take(format!("{field}[{at}]"), name::parse_staff(staff)));
    }
    parsed.into_iter().collect()
}
