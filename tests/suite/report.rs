//! The report that managers read: looked at in a real browser at two widths, and held against the figures of the other RPCs.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::process::Command;

use calamine::{Data as Cell, Reader, Xlsx};
use linli_proto::v1::{self, PeriodUnit, RequestKind, ServiceKind};
use serde_json::Value;

use crate::built::program;
use crate::harness::browser::Browser;
use crate::harness::client::Client;
use crate::harness::estate::{contact, elder};
use crate::harness::server::{Child, Data, Server};

const QUARTER: &str = "sites/xingfuli/periods/2026-q1";
/// The weeks of the story: they begin on the first Monday of the year.
const WEEKS: i32 = 12;
/// People in the story; what is said of any of them in words must not be in the report.
const NAMES: [&str; 14] = [
    "秦安然",
    "陶静好",
    "谢知秋",
    "方既明",
    "苏问渠",
    "顾长宁",
    "沈忘机",
    "陆怀瑾",
    "叶扶苏",
    "温如故",
    "江照晚",
    "宋清和",
    "白行简",
    "程未央",
];

/// A day of the story's weeks.
fn day(week: i32, day: i32) -> String {
    let monday = chrono::NaiveDate::from_ymd_opt(2026, 1, 5).unwrap();
    (monday + chrono::Duration::days(i64::from(week * 7 + day))).to_string()
}

/// A quarter of an estate with two stewards, engineers and guards: fourteen elders, most of whom get what they are promised, one
/// who alone receives an allowance, requests, a forgotten week, and a visit that is entered after the quarter was closed.
async fn quarter(client: &Client) {
    let title = v1::Site { display_name: "幸福里小区".to_owned(), ..Default::default() };
    let request =
        v1::CreateSiteRequest { site: Some(title), site_id: "xingfuli".to_owned(), ..Default::default() };
    let site = client.ask(request).await.unwrap().name;
    let staff = v1::Department::CustomerService;
    for (id, title, department, buildings) in [
        ("b3", "3号楼管家", staff, vec!["3"]),
        ("b9", "9号楼管家", staff, vec!["9"]),
        ("b12", "12号楼管家", staff, vec!["12"]),
        ("repair", "维修岗", v1::Department::Engineering, vec![]),
        ("guards", "秩序维护岗", v1::Department::Security, vec![]),
    ] {
        let post = v1::Post {
            display_name: title.to_owned(),
            department: department.into(),
            buildings: buildings.into_iter().map(str::to_owned).collect(),
            ..Default::default()
        };
        let request = v1::CreatePostRequest {
            parent: site.clone(),
            post: Some(post),
            post_id: id.to_owned(),
            ..Default::default()
        };
        client.ask(request).await.unwrap();
    }
    let mut elders = Vec::new();
    for (number, name) in NAMES.iter().enumerate() {
        // Two live in building 12: too few to be shown by themselves.
        let building = ["3", "9", "3", "9", "3", "9", "12"][number % 7];
        let dwelling = v1::Dwelling {
            building: building.to_owned(),
            unit: "1".to_owned(),
            room: format!("{}01", number + 1),
            ..Default::default()
        };
        let request = v1::CreateDwellingRequest {
            parent: site.clone(),
            dwelling: Some(dwelling),
            dwelling_id: format!("d{number}"),
            ..Default::default()
        };
        let dwelling = client.ask(request).await.unwrap().name;
        elders.push(client.resident(elder(&dwelling, name)).await.name);
    }
    let allowance = v1::DeclareMembershipRequest {
        parent: elders[0].clone(),
        group: "careGroups/subsistence_allowance".to_owned(),
        basis: v1::MembershipBasis::Declared.into(),
        evidence: "居委会告知".to_owned(),
        ..Default::default()
    };
    client.ask(allowance).await.unwrap();
    for week in 0..WEEKS {
        client.advance(&format!("{}T18:00:00+08:00", day(week, 4))).await;
        let mut records = Vec::new();
        for (number, resident) in elders.iter().enumerate() {
            let number = i32::try_from(number).unwrap();
            let mut done = |kind, on| {
                let time = format!("{}T10:00:00+08:00", day(week, on));
                records.push(contact(resident, kind, &time, v1::Outcome::Done));
            };
            // Building 9 was forgotten in the fifth week; elsewhere somebody is missed now and then.
            if week == 5 && number % 2 == 1 {
                continue;
            }
            if (number * 5 + week * 3) % 17 != 0 {
                done(ServiceKind::HomeVisit, number % 3);
            }
            done(ServiceKind::PhoneCall, 1);
            if (number + week) % 6 != 0 {
                done(ServiceKind::PhoneCall, 3);
            }
        }
        let request = v1::RecordServiceRequest { parent: site.clone(), records, ..Default::default() };
        client.ask(request).await.unwrap();
        // Requests: taken up after ten minutes, two hours, or not at all.
        if week < 9 {
            let request = v1::Request {
                kind: RequestKind::Repair.into(),
                subject: elders[usize::try_from(week).unwrap()].clone(),
                description: "厨房水龙头漏水".to_owned(),
                ..Default::default()
            };
            let request = v1::SubmitRequestRequest {
                parent: site.clone(),
                request: Some(request),
                ..Default::default()
            };
            let name = client.ask(request).await.unwrap().name;
            let waited = if week % 3 == 0 { "20:00" } else { "18:10" };
            client.advance(&format!("{}T{waited}:00+08:00", day(week, 4))).await;
            if week % 4 != 3 {
                client.ask(v1::AcceptRequestRequest { name, ..Default::default() }).await.unwrap();
            }
        }
    }
    client.advance("2026-04-02T09:00:00+08:00").await;
    for period in [QUARTER, "sites/xingfuli/periods/2026-03"] {
        client.ask(v1::ClosePeriodRequest { name: period.to_owned(), ..Default::default() }).await.unwrap();
    }
    client.advance("2026-04-02T10:00:00+08:00").await;
    let time = format!("{}T15:00:00+08:00", day(5, 3));
    client.done(&elders[3], ServiceKind::HomeVisit, &time).await;
}

