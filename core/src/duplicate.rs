//! Duplicates, 一人一档: whether two descriptions may be of one person, and what speaks for it.
//!
//! An identity number settles it: the same number is the same person, and two numbers are two people, since the check
//! digit finds every slip of one digit and every transposition. Without one on both sides the name is compared as it is
//! written and as it sounds (clerks write by ear, and registers in traditional characters), together with birth date,
//! dwelling and telephone number. The answer is a question to a person, never a decision.

use pinyin::ToPinyinMulti;

use crate::id::DwellingId;
use crate::identity::IdentityNumber;
use crate::kind::closed_list;
use crate::resident::{PersonName, Phone};
use crate::time::CivilDate;

/// The score from which two descriptions are shown to somebody: two signs that agree, one of them the name.
pub const SCORE_SHOWN: u8 = 60;
/// What a birth date takes away that is another one: namesakes are common, and so is a grandson of the same name.
const OTHER_BIRTH_DATE: i32 = -40;

closed_list! {
    /// What speaks for one person.
    Sign {
        /// The identity number is the same.
        SameNumber = "same_number", "身份号码相同", "same identity number";
        /// The name is the same, but for blanks, middle dots and width.
        SameName = "same_name", "姓名相同", "same name";
        /// The name sounds the same: 张 and 章, 張 and 张.
        SameSound = "same_sound", "姓名读音相同", "name sounds the same";
        /// One character of a longer name differs or is missing.
        NearName = "near_name", "姓名相近", "similar name";
        /// The birth date is the same.
        SameBirthDate = "same_birth_date", "出生日期相同", "same birth date";
        /// The birth date differs in one digit, or has day and month exchanged.
        NearBirthDate = "near_birth_date", "出生日期相近", "similar birth date";
        /// They live in the same dwelling.
        SameDwelling = "same_dwelling", "住址相同", "same dwelling";
        /// The telephone number is the same.
        SamePhone = "same_phone", "电话相同", "same telephone number";
    }
}

impl Sign {
    fn weight(self) -> i32 {
        match self {
            Self::SameNumber => 100,
            Self::SameName => 50,
            Self::SameSound => 40,
            Self::NearName => 25,
            Self::SameBirthDate => 30,
            Self::NearBirthDate | Self::SamePhone => 15,
            Self::SameDwelling => 20,
        }
    }
}

/// A person as a file, a form or a line of a roster describes them.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The name; `None`: a list gives the number alone.
    pub name: Option<&'a PersonName>,
    /// The identity number.
    pub number: Option<&'a IdentityNumber>,
    /// The birth date.
    pub birth_date: Option<CivilDate>,
    /// The telephone number.
    pub phone: Option<&'a Phone>,
    /// Where they live, where that is known.
    pub dwelling: Option<&'a DwellingId>,
}

/// How much two descriptions are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likeness {
    /// From [`SCORE_SHOWN`] to 100.
    pub score: u8,
    /// What speaks for it, in the order of [`Sign`].
    pub signs: Vec<Sign>,
}

/// Whether two descriptions may be of one person. `None`: nobody need look.
///
/// ```
/// use linli_core::{duplicate::{Person, Sign, likeness}, id::DwellingId, resident::PersonName, time::CivilDate};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (home, born) = (DwellingId::new("d501")?, Some(CivilDate::parse("1940-05-01")?));
/// let (file, form) = (PersonName::new("张三")?, PersonName::new("章 三")?);
/// let of = |name| Person { name: Some(name), number: None, birth_date: born, phone: None, dwelling: Some(&home) };
/// let found = likeness(&of(&file), &of(&form)).ok_or("nobody would look")?;
/// assert_eq!((found.score, found.signs), (90, vec![Sign::SameSound, Sign::SameBirthDate, Sign::SameDwelling]));
/// # Ok(())
/// # }
/// ```
pub fn likeness(a: &Person<'_>, b: &Person<'_>) -> Option<Likeness> {
    let mut signs = Vec::new();
    match (a.number, b.number) {
        (Some(one), Some(other)) if one == other => signs.push(Sign::SameNumber),
        (Some(_), Some(_)) => return None,
        (Some(_) | None, None) | (None, Some(_)) => {}
    }
    signs.extend(a.name.zip(b.name).and_then(|(a, b)| names(a.reveal(), b.reveal())));
    let mut score = 0;
    match (a.birth_date, b.birth_date) {
        (Some(one), Some(other)) if one == other => signs.push(Sign::SameBirthDate),
        (Some(one), Some(other)) if is_near(one, other) => signs.push(Sign::NearBirthDate),
        (Some(_), Some(_)) => score += OTHER_BIRTH_DATE,
        (Some(_) | None, None) | (None, Some(_)) => {}
    }
    if a.dwelling.is_some() && a.dwelling == b.dwelling {
        signs.push(Sign::SameDwelling);
    }
    if a.phone.is_some() && a.phone == b.phone {
        signs.push(Sign::SamePhone);
    }
    let named = signs.iter().any(|sign| match sign {
        Sign::SameNumber | Sign::SameName | Sign::SameSound | Sign::NearName => true,
        Sign::SameBirthDate | Sign::NearBirthDate | Sign::SameDwelling | Sign::SamePhone => false,
    });
    score += signs.iter().map(|sign| sign.weight()).sum::<i32>();
    let score = if signs.contains(&Sign::SameNumber) { 100 } else { score.clamp(0, 100) };
    let score = u8::try_from(score).unwrap_or(u8::MAX);
    (named && score >= SCORE_SHOWN).then_some(Likeness { score, signs })
}

