//! Occasions that the moon and the sun fix, as a table of Gregorian days for 1901–2100.
//!
//! The lunar columns were generated from `icu_calendar` (GB/T 33661), the column of 清明 from the sun's apparent
//! longitude (15° in Beijing time); the tests below hold the table to both. Occasions ignore leap months.

use crate::kind::Occasion;

/// The first year of the table.
pub(super) const FIRST_YEAR: i32 = 1901;

/// Month × 100 + day of an occasion that the table knows; `None` outside its years.
pub(super) fn month_day(occasion: TableOccasion, year: i32) -> Option<(u32, u32)> {
    let row = TABLE.get(usize::try_from(year.checked_sub(FIRST_YEAR)?).ok()?)?;
    let [spring, qingming, dragon_boat, mid_autumn, double_ninth] = *row;
    let month_day = match occasion {
        TableOccasion::SpringFestival => spring,
        TableOccasion::Qingming => qingming,
        TableOccasion::DragonBoat => dragon_boat,
        TableOccasion::MidAutumn => mid_autumn,
        TableOccasion::DoubleNinth => double_ninth,
    };
    Some((u32::from(month_day / 100), u32::from(month_day % 100)))
}

/// The columns of the table.
#[derive(Debug, Clone, Copy)]
pub(super) enum TableOccasion {
    SpringFestival,
    Qingming,
    DragonBoat,
    MidAutumn,
    DoubleNinth,
}

impl TableOccasion {
    /// The column that decides an occasion, and how many days after that column's day it lies; `None` for occasions
    /// that the Gregorian calendar alone fixes.
    pub(super) fn of(occasion: Occasion) -> Option<(Self, i32)> {
        match occasion {
            Occasion::SpringFestival => Some((Self::SpringFestival, 0)),
            // Lunar 1/15: fourteen days after lunar 1/1, whatever the length of the month.
            Occasion::LanternFestival => Some((Self::SpringFestival, 14)),
            Occasion::Qingming => Some((Self::Qingming, 0)),
            Occasion::DragonBoat => Some((Self::DragonBoat, 0)),
            Occasion::MidAutumn => Some((Self::MidAutumn, 0)),
            Occasion::DoubleNinth => Some((Self::DoubleNinth, 0)),
            Occasion::WomensDay
            | Occasion::MothersDay
            | Occasion::HelpDisabledDay
            | Occasion::ChildrensDay
            | Occasion::ArmyDay
            | Occasion::MartyrsDay
            | Occasion::DisabilityDay => None,
        }
    }
}

