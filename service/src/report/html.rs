//! The report as a page that needs nothing else: no script, no font, no picture from elsewhere. It is read on a telephone, on a
//! desk and on paper; each chart has a table beside it, and each cell of a table says on a telephone what column it is of.

use std::fmt::Write as _;

use linli_core::compliance::Tally;
use linli_core::text::Language;

use super::chart::{self, LATE, MET, MISSED, PENDING};
use super::words::Words;
use super::{CorrectionRow, ReportData, tenths};
use crate::workbook::escaped;

/// The page.
pub(crate) fn page(data: &ReportData, language: Language) -> String {
    let words = Words(language);
    let mut page = Page { out: String::new(), words };
    let title = escaped(&words.title(data));
    page.add(format_args!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n",
        words.code()
    ));
    page.head(data);
    page.out.push_str("<main>\n");
    page.cards(data);
    page.out.push_str("<div class=\"pair\">\n");
    page.coverage(data);
    page.requests(data);
    page.out.push_str("</div>\n");
    page.standards(data);
    page.posts(data);
    page.out.push_str("<div class=\"pair\">\n");
    page.groups(data);
    page.visits(data);
    page.out.push_str("</div>\n");
    page.corrections(data);
    page.notes();
    page.out.push_str("</main>\n</body>\n</html>\n");
    page.out
}

struct Page {
    out: String,
    words: Words,
}

