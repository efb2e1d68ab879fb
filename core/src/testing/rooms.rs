//! A change of room: who flags which place when, against the plainest words there are, day by day.

use std::sync::Arc;

use crate::applied::{Place, Standing, Timeline, applied_to_place};
use crate::assessment::Attention;
use crate::id::{DwellingId, SubjectKind};
use crate::kind::Tier;
use crate::resident::{FormerDwelling, days_lived};
use crate::testing::history::site;
use crate::testing::random::Random;
use crate::time::{CivilDate, DateRange, Instant};

const SEED: u64 = 7_050_000;
const CASES: u64 = 3_000;

/// Where somebody lives on a day.
fn dwelling_on<'a>(former: &'a [FormerDwelling], present: &'a DwellingId, day: CivilDate) -> &'a DwellingId {
    former.iter().find(|former| day < former.until).map_or(present, |former| &former.dwelling)
}

#[test]
fn a_resident_flags_every_dwelling_on_the_days_there_and_no_other() {
    println!("seed {SEED}, cases {CASES}");
    let standard = crate::catalogue::standards().into_iter().find(|s| s.code.as_str() == "home.safety.high");
    let timelines = Timeline::of_site(&[Arc::new(standard.unwrap())], &site());
    let start = CivilDate::from_ymd(2026, 3, 1).unwrap();
    let doors: Vec<DwellingId> = ["a", "b", "c"].iter().map(|id| DwellingId::new(id).unwrap()).collect();
    let exists = DateRange::from(start);
    let (mut there, mut moved) = (0, 0);
    for seed in SEED..SEED + CASES {
        let random = &mut Random::new(seed);
        let day = |random: &mut Random| start.plus_days(random.days(0, 60));
        let mut moves: Vec<CivilDate> = (0..random.days(0, 4)).map(|_| day(random)).collect();
        moves.sort_unstable();
        let pick = |random: &mut Random| doors[usize::try_from(random.between(0, 2)).unwrap()].clone();
        let former: Vec<FormerDwelling> =
            moves.into_iter().map(|until| FormerDwelling { dwelling: pick(random), until }).collect();
        let present = pick(random);
        let (from, to) = (day(random), day(random));
        let tenure = [DateRange::new(from, to.max(from))];
        let attention = [Attention { from: day(random), tier: Tier::High, tags: Vec::new() }];
        for door in &doors {
            let lived = days_lived(&former, &present, |id| id == door);
            let in_order = lived.windows(2).all(|pair| pair[0].end() < pair[1].start());
            assert!(in_order && lived.iter().all(|days| !days.is_empty()), "{seed}: {lived:?}");
            let days: Vec<DateRange> = lived.iter().map(|days| days.intersect(tenure[0])).collect();
            let resident = Standing { memberships: &[], attention: &attention, waivers: &[], tenure: &days };
            let place = Place {
                kind: SubjectKind::Dwelling,
                area: None,
                request: None,
                exists,
                residents: &[resident],
            };
            let applied = applied_to_place(&timelines, &place, Instant::MAX);
            for offset in 0..70 {
                let day = start.plus_days(offset);
                let flagged =
                    applied.iter().flat_map(|applied| applied.spans()).any(|span| span.days.contains(day));
                let lives_there = dwelling_on(&former, &present, day) == door;
                let expect = lives_there && tenure[0].contains(day) && attention[0].from <= day;
                assert_eq!(flagged, expect, "{seed}: {door} on {day}, {former:?}, then {present}");
                there += u64::from(expect);
                moved += u64::from(expect && door != &present);
            }
        }
    }
    assert!(there > 10_000 && moved > 3_000, "{there} days, {moved} of them in former dwellings");
}
