//! How values look inside a sealed cell and in the few composite columns: protobuf messages of the store's own, so
//! that later versions can add fields. Nothing here prints its content.

mod closing;
mod course;
mod numbers;
mod survey;

pub(crate) use closing::{Closing, decode_closing, encode_closing};
pub(crate) use course::{decode_course, encode_course};
pub(crate) use numbers::{decode_items, decode_numbers, encode_items, encode_numbers};
pub(crate) use survey::{decode_coverage, encode_coverage};

use linli_core::assessment::{Findings, FoundCaution, FoundMembership, FoundTag, FoundTier};
use linli_core::fund::{Fen, Figure, FundPurpose, Published, ReportLine};
use linli_core::id::{EventId, FieldCode, LineId, StaffId, Subject};
use linli_core::identity::IdentityNumber;
use linli_core::kind::Tier;
use linli_core::record::{Outcome, SubjectOutcome};
use linli_core::resident::{Contact, EmergencyContact, FactValue, Identity, Need, PersonName, Phone, Sex};
use linli_core::site::PostHolder;
use linli_core::text::{Line, Text};
use linli_core::time::{CivilDate, Instant};
use prost::Message;
use std::collections::BTreeMap;

use crate::convert::{date, date_opt, instant_opt, subject};

/// A value that can stand in a sealed cell.
pub trait Plain: Sized + sealed::Encode {}

impl<T: sealed::Encode> Plain for T {}

/// Keeps [`Plain`] to the types of this module, while its callers name it.
pub(crate) mod sealed {
    /// To and from the bytes inside a cell.
    pub trait Encode: Sized {
        /// The bytes.
        fn encode(&self) -> Vec<u8>;
        /// From the bytes; `None` where they are not such a value.
        fn decode(bytes: &[u8]) -> Option<Self>;
    }
}
use sealed::Encode;

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct ContactForm {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, optional, tag = "2")]
    phone: Option<String>,
    #[prost(message, repeated, tag = "3")]
    emergency: Vec<EmergencyForm>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct EmergencyForm {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    phone: String,
    #[prost(string, optional, tag = "3")]
    relation: Option<String>,
}