/// Per year: 春节, 清明, 端午, 中秋, 重阳.
#[rustfmt::skip]
static TABLE: [[u16; 5]; 200] = [
    [219, 405, 620, 927, 1020], [208, 406, 610, 916, 1010], [129, 406, 531, 1005, 1028],
    [216, 405, 618, 924, 1017], [204, 405, 607, 913, 1007], [125, 406, 626, 1002, 1026],
    [213, 406, 615, 922, 1015], [202, 405, 603, 910, 1003], [122, 405, 622, 928, 1022],
    [210, 406, 611, 918, 1011], [130, 406, 601, 1006, 1030], [218, 405, 619, 925, 1018],
    [206, 405, 609, 915, 1008], [126, 405, 529, 1004, 1027], [214, 406, 617, 923, 1017],
    [203, 405, 605, 912, 1005], [123, 405, 623, 930, 1024], [211, 405, 613, 919, 1013],
    [201, 406, 602, 1008, 1101], [220, 405, 620, 926, 1020], [208, 405, 610, 916, 1009],
    [128, 405, 531, 1005, 1028], [216, 406, 618, 925, 1018], [205, 405, 606, 913, 1007],
    [124, 405, 625, 1002, 1026], [213, 405, 614, 921, 1015], [202, 406, 604, 910, 1004],
    [123, 405, 622, 928, 1021], [210, 405, 611, 917, 1011], [130, 405, 601, 1006, 1030],
    [217, 406, 620, 926, 1019], [206, 405, 608, 915, 1008], [126, 405, 528, 1004, 1027],
    [214, 405, 616, 923, 1016], [204, 406, 605, 912, 1006], [124, 405, 623, 930, 1023],
    [211, 405, 613, 919, 1012], [131, 405, 602, 1008, 1031], [219, 406, 621, 927, 1021],
    [208, 405, 610, 916, 1009], [127, 405, 530, 1005, 1028], [215, 405, 618, 924, 1018],
    [205, 406, 607, 914, 1007], [125, 405, 625, 1001, 1025], [213, 405, 614, 920, 1014],
    [202, 405, 604, 910, 1003], [122, 405, 623, 929, 1022], [210, 405, 611, 917, 1011],
    [129, 405, 601, 1006, 1030], [217, 405, 619, 926, 1019], [206, 405, 609, 915, 1009],
    [127, 405, 528, 1003, 1027], [214, 405, 615, 922, 1016], [203, 405, 605, 911, 1005],
    [124, 405, 624, 930, 1024], [212, 405, 613, 919, 1012], [131, 405, 602, 908, 1031],
    [218, 405, 621, 927, 1021], [208, 405, 610, 917, 1010], [128, 405, 529, 1005, 1028],
    [215, 405, 617, 924, 1018], [205, 405, 606, 913, 1007], [125, 405, 625, 1002, 1025],
    [213, 405, 614, 920, 1014], [202, 405, 604, 910, 1003], [121, 405, 623, 929, 1022],
    [209, 405, 612, 918, 1012], [130, 405, 531, 1006, 1030], [217, 405, 619, 926, 1019],
    [206, 405, 608, 915, 1008], [127, 405, 528, 1003, 1027], [215, 405, 615, 922, 1015],
    [203, 405, 605, 911, 1004], [123, 405, 624, 930, 1023], [211, 405, 614, 920, 1013],
    [131, 404, 602, 908, 1031], [218, 405, 621, 927, 1021], [207, 405, 610, 917, 1010],
    [128, 405, 530, 1005, 1029], [216, 404, 617, 923, 1017], [205, 405, 606, 912, 1006],
    [125, 405, 625, 1001, 1025], [213, 405, 615, 921, 1014], [202, 404, 604, 910, 1003],
    [220, 405, 622, 929, 1022], [209, 405, 611, 918, 1012], [129, 405, 531, 1007, 1031],
    [217, 404, 618, 925, 1019], [206, 405, 608, 914, 1008], [127, 405, 528, 1003, 1026],
    [215, 405, 616, 922, 1016], [204, 404, 605, 911, 1004], [123, 405, 624, 930, 1023],
    [210, 405, 613, 920, 1013], [131, 405, 602, 909, 1101], [219, 404, 620, 927, 1020],
    [207, 405, 609, 916, 1010], [128, 405, 530, 1005, 1028], [216, 405, 618, 924, 1017],
    [205, 404, 606, 912, 1006], [124, 405, 625, 1001, 1025], [212, 405, 615, 921, 1014],
    [201, 405, 604, 911, 1004], [122, 404, 622, 928, 1022], [209, 405, 611, 918, 1011],
    [129, 405, 531, 1006, 1030], [218, 405, 619, 925, 1019], [207, 404, 608, 914, 1007],
    [126, 404, 528, 1003, 1026], [214, 405, 616, 922, 1016], [203, 405, 606, 912, 1005],
    [123, 404, 623, 930, 1023], [210, 404, 612, 919, 1013], [131, 405, 602, 908, 1002],
    [219, 405, 620, 927, 1021], [208, 404, 609, 915, 1009], [128, 404, 530, 1004, 1028],
    [216, 405, 618, 924, 1017], [205, 405, 607, 913, 1007], [125, 404, 625, 1001, 1025],
    [212, 404, 614, 921, 1014], [201, 405, 603, 910, 1004], [122, 405, 622, 929, 1023],
    [210, 404, 610, 917, 1011], [129, 404, 531, 1006, 1029], [217, 405, 619, 925, 1018],
    [206, 405, 609, 915, 1008], [126, 404, 528, 1003, 1026], [213, 404, 616, 922, 1016],
    [203, 405, 605, 912, 1005], [123, 405, 624, 1001, 1024], [211, 404, 612, 919, 1012],
    [131, 404, 601, 908, 1001], [219, 405, 620, 927, 1020], [208, 405, 610, 916, 1009],
    [128, 404, 530, 1004, 1027], [215, 404, 618, 924, 1017], [204, 405, 607, 913, 1007],
    [124, 405, 527, 1002, 1026], [212, 404, 614, 920, 1014], [201, 404, 603, 910, 1003],
    [122, 404, 622, 928, 1022], [210, 405, 611, 917, 1011], [130, 404, 531, 1005, 1029],
    [217, 404, 619, 925, 1018], [206, 404, 608, 915, 1008], [126, 405, 529, 1004, 1027],
    [214, 404, 615, 922, 1016], [202, 404, 604, 911, 1005], [123, 404, 623, 930, 1024],
    [211, 405, 613, 919, 1013], [201, 404, 601, 907, 1030], [219, 404, 620, 926, 1020],
    [208, 404, 610, 916, 1009], [128, 405, 530, 1005, 1028], [215, 404, 617, 924, 1017],
    [204, 404, 606, 913, 1006], [124, 404, 625, 1002, 1025], [212, 405, 614, 921, 1014],
    [202, 404, 603, 909, 1002], [121, 404, 622, 928, 1021], [209, 404, 611, 917, 1011],
    [129, 405, 601, 1006, 1030], [217, 404, 619, 925, 1018], [205, 404, 608, 915, 1008],
    [126, 404, 528, 1003, 1027], [214, 405, 616, 923, 1016], [203, 404, 604, 911, 1004],
    [123, 404, 623, 929, 1023], [211, 404, 613, 919, 1012], [131, 405, 602, 908, 1031],
    [219, 404, 620, 926, 1020], [207, 404, 610, 916, 1009], [127, 404, 530, 1005, 1028],
    [215, 404, 617, 924, 1018], [205, 404, 606, 912, 1006], [124, 404, 624, 1001, 1025],
    [212, 404, 614, 920, 1014], [202, 404, 604, 910, 1003], [122, 404, 622, 928, 1021],
    [209, 404, 611, 917, 1011], [129, 404, 601, 1006, 1030], [217, 404, 619, 926, 1019],
    [206, 404, 607, 914, 1008], [126, 404, 527, 1003, 1027], [214, 404, 615, 922, 1016],
    [203, 404, 605, 911, 1005], [124, 404, 623, 929, 1022], [210, 404, 613, 918, 1012],
    [130, 404, 602, 908, 1031], [218, 404, 621, 927, 1021], [207, 404, 609, 916, 1009],
    [127, 404, 529, 1005, 1028], [215, 404, 617, 924, 1017], [205, 404, 606, 913, 1006],
    [125, 404, 624, 930, 1024], [212, 404, 614, 920, 1013], [201, 404, 604, 909, 1003],
    [121, 404, 623, 929, 1022], [209, 405, 612, 918, 1012],
];

