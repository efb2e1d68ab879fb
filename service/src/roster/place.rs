//! Where somebody lives: building, unit and room, out of one column or three.

use std::fmt;

use linli_core::id::ID_MAX_BYTES;

use super::problem::Fault;
use super::sheet::half_width;

/// Building, unit and room in one spelling: `3号楼`, `3栋` and `3#` are all building `3`. Personal: not shown in
/// `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The building.
    pub building: String,
    /// The unit or stairwell; empty where there is none.
    pub unit: String,
    /// The room.
    pub room: String,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(…)")
    }
}

/// Endings of a building's name, longest first.
const BUILDING_ENDINGS: &[&str] = &["号楼", "#楼", "号院", "栋", "幢", "座", "楼", "#", "building"];
/// Endings of a unit's name.
const UNIT_ENDINGS: &[&str] = &["单元", "梯", "门", "unit"];
/// Endings of a room's number.
const ROOM_ENDINGS: &[&str] = &["号房", "室", "号", "房", "户"];

impl Place {
    /// From the cells of three columns; the unit may be blank.
    ///
    /// # Errors
    /// [`Fault::Place`] where a part is none.
    pub fn from_parts(building: &str, unit: &str, room: &str) -> Result<Self, Fault> {
        let (whole, mut building, mut unit, mut room) =
            (room, compact(building), compact(unit), compact(room));
        if unit.is_empty() {
            // The unit may stand with the room (2-501) or with the building (3-2).
            if let Some((first, rest)) = split_in_two(&room) {
                (unit, room) = (first, rest);
            } else if let Some((first, rest)) = split_in_two(&building) {
                (building, unit) = (first, rest);
            }
        }
        if BUILDING_ENDINGS.iter().chain(UNIT_ENDINGS).any(|ending| room.contains(ending)) {
            // The room says it all again; it must say the same.
            let said = Self::parse(whole)?;
            let same = building_name(&building).is_some_and(|building| building == said.building)
                && (unit.is_empty() || unit_name(&unit).is_some_and(|unit| unit == said.unit));
            return if same { Ok(said) } else { Err(Fault::Place) };
        }
        Self::from_names(&building, &unit, &room)
    }

    fn from_names(building: &str, unit: &str, room: &str) -> Result<Self, Fault> {
        let building = building_name(building).ok_or(Fault::Place)?;
        let unit =
            if unit.trim().is_empty() { String::new() } else { unit_name(unit).ok_or(Fault::Place)? };
        Ok(Self { building, unit, room: room_number(room).ok_or(Fault::Place)? })
    }

    /// From one cell: `3号楼2单元501`, `幸福家园3栋501室`, `3-2-501`, `3#2-501`, `Building 3 Unit 2 501`.
    ///
    /// # Errors
    /// [`Fault::Place`] where it cannot be taken apart for certain.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = compact(text);
        let (building, rest) = match split_building(&text) {
            Some((building, rest)) => (building, rest),
            None => {
                // 3-2-501 and 3-501: as many parts as there are names.
                let parts: Vec<&str> = text.split(is_separator).filter(|part| !part.is_empty()).collect();
                return match parts.as_slice() {
                    [building, room] => Self::from_names(building, "", room),
                    [building, unit, room] => Self::from_names(building, unit, room),
                    _ => Err(Fault::Place),
                };
            }
        };
        let rest = rest.trim_matches(is_separator);
        let (unit, rest) = match split_at_ending(rest, UNIT_ENDINGS) {
            Some((unit, rest)) => (unit.to_owned(), rest),
            // 3#2-501: the building is marked, the unit is not.
            None => match rest.split_once(is_separator) {
                Some((unit, room)) => (unit.to_owned(), room),
                None => (String::new(), rest),
            },
        };
        let rest = rest.trim_matches(is_separator);
        // 2单元5层501: the floor says nothing that the room does not.
        let room = match rest.split_once('层') {
            Some((floor, room)) if floor.chars().all(|c| c.is_ascii_digit() || numeral(c).is_some()) => room,
            Some(_) | None => rest,
        };
        Self::from_names(&building, &unit, room.trim_matches(is_separator))
    }

    /// One line for people, `3栋2单元501`.
    pub fn shown(&self) -> String {
        if self.unit.is_empty() {
            format!("{}栋{}", self.building, self.room)
        } else {
            format!("{}栋{}单元{}", self.building, self.unit, self.room)
        }
    }
}

/// A building's name without its ending and with its digits in one spelling; `None` where it is none.
pub fn building_name(text: &str) -> Option<String> {
    part(&strip_ending(&compact(text), BUILDING_ENDINGS), true)
}

/// A unit's name likewise.
pub fn unit_name(text: &str) -> Option<String> {
    part(&strip_ending(&compact(text), UNIT_ENDINGS), true)
}

/// A room's number; leading zeros stay, since a register may spell them.
pub fn room_number(text: &str) -> Option<String> {
    part(&strip_ending(&compact(text), ROOM_ENDINGS), false)
}

/// Half-width, lower-case endings recognised, no blanks.
fn compact(text: &str) -> String {
    half_width(text)
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect::<String>()
        .replace(['—', '–', '－', '﹣'], "-")
}

/// `2-501` → `2`, `501`.
fn split_in_two(text: &str) -> Option<(String, String)> {
    let (first, rest) = text.split_once(is_separator)?;
    let fits = !first.is_empty() && !rest.is_empty() && !rest.contains(is_separator);
    fits.then(|| (first.to_owned(), rest.to_owned()))
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '/' | '\\' | ',' | '、' | '.' | '_' | '~')
}

