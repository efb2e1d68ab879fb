//! An estate that does not exist: its dwellings, its elders, and the roster in which its office keeps them — with a
//! title above merged headers, dates as several people spelled them, and two rows that are wrong.
//!
//! Identity numbers have a region that does not exist, telephone numbers a block that is not assigned.

use linli_core::identity::IdentityNumber;
use linli_core::resident::Sex;
use linli_core::time::CivilDate;

use super::chance::Chance;
use crate::roster::place::Place;
use crate::roster::write::{Region, Value, workbook};

/// Buildings of the estate.
pub(super) const BUILDINGS: u32 = 5;
/// Units of a building.
const UNITS: u32 = 2;
/// Floors of a unit.
const FLOORS: u32 = 10;
/// Rooms of a floor.
const ROOMS: u32 = 4;
/// People of a building whose rows are good.
const PEOPLE_OF_BUILDING: usize = 32;

const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹";
const OF_WOMEN: &str = "秀兰英桂珍玉芳凤淑华琴梅";
const OF_MEN: &str = "建国志强德明永福文海春生长荣";
const RELATIONS: &[&str] = &["女儿", "儿子", "女儿", "儿子", "侄子", "邻居"];
const REMARKS: &[&str] =
    &["", "", "", "", "只会说方言", "耳背,请提高音量", "门铃坏,请敲门", "上午常在小花园", "养一只小狗"];

