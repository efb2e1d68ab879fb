//! What is promised to whoever asks for something, and in an emergency.

use super::{Entry, after};
use crate::id::SubjectKind;
use crate::kind::{Department, EventKind, ServiceKind as Kind};
use crate::request::{RequestKind, RequestUrgency};
use crate::standard::Within;

/// What is asked for, as far as clocks differ: the kinds, who comes, and the time until they are there and until it is done,
/// for routine, priority and emergency.
struct Asked {
    code: &'static str,
    names: (&'static str, &'static str),
    kinds: &'static [RequestKind],
    arrival: (&'static str, &'static str),
    arrive: [Option<Within>; 3],
    finish: [Option<Within>; 3],
}

const ASKED: [Asked; 7] = {
    use RequestKind as K;
    const THERE: (&str, &str) = ("到场", "arrival");
    const fn minutes(n: u32) -> Option<Within> {
        Some(Within::Minutes(n))
    }
    const fn hours(n: u32) -> Option<Within> {
        Some(Within::Hours(n))
    }
    [
        Asked {
            code: "errand",
            names: ("代办", "errand"),
            kinds: &[K::ErrandShopping, K::ErrandParcel, K::ErrandBill, K::ErrandMedicine, K::Other],
            arrival: THERE,
            arrive: [hours(4), hours(2), None],
            finish: [hours(24), hours(12), None],
        },
        Asked {
            code: "complaint",
            names: ("投诉", "complaint"),
            kinds: &[K::Complaint],
            arrival: ("答复", "first answer"),
            arrive: [hours(24), hours(12), None],
            finish: [hours(72), hours(48), None],
        },
        Asked {
            code: "repair",
            names: ("上门维修", "home repair"),
            kinds: &[K::Repair],
            arrival: THERE,
            arrive: [hours(2), minutes(30), minutes(15)],
            finish: [hours(24), hours(12), hours(4)],
        },
        Asked {
            code: "defect",
            names: ("无障碍设施维修", "repair of a facility"),
            kinds: &[K::FacilityDefect],
            arrival: THERE,
            arrive: [hours(4), hours(1), None],
            finish: [hours(48), hours(24), None],
        },
        Asked {
            code: "help",
            names: ("开门护送", "door help or escort"),
            kinds: &[K::DoorHelp, K::Escort],
            arrival: THERE,
            arrive: [minutes(30), minutes(10), minutes(5)],
            finish: [hours(4), hours(2), hours(1)],
        },
        Asked {
            code: "cleaning",
            names: ("室内清理", "help indoors"),
            kinds: &[K::IndoorHelp],
            arrival: THERE,
            arrive: [hours(4), hours(2), None],
            finish: [hours(24), hours(12), None],
        },
        Asked {
            code: "emergency",
            names: ("紧急求助", "emergency"),
            kinds: &[K::Emergency],
            arrival: THERE,
            arrive: [None, None, minutes(5)],
            finish: [None, None, hours(4)],
        },
    ]
};

