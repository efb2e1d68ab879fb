//! Rules for households in hardship: 低保, 特困, 低保边缘, 刚性支出.
//!
//! `plugin.toml` holds every class, number and source; this file decides which of them apply. `scenarios.txt` is the
//! table of cases that this crate and the host run.
//!
//! Somebody is a member while the certificate was seen, holds (its last day included) and was confirmed within the last
//! twelve months (the twelfth month's day included). When one of these ends, the membership is no longer found: the host
//! proposes an exit, duties and tags go on, and the caution says why. 特困 are cared for with the 低保 group at key attention,
//! 刚性支出 with the 低保边缘 group. Amounts are nowhere read.

use linli_plugin_sdk::{Date, Fact, Facts, Findings, Issues, Rules, Tier, all_of, any_of, export_plugin};

linli_plugin_sdk::manifest!();
use manifest::{Caution, Field, Group, HardshipClass, Reason, Tag};

/// Everything that the rules read.
#[derive(Facts)]
struct Household {
    today: Date,
    hardship_class: Fact<HardshipClass>,
    hardship_certificate_seen: Fact<bool>,
    hardship_checked_on: Fact<Date>,
    hardship_valid_until: Fact<Date>,
    dispersed_support: Fact<bool>,
    severely_disabled: Fact<bool>,
    disability_grade: Fact<i64>,
    hearing_impaired: Fact<bool>,
    confirm_months: i64,
    recheck_months: i64,
    remind_days: i64,
}

/// What the certificate is worth today.
enum Standing {
    /// Nobody has seen it yet.
    Unseen,
    /// Its last day has passed.
    Expired,
    /// Too long ago that somebody confirmed it.
    Unconfirmed,
    /// It holds.
    Confirmed {
        /// From when on all of this was known.
        since: Date,
        /// The day of the last check.
        checked_on: Date,
    },
}

impl Household {
    /// The class that the certificate states, and from when on; 特困 known from elsewhere counts like 特困 here.
    fn class(&self) -> Option<(HardshipClass, Date)> {
        let destitute =
            any_of([self.dispersed_support.is(true), self.hardship_class.is(HardshipClass::Destitute)]);
        match destitute {
            Some(since) => Some((HardshipClass::Destitute, since)),
            None => self.hardship_class.value.map(|class| (class, self.hardship_class.since)),
        }
    }

    fn standing(&self) -> Standing {
        let checked = self.hardship_checked_on.fulfils(|day| *day <= self.today);
        let since = all_of([self.hardship_certificate_seen.is(true), checked]);
        let (Some(since), Some(checked_on)) = (since, self.hardship_checked_on.value) else {
            return Standing::Unseen;
        };
        if self.hardship_valid_until.value.is_some_and(|last_day| last_day < self.today) {
            Standing::Expired
        } else if checked_on.plus_months(self.confirm_months) < self.today {
            Standing::Unconfirmed
        } else {
            Standing::Confirmed { since, checked_on }
        }
    }
}

struct Hardship;

impl Rules for Hardship {
    type Facts = Household;

