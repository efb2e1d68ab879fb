//! What a manager wants to see, out of the server's answers.

use std::collections::BTreeMap;

use linli_core::id::SiteId;
use linli_core::kind::ServiceKind;
use linli_core::record::Outcome;
use linli_core::text::Language;
use linli_core::time::{CivilDate, Instant};

use super::weeks::ZONE;
use crate::cli::output::{Side, Table};
use crate::cli::say;
use crate::grpc::client::{Client, ClientError, Figure, ObligationState, Owed, Seen, Task};

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
            ObligationState::Missed => 0,
            ObligationState::AtRisk => 1,
            ObligationState::Open => 2,
            ObligationState::Upcoming
            | ObligationState::Met
            | ObligationState::MetLate
            | ObligationState::Excused => 3,
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
        (of(b), !b.triggered, &a.subject, &a.from).cmp(&(of(a), !a.triggered, &b.subject, &b.from))
    });
    say(format_args!(
        "  {}",
        match words.0 {
            Language::Zh => format!("{} 项,涉及 {} 人;遗漏最多的在前", owed.len(), times.len()),
            Language::En =>
                format!("{} promises to {} people; those missed most come first", owed.len(), times.len()),
        }
    ));
    let mut table = Table::new(&[
        (words.of("对象", "whom"), Side::Left),
        (words.of("期间", "when"), Side::Left),
        (words.of("承诺", "promise"), Side::Left),
        (words.of("完成", "done"), Side::Right),
        (words.of("原因", "why"), Side::Left),
    ]);
    for owed in owed.iter().take(ROWS_SHOWN) {
        let seen = client.records(site, &owed.subject, &owed.from, &owed.to).await?;
        table.row([
            owed.shown.clone(),
            if owed.triggered {
                short(&owed.from)
            } else {
                format!("{}–{}", short(&owed.from), short(&owed.to))
            },
            brief(owed.title.get(words.0)),
            format!("{}/{}", owed.credited, owed.required),
            why(words, owed, &seen),
        ]);
    }
    say(table.to_string().trim_end());
    more(words, owed.len());
    Ok(())
}

/// Why a promise was not kept, out of what was recorded.
fn why(words: &Words, owed: &Owed, seen: &[Seen]) -> String {
    if owed.triggered {
        return words.of("到期前无人跟进", "nobody followed up in time").to_owned();
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
pub(super) fn excused_and_late(words: &Words, owed: &[Owed]) {
    let excused: Vec<&Owed> = owed.iter().filter(|owed| owed.state == ObligationState::Excused).collect();
    let late: Vec<&Owed> = owed.iter().filter(|owed| owed.late_entry).collect();
    let mut table = Table::new(&[
        (words.of("对象", "whom"), Side::Left),
        (words.of("期间", "when"), Side::Left),
        (words.of("承诺", "promise"), Side::Left),
        (words.of("说明", "note"), Side::Left),
    ]);
    for owed in excused.iter().take(ROWS_SHOWN) {
        let note = match words.0 {
            Language::Zh => format!("免除:暂停期间,仅 {} 天在家", owed.active_days),
            Language::En => format!("excused: away, {} days at home", owed.active_days),
        };
        table.row([
            owed.shown.clone(),
            format!("{}–{}", short(&owed.from), short(&owed.to)),
            brief(owed.title.get(words.0)),
            note,
        ]);
    }
    for owed in late.iter().take(ROWS_SHOWN) {
        let note =
            words.of("已完成,但补录超过 24 小时", "met, but written down more than 24 hours after the week");
        table.row([
            owed.shown.clone(),
            format!("{}–{}", short(&owed.from), short(&owed.to)),
            brief(owed.title.get(words.0)),
            note.to_owned(),
        ]);
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
        (words.of("按时", "met"), Side::Right),
        (words.of("应做", "of"), Side::Right),
        (words.of("达标率", "rate"), Side::Right),
        (words.of("免除", "excused"), Side::Right),
        (words.of("补录", "late"), Side::Right),
        (words.of("未到期", "open"), Side::Right),
    ]);
    for figure in figures {
        table.row([
            short(&figure.from),
            brief(figure.title.get(words.0)),
            figure.numerator.to_string(),
            figure.denominator.to_string(),
            figure.percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1}%")),
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

/// The day, and the time where it is no midnight: a week ends where Monday begins.
fn last_day(due: Instant) -> String {
    let before = Instant::clamped(due.micros() - 1);
    let day = ZONE.date_of(before);
    if ZONE.start_of(day.plus_days(1)) == due {
        short(&day.to_string())
    } else {
        let minutes = (due.micros() - ZONE.start_of(ZONE.date_of(due)).micros()) / 60_000_000;
        format!("{} {:02}:{:02}", short(&ZONE.date_of(due).to_string()), minutes / 60, minutes % 60)
    }
}