/// The clocks of requests by urgency and kind. In an emergency all of them run from the moment it was reported.
pub(super) fn requests() -> Vec<Entry> {
    use RequestUrgency as U;
    let urgencies = [
        (U::Routine, "", "", ""),
        (U::Priority, ".priority", "（优先）", ", priority"),
        (U::Emergency, ".emergency", "（紧急）", ", emergency"),
    ];
    let entry = |code: String, zh: String, en: String, duty, accepts: &[Kind]| {
        Entry::new(&code, &zh, &en, SubjectKind::Request, duty, accepts)
    };
    let mut entries = Vec::new();
    for (at, (urgency, suffix, zh_suffix, en_suffix)) in urgencies.into_iter().enumerate() {
        let is_emergency = urgency == U::Emergency;
        let (accept, follow_up) = match urgency {
            U::Routine => (Within::Minutes(30), Within::Hours(48)),
            U::Priority => (Within::Minutes(15), Within::Hours(24)),
            U::Emergency => (Within::Minutes(1), Within::Hours(24)),
        };
        // Whoever is there has taken it up.
        let taken_up: &[Kind] = if is_emergency {
            &[Kind::RequestAccepted, Kind::RequestArrived]
        } else {
            &[Kind::RequestAccepted]
        };
        let desk = if is_emergency { Department::Security } else { Department::CustomerService };
        entries.push(
            entry(
                format!("request.accept{suffix}"),
                format!("工单受理{zh_suffix}"),
                format!("request accepted{en_suffix}"),
                after(EventKind::RequestSubmitted, accept, true),
                taken_up,
            )
            .by(desk, 1)
            .asked(&[], urgency),
        );
        entries.push(
            entry(
                format!("request.follow_up{suffix}"),
                format!("工单回访{zh_suffix}"),
                format!("follow-up of a request{en_suffix}"),
                after(EventKind::RequestDone, follow_up, true),
                &[Kind::FollowUp],
            )
            .by(Department::CustomerService, 3)
            .asked(&[], urgency),
        );
        for asked in &ASKED {
            let (zh, en) = asked.names;
            // What is always an emergency is not called one twice.
            let own = asked.arrive.iter().flatten().count() == 1;
            let (suffix, zh_suffix, en_suffix) =
                if own { ("", "", "") } else { (suffix, zh_suffix, en_suffix) };
            let department =
                asked.kinds.first().map_or(Department::CustomerService, |kind| kind.department());
            let (arrive_on, finish_on) = if is_emergency {
                (EventKind::RequestSubmitted, EventKind::RequestSubmitted)
            } else {
                (EventKind::RequestDispatched, EventKind::RequestAccepted)
            };
            let (there_zh, there_en) = asked.arrival;
            let steps = [
                ("arrive", there_zh, there_en, arrive_on, &asked.arrive, Kind::RequestArrived, 1),
                ("finish", "完成", "done", finish_on, &asked.finish, Kind::RequestFinished, 2),
            ];
            for (step, step_zh, step_en, on, times, accepts, priority) in steps {
                let Some(within) = times.get(at).copied().flatten() else { continue };
                let entry = entry(
                    format!("request.{step}.{}{suffix}", asked.code),
                    format!("{zh}{step_zh}{zh_suffix}"),
                    format!("{en}: {step_en}{en_suffix}"),
                    after(on, within, true),
                    &[accepts],
                );
                let entry = entry.by(department, priority).asked(asked.kinds, urgency);
                let is_law = asked.kinds.contains(&RequestKind::FacilityDefect);
                entries.push(if is_law {
                    Entry { law: Some(crate::facility::REPAIR), ..entry }
                } else {
                    entry
                });
            }
        }
    }
    for (code, zh, en, minutes, kind, about_somebody) in [
        (
            "authority",
            "报告110/119/120或居委会",
            "report to the authorities",
            5,
            Kind::AuthorityReport,
            false,
        ),
        ("family", "通知家属", "family told", 10, Kind::EmergencyContactCall, true),
        ("supervisor", "上报项目负责人", "supervisor told", 30, Kind::SupervisorReport, false),
    ] {
        let entry = entry(
            format!("request.told.{code}"),
            format!("紧急情况{zh}"),
            format!("emergency: {en}"),
            after(EventKind::RequestSubmitted, Within::Minutes(minutes), true),
            &[kind],
        );
        let entry = entry.by(Department::Security, 1).asked(&[], U::Emergency);
        entries.push(if about_somebody { entry.flagged() } else { entry });
    }
    entries.push(
        entry(
            "request.review".to_owned(),
            "工单复核".to_owned(),
            "deputy's review of a request".to_owned(),
            after(EventKind::RequestReviewDue, Within::Days(3), true),
            &[Kind::RequestReviewed],
        )
        .by(Department::CustomerService, 2),
    );
    entries
}
