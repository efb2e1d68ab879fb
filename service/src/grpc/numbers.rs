//! The numbers of standards on the wire: how often, how fast, around what.

use linli_core::id::FieldCode;
use linli_core::invalid::Invalid;
use linli_core::kind::{KindSet, Occasion, ServiceKind};
use linli_core::standard::{Duty, OccasionRef, Period, Within};
use linli_core::stricter::Numbers;
use linli_proto::v1;
use v1::standard_numbers::Duty as WireDuty;

use super::check::Check;
use super::convert::{Listed, Shows};

/// Most times in one period.
const AT_LEAST_MAX: u16 = 100;
/// Longest period, in days.
const EVERY_DAYS_MAX: u16 = 366;
/// Most units of a response time.
const WITHIN_MAX: u32 = 10_000;
/// Most days before and after an occasion.
const AROUND_MAX: u16 = 60;

impl Shows<Numbers> for v1::StandardNumbers {
    fn shows(numbers: &Numbers) -> Self {
        Self { duty: Some(duty(&numbers.duty)), accepts: numbers.accepts.map(kinds).unwrap_or_default() }
    }
}

pub(super) fn duty(duty: &Duty) -> WireDuty {
    match duty {
        Duty::Recurring { at_least, per, distinct_days } => {
            let (per, every_days) = period(*per);
            WireDuty::Recurring(v1::RecurringDuty {
                at_least: (*at_least).into(),
                per: per.into(),
                every_days,
                distinct_days: *distinct_days,
            })
        }
        Duty::Triggered { on, within, any_match } => {
            let (within, unit) = match within {
                Within::Minutes(minutes) => (*minutes, v1::WithinUnit::Minutes),
                Within::Hours(hours) => (*hours, v1::WithinUnit::Hours),
                Within::Days(days) => (*days, v1::WithinUnit::Days),
            };
            WireDuty::Triggered(v1::TriggeredDuty {
                on: on.number(),
                within: i32::try_from(within).unwrap_or(i32::MAX),
                unit: unit.into(),
                any_match: *any_match,
            })
        }
        Duty::Seasonal { occasion, lead_days, tail_days } => WireDuty::Seasonal(v1::SeasonalDuty {
            occasion: match occasion {
                OccasionRef::BuiltIn(occasion) => occasion.code().to_owned(),
                OccasionRef::Site(code) => code.as_str().to_owned(),
            },
            lead_days: (*lead_days).into(),
            tail_days: (*tail_days).into(),
        }),
    }
}

/// A window of the civil calendar, with the length that `EVERY_DAYS` needs.
pub(super) fn period(period: Period) -> (v1::PeriodUnit, i32) {
    match period {
        Period::Day => (v1::PeriodUnit::Day, 0),
        Period::Week => (v1::PeriodUnit::Week, 0),
        Period::Month => (v1::PeriodUnit::Month, 0),
        Period::Quarter => (v1::PeriodUnit::Quarter, 0),
        Period::Year => (v1::PeriodUnit::Year, 0),
        Period::EveryDays(days) => (v1::PeriodUnit::EveryDays, days.into()),
    }
}

pub(super) fn kinds(kinds: KindSet) -> Vec<i32> {
    kinds.iter().map(Listed::number).collect()
}

/// Numbers that must be there.
pub(super) fn numbers(
    check: &mut Check,
    path: &str,
    message: Option<&v1::StandardNumbers>,
) -> Option<Numbers> {
    let Some(message) = message else {
        check.refuse(path, Invalid::Missing);
        return None;
    };
    let duty = match &message.duty {
        None => {
            check.refuse(format!("{path}.duty"), Invalid::Missing);
            None
        }
        Some(WireDuty::Recurring(duty)) => recurring(check, &format!("{path}.recurring"), duty),
        Some(WireDuty::Triggered(duty)) => triggered(check, &format!("{path}.triggered"), duty),
        Some(WireDuty::Seasonal(duty)) => seasonal(check, &format!("{path}.seasonal"), duty),
    };
    let kinds = message.accepts.iter().enumerate();
    let kinds: Vec<Option<ServiceKind>> =
        kinds.map(|(at, kind)| check.take(format!("{path}.accepts[{at}]"), Listed::listed(*kind))).collect();
    let kinds = kinds.into_iter().collect::<Option<KindSet>>();
    let (duty, kinds) = duty.zip(kinds)?;
    Some(Numbers { duty, accepts: Some(kinds).filter(|kinds| !kinds.is_empty()) })
}

