//! Ability by GB/T 42195-2022: level by score, with the standard's adjustments.
//!
//! | level | name | score |
//! |---|---|---|
//! | 0 | 能力完好 | 90 |
//! | 1 | 能力轻度受损（轻度失能） | 66–89 |
//! | 2 | 能力中度受损（中度失能） | 46–65 |
//! | 3 | 能力重度受损（重度失能） | 30–45 |
//! | 4 | 能力完全丧失（完全失能） | 0–29 |
//!
//! Adjustments of the level by score: a coma is level 4; dementia (F00–F03), another mental or behavioural disorder
//! (F04–F99), or two care-risk events within 30 days raise it by one level, together by no more than one. A level that
//! an assessor concluded holds as it stands. The long-term care scale (医保办发〔2021〕37号) is another one and is not read.

use linli_plugin_sdk::{Date, all_of, any_of};

use crate::Elder;

/// Level of a total score, before adjustments.
pub(crate) fn level_of_score(score: i64) -> i64 {
    match score {
        90.. => 0,
        66..=89 => 1,
        46..=65 => 2,
        30..=45 => 3,
        _ => 4,
    }
}

/// From when on the level is at least the one from which the site counts somebody as disabled; `None` if it is below,
/// or if nothing is known.
pub(crate) fn disabled_from(elder: &Elder) -> Option<Date> {
    let wanted = elder.disabled_level;
    let scored = |level: i64| elder.ability_score.fulfils(|score| level_of_score(*score) >= level);
    let raised = any_of([elder.dementia.is(true), elder.mental_disorder.is(true), repeated_risk(elder)]);
    any_of([
        elder.coma.is(true),
        elder.ability_level.fulfils(|level| *level >= wanted),
        scored(wanted),
        all_of([scored(wanted - 1), raised]),
    ])
}

/// From when on two care-risk events lie within the last days; `None` if they do not.
fn repeated_risk(elder: &Elder) -> Option<Date> {
    risk_events_count_until(elder)?;
    let last = elder.care_risk_event_last.value?;
    all_of([elder.care_risk_event_last.known(), elder.care_risk_event_before.known(), Some(last)])
}

/// The last day on which the two care-risk events count, while they do.
pub(crate) fn risk_events_count_until(elder: &Elder) -> Option<Date> {
    let (last, before) = (elder.care_risk_event_last.value?, elder.care_risk_event_before.value?);
    let last_day = before.plus_days(elder.risk_event_days);
    (before <= last && last <= elder.today && elder.today <= last_day).then_some(last_day)
}

#[cfg(test)]
mod tests {
    use super::level_of_score;

    #[test]
    fn levels_change_at_the_scores_of_the_standard() {
        let check = |scores: [i64; 2], level| {
            for score in scores {
                assert_eq!(level_of_score(score), level, "{score}");
            }
        };
        check([90, 90], 0);
        check([66, 89], 1);
        check([46, 65], 2);
        check([30, 45], 3);
        check([0, 29], 4);
    }
}
