//! Charts as SVG inside the page: drawn for a width of 360, so that their words can be read on a telephone, and as large as
//! their column elsewhere. Each has a title and a description, and a table beside it says the same.

use std::fmt::Write as _;

use linli_core::compliance::{Tally, percent_shown};

use super::words::Words;
use super::{PostRow, ReportData, Wait, WeekRow, tenths};
use crate::workbook::escaped;

const WIDTH: f64 = 360.0;

/// The colours of what became of obligations; the page's legend has the same.
pub(super) const MET: &str = "#1f7a5a";
pub(super) const LATE: &str = "#d99a2b";
pub(super) const MISSED: &str = "#c4513d";
pub(super) const PENDING: &str = "#b7c1cb";

fn add(svg: &mut String, what: std::fmt::Arguments<'_>) {
    svg.write_fmt(what).expect("writing to a string does not fail");
}

/// The opening of a chart: what it is and what it says, for those who do not see it.
fn begin(id: &str, height: f64, title: &str, description: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        escaped(title),
        escaped(description)
    )
}

/// A count as a coordinate.
fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}

fn share(part: u64, whole: u64) -> f64 {
    tenths(part, whole).unwrap_or(0.0) / 100.0
}

/// How each week's obligations ended, as shares of those that were required, with the share met in time above each.
pub(super) fn coverage(weeks: &[WeekRow], words: Words) -> String {
    const LEFT: f64 = 30.0;
    const TOP: f64 = 22.0;
    const TALL: f64 = 150.0;
    let title = words.of("每周按时完成情况", "how each week's duties ended");
    let said: Vec<String> = weeks
        .iter()
        .filter_map(|week| Some(format!("{} {}", week.days.start(), words.rate(&week.tally?))))
        .collect();
    let mut svg = begin("coverage", 206.0, title, &said.join("; "));
    for (label, at) in [("100", 0.0), ("75", 0.25), ("50", 0.5), ("25", 0.75), ("0", 1.0)] {
        let y = TOP + TALL * at;
        add(
            &mut svg,
            format_args!(
                "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"grid\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"axis\" text-anchor=\"end\">{label}</text>",
                LEFT - 5.0,
                y + 3.5
            ),
        );
    }
    let step = (WIDTH - LEFT) / real(weeks.len().max(1));
    let wide = (step * 0.66).min(44.0);
    // Dates need as much room as eight of them leave each other.
    let every = weeks.len().div_ceil(8).max(1);
    for (at, week) in weeks.iter().enumerate() {
        let middle = LEFT + step * (real(at) + 0.5);
        if at % every == 0 {
            let (month, day) = (week.days.start().month(), week.days.start().day());
            add(
                &mut svg,
                format_args!(
                    "<text x=\"{middle:.1}\" y=\"{:.1}\" class=\"axis\" text-anchor=\"middle\">{month}/{day}</text>",
                    TOP + TALL + 16.0
                ),
            );
        }
        match &week.tally {
            Some(tally) if tally.denominator() > 0 => {
                bar(&mut svg, tally, (middle - wide / 2.0, TOP, wide, TALL));
                let percent = percent_shown(tally.numerator(), tally.denominator()).unwrap_or(0);
                add(
                    &mut svg,
                    format_args!(
                        "<text x=\"{middle:.1}\" y=\"{:.1}\" class=\"value\" text-anchor=\"middle\">{percent}</text>",
                        TOP - 6.0
                    ),
                );
            }
            Some(_) | None => add(
                &mut svg,
                format_args!(
                    "<text x=\"{middle:.1}\" y=\"{:.1}\" class=\"axis\" text-anchor=\"middle\">–</text>",
                    TOP + TALL - 6.0
                ),
            ),
        }
    }
    svg + "</svg>"
}

/// One bar, from the bottom: in time, late, not decided, missed.
fn bar(svg: &mut String, tally: &Tally, (x, top, wide, tall): (f64, f64, f64, f64)) {
    let whole = tally.denominator();
    let parts = [(tally.met, MET), (tally.met_late, LATE), (tally.pending, PENDING), (tally.missed, MISSED)];
    let mut bottom = top + tall;
    for (part, colour) in parts {
        let height = tall * share(part, whole);
        bottom -= height;
        if height > 0.0 {
            add(
                svg,
                format_args!(
                    "<rect x=\"{x:.1}\" y=\"{bottom:.1}\" width=\"{wide:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
                ),
            );
        }
    }
}

/// The colour of a share, and that of words upon it.
pub(super) fn heat(percent: u8) -> (&'static str, &'static str) {
    match percent {
        95.. => ("#1f7a5a", "#fff"),
        85..=94 => ("#5fae8b", "#10241c"),
        70..=84 => ("#c3dfb4", "#1c2733"),
        50..=69 => ("#f2cb83", "#1c2733"),
        ..=49 => ("#d9694f", "#2b0d07"),
    }
}

