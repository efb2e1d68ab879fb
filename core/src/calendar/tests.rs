//! Tests of the calendar: named days, rest days and lunar occasions, held against an authority.

use super::*;

fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).unwrap()
}

fn calendar() -> SiteCalendar {
    SiteCalendar::new(SiteZone::SHANGHAI)
}

#[test]
fn workdays() {
    let check = |text: &str, expect: Result<bool, i32>| {
        let expect = expect.map_err(|year| CalendarError::MissingYear { year });
        assert_eq!(calendar().is_workday(day(text)), expect, "{text}");
    };
    check("2026-03-16", Ok(true));
    check("2026-03-21", Ok(false));
    check("2026-02-14", Ok(true));
    check("2026-02-16", Ok(false));
    check("2026-10-10", Ok(true));
    check("2025-10-08", Ok(false));
    check("2025-01-26", Ok(true));
    check("2025-02-05", Ok(true));
    check("2027-01-01", Err(2027));
    check("2024-12-31", Err(2024));
}

#[test]
fn a_year_has_as_many_workdays_as_announced() {
    let check = |year: i32, expect: i32| {
        let year = calendar_window(Period::Year, CivilDate::from_ymd(year, 6, 1).unwrap()).unwrap();
        assert_eq!(calendar().count(RunsOn::Workdays, year), Ok(expect), "{year:?}");
    };
    // 365 days − 104 weekend days − the statutory holidays that fall on or are moved to weekdays: 13 a year.
    check(2025, 248);
    check(2026, 248);
}

#[test]
fn a_site_overrides_days_and_terms() {
    let site = calendar()
        .with_day(day("2026-03-16"), DayKind::Rest)
        .with_day(day("2027-01-04"), DayKind::Work)
        .with_school_terms(2027, vec![DateRange::new(day("2027-01-04"), day("2027-01-05"))]);
    assert_eq!(site.is_workday(day("2026-03-16")), Ok(false));
    assert_eq!(site.is_school_day(day("2027-01-04")), Ok(true));
    // Out of term whether it is worked or not: the missing year does not change the answer.
    assert_eq!(site.is_school_day(day("2027-07-30")), Ok(false));
    assert_eq!(site.is_workday(day("2027-07-30")), Err(CalendarError::MissingYear { year: 2027 }));
}

#[test]
fn a_year_is_read_from_a_file() {
    let text = "# 2027, as announced\n\nyear 2027\noff 2027-01-01..2027-01-04 # new year\nwork 2027-01-09\n\
                term 2027-02-22..2027-07-09\n";
    let year = PublicYear::parse(text).unwrap();
    let site = calendar().with_public_year(year.clone()).with_day(day("2027-01-05"), DayKind::Rest);
    let check = |text: &str, work: bool, school: bool| {
        assert_eq!(site.is_workday(day(text)), Ok(work), "{text}");
        assert_eq!(site.is_school_day(day(text)), Ok(school), "{text}");
    };
    check("2027-01-04", false, false);
    check("2027-01-05", false, false);
    check("2027-01-06", true, false);
    check("2027-01-09", true, false);
    check("2027-01-10", false, false);
    check("2027-02-22", true, true);
    check("2027-02-27", false, false);
    let off = vec![DateRange::new(day("2027-01-01"), day("2027-01-05"))];
    let same = PublicYear::new(2027, off.clone(), vec![day("2027-01-09")]).unwrap();
    let terms = vec![DateRange::new(day("2027-02-22"), day("2027-07-10"))];
    assert_eq!(same.clone().with_terms(terms), Ok(year));
    // Without terms only holidays decide.
    let without = calendar().with_public_year(same);
    assert_eq!(without.is_school_day(day("2027-01-01")), Ok(false));
    assert_eq!(without.is_school_day(day("2027-01-06")), Err(CalendarError::MissingYear { year: 2027 }));
    assert_eq!(PublicYear::new(2027, off, vec![day("2027-01-02")]), Err(Invalid::Duplicate));

    let refused = |text: &str, line: usize, why: Invalid| {
        assert_eq!(PublicYear::parse(text), Err(vec![PublicYearError { line, why }]), "{text}");
    };
    refused("", 0, Invalid::Missing);
    refused("# nothing\n", 0, Invalid::Missing);
    refused("off 2027-01-01", 1, Invalid::Missing);
    refused("year", 1, Invalid::Missing);
    refused("year soon", 1, Invalid::Date);
    refused("year 3000", 1, Invalid::DateRange);
    refused("year 2027\nyear 2028", 2, Invalid::Duplicate);
    refused("year 2027\n\nrest 2027-01-01", 3, Invalid::Unknown);
    refused("year 2027\noff 2027-02-29", 2, Invalid::Date);
    refused("year 2027\noff 2027-01-03..2027-01-01", 2, Invalid::EndsBeforeStart);
    refused("year 2027\noff 2026-12-31..2027-01-01", 2, Invalid::OtherYear { year: 2027 });
    refused("year 2027\nwork 2028-01-02", 2, Invalid::OtherYear { year: 2027 });
    refused("year 2027\noff 2027-01-09\nwork 2027-01-09", 3, Invalid::Duplicate);
    // Everything at once, and nothing is judged without a year.
    let wrong = "year 2027\nrest 2027-01-01\noff 2027-01-02\nwork 2027-13-01\nyear 2028";
    let wrong: Vec<usize> = PublicYear::parse(wrong).unwrap_err().iter().map(|error| error.line).collect();
    assert_eq!(wrong, [2, 4, 5]);
    refused("off 2027-01-01\nrest", 1, Invalid::Missing);
}