/// A cell of a table: its class, its text.
type Cell = (&'static str, String);

impl Page {
    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        self.out.write_fmt(what).expect("writing to a string does not fail");
    }

    fn of(&self, zh: &'static str, en: &'static str) -> &'static str {
        self.words.of(zh, en)
    }

    fn head(&mut self, data: &ReportData) {
        let (site, days) = (escaped(&data.title), self.words.days(data.period.days()));
        let heading = self.of("关怀服务报告", "Care report");
        let standing = self.words.standing(data);
        let class = if data.closed_at.is_some() { "closed" } else { "open" };
        self.add(format_args!(
            "<header><div><p class=\"site\">{site}</p><h1>{heading} <span>{}</span></h1>\
             <p>{days} <span class=\"badge {class}\">{standing}</span></p></div></header>\n",
            data.period
        ));
    }

    fn section(&mut self, id: &str, heading: &str) {
        self.add(format_args!("<section aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{heading}</h2>\n"));
    }

    fn end(&mut self) {
        self.out.push_str("</section>\n");
    }

    fn cards(&mut self, data: &ReportData) {
        let total = &data.total;
        let heading = self.of("概览", "At a glance");
        self.add(format_args!("<section class=\"cards\" aria-label=\"{heading}\">\n"));
        let required = total.denominator();
        let of_required = match self.words.0 {
            Language::Zh => format!("{} / {required} 项义务", total.numerator()),
            Language::En => format!("{} of {required} duties", total.numerator()),
        };
        let rate = self.words.rate(total);
        self.card("main", self.of("按时率", "done in time"), &rate, &of_required);
        let share =
            |count: u64| tenths(count, required).map_or_else(String::new, |share| format!("{share:.1}%"));
        self.card(
            "late",
            self.of("逾期完成", "done late"),
            &total.met_late.to_string(),
            &share(total.met_late),
        );
        self.card("missed", self.of("未完成", "missed"), &total.missed.to_string(), &share(total.missed));
        if total.pending > 0 {
            self.card("", self.of("待定", "pending"), &total.pending.to_string(), &share(total.pending));
        }
        let late = match self.words.0 {
            Language::Zh => format!("补录 {} 项", total.late_entries),
            Language::En => format!("{} entered late", total.late_entries),
        };
        self.card("", self.of("免除", "excused"), &total.excused.to_string(), &late);
        if let Some(visits) = data.visits.last() {
            let (rate, people) = match &visits.rate {
                Some(rate) => (format!("{}%", rate.percent), self.at_least(rate.residents_at_least)),
                None => ("–".to_owned(), self.of("不足 5 人,不予显示", "fewer than five people").to_owned()),
            };
            let month = format!("{:04}-{:02}", visits.days.start().year(), visits.days.start().month());
            let label = match self.words.0 {
                Language::Zh => format!("探访率 {month}"),
                Language::En => format!("visit rate {month}"),
            };
            self.card("", &label, &rate, &people);
        }
        self.end();
    }

    fn card(&mut self, class: &str, label: &str, value: &str, below: &str) {
        self.add(format_args!(
            "<div class=\"card {class}\"><p>{label}</p><strong>{value}</strong><small>{below}</small></div>\n"
        ));
    }

    fn at_least(&self, people: u64) -> String {
        match self.words.0 {
            Language::Zh => format!("{people} 人以上"),
            Language::En => format!("{people} people or more"),
        }
    }

    fn legend(&mut self) {
        self.out.push_str("<p class=\"legend\">");
        for (colour, zh, en) in [
            (MET, "按时", "in time"),
            (LATE, "逾期完成", "late"),
            (PENDING, "待定", "pending"),
            (MISSED, "未完成", "missed"),
        ] {
            let label = self.of(zh, en);
            self.add(format_args!("<span><i style=\"background:{colour}\"></i>{label}</span>"));
        }
        self.out.push_str("</p>\n");
    }

    fn coverage(&mut self, data: &ReportData) {
        self.section("coverage", self.of("每周完成情况", "Week by week"));
        let lead = self.of(
            "各周应完成义务的结果占比,柱上为按时率(%)",
            "how the duties of each week ended; above each bar the share done in time (%)",
        );
        self.add(format_args!("<p class=\"lead\">{lead}</p>\n"));
        let svg = chart::coverage(&data.weeks, self.words);
        self.add(format_args!("{svg}\n"));
        self.legend();
        let rows: Vec<(String, Vec<Cell>)> = data
            .weeks
            .iter()
            .map(|week| {
                let days = self.words.days(week.days);
                let cells = match &week.tally {
                    Some(tally) => vec![
                        number(tally.denominator()),
                        number(tally.met),
                        number(tally.met_late),
                        number(tally.missed),
                        number(tally.pending),
                        ("n", self.words.rate(tally)),
                    ],
                    None => vec![("n", "–".to_owned()); 6],
                };
                (days, cells)
            })
            .collect();
        let [required, in_time, late, missed, pending, _, _, rate] = self.words.figures();
        let heads = [self.of("周", "week"), required, in_time, late, missed, pending, rate];
        self.folded(&heads, &rows);
        self.end();
    }

    fn requests(&mut self, data: &ReportData) {
        self.section("requests", self.of("服务申请", "Requests"));
        let requests = &data.requests;
        if requests.rows.is_empty() {
            let none = if requests.withheld {
                self.of("申请人不足 5 人,不予显示", "about fewer than five people: not shown")
            } else {
                self.of("本期没有服务申请", "nothing was asked for")
            };
            self.add(format_args!("<p class=\"lead\">{none}</p>\n"));
            return self.end();
        }
        let lead = self.of("从提交到受理的用时", "from the request until somebody took it up");
        self.add(format_args!("<p class=\"lead\">{lead}</p>\n"));
        let svg = chart::waits(&requests.waits, self.words);
        self.add(format_args!("{svg}\n"));
        let rows: Vec<(String, Vec<Cell>)> = requests
            .rows
            .iter()
            .map(|row| {
                let cells = vec![
                    number(row.submitted),
                    number(row.done),
                    ("n", self.words.minutes(row.accept_minutes)),
                    ("n", self.words.minutes(row.finish_minutes)),
                ];
                (self.words.urgencies(row), cells)
            })
            .collect();
        let heads = [
            self.of("紧急程度", "urgency"),
            self.of("提交", "submitted"),
            self.of("完成", "done"),
            self.of("受理中位用时", "median until taken up"),
            self.of("完成中位用时", "median until done"),
        ];
        self.table("requests", &heads, &rows, &[]);
        self.end();
    }

    fn standards(&mut self, data: &ReportData) {
        self.section("standards", self.of("各项服务标准", "Standards"));
        let names = [self.of("标准", "standard"), self.of("部门", "department")];
        let heads = [&names[..], &self.words.figures()[..]].concat();
        let mut rows = Vec::new();
        let mut keys = Vec::new();
        for row in &data.standards {
            let title = escaped(row.title.get(self.words.0));
            let department = self.words.department(row.department).to_owned();
            rows.push((title, self.figures(department, &row.tally)));
            keys.push(row.code.as_str().to_owned());
        }
        if let Some((count, tally)) = &data.together {
            rows.push((self.words.together(*count), self.figures(String::new(), tally)));
            keys.push("together".to_owned());
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.table("standards", &heads, &rows, &keys);
        if data.withheld > 0 {
            let withheld = match self.words.0 {
                Language::Zh => format!("另有 {} 项标准涉及不足 5 人,不计入任何数字。", data.withheld),
                Language::En => {
                    format!(
                        "{} more standards are about fewer than five people and in no figure.",
                        data.withheld
                    )
                }
            };
            self.add(format_args!("<p class=\"lead\">{withheld}</p>\n"));
        }
        if data.departments.len() > 1 {
            let rows: Vec<(String, Vec<Cell>)> = data
                .departments
                .iter()
                .map(|(department, tally)| {
                    let mut cells = self.figures(String::new(), tally);
                    cells.remove(0);
                    (self.words.department(*department).to_owned(), cells)
                })
                .collect();
            let mut heads = heads;
            heads.remove(0);
            let heading = self.of("按部门", "By department");
            self.add(format_args!("<h3>{heading}</h3>\n"));
            self.table("departments", &heads, &rows, &[]);
        }
        self.end();
    }

    fn figures(&self, department: String, tally: &Tally) -> Vec<Cell> {
        let rate = tenths(tally.numerator(), tally.denominator());
        let bar = rate.map_or_else(
            || "–".to_owned(),
            |rate| {
                format!(
                    "<span class=\"rate\"><b style=\"width:{rate:.1}%\"></b></span><span>{rate:.1}%</span>"
                )
            },
        );
        vec![
            ("", department),
            number(tally.denominator()),
            number(tally.met),
            number(tally.met_late),
            number(tally.missed),
            number(tally.pending),
            number(tally.excused),
            number(tally.late_entries),
            ("n bar", bar),
        ]
    }

    fn posts(&mut self, data: &ReportData) {
        if data.posts.is_empty() && data.posts_withheld == 0 {
            return;
        }
        self.section("posts", self.of("各岗位", "Posts"));
        if !data.posts.is_empty() {
            let lead = self.of(
                "各岗位每周按时率(%)。“·”表示当周没有义务或涉及不足 5 人",
                "each post's share done in time, by week (%). A dot: nothing was owed, or it is about fewer than five people",
            );
            self.add(format_args!("<p class=\"lead\">{lead}</p>\n"));
            let least = data.weeks.len() * 2 + 8;
            let svg = chart::posts(data, self.words);
            self.add(format_args!(
                "<div class=\"scroll\" tabindex=\"0\"><div style=\"min-width:{least}rem\">{svg}</div></div>\n"
            ));
            let rows: Vec<(String, Vec<Cell>)> = data
                .posts
                .iter()
                .map(|post| {
                    let cells = vec![
                        ("", self.words.department(post.department).to_owned()),
                        number(post.required),
                        number(post.contacts),
                        number(post.wanting),
                        ("n", self.words.percent(post.percent)),
                    ];
                    (escaped(&post.title), cells)
                })
                .collect();
            self.table("workload", &self.words.work(), &rows, &[]);
        }
        if data.posts_withheld > 0 {
            let withheld = match self.words.0 {
                Language::Zh => format!("另有 {} 个岗位服务不足 5 人,不予显示。", data.posts_withheld),
                Language::En => format!("{} more posts serve fewer than five people.", data.posts_withheld),
            };
            self.add(format_args!("<p class=\"lead\">{withheld}</p>\n"));
        }
        self.end();
    }

    fn groups(&mut self, data: &ReportData) {
        self.section("groups", self.of("各关怀群体", "Care groups"));
        if data.groups.is_empty() {
            let none = self.of("没有可显示的群体", "no group that can be shown");
            self.add(format_args!("<p class=\"lead\">{none}</p>\n"));
        } else {
            let lead = self.of(
                "按时率。一人可属多个群体;不足 5 人的群体不予显示",
                "share done in time. One person may be in several groups; those of fewer than five people are not \
                 shown",
            );
            self.add(format_args!("<p class=\"lead\">{lead}</p>\n<ul class=\"bars\">\n"));
            for group in &data.groups {
                let title = escaped(group.title.get(self.words.0));
                let percent = group.percent;
                self.add(format_args!(
                    "<li><span>{title}</span><span class=\"rate\"><b style=\"width:{percent}%\"></b></span>\
                     <span class=\"n\">{percent}%</span></li>\n"
                ));
            }
            self.out.push_str("</ul>\n");
        }
        self.end();
    }

    fn visits(&mut self, data: &ReportData) {
        self.section("visits", self.of("探访率", "Visit rate"));
        let rows: Vec<(String, Vec<Cell>)> = data
            .visits
            .iter()
            .map(|month| {
                let first = month.days.start();
                let label = format!("{:04}-{:02}", first.year(), first.month());
                let cells = match &month.rate {
                    Some(rate) => vec![
                        ("n", self.at_least(rate.residents_at_least)),
                        ("n", format!("{}%", rate.percent)),
                    ],
                    None => {
                        vec![("n", self.of("不足 5 人", "fewer than 5").to_owned()), ("n", "–".to_owned())]
                    }
                };
                (label, cells)
            })
            .collect();
        let heads = [
            self.of("月份", "month"),
            self.of("特殊困难老年人", "elders in special difficulty"),
            self.of("探访率", "visit rate"),
        ];
        self.table("visits", &heads, &rows, &[]);
        self.end();
    }

    fn corrections(&mut self, data: &ReportData) {
        let Some(corrections) = &data.corrections else { return };
        self.section("corrections", self.of("关账后的更正", "Corrections since the closing"));
        if corrections.is_empty() {
            let none = self.of("没有更正", "none");
            self.add(format_args!("<p class=\"lead\">{none}</p>\n"));
            return self.end();
        }
        let short = |tally: &Tally| format!("{} / {}", tally.numerator(), tally.denominator());
        let row = |row: &CorrectionRow| {
            let cells = vec![
                ("n", short(&row.closed)),
                ("n", self.words.rate(&row.closed)),
                ("n", short(&row.current)),
                ("n", self.words.rate(&row.current)),
                ("n", row.causes.to_string()),
            ];
            (escaped(row.title.get(self.words.0)), cells)
        };
        let rows: Vec<(String, Vec<Cell>)> = corrections.iter().map(row).collect();
        let heads = [
            self.of("标准", "standard"),
            self.of("关账时", "as closed"),
            self.of("关账时按时率", "rate as closed"),
            self.of("现在", "now"),
            self.of("现在按时率", "rate now"),
            self.of("原因(条)", "causes"),
        ];
        let keys: Vec<&str> = corrections.iter().map(|row| row.code.as_str()).collect();
        self.table("corrections", &heads, &rows, &keys);
        self.end();
    }

    fn notes(&mut self) {
        let heading = self.of("说明", "Notes");
        self.add(format_args!("<footer><h2>{heading}</h2><ol>\n"));
        for note in self.words.notes() {
            self.add(format_args!("<li>{note}</li>\n"));
        }
        self.out.push_str("</ol></footer>\n");
    }

    /// A table that is seen when it is asked for: it says what the chart above it shows.
    fn folded(&mut self, heads: &[&str], rows: &[(String, Vec<Cell>)]) {
        let summary = self.of("以表格显示", "as a table");
        self.add(format_args!("<details><summary>{summary}</summary>\n"));
        self.table("", heads, rows, &[]);
        self.out.push_str("</details>\n");
    }

    /// A table of a first column that names each row, and others. Its texts are escaped already. `keys` tell rows apart for
    /// whoever reads the page by program.
    fn table(&mut self, id: &str, heads: &[&str], rows: &[(String, Vec<Cell>)], keys: &[&str]) {
        let id = if id.is_empty() { String::new() } else { format!(" id=\"{id}\"") };
        self.add(format_args!("<table{id}><thead><tr>"));
        // A head stands over its column as the cells below do.
        let words = |at: usize| {
            let cell = rows.first().and_then(|(_, cells)| cells.get(at.checked_sub(1)?));
            at == 0 || cell.is_some_and(|(class, _)| class.is_empty())
        };
        for (at, head) in heads.iter().enumerate() {
            let class = if words(at) { "" } else { " class=\"n\"" };
            self.add(format_args!("<th scope=\"col\"{class}>{head}</th>"));
        }
        self.out.push_str("</tr></thead><tbody>\n");
        for (at, (name, cells)) in rows.iter().enumerate() {
            let key = keys.get(at).map(|key| format!(" data-key=\"{key}\"")).unwrap_or_default();
            self.add(format_args!("<tr{key}><th scope=\"row\">{name}</th>"));
            for ((class, text), head) in cells.iter().zip(heads.iter().skip(1)) {
                self.add(format_args!("<td class=\"{class}\" data-label=\"{head}\">{text}</td>"));
            }
            self.out.push_str("</tr>\n");
        }
        self.out.push_str("</tbody></table>\n");
    }
}

fn number(count: u64) -> Cell {
    ("n", count.to_string())
}

const STYLE: &str = include_str!("page.css");
