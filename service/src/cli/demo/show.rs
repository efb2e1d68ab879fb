//! What a manager wants to see, out of the server's answers.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::id::SiteId;
use linli_core::kind::ServiceKind;
use linli_core::obligation::ObligationStatus;
use linli_core::record::Outcome;
use linli_core::text::Language;
use linli_core::time::{CivilDate, Instant};

use super::weeks::ZONE;
use crate::cli::output::{Side, Table};
use crate::cli::say;
use crate::grpc::client::{Client, ClientError, Figure, Owed, Person, Seen, Task};
use crate::roster::place::Place;

/// Where everybody lives and what lists call them: masked.
pub(super) struct Directory(BTreeMap<String, (String, Place)>);

impl Directory {
    /// Of these people.
    pub(super) fn new(people: &[Person]) -> Self {
        let entry = |person: &Person| {
            let place = Place::parse(&person.dwelling).ok()?;
            Some((person.name.clone(), (person.shown.clone(), place)))
        };
        Self(people.iter().filter_map(entry).collect())
    }

    fn whom_and_where(&self, subject: &str) -> [String; 2] {
        let found = self.0.get(subject).map(|(shown, place)| [shown.clone(), place.shown()]);
        found.unwrap_or_default()
    }

    fn building(&self, subject: &str) -> &str {
        self.0.get(subject).map_or("", |(_, place)| place.building.as_str())
    }
}

/// Rows of a list that are shown; the rest is counted.
const ROWS_SHOWN: usize = 14;

/// Two texts, one of which is shown.
pub(super) struct Words(pub(super) Language);

impl Words {
    /// The one in the wanted language.
    pub(super) fn of<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        match self.0 {
            Language::Zh => zh,
            Language::En => en,
        }
    }
}

/// A heading.
pub(super) fn heading(text: &str) {
    say(format_args!("\n■ {text}"));
}

/// This week's worklist of one post.
pub(super) fn worklist(words: &Words, mut tasks: Vec<Task>) {
    if tasks.is_empty() {
        say(format_args!("  {}", words.of("本周已无待办", "nothing is left for this week")));
        return;
    }
    // The most pressing first, then by door, so that one round serves neighbours.
    tasks.sort_by(|a, b| {
        let pressing = |task: &Task| match task.state {
            ObligationStatus::Missed => 0,
            ObligationStatus::AtRisk => 1,
            ObligationStatus::Open => 2,
            ObligationStatus::Upcoming
            | ObligationStatus::Met
            | ObligationStatus::MetLate
            | ObligationStatus::Excused => 3,
        };
        (pressing(a), b.tier, &a.dwelling, a.kind).cmp(&(pressing(b), a.tier, &b.dwelling, b.kind))
    });
    let mut table = Table::new(&[
        (words.of("最迟", "by"), Side::Left),
        (words.of("做什么", "what"), Side::Left),
        (words.of("次", "times"), Side::Right),
        (words.of("对象", "whom"), Side::Left),
        (words.of("住处", "where"), Side::Left),
        (words.of("关注等级", "attention"), Side::Left),
        (words.of("注意", "mind"), Side::Left),
    ]);
    for task in tasks.iter().take(ROWS_SHOWN) {
        let tier = task.tier.map_or("", |tier| match words.0 {
            Language::Zh => tier.zh(),
            Language::En => tier.en(),
        });
        let caution = task.cautions.first().map(|caution| brief(caution.get(words.0))).unwrap_or_default();
        table.row([
            task.due.map(last_day).unwrap_or_default(),
            kind(words, task.kind).to_owned(),
            task.times.to_string(),
            task.shown.clone(),
            task.dwelling.clone(),
            tier.to_owned(),
            caution,
        ]);
    }
    say(table.to_string().trim_end());
    more(words, tasks.len());
}