/// An elder of the roster.
struct Elder {
    name: String,
    sex: Sex,
    birth: CivilDate,
    number: Option<IdentityNumber>,
    phone: String,
    place: Place,
    moved_in: CivilDate,
    living: &'static str,
    ability: &'static str,
    mobility: bool,
    hearing: bool,
    contact: (String, &'static str, String),
    remark: &'static str,
}

/// The estate.
pub(super) struct Estate {
    /// Every dwelling.
    pub(super) places: Vec<Place>,
    /// The roster, an `.xlsx` file.
    pub(super) roster: Vec<u8>,
}

/// Makes an estate; `today` is the day of the import.
///
/// # Errors
/// Where the workbook cannot be written.
pub(super) fn estate(seed: u64, today: CivilDate) -> Result<Estate, zip::result::ZipError> {
    let mut chance = Chance::new(seed);
    let mut places = Vec::new();
    for building in 1..=BUILDINGS {
        for unit in 1..=UNITS {
            for floor in 1..=FLOORS {
                for room in 1..=ROOMS {
                    places.push(Place {
                        building: building.to_string(),
                        unit: unit.to_string(),
                        room: format!("{}", floor * 100 + room),
                    });
                }
            }
        }
    }
    let mut elders = Vec::new();
    for building in 1..=BUILDINGS {
        let mut homes: Vec<&Place> = places.iter().filter(|p| p.building == building.to_string()).collect();
        chance.shuffle(&mut homes);
        let mut of_building = Vec::new();
        let mut homes = homes.into_iter();
        while of_building.len() < PEOPLE_OF_BUILDING {
            let Some(home) = homes.next() else { break };
            household(&mut chance, home, today, PEOPLE_OF_BUILDING - of_building.len(), &mut of_building);
        }
        // Offices sort by door, as text.
        of_building.sort_by(|a, b| a.place.cmp(&b.place));
        elders.extend(of_building);
    }
    let roster = roster(&mut chance, &elders)?;
    Ok(Estate { places, roster })
}

/// Those of one home who are in care: one, or a couple.
fn household(chance: &mut Chance, home: &Place, today: CivilDate, room_for: usize, elders: &mut Vec<Elder>) {
    let draw = chance.below(100);
    let (living, ages, couple) = match draw {
        0..45 => ("独居", (61, 93), false),
        45..70 if room_for >= 2 => ("与老伴同住", (64, 88), true),
        _ => ("与子女同住", (80, 95), false),
    };
    let moved_in = CivilDate::from_ymd(2004, 1, 1)
        .unwrap_or(today)
        .plus_days(i32::try_from(chance.below(6500)).unwrap_or(0));
    let age = ages.0 + chance.below(ages.1 - ages.0 + 1);
    let first = if chance.percent(58) { Sex::Female } else { Sex::Male };
    let contact = contact(chance);
    elders.push(elder(chance, home, today, moved_in, living, (first, age), contact.clone()));
    if couple {
        let second = match first {
            Sex::Female => Sex::Male,
            Sex::Male => Sex::Female,
        };
        let age = age.saturating_sub(3) + chance.below(6);
        elders.push(elder(chance, home, today, moved_in, living, (second, age), contact));
    }
}

fn contact(chance: &mut Chance) -> (String, &'static str, String) {
    let relation = chance.one_of(RELATIONS).copied().unwrap_or("女儿");
    let sex = if matches!(relation, "女儿") { Sex::Female } else { Sex::Male };
    (name(chance, sex), relation, phone(chance))
}

fn elder(
    chance: &mut Chance,
    home: &Place,
    today: CivilDate,
    moved_in: CivilDate,
    living: &'static str,
    (sex, age): (Sex, u32),
    contact: (String, &'static str, String),
) -> Elder {
    let years = i32::try_from(age).unwrap_or(70);
    let days = i32::try_from(chance.below(365)).unwrap_or(0);
    let birth = today.plus_months(-12 * years).plus_days(-days);
    let frail = age.saturating_sub(60);
    let ability = match chance.below(100) {
        draw if draw < frail / 4 => "中度失能",
        draw if draw < frail => "轻度失能",
        draw if draw < 70 => "能力完好",
        _ => "",
    };
    Elder {
        name: name(chance, sex),
        sex,
        birth,
        number: chance.percent(70).then(|| identity_number(chance, birth, sex)).flatten(),
        phone: phone(chance),
        place: home.clone(),
        moved_in,
        living,
        ability,
        mobility: chance.percent(frail / 2 + 5),
        hearing: chance.percent(frail / 3 + 3),
        contact,
        remark: chance.one_of(REMARKS).copied().unwrap_or_default(),
    }
}

fn name(chance: &mut Chance, sex: Sex) -> String {
    let surnames: Vec<char> = SURNAMES.chars().collect();
    let given: Vec<char> = match sex {
        Sex::Female => OF_WOMEN.chars().collect(),
        Sex::Male => OF_MEN.chars().collect(),
    };
    let mut name: String = chance.one_of(&surnames).into_iter().collect();
    name.extend(chance.one_of(&given));
    if chance.percent(85) {
        name.extend(chance.one_of(&given));
    }
    name
}

/// 1990000xxxx: no carrier has been given this block.
fn phone(chance: &mut Chance) -> String {
    format!("1990000{:04}", chance.below(10_000))
}

/// A number with region 99, which does not exist, and the check digit that fits.
fn identity_number(chance: &mut Chance, birth: CivilDate, sex: Sex) -> Option<IdentityNumber> {
    let sequence = chance.below(499) * 2 + u32::from(sex == Sex::Male);
    let stem = format!(
        "99{:04}{:04}{:02}{:02}{sequence:03}",
        chance.below(10_000),
        birth.year(),
        birth.month(),
        birth.day()
    );
    "0123456789X".chars().find_map(|check| IdentityNumber::new(&format!("{stem}{check}")).ok())
}

const COLUMNS: u32 = 17;

fn roster(chance: &mut Chance, elders: &[Elder]) -> Result<Vec<u8>, zip::result::ZipError> {
    let row = |cells: &[&str]| cells.iter().map(|cell| Value::from(*cell)).collect::<Vec<_>>();
    let mut rows = vec![
        row(&["幸福里小区老年人关怀台账"]),
        row(&["填表单位:客服部　　填表日期:2026年2月27日"]),
        row(&[
            "序号",
            "姓名",
            "性别",
            "出生日期",
            "身份证号",
            "住址",
            "",
            "",
            "联系电话",
            "入住日期",
            "居住状况",
            "失能等级",
            "行动不便",
            "听力障碍",
            "紧急联系人",
            "",
            "",
            "备注",
        ]),
        row(&[
            "",
            "",
            "",
            "",
            "",
            "楼栋",
            "单元",
            "房号",
            "",
            "",
            "",
            "",
            "",
            "",
            "姓名",
            "与本人关系",
            "电话",
            "",
        ]),
    ];
    let mut merged: Vec<Region> =
        vec![((0, 0), (0, COLUMNS)), ((1, 0), (1, COLUMNS)), ((2, 5), (2, 7)), ((2, 14), (2, 16))];
    merged.extend([0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 17].map(|column| ((2, column), (3, column))));

    let mut of_building: Option<(String, u32)> = None;
    for (number, elder) in (1_u32..).zip(elders) {
        let at = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut cells = cells(chance, number, elder);
        // The building stands once, merged over its rows.
        match &of_building {
            Some((building, _)) if *building == elder.place.building => {
                if let Some(cell) = cells.get_mut(5) {
                    *cell = Value::Blank;
                }
            }
            Some((_, from)) => {
                merged.push(((*from, 5), (at - 1, 5)));
                of_building = Some((elder.place.building.clone(), at));
            }
            None => of_building = Some((elder.place.building.clone(), at)),
        }
        rows.push(cells);
    }
    if let Some((_, from)) = of_building {
        merged.push(((from, 5), (u32::try_from(rows.len()).unwrap_or(u32::MAX) - 1, 5)));
    }
    // What spreadsheets do to people: a number that lost its last digits, and a day that no calendar has.
    for (broken, elder) in [0, 1].into_iter().zip(elders.iter().rev()) {
        let number = u32::try_from(elders.len()).unwrap_or(u32::MAX) + 1 + broken;
        let mut wrong = cells(chance, number, elder);
        let mut set = |column: usize, value: Value| {
            if let Some(cell) = wrong.get_mut(column) {
                *cell = value;
            }
        };
        set(1, Value::from(if broken == 0 { "钱桂芳" } else { "孔德明" }));
        set(5, Value::from(elder.place.building.as_str()));
        match broken {
            0 => set(4, Value::Number(991_234_194_001_011_000.0)),
            _ => {
                set(4, Value::Blank);
                set(9, Value::from("2019年2月30日"));
            }
        }
        rows.push(wrong);
    }
    let at = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    rows.push(row(&[&format!("合计:{} 人", elders.len() + 2)]));
    merged.push(((at, 0), (at, COLUMNS)));
    workbook("老人台账", &rows, &merged)
}

fn cells(chance: &mut Chance, number: u32, elder: &Elder) -> Vec<Value> {
    let yes_no = |flag: bool| Value::from(if flag { "是" } else { "否" });
    let tick = |flag: bool| Value::from(if flag { "√" } else { "" });
    vec![
        Value::Number(f64::from(number)),
        Value::from(elder.name.as_str()),
        Value::from(elder.sex.zh()),
        date(chance, elder.birth),
        elder.number.as_ref().map_or(Value::Blank, |number| Value::from(number.reveal())),
        Value::from(format!("{}号楼", elder.place.building).as_str()),
        Value::from(format!("{}单元", elder.place.unit).as_str()),
        elder.place.room.parse().map_or(Value::Blank, Value::Number),
        match chance.below(3) {
            0 => elder.phone.parse().map_or(Value::Blank, Value::Number),
            _ => Value::from(elder.phone.as_str()),
        },
        date(chance, elder.moved_in),
        Value::from(elder.living),
        Value::from(elder.ability),
        yes_no(elder.mobility),
        tick(elder.hearing),
        Value::from(elder.contact.0.as_str()),
        Value::from(elder.contact.1),
        Value::from(elder.contact.2.as_str()),
        Value::from(elder.remark),
    ]
}

/// A date as one of several people spells it.
fn date(chance: &mut Chance, date: CivilDate) -> Value {
    let (year, month, day) = (date.year(), date.month(), date.day());
    match chance.below(6) {
        0 => Value::Text(format!("{year}-{month:02}-{day:02}")),
        1 => Value::Text(format!("{year}/{month}/{day}")),
        2 => Value::Text(format!("{year}.{month}.{day}")),
        3 => Value::Text(format!("{year}年{month}月{day}日")),
        4 => Value::Number(f64::from(year) * 10_000.0 + f64::from(month) * 100.0 + f64::from(day)),
        _ => Value::Date(date),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::roster::{Options, read};

    /// For any seed the roster is read in full: 160 good people, two rows that say what is wrong.
    #[test]
    fn the_roster_is_read_in_full() {
        let today = CivilDate::from_ymd(2026, 3, 2).expect("a day");
        for seed in 0..5 {
            let estate = estate(seed, today).expect("a workbook");
            let options = Options { today: Some(today), ..Options::default() };
            let roster = read(&estate.roster, &options).expect("a roster");
            let bad: Vec<_> = roster.bad().map(|(line, problems)| (line, problems.to_vec())).collect();
            assert_eq!(bad.len(), 2, "seed {seed}: {bad:?}");
            assert_eq!(roster.good().count(), 160, "seed {seed}");
            assert_eq!(roster.unknown_columns, Vec::<String>::new(), "seed {seed}");
            let known: BTreeSet<_> = estate.places.iter().collect();
            assert_eq!(known.len(), 400, "seed {seed}");
            for person in roster.good() {
                assert!(known.contains(&person.place), "seed {seed}: line {} lives nowhere", person.line);
                let birth = person.birth_date.expect("everybody has a birth date");
                let alone = person.facts.iter().any(|(field, value)| {
                    field.as_str() == "empty_nest" && *value == linli_core::resident::FactValue::Bool(true)
                });
                let age = today.age_from(birth).expect("born before today");
                assert!(
                    age >= 80 || (alone && age >= 60),
                    "seed {seed}: line {} is in no group",
                    person.line
                );
            }
        }
    }
}
