//! The numbers of overrides and of care plans, each as one column; and what a care plan says in words.

use linli_core::care_plan::{PlanItem, PlanWords};
use linli_core::id::{FieldCode, StandardCode};
use linli_core::kind::{EventKind, KindSet, Occasion, ServiceKind};
use linli_core::standard::{Duty, OccasionRef, Period, Within};
use linli_core::stricter::Numbers;
use linli_core::text::Line;
use prost::Message;

use super::sealed::Encode;
use super::text_opt;

#[derive(Clone, PartialEq, Message)]
struct NumbersForm {
    #[prost(oneof = "DutyForm", tags = "1, 2, 3")]
    duty: Option<DutyForm>,
    #[prost(message, optional, tag = "4")]
    accepts: Option<KindsForm>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum DutyForm {
    #[prost(message, tag = "1")]
    Recurring(RecurringForm),
    #[prost(message, tag = "2")]
    Triggered(TriggeredForm),
    #[prost(message, tag = "3")]
    Seasonal(SeasonalForm),
}

#[derive(Clone, PartialEq, Message)]
struct RecurringForm {
    #[prost(uint32, tag = "1")]
    at_least: u32,
    #[prost(string, tag = "2")]
    per: String,
    /// The length of windows of days.
    #[prost(uint32, tag = "3")]
    days: u32,
    #[prost(bool, tag = "4")]
    distinct_days: bool,
}

#[derive(Clone, PartialEq, Message)]
struct TriggeredForm {
    #[prost(string, tag = "1")]
    on: String,
    #[prost(uint32, tag = "2")]
    within: u32,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(bool, tag = "4")]
    any_match: bool,
}

#[derive(Clone, PartialEq, Message)]
struct SeasonalForm {
    #[prost(string, tag = "1")]
    occasion: String,
    #[prost(bool, tag = "2")]
    of_site: bool,
    #[prost(uint32, tag = "3")]
    lead_days: u32,
    #[prost(uint32, tag = "4")]
    tail_days: u32,
}

