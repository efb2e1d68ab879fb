//! What was found of people in a survey, and what a closed one came to.

use linli_core::id::{AnswerId, DwellingId};
use linli_core::resident::{Need, PersonName, Phone};
use linli_core::survey::{
    Coverage, DuplicateSign, KeyPersonFlag, Omission, PersonFindings, SuspectedDuplicate,
};
use linli_core::time::CivilDate;
use prost::Message;

use super::sealed::Encode;
use super::text_opt;

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct FindingsForm {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    phone: Option<String>,
    #[prost(sint32, optional, tag = "3")]
    birth_date: Option<i32>,
    #[prost(string, optional, tag = "4")]
    family: Option<String>,
    #[prost(string, optional, tag = "5")]
    health: Option<String>,
    #[prost(string, repeated, tag = "6")]
    flags: Vec<String>,
    #[prost(string, repeated, tag = "7")]
    needs: Vec<String>,
    #[prost(string, optional, tag = "8")]
    difficulties: Option<String>,
}

impl Encode for PersonFindings {
    fn encode(&self) -> Vec<u8> {
        FindingsForm {
            name: self.name.as_ref().map(|name| name.reveal().to_owned()),
            phone: self.phone.as_ref().map(|phone| phone.reveal().to_owned()),
            birth_date: self.birth_date.map(CivilDate::days),
            family: self.family.as_ref().map(|text| text.as_str().to_owned()),
            health: self.health.as_ref().map(|text| text.as_str().to_owned()),
            flags: self.flags.iter().map(|flag| flag.code().to_owned()).collect(),
            needs: self.needs.iter().map(|need| need.code().to_owned()).collect(),
            difficulties: self.difficulties.as_ref().map(|text| text.as_str().to_owned()),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let form = FindingsForm::decode(bytes).ok()?;
        let flags = form.flags.iter().map(|code| KeyPersonFlag::from_code(code).ok());
        let needs = form.needs.iter().map(|code| Need::from_code(code).ok());
        Some(Self {
            name: form.name.as_deref().map(PersonName::new).transpose().ok()?,
            phone: form.phone.as_deref().map(Phone::new).transpose().ok()?,
            birth_date: form.birth_date.map(CivilDate::from_days).transpose().ok()?,
            family: text_opt(form.family.as_deref())?,
            health: text_opt(form.health.as_deref())?,
            flags: flags.collect::<Option<_>>()?,
            needs: needs.collect::<Option<_>>()?,
            difficulties: text_opt(form.difficulties.as_deref())?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct CoverageForm {
    #[prost(uint32, tag = "1")]
    registered: u32,
    #[prost(uint32, tag = "2")]
    surveyed: u32,
    #[prost(uint32, tag = "3")]
    vacant: u32,
    #[prost(uint32, tag = "4")]
    refused: u32,
    #[prost(message, repeated, tag = "5")]
    omissions: Vec<OmissionForm>,
    #[prost(message, repeated, tag = "6")]
    duplicates: Vec<DuplicateForm>,
    #[prost(uint32, tag = "7")]
    beyond: u32,
}

#[derive(Clone, PartialEq, Message)]
struct OmissionForm {
    #[prost(string, tag = "1")]
    dwelling: String,
    #[prost(uint32, tag = "2")]
    attempts: u32,
}

#[derive(Clone, PartialEq, Message)]
struct DuplicateForm {
    #[prost(string, repeated, tag = "1")]
    signs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    dwellings: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    answers: Vec<String>,
}

/// What a campaign came to, as one column: figures and names of resources, nothing of anybody.
pub(crate) fn encode_coverage(coverage: &Coverage) -> Vec<u8> {
    let omission = |omission: &Omission| OmissionForm {
        dwelling: omission.dwelling.as_str().to_owned(),
        attempts: omission.attempts,
    };
    let duplicate = |suspected: &SuspectedDuplicate| DuplicateForm {
        signs: suspected.signs.iter().map(|sign| sign.code().to_owned()).collect(),
        dwellings: suspected.dwellings.iter().map(|id| id.as_str().to_owned()).collect(),
        answers: suspected.answers.iter().map(|id| id.as_str().to_owned()).collect(),
    };
    CoverageForm {
        registered: coverage.registered,
        surveyed: coverage.surveyed,
        vacant: coverage.vacant,
        refused: coverage.refused,
        omissions: coverage.omissions.iter().map(omission).collect(),
        duplicates: coverage.duplicates.iter().map(duplicate).collect(),
        beyond: coverage.beyond,
    }
    .encode_to_vec()
}

pub(crate) fn decode_coverage(bytes: &[u8]) -> Option<Coverage> {
    let form = CoverageForm::decode(bytes).ok()?;
    let omission = |form: &OmissionForm| {
        Some(Omission { dwelling: DwellingId::new(&form.dwelling).ok()?, attempts: form.attempts })
    };
    let duplicate = |form: &DuplicateForm| {
        let signs = form.signs.iter().map(|code| DuplicateSign::from_code(code).ok());
        let dwellings = form.dwellings.iter().map(|id| DwellingId::new(id).ok());
        let answers = form.answers.iter().map(|id| AnswerId::new(id).ok());
        Some(SuspectedDuplicate {
            signs: signs.collect::<Option<_>>()?,
            dwellings: dwellings.collect::<Option<_>>()?,
            answers: answers.collect::<Option<_>>()?,
        })
    };
    Some(Coverage {
        registered: form.registered,
        surveyed: form.surveyed,
        vacant: form.vacant,
        refused: form.refused,
        omissions: form.omissions.iter().map(omission).collect::<Option<_>>()?,
        duplicates: form.duplicates.iter().map(duplicate).collect::<Option<_>>()?,
        beyond: form.beyond,
    })
}