fn recurring(check: &mut Check, path: &str, message: &v1::RecurringDuty) -> Option<Duty> {
    let at_least = check.take(format!("{path}.at_least"), within(message.at_least, 1, AT_LEAST_MAX));
    let every = format!("{path}.every_days");
    let is_days = message.per == i32::from(v1::PeriodUnit::EveryDays);
    if !is_days && message.every_days != 0 {
        check.refuse(every.clone(), Invalid::NotAllowed);
    }
    let per = match v1::PeriodUnit::try_from(message.per) {
        Ok(v1::PeriodUnit::Unspecified) => check.take(format!("{path}.per"), Err(Invalid::Missing)),
        Ok(v1::PeriodUnit::Day) => Some(Period::Day),
        Ok(v1::PeriodUnit::Week) => Some(Period::Week),
        Ok(v1::PeriodUnit::Month) => Some(Period::Month),
        Ok(v1::PeriodUnit::Quarter) => Some(Period::Quarter),
        Ok(v1::PeriodUnit::Year) => Some(Period::Year),
        Ok(v1::PeriodUnit::EveryDays) => {
            check.take(every, within(message.every_days, 1, EVERY_DAYS_MAX)).map(Period::EveryDays)
        }
        Err(_) => check.take(format!("{path}.per"), Err(Invalid::Unknown)),
    };
    let (at_least, per) = at_least.zip(per)?;
    Some(Duty::Recurring { at_least, per, distinct_days: message.distinct_days })
}

fn triggered(check: &mut Check, path: &str, message: &v1::TriggeredDuty) -> Option<Duty> {
    let on = check.take(format!("{path}.on"), Listed::listed(message.on));
    let time = check.take(format!("{path}.within"), within(message.within, 1, WITHIN_MAX));
    let unit = match v1::WithinUnit::try_from(message.unit) {
        Ok(v1::WithinUnit::Unspecified) => Err(Invalid::Missing),
        Ok(v1::WithinUnit::Minutes) => Ok(Within::Minutes as fn(u32) -> Within),
        Ok(v1::WithinUnit::Hours) => Ok(Within::Hours as fn(u32) -> Within),
        Ok(v1::WithinUnit::Days) => Ok(Within::Days as fn(u32) -> Within),
        Err(_) => Err(Invalid::Unknown),
    };
    let unit = check.take(format!("{path}.unit"), unit);
    let (on, (time, unit)) = on.zip(time.zip(unit))?;
    Some(Duty::Triggered { on, within: unit(time), any_match: message.any_match })
}

fn seasonal(check: &mut Check, path: &str, message: &v1::SeasonalDuty) -> Option<Duty> {
    let occasion = match Occasion::from_code(&message.occasion) {
        Ok(occasion) => Ok(OccasionRef::BuiltIn(occasion)),
        Err(_) if message.occasion.is_empty() => Err(Invalid::Missing),
        Err(_) => FieldCode::new(&message.occasion).map(OccasionRef::Site),
    };
    let occasion = check.take(format!("{path}.occasion"), occasion);
    let lead = check.take(format!("{path}.lead_days"), within(message.lead_days, 0, AROUND_MAX));
    let tail = check.take(format!("{path}.tail_days"), within(message.tail_days, 0, AROUND_MAX));
    let (occasion, (lead_days, tail_days)) = occasion.zip(lead.zip(tail))?;
    Some(Duty::Seasonal { occasion, lead_days, tail_days })
}

/// A number between two others, both included.
fn within<T: TryFrom<i32> + Into<i64> + Copy>(number: i32, min: i32, max: T) -> Result<T, Invalid> {
    if number < min {
        return Err(Invalid::TooSmall { min: min.into() });
    }
    match T::try_from(number) {
        Ok(value) if i64::from(number) <= max.into() => Ok(value),
        Ok(_) | Err(_) => Err(Invalid::TooLarge { max: max.into() }),
    }
}