#[derive(Clone, PartialEq, Message)]
struct KindsForm {
    #[prost(string, repeated, tag = "1")]
    kinds: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ItemsForm {
    #[prost(message, repeated, tag = "1")]
    items: Vec<ItemForm>,
}

#[derive(Clone, PartialEq, Message)]
struct ItemForm {
    #[prost(string, tag = "1")]
    standard: String,
    #[prost(message, optional, tag = "2")]
    numbers: Option<NumbersForm>,
}

/// The numbers of an override as one column.
pub(crate) fn encode_numbers(numbers: &Numbers) -> Vec<u8> {
    form(numbers).encode_to_vec()
}

pub(crate) fn decode_numbers(bytes: &[u8]) -> Option<Numbers> {
    numbers(&NumbersForm::decode(bytes).ok()?)
}

/// The items of a care plan as one column.
pub(crate) fn encode_items(items: &[PlanItem]) -> Vec<u8> {
    let items = items.iter().map(|item| ItemForm {
        standard: item.standard.as_str().to_owned(),
        numbers: Some(form(&item.numbers)),
    });
    ItemsForm { items: items.collect() }.encode_to_vec()
}

pub(crate) fn decode_items(bytes: &[u8]) -> Option<Vec<PlanItem>> {
    let form = ItemsForm::decode(bytes).ok()?;
    let items = form.items.iter().map(|item| {
        Some(PlanItem {
            standard: StandardCode::new(&item.standard).ok()?,
            numbers: numbers(item.numbers.as_ref()?)?,
        })
    });
    items.collect()
}

fn form(numbers: &Numbers) -> NumbersForm {
    let duty = match &numbers.duty {
        Duty::Recurring { at_least, per, distinct_days } => {
            let (per, days) = period_text(*per);
            DutyForm::Recurring(RecurringForm {
                at_least: u32::from(*at_least),
                per: per.to_owned(),
                days,
                distinct_days: *distinct_days,
            })
        }
        Duty::Triggered { on, within, any_match } => {
            let (within, unit) = match within {
                Within::Minutes(n) => (*n, "minutes"),
                Within::Hours(n) => (*n, "hours"),
                Within::Days(n) => (*n, "days"),
            };
            DutyForm::Triggered(TriggeredForm {
                on: on.code().to_owned(),
                within,
                unit: unit.to_owned(),
                any_match: *any_match,
            })
        }
        Duty::Seasonal { occasion, lead_days, tail_days } => {
            let (code, of_site) = match occasion {
                OccasionRef::BuiltIn(occasion) => (occasion.code(), false),
                OccasionRef::Site(code) => (code.as_str(), true),
            };
            DutyForm::Seasonal(SeasonalForm {
                occasion: code.to_owned(),
                of_site,
                lead_days: u32::from(*lead_days),
                tail_days: u32::from(*tail_days),
            })
        }
    };
    let accepts = numbers
        .accepts
        .map(|accepts| KindsForm { kinds: accepts.iter().map(|kind| kind.code().to_owned()).collect() });
    NumbersForm { duty: Some(duty), accepts }
}

fn numbers(form: &NumbersForm) -> Option<Numbers> {
    let small = |number: u32| u16::try_from(number).ok();
    let duty = match form.duty.as_ref()? {
        DutyForm::Recurring(form) => Duty::Recurring {
            at_least: small(form.at_least)?,
            per: period(&form.per, form.days)?,
            distinct_days: form.distinct_days,
        },
        DutyForm::Triggered(form) => Duty::Triggered {
            on: EventKind::from_code(&form.on).ok()?,
            within: match form.unit.as_str() {
                "minutes" => Within::Minutes(form.within),
                "hours" => Within::Hours(form.within),
                "days" => Within::Days(form.within),
                _ => return None,
            },
            any_match: form.any_match,
        },
        DutyForm::Seasonal(form) => Duty::Seasonal {
            occasion: if form.of_site {
                OccasionRef::Site(FieldCode::new(&form.occasion).ok()?)
            } else {
                OccasionRef::BuiltIn(Occasion::from_code(&form.occasion).ok()?)
            },
            lead_days: small(form.lead_days)?,
            tail_days: small(form.tail_days)?,
        },
    };
    let accepts = match &form.accepts {
        Some(form) => {
            let kinds = form.kinds.iter().map(|code| ServiceKind::from_code(code).ok());
            Some(kinds.collect::<Option<KindSet>>()?)
        }
        None => None,
    };
    Some(Numbers { duty, accepts })
}

fn period_text(period: Period) -> (&'static str, u32) {
    match period {
        Period::Day => ("day", 0),
        Period::Week => ("week", 0),
        Period::Month => ("month", 0),
        Period::Quarter => ("quarter", 0),
        Period::Year => ("year", 0),
        Period::EveryDays(days) => ("days", u32::from(days)),
    }
}

fn period(text: &str, days: u32) -> Option<Period> {
    match text {
        "day" => Some(Period::Day),
        "week" => Some(Period::Week),
        "month" => Some(Period::Month),
        "quarter" => Some(Period::Quarter),
        "year" => Some(Period::Year),
        "days" => u16::try_from(days).ok().map(Period::EveryDays),
        _ => None,
    }
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct PlanWordsForm {
    #[prost(string, repeated, tag = "1")]
    reasons: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    cautions: Vec<String>,
    #[prost(string, optional, tag = "3")]
    note: Option<String>,
}

impl Encode for PlanWords {
    fn encode(&self) -> Vec<u8> {
        let texts = |lines: &[Line]| lines.iter().map(|line| line.as_str().to_owned()).collect();
        PlanWordsForm {
            reasons: texts(&self.reasons),
            cautions: texts(&self.cautions),
            note: self.note.as_ref().map(|note| note.as_str().to_owned()),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let form = PlanWordsForm::decode(bytes).ok()?;
        let lines =
            |texts: &[String]| texts.iter().map(|text| Line::new(text).ok()).collect::<Option<Vec<_>>>();
        Some(Self {
            reasons: lines(&form.reasons)?,
            cautions: lines(&form.cautions)?,
            note: text_opt(form.note.as_deref())?,
        })
    }
}