async fn render(client: &Client, format: v1::ReportFormat, language: &str) -> v1::RenderReportResponse {
    let request = v1::RenderReportRequest {
        name: QUARTER.to_owned(),
        format: format.into(),
        language: language.to_owned(),
    };
    client.ask(request).await.unwrap()
}

/// The figures of the quarter by code: required, in time, late, missed, pending, excused, entered late, and the rate.
async fn figures(client: &Client) -> BTreeMap<String, Vec<String>> {
    let request = v1::GetComplianceReportRequest {
        parent: "sites/xingfuli".to_owned(),
        period: PeriodUnit::Quarter.into(),
        start_date: "2026-01-01".to_owned(),
        ..Default::default()
    };
    let row = |row: v1::ComplianceRow| {
        let counts = [
            row.denominator,
            row.numerator,
            row.met_late,
            row.missed,
            row.pending,
            row.excused,
            row.late_entries,
        ];
        let mut figures: Vec<String> = counts.iter().map(ToString::to_string).collect();
        figures.push(row.rate_percent.map_or("–".to_owned(), |rate| format!("{rate:.1}%")));
        (row.standard.trim_start_matches("standards/").to_owned(), figures)
    };
    client.ask(request).await.unwrap().rows.into_iter().map(row).collect()
}

/// What is read out of a page: its tables, what sticks out of it, what it asked for.
const READ: &str = "\
const table = id => [...document.querySelectorAll('#' + id + ' tbody tr')].map(row => \
  [row.dataset.key || row.querySelector('th').textContent, ...[...row.querySelectorAll('td')].map(cell => cell.textContent)]);\
const visible = element => !element.closest('.scroll') && !element.closest('thead') && !element.closest('svg > *');\
found({\
  lang: document.documentElement.lang, title: document.title, headings: document.querySelectorAll('h1, h2').length,\
  wide: document.documentElement.scrollWidth, room: document.documentElement.clientWidth,\
  out: [...document.querySelectorAll('body *')].filter(visible)\
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1).map(element => element.outerHTML.slice(0, 80)),\
  charts: [...document.querySelectorAll('svg')].map(chart => ({\
    title: chart.querySelector('title').textContent, says: chart.querySelector('desc').textContent,\
    role: chart.getAttribute('role'), wide: chart.getBoundingClientRect().width })),\
  asked: performance.getEntriesByType('resource').map(entry => entry.name),\
  main: document.querySelector('.card.main').textContent,\
  standards: table('standards'), departments: table('departments'), workload: table('workload'), visits: table('visits'),\
  requests: table('requests'), corrections: table('corrections') });";

