//! The built-in catalogue: the standards that hold for everybody. Plugins declare those of their groups.
//!
//! Numbers marked [`Confidence::Verified`] are fixed by the regulation (物业公司特殊群体关怀服务制度) and must come out
//! exactly; those marked [`Confidence::Inferred`] are editable defaults of this product.

mod request;

use self::request::requests;
use crate::facility::Law;
use crate::group::Citation;
use crate::id::{GroupCode, StandardCode, SubjectKind, TagCode};
use crate::invalid::Invalid;
use crate::kind::{Confidence, Department, EventKind, KindSet, Occasion, ServiceKind as Kind, Tier};
use crate::request::{RequestKind, RequestUrgency};
use crate::site::AreaKind;
use crate::standard::{
    Duty, LadderStep, OccasionRef, Origin, Period, RunsOn, Selector, Standard, Substitute, Within,
};
use crate::text::Label;
use crate::time::{CivilDate, DateRange};

/// Days before a festival on which its visit may take place.
pub const FESTIVAL_LEAD_DAYS: u16 = 7;
/// The tag under which plugins mark people who are hard of hearing.
pub const HEARING_TAG: &str = "hearing";

/// Every standard of the catalogue, in order of code.
pub fn standards() -> Vec<Standard> {
    let mut entries = entries();
    entries.extend(festivals());
    // INVARIANT: codes are literals of this file and of the right shape; a test counts them.
    let mut standards: Vec<Standard> =
        entries.into_iter().filter_map(|entry| entry.standard().ok()).collect();
    standards.sort_by(|a, b| a.code.cmp(&b.code));
    standards
}

/// A row of the table.
struct Entry {
    code: String,
    zh: String,
    en: String,
    subject: SubjectKind,
    applies_to: Selector,
    duty: Duty,
    accepts: KindSet,
    department: Department,
    priority: u8,
    prorate: bool,
    pausable: bool,
    runs_on: RunsOn,
    ladder: Option<LadderStep>,
    /// The article of the regulation, for numbers that it fixes.
    article: Option<&'static str>,
    /// The law behind a number of ours.
    law: Option<Law>,
    /// What stands in for calls to people tagged hard of hearing.
    hearing: KindSet,
}

impl Entry {
    fn new(code: &str, zh: &str, en: &str, subject: SubjectKind, duty: Duty, accepts: &[Kind]) -> Self {
        Self {
            code: code.to_owned(),
            zh: zh.to_owned(),
            en: en.to_owned(),
            subject,
            applies_to: Selector::default(),
            duty,
            accepts: KindSet::of(accepts),
            department: Department::CustomerService,
            priority: 3,
            prorate: false,
            pausable: false,
            runs_on: RunsOn::All,
            ladder: None,
            article: None,
            law: None,
            hearing: KindSet::EMPTY,
        }
    }

    fn by(self, department: Department, priority: u8) -> Self {
        Self { department, priority, ..self }
    }

    fn fixed_by(self, article: &'static str) -> Self {
        Self { article: Some(article), ..self }
    }

    fn flagged(mut self) -> Self {
        self.applies_to.flagged = true;
        self
    }

    fn areas(mut self, kinds: &[AreaKind]) -> Self {
        self.applies_to.area_kinds = kinds.to_vec();
        self
    }

    fn asked(mut self, kinds: &[RequestKind], urgency: RequestUrgency) -> Self {
        self.applies_to.request_kinds = kinds.to_vec();
        self.applies_to.request_urgencies = vec![urgency];
        self
    }

    fn tiers(mut self, min: Option<Tier>, max: Option<Tier>) -> Self {
        self.applies_to.min_tier = min;
        self.applies_to.max_tier = max;
        self
    }

    fn step(self, attempt: u8, quiet_hours: bool) -> Self {
        Self { ladder: Some(LadderStep { attempt, quiet_hours }), ..self }
    }

    fn hearing(self, kinds: KindSet) -> Self {
        Self { hearing: kinds, ..self }
    }