/// What two names have in common.
fn names(a: &str, b: &str) -> Option<Sign> {
    let (a, b) = (units(a), units(b));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    if a == b {
        return Some(Sign::SameName);
    }
    if a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| sounds_alike(a, b)) {
        return Some(Sign::SameSound);
    }
    differ_in_one(&a, &b).then_some(Sign::NearName)
}

/// A name as characters of Chinese and words of other scripts, in one width and case, without what stands between
/// them.
fn units(name: &str) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in name.chars() {
        // Full-width letters and digits of Chinese input methods.
        let c = match u32::from(c) {
            code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(c),
            _ => c,
        };
        if c.is_whitespace() || is_between(c) {
            units.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else if c.to_pinyin_multi().is_some() || c.is_ascii_digit() {
            units.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            units.push(c.to_string());
        } else {
            word.extend(c.to_lowercase());
        }
    }
    units.extend((!word.is_empty()).then_some(word));
    units
}

/// What stands between the parts of a name: 买买提·艾力, Anna-Maria, O'Brien.
fn is_between(c: char) -> bool {
    matches!(c, '·' | '•' | '‧' | '∙' | '⋅' | '・' | '．' | '.' | '-' | '‐' | '–' | '\'' | '’' | '`')
}

/// Whether two units may be pronounced alike; a character may have several readings, and a word be one of them.
fn sounds_alike(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (of_a, of_b) = (readings(a), readings(b));
    of_a.iter().any(|reading| of_b.contains(reading))
}

fn readings(unit: &str) -> Vec<&str> {
    let mut characters = unit.chars();
    let only = characters.next().filter(|_| characters.next().is_none());
    match only.and_then(|c| c.to_pinyin_multi()) {
        Some(multi) => multi.into_iter().map(|reading| reading.plain()).collect(),
        None => vec![unit],
    }
}