impl Encode for Contact {
    fn encode(&self) -> Vec<u8> {
        ContactForm {
            name: self.name.reveal().to_owned(),
            phone: self.phone.as_ref().map(|phone| phone.reveal().to_owned()),
            emergency: self
                .emergency
                .iter()
                .map(|contact| EmergencyForm {
                    name: contact.name.reveal().to_owned(),
                    phone: contact.phone.reveal().to_owned(),
                    relation: contact.relation.as_ref().map(|line| line.as_str().to_owned()),
                })
                .collect(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let form = ContactForm::decode(bytes).ok()?;
        let emergency = form.emergency.iter().map(|contact| {
            Some(EmergencyContact {
                name: PersonName::new(&contact.name).ok()?,
                phone: Phone::new(&contact.phone).ok()?,
                relation: text_opt(contact.relation.as_deref())?,
            })
        });
        Some(Self {
            name: PersonName::new(&form.name).ok()?,
            phone: form.phone.as_deref().map(Phone::new).transpose().ok()?,
            emergency: emergency.collect::<Option<_>>()?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct IdentityForm {
    #[prost(string, optional, tag = "1")]
    number: Option<String>,
    #[prost(sint32, optional, tag = "2")]
    birth_date: Option<i32>,
    #[prost(string, optional, tag = "3")]
    sex: Option<String>,
}

impl Encode for Identity {
    fn encode(&self) -> Vec<u8> {
        IdentityForm {
            number: self.number.as_ref().map(|number| number.reveal().to_owned()),
            birth_date: self.birth_date.map(CivilDate::days),
            sex: self.sex.map(|sex| sex.code().to_owned()),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let form = IdentityForm::decode(bytes).ok()?;
        Some(Self {
            number: form.number.as_deref().map(IdentityNumber::new).transpose().ok()?,
            birth_date: form.birth_date.map(CivilDate::from_days).transpose().ok()?,
            sex: form.sex.as_deref().map(Sex::from_code).transpose().ok()?,
        })
    }
}

/// Free text, as it is.
impl<const MAX: usize> Encode for Text<MAX> {
    fn encode(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Self::new(std::str::from_utf8(bytes).ok()?).ok()
    }
}

/// Free text that may be absent; the cell stands in either case, so that its presence tells nothing.
impl<const MAX: usize> Encode for Option<Text<MAX>> {
    fn encode(&self) -> Vec<u8> {
        self.as_ref().map(Encode::encode).unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() { Some(None) } else { <Text<MAX> as Encode>::decode(bytes).map(Some) }
    }
}

/// The sealed part of class `status`: difficulties in words, and what the person needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Special difficulties in words.
    pub difficulties: Option<Text<4000>>,
    /// What they need.
    pub needs: Vec<Need>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct StatusForm {
    #[prost(string, optional, tag = "1")]
    difficulties: Option<String>,
    #[prost(string, repeated, tag = "2")]
    needs: Vec<String>,
}

impl Encode for Status {
    fn encode(&self) -> Vec<u8> {
        StatusForm {
            difficulties: self.difficulties.as_ref().map(|text| text.as_str().to_owned()),
            needs: self.needs.iter().map(|need| need.code().to_owned()).collect(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let form = StatusForm::decode(bytes).ok()?;
        let needs = form.needs.iter().map(|code| Need::from_code(code).ok());
        Some(Self {
            difficulties: text_opt(form.difficulties.as_deref())?,
            needs: needs.collect::<Option<_>>()?,
        })
    }
}

#[derive(Clone, PartialEq, prost::Oneof)]
#[prost(skip_debug)]
enum FactForm {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(sint64, tag = "2")]
    Integer(i64),
    #[prost(sint32, tag = "3")]
    Date(i32),
    #[prost(string, tag = "4")]
    Code(String),
    #[prost(string, tag = "5")]
    Text(String),
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct FactValueForm {
    #[prost(oneof = "FactForm", tags = "1, 2, 3, 4, 5")]
    value: Option<FactForm>,
}

/// `None`: the attribute is no longer known.
impl Encode for Option<FactValue> {
    fn encode(&self) -> Vec<u8> {
        FactValueForm {
            value: self.as_ref().map(|value| match value {
                FactValue::Bool(value) => FactForm::Bool(*value),
                FactValue::Integer(value) => FactForm::Integer(*value),
                FactValue::Date(value) => FactForm::Date(value.days()),
                FactValue::Code(value) => FactForm::Code(value.clone()),
                FactValue::Text(value) => FactForm::Text(value.clone()),
            }),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let Some(value) = FactValueForm::decode(bytes).ok()?.value else { return Some(None) };
        Some(Some(match value {
            FactForm::Bool(value) => FactValue::Bool(value),
            FactForm::Integer(value) => FactValue::Integer(value),
            FactForm::Date(days) => FactValue::Date(CivilDate::from_days(days).ok()?),
            FactForm::Code(value) => FactValue::Code(value),
            FactForm::Text(value) => FactValue::Text(value),
        }))
    }
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct PostForm {
    #[prost(string, repeated, tag = "1")]
    buildings: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    holders: Vec<HolderForm>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct HolderForm {
    #[prost(string, tag = "1")]
    staff: String,
    #[prost(bool, tag = "2")]
    cover: bool,
    #[prost(sint32, tag = "3")]
    from: i32,
    #[prost(sint32, optional, tag = "4")]
    to: Option<i32>,
}

/// A role in some sites for a time, as it is stored.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GrantForm {
    #[prost(string, tag = "1")]
    pub(crate) role: String,
    #[prost(string, optional, tag = "2")]
    pub(crate) department: Option<String>,
    #[prost(bool, tag = "3")]
    pub(crate) everywhere: bool,
    #[prost(string, repeated, tag = "4")]
    pub(crate) sites: Vec<String>,
    #[prost(sint64, optional, tag = "5")]
    pub(crate) from: Option<i64>,
    #[prost(sint64, optional, tag = "6")]
    pub(crate) until: Option<i64>,
    #[prost(bool, tag = "7")]
    pub(crate) children: bool,
}

#[derive(Clone, PartialEq, Message)]
struct GrantsForm {
    #[prost(message, repeated, tag = "1")]
    grants: Vec<GrantForm>,
}

/// The grants of a member of staff as one column.
pub(crate) fn encode_grants(grants: Vec<GrantForm>) -> Vec<u8> {
    GrantsForm { grants }.encode_to_vec()
}

pub(crate) fn decode_grants(bytes: &[u8]) -> Option<Vec<GrantForm>> {
    GrantsForm::decode(bytes).ok().map(|form| form.grants)
}

/// Buildings and holders of a post as one column.
pub(crate) fn encode_post(buildings: &[Line], holders: &[PostHolder]) -> Vec<u8> {
    PostForm {
        buildings: buildings.iter().map(|line| line.as_str().to_owned()).collect(),
        holders: holders
            .iter()
            .map(|holder| HolderForm {
                staff: holder.staff.as_str().to_owned(),
                cover: holder.cover,
                from: holder.from.days(),
                to: holder.to.map(CivilDate::days),
            })
            .collect(),
    }
    .encode_to_vec()
}

pub(crate) fn decode_post(bytes: &[u8]) -> Option<(Vec<Line>, Vec<PostHolder>)> {
    let form = PostForm::decode(bytes).ok()?;
    let buildings = form.buildings.iter().map(|text| Line::new(text).ok()).collect::<Option<_>>()?;
    let holders = form.holders.iter().map(|holder| {
        Some(PostHolder {
            staff: StaffId::new(&holder.staff).ok()?,
            cover: holder.cover,
            from: CivilDate::from_days(holder.from).ok()?,
            to: holder.to.map(CivilDate::from_days).transpose().ok()?,
        })
    });
    Some((buildings, holders.collect::<Option<_>>()?))
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct ParametersForm {
    #[prost(btree_map = "string, message", tag = "1")]
    values: BTreeMap<String, FactValueForm>,
}

/// A site's parameters for a plugin as one column.
pub(crate) fn encode_parameters(values: &BTreeMap<FieldCode, FactValue>) -> Vec<u8> {
    let values = values.iter().map(|(field, value)| {
        let bytes = Encode::encode(&Some(value.clone()));
        (field.as_str().to_owned(), FactValueForm::decode(bytes.as_slice()).unwrap_or_default())
    });
    ParametersForm { values: values.collect() }.encode_to_vec()
}

pub(crate) fn decode_parameters(bytes: &[u8]) -> Option<BTreeMap<FieldCode, FactValue>> {
    let form = ParametersForm::decode(bytes).ok()?;
    let values = form.values.into_iter().map(|(field, value)| {
        let value: Option<FactValue> = Encode::decode(&value.encode_to_vec())?;
        Some((FieldCode::new(&field).ok()?, value?))
    });
    values.collect()
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct SubjectsForm {
    #[prost(message, repeated, tag = "1")]
    subjects: Vec<SubjectForm>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct SubjectForm {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(string, tag = "3")]
    outcome: String,
    #[prost(string, repeated, tag = "4")]
    answers: Vec<String>,
    /// Microseconds since the Unix epoch; absent where it is the first version's.
    #[prost(sint64, optional, tag = "5")]
    recorded_at: Option<i64>,
}

/// The subjects of a record, without content, as one column; beside each since when it counts as recorded, where that is
/// not since the first version.
pub(crate) fn encode_subjects<'a>(
    subjects: impl IntoIterator<Item = (&'a SubjectOutcome, Option<Instant>)>,
) -> Vec<u8> {
    let subjects = subjects.into_iter().map(|(subject, recorded_at)| SubjectForm {
        kind: subject.subject.kind().code().to_owned(),
        id: subject.subject.id_text().to_owned(),
        outcome: subject.outcome.code().to_owned(),
        answers: subject.answers.iter().map(|event| event.as_str().to_owned()).collect(),
        recorded_at: recorded_at.map(Instant::micros),
    });
    SubjectsForm { subjects: subjects.collect() }.encode_to_vec()
}

pub(crate) fn decode_subjects(bytes: &[u8]) -> Option<Vec<(SubjectOutcome, Option<Instant>)>> {
    let form = SubjectsForm::decode(bytes).ok()?;
    let subjects = form.subjects.iter().map(|form| {
        let answers = form.answers.iter().map(|event| EventId::new(event).ok());
        let outcome = SubjectOutcome {
            subject: subject(&form.kind, &form.id)?,
            outcome: Outcome::from_code(&form.outcome).ok()?,
            answers: answers.collect::<Option<_>>()?,
            content: None,
        };
        Some((outcome, instant_opt(form.recorded_at)?))
    });
    subjects.collect()
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct PublishedForm {
    #[prost(message, repeated, tag = "1")]
    lines: Vec<ReportLineForm>,
    #[prost(sint64, tag = "2")]
    together: i64,
    #[prost(uint64, tag = "3")]
    together_helped: u64,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct ReportLineForm {
    #[prost(string, tag = "1")]
    line: String,
    #[prost(string, tag = "2")]
    title: String,
    #[prost(string, tag = "3")]
    purpose: String,
    #[prost(sint64, tag = "4")]
    budget: i64,
    #[prost(sint64, tag = "5")]
    paid: i64,
    #[prost(uint64, tag = "6")]
    helped: u64,
    #[prost(bool, tag = "7")]
    withheld: bool,
    #[prost(uint64, tag = "8")]
    read_to: u64,
    #[prost(uint64, tag = "9")]
    people_to: u64,
}

/// What a publication of the fund shows, as one column.
pub(crate) fn encode_published(shown: &Published) -> Vec<u8> {
    let lines = shown.lines.iter().map(|line| ReportLineForm {
        line: line.line.as_str().to_owned(),
        title: line.title.as_str().to_owned(),
        purpose: line.purpose.code().to_owned(),
        budget: line.budget.get(),
        paid: line.paid.amount.get(),
        helped: line.paid.helped,
        withheld: line.withheld,
        read_to: line.read_to,
        people_to: line.people_to,
    });
    PublishedForm {
        lines: lines.collect(),
        together: shown.together.amount.get(),
        together_helped: shown.together.helped,
    }
    .encode_to_vec()
}

pub(crate) fn decode_published(bytes: &[u8]) -> Option<Published> {
    let form = PublishedForm::decode(bytes).ok()?;
    let lines = form.lines.iter().map(|form| {
        Some(ReportLine {
            line: LineId::new(&form.line).ok()?,
            title: Line::new(&form.title).ok()?,
            purpose: FundPurpose::from_code(&form.purpose).ok()?,
            budget: Fen::balance(form.budget)?,
            paid: Figure { amount: Fen::balance(form.paid)?, helped: form.helped },
            withheld: form.withheld,
            read_to: form.read_to,
            people_to: form.people_to,
        })
    });
    Some(Published {
        lines: lines.collect::<Option<_>>()?,
        together: Figure { amount: Fen::balance(form.together)?, helped: form.together_helped },
    })
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct FindingsForm {
    #[prost(message, repeated, tag = "1")]
    memberships: Vec<FoundForm>,
    #[prost(message, repeated, tag = "2")]
    tiers: Vec<FoundForm>,
    #[prost(message, repeated, tag = "3")]
    tags: Vec<FoundForm>,
    #[prost(message, repeated, tag = "4")]
    cautions: Vec<FoundForm>,
}

/// One finding: what, why, and for memberships from when to when.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct FoundForm {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(sint64, optional, tag = "3")]
    since: Option<i64>,
    #[prost(sint64, optional, tag = "4")]
    until: Option<i64>,
}

fn found(code: &str, reason: &linli_core::id::ReasonCode) -> FoundForm {
    FoundForm { code: code.to_owned(), reason: reason.as_str().to_owned(), since: None, until: None }
}

/// Findings but for their `valid_until`, which is a column.
pub(crate) fn encode_findings(findings: &Findings) -> Vec<u8> {
    let day = |date: Option<CivilDate>| date.map(|date| i64::from(date.days()));
    FindingsForm {
        memberships: findings
            .memberships
            .iter()
            .map(|m| FoundForm {
                since: day(m.since),
                until: day(m.until),
                ..found(m.group.as_str(), &m.reason)
            })
            .collect(),
        tiers: findings.tiers.iter().map(|t| found(t.tier.code(), &t.reason)).collect(),
        tags: findings.tags.iter().map(|t| found(t.tag.as_str(), &t.reason)).collect(),
        cautions: findings.cautions.iter().map(|c| found(c.caution.as_str(), &c.reason)).collect(),
    }
    .encode_to_vec()
}

pub(crate) fn decode_findings(bytes: &[u8], valid_until: Option<i64>) -> Option<Findings> {
    use linli_core::id::{CautionCode, GroupCode, ReasonCode, TagCode};
    let form = FindingsForm::decode(bytes).ok()?;
    let reason = |form: &FoundForm| ReasonCode::new(&form.reason).ok();
    let membership = |form: &FoundForm| {
        Some(FoundMembership {
            group: GroupCode::new(&form.code).ok()?,
            reason: reason(form)?,
            since: form.since.map(date).map_or(Some(None), |d| d.map(Some))?,
            until: form.until.map(date).map_or(Some(None), |d| d.map(Some))?,
        })
    };
    let tier =
        |form: &FoundForm| Some(FoundTier { tier: Tier::from_code(&form.code).ok()?, reason: reason(form)? });
    let tag =
        |form: &FoundForm| Some(FoundTag { tag: TagCode::new(&form.code).ok()?, reason: reason(form)? });
    let caution = |form: &FoundForm| {
        Some(FoundCaution { caution: CautionCode::new(&form.code).ok()?, reason: reason(form)? })
    };
    Some(Findings {
        memberships: form.memberships.iter().map(membership).collect::<Option<_>>()?,
        tiers: form.tiers.iter().map(tier).collect::<Option<_>>()?,
        tags: form.tags.iter().map(tag).collect::<Option<_>>()?,
        cautions: form.cautions.iter().map(caution).collect::<Option<_>>()?,
        valid_until: date_opt(valid_until)?,
    })
}

/// Optional text; the outer `None` says that the bytes are not valid text.
fn text_opt<const MAX: usize>(text: Option<&str>) -> Option<Option<Text<MAX>>> {
    text.map(Text::new).transpose().ok()
}

/// The subject as it stands in keys.
pub(crate) fn subject_columns(subject: &Subject) -> (String, String) {
    (subject.kind().code().to_owned(), subject.id_text().to_owned())
}