    fn standard(self) -> Result<Standard, Invalid> {
        let citation = match (self.article, self.law) {
            (Some(article), _) => Citation {
                instrument: Label::new(
                    "物业公司特殊群体关怀服务制度",
                    "Regulation on care for special groups by property companies",
                ),
                locator: article.to_owned(),
                confidence: Confidence::Verified,
            },
            (None, Some(law)) => law.citation(Confidence::Inferred),
            (None, None) => Citation {
                instrument: Label::new("本系统默认值", "default of this product"),
                locator: String::new(),
                confidence: Confidence::Inferred,
            },
        };
        let mut substitutes = Vec::new();
        if !self.hearing.is_empty() {
            substitutes.push(Substitute { tag: TagCode::new(HEARING_TAG)?, kinds: self.hearing });
        }
        Ok(Standard {
            code: StandardCode::new(&self.code)?,
            version: 1,
            title: Label::new(self.zh, self.en),
            citation,
            subject: self.subject,
            applies_to: self.applies_to,
            duty: self.duty,
            accepts: self.accepts,
            substitutes,
            department: self.department,
            priority: self.priority,
            prorate: self.prorate,
            pausable: self.pausable,
            runs_on: self.runs_on,
            ladder: self.ladder,
            effective: DateRange::from(CivilDate::MIN),
            origin: Origin::Catalogue,
        })
    }
}

fn every(at_least: u16, per: Period) -> Duty {
    Duty::Recurring { at_least, per, distinct_days: false }
}

fn after(on: EventKind, within: Within, any_match: bool) -> Duty {
    Duty::Triggered { on, within, any_match }
}

fn entries() -> Vec<Entry> {
    use SubjectKind::{Area, Dwelling, Facility, Resident, Site};
    let mut entries = vec![
        Entry::new(
            "survey.move_in",
            "新住户入住摸排",
            "survey after a household moved in",
            Dwelling,
            after(EventKind::HouseholdMovedIn, Within::Days(15), true),
            &[Kind::Survey],
        )
        .by(Department::CustomerService, 2)
        .fixed_by("第六条第3项"),
        Entry::new(
            "survey.review",
            "档案季度复核",
            "quarterly review of every file",
            Resident,
            every(1, Period::Quarter),
            &[Kind::Review, Kind::Survey],
        )
        .fixed_by("第六条第3项"),
        Entry::new(
            "survey.full",
            "年度全面摸排",
            "yearly survey of every dwelling",
            Dwelling,
            every(1, Period::Year),
            &[Kind::Survey],
        )
        .by(Department::CustomerService, 4)
        .fixed_by("第六条第3项"),
        Entry::new(
            "file.update",
            "信息变更24小时内更新",
            "file update within 24 hours of a reported change",
            Resident,
            after(EventKind::ChangeReported, Within::Hours(24), false),
            &[Kind::FileUpdate],
        )
        .by(Department::CustomerService, 2)
        .fixed_by("第七条第2项"),
        Entry::new(
            "file.record",
            "服务记录24小时内补录",
            "record of a service within 24 hours",
            Resident,
            after(EventKind::ServiceDone, Within::Hours(24), false),
            &[],
        )
        .by(Department::CustomerService, 4),
        Entry::new(
            "facility.inspect",
            "无障碍设施日常巡检",
            "daily inspection of accessible facilities",
            Facility,
            every(1, Period::Day),
            &[Kind::Inspection],
        )
        .by(Department::Engineering, 2)
        .fixed_by("第五条第3项"),
        Entry::new(
            "patrol.night",
            "夜间重点巡逻",
            "night patrol near flagged homes",
            Area,
            every(1, Period::Day),
            &[Kind::Patrol],
        )
        .by(Department::Security, 2)
        .flagged(),
        Entry::new(
            "passage.check",
            "无障碍通道检查",
            "check of accessible passages",
            Area,
            every(1, Period::Day),
            &[Kind::PassageCheck],
        )
        .by(Department::Security, 3)
        .areas(&[AreaKind::Passage]),
        Entry {
            runs_on: RunsOn::SchoolDays,
            ..Entry::new(
                "schoolrun.post",
                "护学岗",
                "school-run post",
                Area,
                every(2, Period::Day),
                &[Kind::Post],
            )
            .by(Department::Security, 2)
            .areas(&[AreaKind::Gate])
        },
        Entry::new(
            "clean.area",
            "重点区域增加清扫",
            "extra cleaning near flagged homes",
            Area,
            every(2, Period::Week),
            &[Kind::Cleaning],
        )
        .by(Department::Cleaning, 3)
        .flagged(),
        Entry::new(
            "disinfect.area",
            "重点区域消杀",
            "disinfection near flagged homes",
            Area,
            every(1, Period::Week),
            &[Kind::Disinfection],
        )
        .by(Department::Cleaning, 3)
        .flagged(),
        Entry::new(
            "pause.check",
            "暂停逾期核实",
            "check after a pause outlived its expected return",
            Resident,
            after(EventKind::PauseOverdue, Within::Days(1), true),
            &[Kind::HomeVisit, Kind::PhoneCall, Kind::VideoCall, Kind::AnsweredMessage, Kind::DoorCheck],
        )
        .by(Department::CustomerService, 1),
        Entry::new(
            "fund.publish",
            "专项经费公示",
            "publication of the care fund",
            Site,
            every(1, Period::Quarter),
            &[Kind::Publication],
        )
        .by(Department::Finance, 3),
    ];
    // Home safety: every flagged dwelling by the quarter, those of high attention by the month. One check credits both.
    for (code, zh, en, per, tier) in [
        ("home.safety", "居家安全排查", "home safety check", Period::Quarter, None),
        (
            "home.safety.high",
            "居家安全排查（高度关注）",
            "home safety check, high attention",
            Period::Month,
            Some(Tier::High),
        ),
    ] {
        entries.push(Entry {
            prorate: true,
            pausable: true,
            ..Entry::new(code, zh, en, Dwelling, every(1, per), &[Kind::SafetyCheck])
                .by(Department::Engineering, 3)
                .flagged()
                .tiers(tier, None)
        });
    }
    entries.extend(ladder());
    entries.extend(requests());
    entries.extend(referrals());
    entries
}