#[test]
fn an_unknown_year_has_likely_workdays() {
    let check = |text: &str, expect: bool| {
        assert_eq!(calendar().is_likely_workday(day(text)), expect, "{text}");
    };
    check("2027-01-01", true);
    check("2027-01-02", false);
    check("2026-10-10", true);
    check("2026-10-01", false);
}

#[test]
fn windows() {
    let check = |period: Period, text: &str, start: &str, end: &str| {
        let expect = DateRange::new(day(start), day(end));
        assert_eq!(calendar_window(period, day(text)), Some(expect), "{period:?} {text}");
    };
    check(Period::Day, "2024-02-29", "2024-02-29", "2024-03-01");
    check(Period::Week, "2026-03-16", "2026-03-16", "2026-03-23");
    check(Period::Week, "2026-03-22", "2026-03-16", "2026-03-23");
    check(Period::Week, "2027-01-01", "2026-12-28", "2027-01-04");
    check(Period::Week, "1900-01-01", "1900-01-01", "1900-01-08");
    check(Period::Month, "2024-02-29", "2024-02-01", "2024-03-01");
    check(Period::Month, "2026-12-31", "2026-12-01", "2027-01-01");
    check(Period::Quarter, "2026-11-23", "2026-10-01", "2027-01-01");
    check(Period::Quarter, "2026-03-31", "2026-01-01", "2026-04-01");
    check(Period::Year, "2026-03-31", "2026-01-01", "2027-01-01");
    assert_eq!(calendar_window(Period::EveryDays(3), day("2026-03-16")), None);
}

#[test]
fn occasions() {
    let check = |occasion: Occasion, year: i32, expect: &str| {
        let found = calendar().occasion(&OccasionRef::BuiltIn(occasion), year);
        assert_eq!(found, Ok(day(expect)), "{} {year}", occasion.code());
    };
    check(Occasion::SpringFestival, 2026, "2026-02-17");
    check(Occasion::LanternFestival, 2026, "2026-03-03");
    check(Occasion::Qingming, 2026, "2026-04-05");
    check(Occasion::DragonBoat, 2026, "2026-06-19");
    check(Occasion::MidAutumn, 2026, "2026-09-25");
    check(Occasion::DoubleNinth, 2026, "2026-10-18");
    check(Occasion::DoubleNinth, 2033, "2033-10-01");
    check(Occasion::WomensDay, 2026, "2026-03-08");
    check(Occasion::MothersDay, 2026, "2026-05-10");
    check(Occasion::MothersDay, 2028, "2028-05-14");
    check(Occasion::HelpDisabledDay, 2026, "2026-05-17");
    check(Occasion::HelpDisabledDay, 2027, "2027-05-16");
    check(Occasion::ChildrensDay, 2026, "2026-06-01");
    check(Occasion::ArmyDay, 2026, "2026-08-01");
    check(Occasion::MartyrsDay, 2026, "2026-09-30");
    check(Occasion::DisabilityDay, 2026, "2026-12-03");
}

#[test]
fn a_year_without_data_is_an_error() {
    let lunar = OccasionRef::BuiltIn(Occasion::MidAutumn);
    assert_eq!(calendar().occasion(&lunar, 1900), Err(CalendarError::MissingYear { year: 1900 }));
    assert_eq!(calendar().occasion(&lunar, 2101), Err(CalendarError::MissingYear { year: 2101 }));
    let code = FieldCode::new("founding_day").unwrap();
    let own = OccasionRef::Site(code.clone());
    assert_eq!(calendar().occasion(&own, 2026), Err(CalendarError::UnknownOccasion { code: code.clone() }));
    let listed = SiteOccasion::Days(vec![day("2026-05-20")]);
    let site = calendar().with_occasion(code.clone(), listed).unwrap();
    assert_eq!(site.occasion(&own, 2026), Ok(day("2026-05-20")));
    assert_eq!(site.occasion(&own, 2027), Err(CalendarError::MissingYear { year: 2027 }));
    let leap = SiteOccasion::Yearly { month: 2, day: 29 };
    let site = calendar().with_occasion(code.clone(), leap).unwrap();
    assert_eq!(site.occasion(&own, 2028), Ok(day("2028-02-29")));
    assert_eq!(site.occasion(&own, 2027), Ok(day("2027-02-28")));
    let never = SiteOccasion::Yearly { month: 2, day: 30 };
    assert_eq!(calendar().with_occasion(code, never), Err(Invalid::Date));
}