/// Who was missed, and why, as the records tell it.
pub(super) async fn missed(
    words: &Words,
    client: &Client,
    site: &SiteId,
    directory: &Directory,
    mut owed: Vec<Owed>,
) -> Result<(), ClientError> {
    if owed.is_empty() {
        say(format_args!("  {}", words.of("无", "nobody")));
        return Ok(());
    }
    // Those who were missed most come first.
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for owed in &owed {
        *times.entry(owed.subject.clone()).or_default() += 1;
    }
    let of = |owed: &Owed| times.get(&owed.subject).copied().unwrap_or(0);
    owed.sort_by(|a, b| {
        (of(b), &a.subject, &a.from, &a.standard).cmp(&(of(a), &b.subject, &b.from, &b.standard))
    });
    say(format_args!(
        "  {}",
        match words.0 {
            Language::Zh => format!("{} 项承诺未兑现,涉及 {} 人;遗漏最多的在前", owed.len(), times.len()),
            Language::En => {
                format!(
                    "{} broken promises to {} people; those missed most come first",
                    owed.len(),
                    times.len()
                )
            }
        }
    ));
    let mut table = Table::new(&[
        (words.of("对象", "whom"), Side::Left),
        (words.of("住处", "where"), Side::Left),
        (words.of("期间", "when"), Side::Left),
        (words.of("承诺", "promise"), Side::Left),
        (words.of("完成", "done"), Side::Right),
        (words.of("原因", "why"), Side::Left),
    ]);
    for owed in owed.iter().take(ROWS_SHOWN) {
        let seen = client.records(site, &owed.subject, &owed.from, &owed.to).await?;
        let [whom, place] = directory.whom_and_where(&owed.subject);
        table.row([
            whom,
            place,
            when(owed),
            brief(owed.title.get(words.0)),
            format!("{}/{}", owed.credited, owed.required),
            why(words, owed, &seen),
        ]);
    }
    say(table.to_string().trim_end());
    more(words, owed.len());
    by_building(words, directory, &owed);
    Ok(())
}

/// How many promises were broken, by building and week: it shows where somebody was away.
fn by_building(words: &Words, directory: &Directory, owed: &[Owed]) {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut weeks: BTreeSet<&str> = BTreeSet::new();
    for owed in owed.iter().filter(|owed| !owed.triggered) {
        weeks.insert(&owed.from);
        let of_building = counts.entry(directory.building(&owed.subject)).or_default();
        *of_building.entry(&owed.from).or_default() += 1;
    }
    let titles: Vec<String> = weeks.iter().map(|week| short(week)).collect();
    let mut columns = vec![(words.of("楼栋", "building"), Side::Left)];
    columns.extend(titles.iter().map(|title| (title.as_str(), Side::Right)));
    let mut table = Table::new(&columns);
    for (building, of_week) in &counts {
        let cells = weeks.iter().map(|week| of_week.get(week).copied().unwrap_or(0).to_string());
        table.row(std::iter::once(format!("{building}栋")).chain(cells));
    }
    say(format_args!(
        "\n  {}",
        words.of(
            "按楼栋和周统计(3栋管家第二周休假,由他人代班)",
            "by building and week (the steward of building 3 was on leave in the second, with cover)"
        )
    ));
    say(table.to_string().trim_end());
}

/// Whom nobody reached, and how that ended: every step of the ladder.
pub(super) fn unreached(words: &Words, directory: &Directory, owed: &[Owed]) {
    let mut table = Table::new(&[
        (words.of("对象", "whom"), Side::Left),
        (words.of("住处", "where"), Side::Left),
        (words.of("步骤", "step"), Side::Left),
        (words.of("最迟", "by"), Side::Left),
        (words.of("结果", "outcome"), Side::Left),
    ]);
    let mut steps: Vec<&Owed> = owed.iter().filter(|owed| owed.standard.starts_with("contact.")).collect();
    steps.sort_by_key(|owed| (&owed.subject, owed.due));
    for owed in steps {
        let [whom, place] = directory.whom_and_where(&owed.subject);
        table.row([
            whom,
            place,
            brief(owed.title.get(words.0)),
            owed.due.map(moment).unwrap_or_default(),
            match words.0 {
                Language::Zh => owed.state.zh().to_owned(),
                Language::En => owed.state.en().to_owned(),
            },
        ]);
    }
    if table.is_empty() {
        say(format_args!("  {}", words.of("无", "nobody")));
    } else {
        say(table.to_string().trim_end());
    }
}

