//! Rules for pregnancy and for the first year with a child.
//!
//! `plugin.toml` holds every class, number and source; this file decides which of them apply. `scenarios.txt` is the
//! table of cases that this crate, the host and the suite run.
//!
//! Weeks are counted from 280 days before the due date. Every membership says its end in advance: 42 days after the due
//! date, where nobody recorded a birth, and the child's first birthday. The end of a pregnancy, for whatever reason, ends
//! it at once and puts nothing to anybody. For the same reason the tier stays general unless she asks for more: lowering a
//! tier is put to staff. A pregnancy that began after a recorded end is a new one.

use linli_plugin_sdk::{
    Basis, Date, Fact, Facts, Findings, Issues, Membership, Rules, Tier, any_of, export_plugin,
};

linli_plugin_sdk::manifest!();
use manifest::{Caution, Field, Group, Reason, Tag};

/// Days from the first day of the last period to the due date.
const PREGNANCY_DAYS: i64 = 280;
/// Week in which the early phase is over.
const MIDDLE_WEEKS: i64 = 13;
/// A birth belongs to a due date of at most so many days later: the next one lies 280 days ahead at least, a birth that
/// a child survives some 130 days before its date at most.
const SAME_PREGNANCY_DAYS: i64 = 180;

/// The windows of the antenatal checks: tag, reason, first week, first week no longer.
const CHECKS: [(Tag, Reason, i64, i64); 5] = [
    (Tag::MaternityCheck1, Reason::Window1, 0, 13),
    (Tag::MaternityCheck2, Reason::Window2, 16, 21),
    (Tag::MaternityCheck3, Reason::Window3, 21, 25),
    (Tag::MaternityCheck4, Reason::Window4, 28, 37),
    (Tag::MaternityCheck5, Reason::Window5, 37, 41),
];
/// The days after the birth on which the check of the 42nd day is mentioned: first, and first no longer.
const LAST_CHECK_DAYS: (i64, i64) = (28, 43);

/// Everything that the rules read.
#[derive(Facts)]
struct Woman {
    today: Date,
    expected_due_date: Fact<Date>,
    pregnancy_ended: Fact<bool>,
    child_born_on: Fact<Date>,
    nursing_ended: Fact<bool>,
    priority_help: Fact<bool>,
    check_reminders: Fact<bool>,
    hearing_impaired: Fact<bool>,
    late_weeks: i64,
    priority_weeks: i64,
    postpartum_days: i64,
    after_due_days: i64,
}

/// A span of care: from its beginning to its end, the first day no longer, and since when it counts.
#[derive(Clone, Copy)]
struct Span {
    begin: Date,
    end: Date,
    since: Date,
    /// She no longer wants it.
    withdrawn: bool,
}

impl Woman {
    /// The pregnancy of the due date, while it lasts and unless a birth ended it. Ended or not, it is told apart.
    fn pregnancy(&self) -> Option<Span> {
        let due = self.expected_due_date.value?;
        let (begin, end) = (due.plus_days(-PREGNANCY_DAYS), due.plus_days(self.after_due_days));
        let born = self.child_born_on.value.filter(|born| *born <= self.today);
        let over = born.is_some_and(|born| due <= born.plus_days(SAME_PREGNANCY_DAYS));
        let since = self.expected_due_date.since;
        let withdrawn = withdrawn(&self.pregnancy_ended, begin);
        let span = Span { begin, end, since: since.max(begin), withdrawn };
        (begin <= self.today && self.today < end && !over).then_some(span)
    }

    /// The first year with the youngest child, while it lasts. Ended or not, it is told apart.
    fn nursing(&self) -> Option<Span> {
        let begin = self.child_born_on.value?;
        let end = begin.plus_years(1);
        let since = self.child_born_on.since;
        let withdrawn = withdrawn(&self.nursing_ended, begin);
        let span = Span { begin, end, since: since.max(begin), withdrawn };
        (begin <= self.today && self.today < end).then_some(span)
    }
}

/// Whether an end was recorded after the beginning of what it would end. When that itself was recorded does not matter: a
/// due date that is corrected or imported again must not bring back what is over.
fn withdrawn(ended: &Fact<bool>, begin: Date) -> bool {
    ended.is(true).is_some_and(|ended| ended == Date::ALWAYS || ended >= begin)
}

struct Maternity;

impl Rules for Maternity {
    type Facts = Woman;

