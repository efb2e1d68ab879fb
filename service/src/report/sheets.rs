//! The report as a workbook: a sheet for each of what managers ask for, with a head that stays in sight and numbers that are
//! numbers.

use linli_core::compliance::Tally;
use linli_core::text::Language;
use zip::result::ZipError;

use super::words::Words;
use super::{ReportData, tenths};
use crate::workbook::{Sheet, Value, workbook};

/// A sheet of the report.
#[derive(Debug, Clone)]
struct ReportSheet {
    title: &'static str,
    widths: Vec<u32>,
    frozen_rows: u32,
    rows: Vec<Vec<Value>>,
}

impl ReportSheet {
    /// As the workbook takes it.
    fn sheet(&self) -> Sheet<'_> {
        Sheet {
            title: self.title,
            widths: &self.widths,
            frozen_rows: self.frozen_rows,
            rows: &self.rows,
            merged: &[],
        }
    }
}

/// The report, as the bytes of an `.xlsx` file.
///
/// # Errors
/// As [`workbook`].
pub(crate) fn sheets(data: &ReportData, language: Language) -> Result<Vec<u8>, ZipError> {
    let words = Words(language);
    let sheets = [
        summary(data, words),
        standards(data, words),
        posts(data, words),
        requests(data, words),
        corrections(data, words),
    ];
    workbook(&sheets.each_ref().map(ReportSheet::sheet))
}

fn text(text: impl Into<String>) -> Value {
    let text = text.into();
    Value::from(text.as_str())
}

/// A share with the decimal that answers have.
fn rate(tally: &Tally) -> Value {
    tenths(tally.numerator(), tally.denominator())
        .map_or(Value::Blank, |percent| Value::Share(percent / 100.0))
}

fn percent(percent: Option<u8>) -> Value {
    percent.map_or(Value::Blank, |percent| Value::Share(f64::from(percent) / 100.0))
}

fn head(titles: &[&str]) -> Vec<Value> {
    titles.iter().map(|title| Value::Head((*title).to_owned())).collect()
}

fn figures(tally: &Tally) -> Vec<Value> {
    let counts = [
        tally.denominator(),
        tally.met,
        tally.met_late,
        tally.missed,
        tally.pending,
        tally.excused,
        tally.late_entries,
    ];
    counts.into_iter().map(Value::Count).chain([rate(tally)]).collect()
}

fn summary(data: &ReportData, words: Words) -> ReportSheet {
    let days = data.period.days();
    let total = &data.total;
    let line = |zh, en, value: Value| vec![text(words.of(zh, en)), value];
    let mut rows = vec![
        vec![Value::Head(words.title(data)), Value::Head(String::new())],
        line("首日", "first day", Value::Date(days.start())),
        line("末日", "last day", Value::Date(days.end().plus_days(-1))),
        line("状态", "standing", text(words.standing(data))),
    ];
    rows.extend(
        words.figures().map(text).into_iter().zip(figures(total)).map(|(title, value)| vec![title, value]),
    );
    for month in &data.visits {
        let first = month.days.start();
        let title = words.of("探访率", "visit rate");
        let title = format!("{title} {:04}-{:02}", first.year(), first.month());
        rows.push(vec![text(title), percent(month.rate.map(|rate| rate.percent))]);
    }
    for group in &data.groups {
        rows.push(vec![text(group.title.get(words.0)), percent(Some(group.percent))]);
    }
    rows.extend(words.notes().into_iter().map(|note| vec![text(note)]));
    ReportSheet { title: words.of("概览", "summary"), widths: vec![34, 26], frozen_rows: 1, rows }
}

fn standards(data: &ReportData, words: Words) -> ReportSheet {
    let names = [words.of("编码", "code"), words.of("标准", "standard"), words.of("部门", "department")];
    let mut rows = vec![head(&[&names[..], &words.figures()[..]].concat())];
    for row in &data.standards {
        let department = text(words.department(row.department));
        let names = [text(row.code.as_str()), text(row.title.get(words.0)), department];
        rows.push(names.into_iter().chain(figures(&row.tally)).collect());
    }
    if let Some((count, tally)) = &data.together {
        let names = [Value::Blank, text(words.together(*count)), Value::Blank];
        rows.push(names.into_iter().chain(figures(tally)).collect());
    }
    let widths = vec![24, 38, 18, 10, 10, 10, 10, 10, 10, 12, 10];
    ReportSheet { title: words.of("服务标准", "standards"), widths, frozen_rows: 1, rows }
}

fn posts(data: &ReportData, words: Words) -> ReportSheet {
    let weeks = data.weeks.iter().map(|week| Value::Head(week.days.start().to_string()));
    let mut rows = vec![head(&words.work()).into_iter().chain(weeks).collect()];
    for post in &data.posts {
        let own = [
            text(post.title.as_str()),
            text(words.department(post.department)),
            Value::Count(post.required),
            Value::Count(post.contacts),
            Value::Count(post.wanting),
            percent(post.percent),
        ];
        rows.push(own.into_iter().chain(post.weeks.iter().map(|week| percent(*week))).collect());
    }
    let widths = [26, 18, 14, 14, 12, 10].into_iter().chain(data.weeks.iter().map(|_| 12)).collect();
    ReportSheet { title: words.of("岗位", "posts"), widths, frozen_rows: 1, rows }
}

fn requests(data: &ReportData, words: Words) -> ReportSheet {
    let titles = [
        words.of("紧急程度", "urgency"),
        words.of("提交", "submitted"),
        words.of("完成", "done"),
        words.of("受理中位用时(分钟)", "median minutes until taken up"),
        words.of("完成中位用时(分钟)", "median minutes until done"),
    ];
    let minutes = |minutes: Option<i64>| {
        minutes.and_then(|minutes| u64::try_from(minutes).ok()).map_or(Value::Blank, Value::Count)
    };
    let mut rows = vec![head(&titles)];
    for row in &data.requests.rows {
        rows.push(vec![
            text(words.urgencies(row)),
            Value::Count(row.submitted),
            Value::Count(row.done),
            minutes(row.accept_minutes),
            minutes(row.finish_minutes),
        ]);
    }
    for (wait, share) in &data.requests.waits {
        rows.push(vec![text(words.wait(*wait)), percent(Some(*share))]);
    }
    ReportSheet {
        title: words.of("服务申请", "requests"),
        widths: vec![26, 12, 12, 22, 22],
        frozen_rows: 1,
        rows,
    }
}

fn corrections(data: &ReportData, words: Words) -> ReportSheet {
    let titles = [
        words.of("编码", "code"),
        words.of("标准", "standard"),
        words.of("关账时按时", "in time as closed"),
        words.of("关账时应完成", "required as closed"),
        words.of("关账时按时率", "rate as closed"),
        words.of("现在按时", "in time now"),
        words.of("现在应完成", "required now"),
        words.of("现在按时率", "rate now"),
        words.of("原因(条)", "causes"),
    ];
    let mut rows = vec![head(&titles)];
    for row in data.corrections.iter().flatten() {
        rows.push(vec![
            text(row.code.as_str()),
            text(row.title.get(words.0)),
            Value::Count(row.closed.numerator()),
            Value::Count(row.closed.denominator()),
            rate(&row.closed),
            Value::Count(row.current.numerator()),
            Value::Count(row.current.denominator()),
            rate(&row.current),
            Value::Count(row.causes.try_into().unwrap_or(u64::MAX)),
        ]);
    }
    let widths = vec![24, 38, 14, 14, 14, 14, 14, 14, 12];
    ReportSheet { title: words.of("更正", "corrections"), widths, frozen_rows: 1, rows }
}