/// The posts, week by week: how much was done in time.
pub(super) fn posts(data: &ReportData, words: Words) -> String {
    const LEFT: f64 = 104.0;
    const TOP: f64 = 20.0;
    const ROW: f64 = 26.0;
    let title = words.of("各岗位每周按时率(%)", "each post's share done in time, by week (%)");
    let said: Vec<String> =
        data.posts.iter().map(|post| format!("{} {}", post.title, words.percent(post.percent))).collect();
    let height = TOP + ROW * real(data.posts.len()) + 4.0;
    let mut svg = begin("posts", height, title, &said.join("; "));
    let step = (WIDTH - LEFT) / real(data.weeks.len().max(1));
    let every = data.weeks.len().div_ceil(7).max(1);
    for (at, week) in data.weeks.iter().enumerate().filter(|(at, _)| at % every == 0) {
        let middle = LEFT + step * (real(at) + 0.5);
        let (month, day) = (week.days.start().month(), week.days.start().day());
        add(
            &mut svg,
            format_args!(
                "<text x=\"{middle:.1}\" y=\"12\" class=\"axis\" text-anchor=\"middle\">{month}/{day}</text>"
            ),
        );
    }
    for (row, post) in data.posts.iter().enumerate() {
        let y = TOP + ROW * real(row);
        add(
            &mut svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" class=\"name\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + ROW / 2.0 + 3.5,
                escaped(&shortened(&post.title))
            ),
        );
        post_weeks(&mut svg, post, (LEFT, y, step, ROW));
    }
    svg + "</svg>"
}

fn post_weeks(svg: &mut String, post: &PostRow, (left, y, step, row): (f64, f64, f64, f64)) {
    for (at, percent) in post.weeks.iter().enumerate() {
        let x = left + step * real(at);
        let (fill, ink) = percent.map_or(("#eef1f4", "#8494a3"), heat);
        let shown = percent.map_or_else(|| "·".to_owned(), |percent| percent.to_string());
        add(
            svg,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\" fill=\"{fill}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"heat\" style=\"fill:{ink}\" text-anchor=\"middle\">{shown}</text>",
                x + 1.0,
                y + 1.0,
                step - 2.0,
                row - 2.0,
                x + step / 2.0,
                y + row / 2.0 + 3.2
            ),
        );
    }
}

/// As much of a name as fits beside a row; a Chinese character takes the room of two letters. The table has all of it.
fn shortened(name: &str) -> String {
    const ROOM: usize = 16;
    let wide = |c: char| if c.is_ascii() { 1 } else { 2 };
    if name.chars().map(wide).sum::<usize>() <= ROOM {
        return name.to_owned();
    }
    let mut room = ROOM - 2;
    let fits = name.chars().take_while(|c| {
        let fits = room >= wide(*c);
        room = room.saturating_sub(wide(*c));
        fits
    });
    fits.chain(['…']).collect()
}

/// How long requests waited until they were taken up.
pub(super) fn waits(waits: &[(Wait, u8)], words: Words) -> String {
    const LEFT: f64 = 118.0;
    const ROW: f64 = 30.0;
    let title = words.of("工单受理用时分布(%)", "how long requests waited (%)");
    let said: Vec<String> =
        waits.iter().map(|(wait, percent)| format!("{} {percent}%", words.wait(*wait))).collect();
    let mut svg = begin("waits", ROW * real(waits.len()) + 6.0, title, &said.join("; "));
    for (row, (wait, percent)) in waits.iter().enumerate() {
        let y = ROW * real(row) + 4.0;
        let length = (WIDTH - LEFT - 44.0) * f64::from(*percent) / 100.0;
        let colour = match wait {
            Wait::QuarterHour | Wait::Hour => MET,
            Wait::FourHours | Wait::Day => LATE,
            Wait::Longer => MISSED,
            Wait::Open => PENDING,
        };
        add(
            &mut svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" class=\"name\" text-anchor=\"end\">{}</text>\
                 <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\" fill=\"#eef1f4\"/>\
                 <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{:.1}\" rx=\"3\" fill=\"{colour}\"/>\
                 <text x=\"{WIDTH}\" y=\"{:.1}\" class=\"value\" text-anchor=\"end\">{percent}%</text>",
                LEFT - 8.0,
                y + 15.5,
                words.wait(*wait),
                WIDTH - LEFT - 44.0,
                ROW - 8.0,
                ROW - 8.0,
                y + 15.5
            ),
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_where_the_room_ends() {
        for (name, expect) in [
            ("4号楼管家", "4号楼管家"),
            ("Building 4", "Building 4"),
            ("Night patrol, north gate", "Night patrol, …"),
            ("北区夜间巡逻与门岗", "北区夜间巡逻与…"),
        ] {
            assert_eq!(shortened(name), expect);
        }
    }

    #[test]
    fn a_chart_is_drawn_of_nothing() {
        for words in [Words(linli_core::text::Language::Zh), Words(linli_core::text::Language::En)] {
            assert!(coverage(&[], words).ends_with("</svg>"));
            assert!(waits(&[], words).ends_with("</svg>"));
        }
    }
}