    fn assess(woman: &Woman, found: &mut Findings<'_>) {
        let (pregnancy, nursing) = (woman.pregnancy(), woman.nursing());
        let not_yet = woman.expected_due_date.value.map(|due| due.plus_days(-PREGNANCY_DAYS));
        for day in [not_yet, woman.child_born_on.value].into_iter().flatten().filter(|day| *day > woman.today)
        {
            found.expires(day);
        }
        let over = pregnancy.filter(|span| span.withdrawn).or(nursing.filter(|span| span.withdrawn));
        if over.is_some() {
            found.caution(Caution::AskNothing, Reason::Withdrew);
        }
        for span in [pregnancy, nursing].into_iter().flatten() {
            found.expires(span.end);
        }
        let pregnancy = pregnancy.filter(|span| !span.withdrawn);
        let nursing = nursing.filter(|span| !span.withdrawn);
        if let Some(span) = pregnancy {
            member(found, Group::Pregnant, span, Reason::DeclaredPregnant);
            expecting(woman, found, span);
        }
        if let Some(span) = nursing {
            member(found, Group::Nursing, span, Reason::ChildUnderOne);
            first_year(woman, found, span);
        }
        let Some(since) = any_of([pregnancy, nursing].map(|span| span.map(|span| span.since))) else {
            return;
        };
        for caution in
            [Caution::Private, Caution::NoMedicalQuestions, Caution::Violence, Caution::EvacuateFirst]
        {
            let reason = if pregnancy.is_some() { Reason::DeclaredPregnant } else { Reason::FirstYear };
            found.caution(caution, reason);
        }
        if let Some(asked) = woman.priority_help.is(true) {
            found.tier(Tier::Key, asked.max(since), Reason::AsksPriority);
            found.tag(Tag::MaternityPriority, asked.max(since), Reason::AsksPriority);
            found.caution(Caution::KeepRouteFree, Reason::AsksPriority);
        }
        if let Some(impaired) = woman.hearing_impaired.is(true) {
            found.tag(Tag::Hearing, impaired, Reason::HearingImpaired);
            found.caution(Caution::TextFirst, Reason::HearingImpaired);
        }
    }

    fn validate(woman: &Woman, found: &mut Issues<'_>) {
        if woman.child_born_on.value.is_some_and(|born| born > woman.today) {
            found.issue(Field::ChildBornOn, Reason::DateInFuture);
        }
        if woman.expected_due_date.value.is_some_and(|due| due > woman.today.plus_days(PREGNANCY_DAYS)) {
            found.issue(Field::ExpectedDueDate, Reason::DueTooFar);
        }
        let declared_again = woman.pregnancy_ended.is(true).is_some_and(|ended| {
            ended != Date::ALWAYS && woman.expected_due_date.known().is_some_and(|since| since > ended)
        });
        if declared_again && woman.pregnancy().is_some_and(|span| span.withdrawn) {
            found.issue(Field::PregnancyEnded, Reason::EndStands);
        }
    }
}

fn member(found: &mut Findings<'_>, group: Group, span: Span, reason: Reason) {
    let (since, until) = (span.since, Some(span.end));
    found.membership(Membership { group, basis: Basis::Rule, since, until, reason });
    found.tier(Tier::General, since, reason);
}

/// Phase, priority near term, and the window of the next check.
fn expecting(woman: &Woman, found: &mut Findings<'_>, span: Span) {
    let week = |weeks: i64| span.begin.plus_days(7 * weeks);
    let (middle, late, near_term) = (week(MIDDLE_WEEKS), week(woman.late_weeks), week(woman.priority_weeks));
    for (tag, reason, first, end) in [
        (Tag::MaternityEarly, Reason::Early, span.begin, middle),
        (Tag::MaternityMiddle, Reason::Middle, middle, late),
        (Tag::MaternityLate, Reason::Late, late, span.end),
        (Tag::MaternityPriority, Reason::NearTerm, near_term, span.end),
    ] {
        during(woman, found, tag, reason, [first, end], span);
    }
    if woman.check_reminders.is(true).is_some() {
        for (tag, reason, first, end) in CHECKS {
            during(woman, found, tag, reason, [week(first), week(end)], span);
        }
    }
    found.caution(Caution::HelpAtDoor, Reason::DeclaredPregnant);
    if woman.today >= late {
        found.caution(Caution::EmergencyCard, Reason::Late);
    }
    if woman.today >= near_term {
        found.caution(Caution::KeepRouteFree, Reason::NearTerm);
    }
}

/// Childbed, and what helps until the first birthday.
fn first_year(woman: &Woman, found: &mut Findings<'_>, span: Span) {
    let day = |days: i64| span.begin.plus_days(days);
    let childbed_over = day(woman.postpartum_days + 1);
    during(woman, found, Tag::MaternityPostpartum, Reason::Childbed, [span.begin, childbed_over], span);
    if woman.today < childbed_over {
        found.caution(Caution::QuietAndClean, Reason::Childbed);
    }
    if woman.check_reminders.is(true).is_some() {
        let (first, end) = LAST_CHECK_DAYS;
        during(woman, found, Tag::MaternityCheck6, Reason::Window6, [day(first), day(end)], span);
    }
    found.caution(Caution::MotherAndChild, Reason::FirstYear);
}

/// A tag from the first day until the end, the first day no longer; says when that changes.
fn during(woman: &Woman, found: &mut Findings<'_>, tag: Tag, reason: Reason, days: [Date; 2], span: Span) {
    let [first, end] = days;
    if first > woman.today {
        found.expires(first);
    } else if end > woman.today {
        found.tag(tag, first.max(span.since), reason);
        found.expires(end);
    }
}

export_plugin!(Maternity);

#[cfg(test)]
mod tests {
    use super::Maternity;
    use linli_plugin_sdk::testing;

    const SCENARIOS: &str = include_str!("../scenarios.txt");

    #[test]
    fn rules_agree_with_the_scenarios() {
        testing::check::<Maternity>(SCENARIOS);
    }

    #[test]
    fn every_declared_code_occurs_in_a_scenario() {
        assert_eq!(testing::unused::<Maternity>(SCENARIOS), Vec::<String>::new());
    }
}