/// Whether names of three units and more differ in one. Digits tell namesakes apart on purpose.
fn differ_in_one(a: &[String], b: &[String]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() < 3 || long.len() - short.len() > 1 {
        return false;
    }
    let ahead = short.iter().zip(long).take_while(|(a, b)| sounds_alike(a, b)).count();
    let behind = short.iter().rev().zip(long.iter().rev()).take_while(|(a, b)| sounds_alike(a, b)).count();
    let differing = || short.get(ahead).into_iter().chain(long.get(ahead));
    ahead + behind + 1 >= long.len() && !differing().any(|unit| unit.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether two different dates may be one that was written down wrongly.
fn is_near(a: CivilDate, b: CivilDate) -> bool {
    let (one, other) = (a.to_string(), b.to_string());
    let differing = one.bytes().zip(other.bytes()).filter(|(a, b)| a != b).count();
    let exchanged = match (one.get(..4), one.get(5..7), one.get(8..)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{day}-{month}") == other,
        _ => false, // a date has ten characters
    };
    differing == 1 || exchanged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random::Random;

    fn home(id: &str) -> DwellingId {
        DwellingId::new(id).unwrap()
    }

    /// `name birth dwelling phone number`, `-` for what is not known.
    #[track_caller]
    fn check(a: &str, b: &str, expect: &str) {
        let shown = |found: Option<Likeness>| {
            found.map_or("-".to_owned(), |found| {
                let signs: Vec<&str> = found.signs.iter().map(|sign| sign.code()).collect();
                format!("{} {}", found.score, signs.join(" "))
            })
        };
        let both = |a: &str, b: &str| with(a, |a| with(b, |b| shown(likeness(a, b))));
        assert_eq!(both(a, b), expect, "{a} / {b}");
        assert_eq!(both(b, a), expect, "{b} / {a}");
    }

    fn with<T>(text: &str, then: impl FnOnce(&Person<'_>) -> T) -> T {
        let parts: Vec<Option<&str>> =
            text.split('|').map(|p| Some(p.trim()).filter(|p| *p != "-")).collect();
        let at = |at: usize| parts.get(at).copied().flatten();
        let name = at(0).map(|name| PersonName::new(name).unwrap());
        let dwelling = at(2).map(home);
        let phone = at(3).map(|phone| Phone::new(phone).unwrap());
        let number = at(4).map(|number| IdentityNumber::new(number).unwrap());
        then(&Person {
            name: name.as_ref(),
            number: number.as_ref(),
            birth_date: at(1).map(|date| CivilDate::parse(date).unwrap()),
            phone: phone.as_ref(),
            dwelling: dwelling.as_ref(),
        })
    }

    #[test]
    fn names_as_they_are_written_and_as_they_sound() {
        let same = |a: &str, b: &str, expect: &str| {
            check(&format!("{a}|1940-05-01|d1"), &format!("{b}|1940-05-01|d1"), expect);
        };
        let rest = "same_birth_date same_dwelling";
        same("张三", "张三", &format!("100 same_name {rest}"));
        same("张三", "张 三", &format!("100 same_name {rest}"));
        same("买买提·艾力", "买买提•艾力", &format!("100 same_name {rest}"));
        same("买买提·艾力", "买买提艾力", &format!("100 same_name {rest}"));
        same("ＡＮＮＡ Li", "anna li", &format!("100 same_name {rest}"));
        same("张三", "章三", &format!("90 same_sound {rest}"));
        same("張偉", "张伟", &format!("90 same_sound {rest}"));
        same("Zhang San", "张三", &format!("90 same_sound {rest}"));
        // Characters of several readings: 曾 is zeng as a name, ceng as a word.
        same("曾乐", "增月", &format!("90 same_sound {rest}"));
        same("欧阳娜娜", "欧阳娜", &format!("75 near_name {rest}"));
        same("王秀英", "王秀兰", &format!("75 near_name {rest}"));
        same("王秀英", "李秀兰", "-");
        same("王英", "王兰", "-");
        same("张三丰1", "张三丰2", "-");
        same("张三", "李四", "-");
    }

    #[test]
    fn two_signs_and_one_of_them_the_name() {
        check("张三|-|-", "张三|-|x", "-");
        check("张三|-|d1", "张三|1940-05-01|d1", "70 same_name same_dwelling");
        check("章三|-|d1", "张三|-|d1", "60 same_sound same_dwelling");
        check("张三|1940-05-01|a", "张三|1940-05-01|b", "80 same_name same_birth_date");
        check("张三|1940-05-01|a", "张三|1940-05-07|b", "65 same_name near_birth_date");
        check("张三|1940-03-07|a", "张三|1940-07-03|b", "65 same_name near_birth_date");
        check("张三|-|a|13800000000", "张三|-|b|138 0000 0000", "65 same_name same_phone");
        // Grandfather and grandson behind one door; twins; a couple.
        check("张三|1940-05-01|d1", "张三|1998-11-23|d1", "-");
        check("张大宝|1940-05-01|d1", "张二宝|1940-05-01|d1", "75 near_name same_birth_date same_dwelling");
        check("张三|1940-05-01|d1|13800000000", "李四|1940-05-01|d1|13800000000", "-");
    }

    #[test]
    fn an_identity_number_settles_it() {
        let (one, other) = ("11010519491231002X", "440524188001010014");
        check(&format!("张三|-|a|-|{one}"), &format!("李四|-|b|-|{one}"), "100 same_number");
        check(&format!("张三|-|a|-|{one}"), &format!("张三|-|a|-|{other}"), "-");
        check(&format!("张三|1949-12-31|a|-|{one}"), "张三|1949-12-31|b", "80 same_name same_birth_date");
        // A list may give the number alone; everything else alone says nothing.
        check(&format!("-|-|-|-|{one}"), &format!("李四|-|b|-|{one}"), "100 same_number");
        check("-|1940-05-01|d1|13800000000", "张三|1940-05-01|d1|13800000000", "-");
    }

    /// Whatever the names: never a panic, the same both ways, everybody like themselves.
    #[test]
    fn any_names_at_all() {
        const PIECES: &[&str] =
            &["张", "章", "曾", "三", "·", " ", "Li", "Ａ", "1", "é", "𠀀", "㐂", "'", "-", "ß"];
        let mut random = Random::new(20_260_316);
        println!("seed 20260316");
        let mut name = || -> String {
            let length = random.between(1, 6);
            (0..length).map(|_| random.pick(PIECES)).collect()
        };
        let (mut compared, mut alike) = (0, 0);
        for _ in 0..20_000 {
            let (a, b) = (name(), name());
            let (Ok(a), Ok(b)) = (PersonName::new(&a), PersonName::new(&b)) else { continue };
            let dwelling = home("d");
            let person = |name| Person {
                name: Some(name),
                number: None,
                birth_date: None,
                phone: None,
                dwelling: Some(&dwelling),
            };
            let found = likeness(&person(&a), &person(&b));
            assert_eq!(found, likeness(&person(&b), &person(&a)), "{} {}", a.reveal(), b.reveal());
            let own = likeness(&person(&a), &person(&a));
            assert!(own.is_some() || units(a.reveal()).is_empty(), "{}", a.reveal());
            compared += 1;
            alike += u32::from(found.is_some());
        }
        assert!(compared > 15_000 && alike > 100, "{compared} {alike}");
    }
}