    fn assess(household: &Household, found: &mut Findings<'_>) {
        let Some((class, stated)) = household.class() else { return };
        let (group, tier, reason, referral) = match class {
            HardshipClass::SubsistenceAllowance => (
                Group::SubsistenceAllowance,
                Tier::General,
                Reason::SubsistenceAllowance,
                Caution::ReferDailyHelp,
            ),
            HardshipClass::Destitute => {
                (Group::SubsistenceAllowance, Tier::Key, Reason::Destitute, Caution::ReferDailyHelp)
            }
            HardshipClass::NearThreshold => {
                (Group::NearThreshold, Tier::General, Reason::NearThreshold, Caution::ReferSpecialAssistance)
            }
            HardshipClass::RigidExpenses => {
                (Group::NearThreshold, Tier::General, Reason::RigidExpenses, Caution::ReferSpecialAssistance)
            }
            HardshipClass::None => return,
        };
        // Tags follow the class, not the certificate: what the standards select by stays until staff confirm an exit.
        if class == HardshipClass::Destitute {
            found.tag(Tag::Destitute, stated, reason);
        }
        if let Some(hearing) = household.hearing_impaired.is(true) {
            found.tag(Tag::Hearing, stated.max(hearing), Reason::HearingImpaired);
            found.caution(Caution::TextFirst, Reason::HearingImpaired);
        }
        found.caution(Caution::Discreet, reason);

        let (since, checked_on) = match household.standing() {
            Standing::Unseen => {
                if let Some(ahead) = household.hardship_checked_on.value.filter(|day| *day > household.today)
                {
                    found.expires(ahead);
                }
                return found.caution(Caution::SeeCertificate, Reason::CertificateNotSeen);
            }
            Standing::Expired => return found.caution(Caution::SeeCertificate, Reason::CertificateExpired),
            Standing::Unconfirmed => return found.caution(Caution::SeeCertificate, Reason::NotReconfirmed),
            Standing::Confirmed { since, checked_on } => (stated.max(since), checked_on),
        };
        found.member(group, since, reason);
        found.tier(tier, since, reason);
        found.caution(referral, reason);
        let disabled = any_of([household.severely_disabled.is(true), household.disability_grade.known()]);
        if group == Group::SubsistenceAllowance && disabled.is_some() {
            found.caution(Caution::ReferDisabilitySubsidy, Reason::AllowanceAndDisability);
        }
        deadlines(household, checked_on, found);
    }

    fn validate(household: &Household, found: &mut Issues<'_>) {
        let checked_on = household.hardship_checked_on.value;
        if checked_on.is_some_and(|day| day > household.today) {
            found.issue(Field::HardshipCheckedOn, Reason::DateInFuture);
        }
        if let (Some(checked_on), Some(last_day)) = (checked_on, household.hardship_valid_until.value)
            && last_day < checked_on
        {
            found.issue(Field::HardshipValidUntil, Reason::ExpiredWhenChecked);
        }
        if household.hardship_certificate_seen.is(true).is_some() {
            if household.class().is_none() {
                found.issue(Field::HardshipClass, Reason::ClassMissing);
            }
            if checked_on.is_none() {
                found.issue(Field::HardshipCheckedOn, Reason::CheckedOnMissing);
            }
        }
        let other_class = household.hardship_class.fulfils(|class| *class != HardshipClass::Destitute);
        if all_of([household.dispersed_support.is(true), other_class]).is_some() {
            found.issue(Field::HardshipClass, Reason::SupportContradictsClass);
        }
    }
}

/// What is due about the certificate itself, and when the answer changes.
fn deadlines(household: &Household, checked_on: Date, found: &mut Findings<'_>) {
    let recheck = checked_on.plus_months(household.recheck_months);
    if recheck <= household.today {
        found.caution(Caution::RecheckCertificate, Reason::RecheckDue);
    } else {
        found.expires(recheck);
    }
    found.expires(checked_on.plus_months(household.confirm_months).plus_days(1));
    let Some(last_day) = household.hardship_valid_until.value else { return };
    let remind = last_day.plus_days(-household.remind_days);
    if remind <= household.today {
        found.caution(Caution::RenewCertificate, Reason::ExpiresSoon);
    } else {
        found.expires(remind);
    }
    found.expires(last_day.plus_days(1));
}

export_plugin!(Hardship);

#[cfg(test)]
mod tests {
    use super::Hardship;
    use linli_plugin_sdk::testing;

    const SCENARIOS: &str = include_str!("../scenarios.txt");

    #[test]
    fn rules_agree_with_the_scenarios() {
        testing::check::<Hardship>(SCENARIOS);
    }

    #[test]
    fn every_declared_code_occurs_in_a_scenario() {
        assert_eq!(testing::unused::<Hardship>(SCENARIOS), Vec::<String>::new());
    }
}