/// Why a promise was not kept, out of what was recorded.
fn why(words: &Words, owed: &Owed, seen: &[Seen]) -> String {
    if owed.triggered {
        let late = words.of("过期后才跟进", "somebody followed up, but too late");
        let never = words.of("至今无人跟进", "nobody followed up");
        return if owed.state == ObligationStatus::MetLate { late } else { never }.to_owned();
    }
    let calls = matches!(owed.standard.as_str(), "elder.call");
    let fits = |seen: &&Seen| match seen.kind {
        ServiceKind::PhoneCall | ServiceKind::VideoCall | ServiceKind::AnsweredMessage => calls,
        ServiceKind::HomeVisit => !calls,
        _ => false,
    };
    let tried: Vec<&Seen> = seen.iter().filter(fits).collect();
    if let Some(unreached) = tried.iter().find(|seen| seen.outcome == Outcome::NotReached) {
        let day = short(&ZONE.date_of(unreached.occurred_at).to_string());
        return match words.0 {
            Language::Zh => format!("{day} 未联系上"),
            Language::En => format!("not reached on {day}"),
        };
    }
    let done = tried.iter().filter(|seen| seen.outcome == Outcome::Done).count();
    match u32::try_from(done) {
        Ok(0) => words.of("没有任何记录", "nothing was recorded").to_owned(),
        Ok(done) if done > owed.credited => {
            words.of("同一天的两次只算一次", "two calls on one day count once").to_owned()
        }
        Ok(done) => match words.0 {
            Language::Zh => format!("只做了 {done} 次"),
            Language::En => format!("done {done} times only"),
        },
        Err(_) => String::new(),
    }
}

/// What counted against nobody, and what was entered late.
pub(super) fn excused_and_late(words: &Words, directory: &Directory, owed: &[Owed]) {
    let excused: Vec<&Owed> = owed.iter().filter(|owed| owed.state == ObligationStatus::Excused).collect();
    let late: Vec<&Owed> = owed.iter().filter(|owed| owed.late_entry && !owed.triggered).collect();
    let mut table = Table::new(&[
        (words.of("对象", "whom"), Side::Left),
        (words.of("住处", "where"), Side::Left),
        (words.of("期间", "when"), Side::Left),
        (words.of("承诺", "promise"), Side::Left),
        (words.of("说明", "note"), Side::Left),
    ]);
    let mut add = |owed: &Owed, note: String| {
        let [whom, place] = directory.whom_and_where(&owed.subject);
        table.row([whom, place, when(owed), brief(owed.title.get(words.0)), note]);
    };
    for owed in excused.iter().take(ROWS_SHOWN) {
        let days = owed.active_days;
        add(
            owed,
            match words.0 {
                Language::Zh => format!("免除:住院等暂停,当周在家 {days} 天"),
                Language::En => format!("excused: away, days at home that week: {days}"),
            },
        );
    }
    for owed in late.iter().take(ROWS_SHOWN) {
        let note = words
            .of("已完成;当周结束 24 小时后才补录", "met; written down more than 24 hours after the week");
        add(owed, note.to_owned());
    }
    if !table.is_empty() {
        say(table.to_string().trim_end());
    }
}

/// The weekly figures.
pub(super) fn figures(words: &Words, figures: &[Figure]) {
    let mut table = Table::new(&[
        (words.of("周起始", "week of"), Side::Left),
        (words.of("标准", "standard"), Side::Left),
        (words.of("应做", "owed"), Side::Right),
        (words.of("按时", "met"), Side::Right),
        (words.of("逾期完成", "met late"), Side::Right),
        (words.of("遗漏", "missed"), Side::Right),
        (words.of("达标率", "rate"), Side::Right),
        (words.of("免除", "excused"), Side::Right),
        (words.of("补录", "entered late"), Side::Right),
        (words.of("未到期", "open"), Side::Right),
    ]);
    for figure in figures {
        table.row([
            short(&figure.from),
            brief(figure.title.get(words.0)),
            figure.denominator.to_string(),
            figure.numerator.to_string(),
            figure.met_late.to_string(),
            figure.missed.to_string(),
            // While obligations are open, a rate would only say how much of the period is left.
            match figure.percent {
                Some(percent) if figure.pending == 0 => format!("{percent:.1}%"),
                Some(_) | None => "–".to_owned(),
            },
            figure.excused.to_string(),
            figure.late.to_string(),
            figure.pending.to_string(),
        ]);
    }
    say(table.to_string().trim_end());
}