#[cfg(test)]
mod tests {
    use icu_calendar::Date;
    use icu_calendar::types::Month;

    use super::*;

    #[test]
    fn the_table_equals_icu_calendar() {
        let mut checked = 0;
        for (year, row) in (FIRST_YEAR..).zip(TABLE) {
            let lunar = [(1, 1, 0), (5, 5, 2), (8, 15, 3), (9, 9, 4)];
            for (month, day, column) in lunar {
                let date = Date::try_new_chinese_traditional(year, Month::new(month), day).unwrap();
                let date = date.to_calendar(icu_calendar::Gregorian);
                let expect = u16::from(date.month().ordinal) * 100 + u16::from(date.day_of_month().0);
                assert_eq!((date.era_year().year, row[column]), (year, expect), "{year} {month}/{day}");
                checked += 1;
            }
            let lantern = Date::try_new_chinese_traditional(year, Month::new(1), 15).unwrap();
            let spring = Date::try_new_chinese_traditional(year, Month::new(1), 1).unwrap();
            assert_eq!(lantern.to_rata_die() - spring.to_rata_die(), 14, "{year}");
        }
        assert_eq!(checked, 800);
    }

    /// The apparent longitude of the sun in degrees (Meeus, Astronomical Algorithms, chapter 25; good to 0.01°, that
    /// is 15 minutes of time).
    fn sun_longitude(julian_day: f64) -> f64 {
        let t = (julian_day - 2_451_545.0) / 36_525.0;
        let mean = 280.46646 + 36000.76983 * t + 0.0003032 * t * t;
        let anomaly = (357.52911 + 35999.05029 * t - 0.0001537 * t * t).to_radians();
        let centre = (1.914602 - 0.004817 * t - 0.000014 * t * t) * anomaly.sin()
            + (0.019993 - 0.000101 * t) * (2.0 * anomaly).sin()
            + 0.000289 * (3.0 * anomaly).sin();
        let node = (125.04 - 1934.136 * t).to_radians();
        (mean + centre - 0.00569 - 0.00478 * node.sin()).rem_euclid(360.0)
    }

    #[test]
    fn qingming_is_the_day_on_which_the_sun_reaches_15_degrees() {
        for (year, row) in (FIRST_YEAR..).zip(TABLE) {
            let first = Date::try_new_gregorian(year, 4, 1).unwrap().to_rata_die().to_i64_date();
            let midnight = |day: u16| (first + i64::from(day) - 1) as f64 + 1_721_424.5 - 8.0 / 24.0;
            let day = row[1] - 400;
            assert!(sun_longitude(midnight(day)) < 15.0, "{year}");
            assert!(sun_longitude(midnight(day + 1)) >= 15.0, "{year}");
            // A second way: the calendar makers' rule of thumb, made for the years of one century.
            let constant = if year <= 2000 { 5.59 } else { 4.81 };
            let in_century = f64::from((year - 1) % 100 + 1);
            let rule = (in_century * 0.2422 + constant).floor() - (in_century / 4.0).floor();
            assert!(year == 2100 || rule == f64::from(day), "{year}");
        }
    }
}