/// The clocks of referrals: the body answers, and what it took on comes to its end. Customer service asks after both.
fn referrals() -> [Entry; 2] {
    [
        Entry::new(
            "referral.acknowledge",
            "转介答复",
            "referral answered by the body",
            SubjectKind::Resident,
            after(EventKind::ReferralSent, Within::Days(3), false),
            &[Kind::ReferralAnswered, Kind::ReferralClosed],
        )
        .by(Department::CustomerService, 2),
        Entry::new(
            "referral.close",
            "转介办结",
            "referral brought to its end",
            SubjectKind::Resident,
            after(EventKind::ReferralAccepted, Within::Days(30), false),
            &[Kind::ReferralAnswered, Kind::ReferralClosed],
        )
        .by(Department::CustomerService, 3),
    ]
}

/// Code, names, attempt, time allowed, the same at high tier, own kinds, department.
type Step = (&'static str, &'static str, &'static str, u8, Within, Within, &'static [Kind], Department);

/// After a contact that did not reach the person: second try → emergency contact → door → authorities.
fn ladder() -> Vec<Entry> {
    let steps: [Step; 4] = [
        (
            "retry",
            "再次联系",
            "second try",
            2,
            Within::Hours(2),
            Within::Minutes(30),
            &[Kind::PhoneCall, Kind::VideoCall, Kind::HomeVisit],
            Department::CustomerService,
        ),
        (
            "emergency_contact",
            "联系紧急联系人",
            "call to the emergency contact",
            3,
            Within::Hours(1),
            Within::Minutes(15),
            &[],
            Department::CustomerService,
        ),
        (
            "door",
            "上门查看",
            "check at the door",
            4,
            Within::Hours(1),
            Within::Minutes(30),
            &[],
            Department::Security,
        ),
        (
            "authority",
            "报告居委会或110/120",
            "report to the neighbourhood committee or 110/120",
            5,
            Within::Minutes(5),
            Within::Minutes(5),
            &[],
            Department::CustomerService,
        ),
    ];
    // A step further up answers every step below it.
    let higher = [Kind::EmergencyContactCall, Kind::DoorCheck, Kind::AuthorityReport];
    let mut entries = Vec::new();
    for (position, (code, zh, en, attempt, usual, high, own, department)) in steps.into_iter().enumerate() {
        let further = higher.get(position.saturating_sub(1)..).unwrap_or_default();
        let accepts: Vec<Kind> = own.iter().chain(further).copied().collect();
        // Who is hard of hearing is written to rather than called again; an answer to a message proves safety anyhow.
        let unheard = if own.is_empty() { KindSet::EMPTY } else { KindSet::of(&[Kind::AnsweredMessage]) };
        let entry = |suffix: &str, zh: &str, en: &str, within| {
            let code = format!("contact.ladder.{code}{suffix}");
            let duty = after(EventKind::ContactNotReached, within, true);
            Entry::new(&code, zh, en, SubjectKind::Resident, duty, &accepts)
                .by(department, 1)
                .hearing(unheard)
        };
        if attempt == 5 {
            entries.push(entry("", zh, en, usual).step(attempt, false));
        } else {
            let (high_zh, high_en) = (format!("{zh}（高度关注）"), format!("{en}, high attention"));
            entries.push(entry("", zh, en, usual).tiers(None, Some(Tier::Key)).step(attempt, true));
            entries.push(
                entry(".high", &high_zh, &high_en, high).tiers(Some(Tier::High), None).step(attempt, false),
            );
        }
    }
    entries
}