/// The commands that show the same from a running server.
pub(super) fn commands(site: &SiteId, post: &str, address: &str, days: (CivilDate, CivilDate)) {
    let call = |service: &str, body: String| {
        say(format_args!(
            "  grpcurl -plaintext -H \"authorization: Bearer $LINLI_TOKEN\" \\\n    -d '{body}' {address} linli.v1.{service}"
        ));
    };
    let (from, to) = days;
    call("ObligationService/ListWorklist", format!("{{\"parent\": \"sites/{site}/posts/{post}\"}}"));
    call(
        "ObligationService/ListObligations",
        format!(
            "{{\"parent\": \"sites/{site}\", \"statuses\": [\"OBLIGATION_STATUS_MISSED\"], \
             \"start_date\": \"{from}\", \"end_date\": \"{to}\"}}"
        ),
    );
    call(
        "ComplianceService/GetComplianceReport",
        format!(
            "{{\"parent\": \"sites/{site}\", \"period\": \"PERIOD_UNIT_WEEK\", \
             \"start_date\": \"{from}\", \"end_date\": \"{to}\"}}"
        ),
    );
    call(
        "ObligationService/ListObligations",
        format!(
            "{{\"parent\": \"sites/{site}\", \"statuses\": [\"OBLIGATION_STATUS_EXCUSED\"], \
             \"start_date\": \"{from}\", \"end_date\": \"{to}\"}}"
        ),
    );
    call(
        "ResidentService/ListResidents",
        format!("{{\"parent\": \"sites/{site}\", \"min_tier\": \"TIER_HIGH\"}}"),
    );
}

fn more(words: &Words, total: usize) {
    if let Some(more) = total.checked_sub(ROWS_SHOWN).filter(|more| *more > 0) {
        match words.0 {
            Language::Zh => say(format_args!("  …… 另有 {more} 项")),
            Language::En => say(format_args!("  … and {more} more")),
        }
    }
}

fn kind(words: &Words, kind: ServiceKind) -> &'static str {
    match words.0 {
        Language::Zh => kind.zh(),
        Language::En => kind.en(),
    }
}

/// The first clause of a text.
fn brief(text: &str) -> String {
    let end = text.find([':', '：', ';', '；', ',', '，']).unwrap_or(text.len());
    text.get(..end).unwrap_or(text).to_owned()
}

/// `2026-03-09` → `03-09`.
fn short(date: &str) -> String {
    date.get(5..).unwrap_or(date).to_owned()
}

/// The window of a promise, or the day of the event that opened it.
fn when(owed: &Owed) -> String {
    if owed.triggered { short(&owed.from) } else { format!("{}–{}", short(&owed.from), short(&owed.to)) }
}

/// The last day, with the time where that is not midnight.
fn last_day(due: Instant) -> String {
    // A window ends with its last day; whoever writes that down means its last minute or the first one after.
    let day = ZONE.date_of(Instant::clamped(due.micros() - 1));
    let midnight = ZONE.start_of(day.plus_days(1));
    if midnight.micros() - due.micros() <= 60_000_000 { short(&day.to_string()) } else { moment(due) }
}

/// `03-18 09:30`.
fn moment(at: Instant) -> String {
    let day = ZONE.date_of(at);
    let minutes = (at.micros() - ZONE.start_of(day).micros()) / 60_000_000;
    format!("{} {:02}:{:02}", short(&day.to_string()), minutes / 60, minutes % 60)
}