fn rows(table: &Value) -> Vec<Vec<String>> {
    let text = |cell: &Value| cell.as_str().unwrap().to_owned();
    table.as_array().unwrap().iter().map(|row| row.as_array().unwrap().iter().map(text).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_whole_readable_and_says_what_the_rpcs_say() {
    let server = Server::on(Data::sqlite().at("2026-01-05T09:00:00+08:00")).await;
    let client = server.client();
    quarter(&client).await;
    let figures = figures(&client).await;
    let browser = Browser::find();
    for language in ["zh", "en"] {
        let rendered = render(&client, v1::ReportFormat::Html, language).await;
        assert_eq!(rendered.media_type, "text/html; charset=utf-8");
        assert_eq!(rendered.file_name, "xingfuli-2026-q1.html");
        let page = String::from_utf8(rendered.content).unwrap();
        whole(&page);
        let Some(browser) = &browser else { continue };
        for (width, height, device) in [(390, 1_800, "phone"), (1_280, 1_600, "desk")] {
            let seen = browser.look(&page, width, READ);
            readable(&seen, width, language);
            says(&seen, &figures);
            let picture = browser.picture(&page, width, height, &format!("{device}-{language}"));
            assert_eq!((picture.width, picture.height), (width.into(), height.into()));
            assert!(picture.colours > 50 && picture.most_frequent < 0.8, "{picture:?}");
        }
    }
    workbook(&render(&client, v1::ReportFormat::Xlsx, "zh").await, &figures);
    server.stop().await;
}

/// The page needs nothing else, and names nobody.
fn whole(page: &str) {
    for foreign in
        ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link", "<img", "<iframe"]
    {
        let text = page.replace("<!DOCTYPE html>", "");
        assert!(!text.contains(foreign), "`{foreign}` in the page");
    }
    for name in NAMES {
        assert!(!page.contains(name), "{name}");
    }
    // One person alone receives an allowance, and two posts serve too few people.
    for small in ["subsistence", "低保", "12号楼管家", "水龙头", "居委会告知"] {
        assert!(!page.contains(small), "`{small}` in the page");
    }
}

/// Nothing sticks out, and whoever does not see the charts is told what they show.
#[track_caller]
fn readable(seen: &Value, width: u32, language: &str) {
    assert_eq!(seen["lang"].as_str().unwrap().get(..2), Some(language));
    assert!(seen["title"].as_str().unwrap().contains("2026-q1"));
    assert!(seen["headings"].as_u64().unwrap() >= 7);
    assert_eq!(seen["wide"], seen["room"], "it scrolls sideways at {width}: {}", seen["out"]);
    assert_eq!(seen["out"], Value::Array(Vec::new()), "it sticks out at {width}");
    assert_eq!(seen["asked"], Value::Array(Vec::new()), "it asks for more");
    let charts = seen["charts"].as_array().unwrap();
    assert_eq!(charts.len(), 3);
    for chart in charts {
        assert_eq!(chart["role"], "img");
        assert!(!chart["title"].as_str().unwrap().is_empty() && !chart["says"].as_str().unwrap().is_empty());
        // Drawn for 360, with words of 11: never smaller than nine.
        assert!(chart["wide"].as_f64().unwrap() >= 295.0, "{chart} at {width}");
    }
}

/// Its numbers are those of the RPCs.
#[track_caller]
fn says(seen: &Value, figures: &BTreeMap<String, Vec<String>>) {
    let standards = rows(&seen["standards"]);
    let (mut sum, mut shown) = ([0_u64; 7], 0);
    for row in &standards {
        for (sum, cell) in sum.iter_mut().zip(&row[2..9]) {
            *sum += cell.parse::<u64>().unwrap();
        }
        if row[0] != "together" {
            assert_eq!(row[2..10], figures[&row[0]][..], "{}", row[0]);
            shown += 1;
        }
    }
    assert!(shown >= 4, "{standards:?}");
    assert!(standards.iter().any(|row| row[0] == "together"), "{standards:?}");
    assert!(shown < figures.len(), "what few people get is not shown by itself");
    let all: Vec<u64> =
        (0..7).map(|at| figures.values().map(|figures| figures[at].parse::<u64>().unwrap()).sum()).collect();
    assert_eq!(sum[..], all[..], "what is shown together and alone is everything");
    let main = seen["main"].as_str().unwrap();
    assert!(main.contains(&sum[0].to_string()) && main.contains(&sum[1].to_string()), "{main}: {sum:?}");
    // What came after the closing, and nothing else.
    let corrections = rows(&seen["corrections"]);
    let visit = corrections.iter().find(|row| row[0] == "elder.visit").unwrap();
    let (closed, required) = (&figures["elder.visit"][1], &figures["elder.visit"][0]);
    let now = closed.parse::<u64>().unwrap() + 1;
    assert_eq!((&visit[1], &visit[3]), (&format!("{closed} / {required}"), &format!("{now} / {required}")));
    assert_eq!(visit[5], "1");
    let submitted: u64 = rows(&seen["requests"]).iter().map(|row| row[1].parse::<u64>().unwrap()).sum();
    assert_eq!(submitted, 9);
    let visits = rows(&seen["visits"]);
    assert_eq!(visits.len(), 3);
    assert!(visits.iter().all(|row| row[1].contains("10") && row[2] == "100%"), "{visits:?}");
    assert!(rows(&seen["workload"]).len() >= 3);
}

/// The workbook has the sheets that managers ask for, and the same numbers as numbers.
#[track_caller]
fn workbook(rendered: &v1::RenderReportResponse, figures: &BTreeMap<String, Vec<String>>) {
    assert_eq!(rendered.file_name, "xingfuli-2026-q1.xlsx");
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(rendered.content.clone())).unwrap();
    assert_eq!(book.sheet_names(), ["概览", "服务标准", "岗位", "服务申请", "更正"]);
    let standards = book.worksheet_range("服务标准").unwrap();
    let mut checked = 0;
    for row in standards.rows().skip(1) {
        let Some(expected) = row[0].to_string().split_whitespace().next().and_then(|code| figures.get(code))
        else {
            continue;
        };
        for (cell, expected) in row[3..10].iter().zip(expected) {
            assert!(matches!(cell, Cell::Float(_) | Cell::Int(_)), "{cell:?} is no number");
            assert_eq!(cell.to_string(), *expected);
        }
        checked += 1;
    }
    assert!(checked >= 4);
    for sheet in ["岗位", "服务申请", "更正"] {
        assert!(book.worksheet_range(sheet).unwrap().height() >= 2, "{sheet}");
    }
    let text = format!("{:?}", book.worksheets());
    assert!(NAMES.iter().all(|name| !text.contains(name)) && !text.contains("12号楼管家"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_writes_reports_in_both_languages() {
    let child = Child::start(Data::sqlite());
    let client = child.client();
    client.estate("a").await;
    let folder = linli_store::testing::ScratchDir::new();
    let run = |arguments: &[&str]| {
        let output = Command::new(program("linli"))
            .args(["report", "--site", "a", "--endpoint", &format!("http://{}", child.address)])
            .args(arguments)
            .env("LINLI_TOKEN", child.token())
            .env("LANG", "C")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let (code, said) = run(&["--period", "2026-03", "--out", "march.html", "--both"]);
    assert_eq!((code, said.as_str()), (Some(0), "march.zh.html\nmarch.en.html\n"));
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let (zh, en) = (read("march.zh.html"), read("march.en.html"));
    assert!(String::from_utf8(zh).unwrap().contains("关怀服务报告"));
    assert!(String::from_utf8(en).unwrap().contains("Care report"));
    let (code, said) = run(&["--period", "2026-q1", "--out", "quarter.xlsx", "--lang", "zh"]);
    assert_eq!((code, said.as_str()), (Some(0), "quarter.xlsx\n"));
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(read("quarter.xlsx"))).unwrap();
    assert!(book.worksheet_range("概览").unwrap().height() > 10);
    let (code, said) = run(&["--period", "march", "--out", "x.html"]);
    assert!(code == Some(2) && said.contains("2026-q1"), "{said}");
    child.stop();
}