fn strip_ending(text: &str, endings: &[&str]) -> String {
    let lower = text.to_ascii_lowercase();
    for ending in endings {
        if let Some(rest) =
            lower.strip_suffix(ending).or_else(|| lower.strip_prefix(ending).filter(|r| r.is_ascii()))
            && !rest.is_empty()
        {
            // Same bytes, in the spelling of the text.
            let from = if lower.ends_with(ending) { 0 } else { ending.len() };
            return text
                .get(from..from + rest.len())
                .unwrap_or_default()
                .trim_matches(is_separator)
                .to_owned();
        }
    }
    text.trim_matches(is_separator).to_owned()
}

/// The building before the first ending, without a name of the estate before it, and what follows.
fn split_building(text: &str) -> Option<(String, &str)> {
    let (head, rest) = split_at_ending(text, BUILDING_ENDINGS)?;
    if head.is_empty() {
        // "Building3Unit2501" has nothing to tell unit from room.
        return None;
    }
    let tail: Vec<char> =
        head.chars().rev().take_while(|c| c.is_ascii_alphanumeric() || numeral(*c).is_some()).collect();
    let building: String = tail.into_iter().rev().collect();
    if building.is_empty() {
        // 东楼, 甲座: one character that names the building.
        return head.chars().last().map(|c| (c.to_string(), rest));
    }
    Some((building, rest))
}

/// What stands before the earliest of the endings, and after it.
fn split_at_ending<'a>(text: &'a str, endings: &[&str]) -> Option<(&'a str, &'a str)> {
    let found = endings.iter().filter_map(|ending| text.find(ending).map(|at| (at, ending.len())));
    let (at, length) = found.min_by_key(|(at, length)| (*at, usize::MAX - length))?;
    Some((text.get(..at)?, text.get(at + length..)?))
}

/// One part of a place: not empty, short, letters and digits; numerals as digits, leading zeros of names dropped.
fn part(text: &str, is_name: bool) -> Option<String> {
    let text = match (is_name, chinese_number(text)) {
        (true, Some(number)) => number.to_string(),
        (true, None) => {
            let bare = text.trim_start_matches('0');
            if bare.is_empty() { text.to_owned() } else { bare.to_ascii_uppercase() }
        }
        (false, _) => text.to_ascii_uppercase(),
    };
    let fits = !text.is_empty()
        && text.len() <= ID_MAX_BYTES
        && text.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '附');
    fits.then_some(text)
}

fn numeral(c: char) -> Option<u32> {
    "一二三四五六七八九"
        .chars()
        .position(|n| n == c)
        .and_then(|at| u32::try_from(at + 1).ok())
        .or(if c == '十' { Some(10) } else { None })
}

/// 一 … 九十九.
fn chinese_number(text: &str) -> Option<u32> {
    let digits: Vec<u32> = text.chars().map(numeral).collect::<Option<_>>()?;
    match digits.as_slice() {
        [one] => Some(*one),
        [10, units] if *units < 10 => Some(10 + units),
        [tens, 10] if *tens < 10 => Some(tens * 10),
        [tens, 10, units] if *tens < 10 && *units < 10 => Some(tens * 10 + units),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_one_column() {
        let check = |text: &str, expect: Option<(&str, &str, &str)>| {
            let found = Place::parse(text).ok();
            let shown = found.as_ref().map(|p| (p.building.as_str(), p.unit.as_str(), p.room.as_str()));
            assert_eq!(shown, expect, "{text}");
        };
        check("3号楼2单元501", Some(("3", "2", "501")));
        check("3号楼2单元501室", Some(("3", "2", "501")));
        check("３号楼２单元５０１", Some(("3", "2", "501")));
        check("幸福家园3栋501室", Some(("3", "", "501")));
        check("幸福路88号幸福家园12幢1单元0302", Some(("12", "1", "0302")));
        check("3-2-501", Some(("3", "2", "501")));
        check("3—2—501", Some(("3", "2", "501")));
        check("03-02-501", Some(("3", "2", "501")));
        check("3-501", Some(("3", "", "501")));
        check("3#2-501", Some(("3", "2", "501")));
        check("3#-2-501", Some(("3", "2", "501")));
        check("3#楼2单元501", Some(("3", "2", "501")));
        check("A座1203", Some(("A", "", "1203")));
        check("a座1203", Some(("A", "", "1203")));
        check("十二号楼一单元0501", Some(("12", "1", "0501")));
        check("3号楼 2单元 5层501", Some(("3", "2", "501")));
        check("8栋2门301", Some(("8", "2", "301")));
        check("东楼301", Some(("东", "", "301")));
        check("501", None);
        check("3-2-5-501", None);
        check("3号楼", None);
        check("3号楼2单元", None);
        check("", None);
        check("住在门卫旁边", None);
    }

    #[test]
    fn places_in_three_columns() {
        let check = |building: &str, unit: &str, room: &str, expect: Option<&str>| {
            let found = Place::from_parts(building, unit, room).ok();
            assert_eq!(found.map(|p| p.shown()).as_deref(), expect, "{building} {unit} {room}");
        };
        check("3号楼", "2单元", "501室", Some("3栋2单元501"));
        check("3", "2", "501", Some("3栋2单元501"));
        check("3栋", "", "501", Some("3栋501"));
        check("Building 3", "Unit 2", "501", Some("3栋2单元501"));
        check("3", "一", "0501", Some("3栋1单元0501"));
        check("3号楼", "", "2-501", Some("3栋2单元501"));
        check("3-2", "", "501", Some("3栋2单元501"));
        check("3号楼", "", "3号楼2单元501", Some("3栋2单元501"));
        check("3号楼", "2", "2单元501", None);
        check("4号楼", "", "3号楼2单元501", None);
        check("", "2", "501", None);
        check("3", "2", "", None);
    }
}