/// Festival visits by group (fact sheet, 8.3).
fn festivals() -> Vec<Entry> {
    const ELDERS: &[&str] = &["living_alone", "empty_nest", "advanced_age"];
    const MILITARY: &[&str] = &["disabled_service_member", "veteran", "survivor"];
    let occasions: [(Occasion, &[&str]); 11] = [
        (Occasion::SpringFestival, &[]),
        (Occasion::DragonBoat, &[]),
        (Occasion::MidAutumn, &[]),
        (Occasion::DoubleNinth, ELDERS),
        (Occasion::Qingming, &["survivor"]),
        (Occasion::MartyrsDay, &["survivor"]),
        (Occasion::MothersDay, &["pregnant", "nursing"]),
        (Occasion::HelpDisabledDay, &["disabled"]),
        (Occasion::DisabilityDay, &["disabled"]),
        (Occasion::ChildrensDay, &["child_in_difficulty"]),
        (Occasion::ArmyDay, MILITARY),
    ];
    let entries = occasions.into_iter().map(|(occasion, groups)| {
        let duty = Duty::Seasonal {
            occasion: OccasionRef::BuiltIn(occasion),
            lead_days: FESTIVAL_LEAD_DAYS,
            tail_days: 0,
        };
        let code = format!("festival.visit.{}", occasion.code());
        let zh = format!("{}慰问", occasion.zh());
        let en = format!("visit for {}", occasion.en());
        let accepts = [Kind::FestivalVisit, Kind::HomeVisit];
        let mut entry = Entry::new(&code, &zh, &en, SubjectKind::Resident, duty, &accepts);
        entry.applies_to.any_group = groups.iter().filter_map(|group| GroupCode::new(group).ok()).collect();
        entry.pausable = true;
        entry
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_a_standard() {
        let standards = standards();
        assert_eq!(standards.len(), entries().len() + festivals().len());
        assert!(standards.is_sorted_by(|a, b| a.code < b.code), "codes are unique");
        for standard in &standards {
            assert!(!standard.title.zh.is_empty() && !standard.title.en.is_empty(), "{}", standard.code);
            assert!((1..=5).contains(&standard.priority), "{}", standard.code);
            let groups = standard.applies_to.any_group.len();
            assert!(groups <= 3, "{}", standard.code);
            let same = |other: &&Standard| {
                other.title.zh == standard.title.zh || other.title.en == standard.title.en
            };
            assert_eq!(standards.iter().filter(same).count(), 1, "{} has a title of its own", standard.code);
        }
    }

    #[test]
    fn what_the_regulation_fixes() {
        let check = |code: &str, duty: Duty, locator: &str| {
            let standard = standards().into_iter().find(|s| s.code.as_str() == code).unwrap();
            assert_eq!(standard.duty, duty, "{code}");
            let citation = &standard.citation;
            assert_eq!(
                (citation.confidence, citation.locator.as_str()),
                (Confidence::Verified, locator),
                "{code}"
            );
            assert!(!standard.pausable, "{code}");
        };
        check("survey.move_in", after(EventKind::HouseholdMovedIn, Within::Days(15), true), "第六条第3项");
        check("survey.review", every(1, Period::Quarter), "第六条第3项");
        check("survey.full", every(1, Period::Year), "第六条第3项");
        check("file.update", after(EventKind::ChangeReported, Within::Hours(24), false), "第七条第2项");
        check("facility.inspect", every(1, Period::Day), "第五条第3项");
    }

    #[test]
    fn a_step_further_up_answers_those_below() {
        let ladder: Vec<Standard> =
            standards().into_iter().filter(|s| s.code.as_str().starts_with("contact.ladder.")).collect();
        assert_eq!(ladder.len(), 7);
        for below in &ladder {
            for above in &ladder {
                let step = |s: &Standard| s.ladder.map_or(0, |l| l.attempt);
                if step(below) < step(above) {
                    assert!(above.accepts.is_subset(below.accepts), "{} {}", below.code, above.code);
                }
            }
        }
    }
}
