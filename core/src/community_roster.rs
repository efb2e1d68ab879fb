//! Lists of people that bodies keep 社区名单: what an entry says as far as it can be read, and what a person would do about it.
//!
//! A list is somebody else's: what it says is compared and proposed, and never taken over. [`propose`] is a pure function of
//! an entry and of who is like it, so that the same list gives the same answer, and an empty one once everything is confirmed.

use crate::duplicate::{Likeness, Sign};
use crate::id::GroupCode;
use crate::identity::IdentityNumber;
use crate::invalid::Invalid;
use crate::kind::closed_list;
use crate::referral::DisclosedField;
use crate::resident::{Identity, PersonName, Phone};
use crate::text::Line;
use crate::time::CivilDate;

/// The code of the care group in an entry.
pub const GROUP: &str = "group";
/// The code of the certificate's number in an entry.
pub const CERTIFICATE: &str = "certificate";
/// The code of the certificate's last day in an entry.
pub const VALID_UNTIL: &str = "valid_until";

closed_list! {
    /// What a person would do about an entry.
    RosterProposal {
        /// Nothing: they are, or will be, a member of the group.
        AlreadyMember = "already_member", "已纳入该群体,无需办理", "already a member: nothing to do";
        /// Confirm with whoever keeps the list, and make them a member of the group.
        AddMembership = "add_membership", "档案已有,核实后纳入该群体", "known: add the membership";
        /// Look which of the candidates, or of the earlier entries, it is, if any.
        Compare = "compare", "可能已有档案,请人工比对", "perhaps known: compare";
        /// Open a file.
        OpenFile = "open_file", "未见档案,核实后建档", "not known: open a file";
        /// Ask the body: something that decides is missing, cannot be read or no longer holds.
        AskBody = "ask_body", "信息缺失、有误或已过期,请向提供单位核实", "missing, unreadable or expired: ask the body";
        /// Nothing: an earlier entry says the same.
        Repeated = "repeated", "与前面的条目重复", "repeats an earlier entry";
    }
}

/// What a list says of somebody, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterEntry {
    /// The name.
    pub name: Option<PersonName>,
    /// The identity number.
    pub number: Option<IdentityNumber>,
    /// The birth date; where there is a number, that of the number.
    pub birth_date: Option<CivilDate>,
    /// The telephone number.
    pub phone: Option<Phone>,
    /// Where they live, in the list's words.
    pub address: Option<Line>,
    /// The care group.
    pub group: Option<GroupCode>,
    /// The number of the certificate.
    pub certificate: Option<Line>,
    /// The last day on which the certificate holds.
    pub valid_until: Option<CivilDate>,
    /// What is wrong with it, by the codes of fields.
    pub wrong: Vec<(&'static str, Invalid)>,
}

/// Fields that say who it is. Where one of them is wrong nobody is known for certain.
const WHO: &[&str] =
    &[DisclosedField::Name.code(), DisclosedField::IdentityNumber.code(), DisclosedField::BirthDate.code()];

impl RosterEntry {
    /// Reads an entry: values by the codes of their fields. Blank ones are as if absent; those that nothing is compared by, such as
    /// health, are not read at all. `is_known` says which care groups there are.
    pub fn read<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        today: CivilDate,
        is_known: impl Fn(&GroupCode) -> bool,
    ) -> Self {
        let mut entry = Self::default();
        let mut wrong = Vec::new();
        let known_group = |text: &str| match GroupCode::new(text)? {
            group if is_known(&group) => Ok(group),
            _ => Err(Invalid::Unknown),
        };
        let born = |text: &str| match CivilDate::parse(text)? {
            date if date > today => Err(Invalid::Future),
            date => Ok(date),
        };
        for (code, text) in fields {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let mut read = Reader { text, wrong: &mut wrong };
            match code {
                GROUP => entry.group = read.as_(GROUP, known_group),
                CERTIFICATE => entry.certificate = read.as_(CERTIFICATE, one_line),
                VALID_UNTIL => entry.valid_until = read.as_(VALID_UNTIL, CivilDate::parse),
                other => {
                    let Ok(field) = DisclosedField::from_code(other) else { continue };
                    let code = field.code();
                    match field {
                        DisclosedField::Name => entry.name = read.as_(code, PersonName::new),
                        DisclosedField::IdentityNumber => {
                            entry.number = read.as_(code, IdentityNumber::new);
                        }
                        DisclosedField::BirthDate => entry.birth_date = read.as_(code, born),
                        DisclosedField::Phone => entry.phone = read.as_(code, Phone::new),
                        DisclosedField::Address => entry.address = read.as_(code, one_line),
                        DisclosedField::EmergencyContacts
                        | DisclosedField::Sex
                        | DisclosedField::Health
                        | DisclosedField::Family
                        | DisclosedField::Status => {}
                    }
                }
            }
        }
        if let Some(number) = &entry.number {
            if entry.birth_date.is_some_and(|date| date != number.birth_date()) {
                wrong.push((DisclosedField::BirthDate.code(), Invalid::ContradictsIdentityNumber));
            }
            entry.birth_date = Some(number.birth_date());
        }
        let mut missing = |code: &'static str| {
            if !wrong.iter().any(|(known, _)| *known == code) {
                wrong.push((code, Invalid::Missing));
            }
        };
        if entry.name.is_none() && entry.number.is_none() {
            missing(DisclosedField::Name.code());
        }
        if entry.group.is_none() {
            missing(GROUP);
        }
        if entry.valid_until.is_some_and(|day| day < today) {
            wrong.push((VALID_UNTIL, Invalid::Past));
        }
        entry.wrong = wrong;
        entry
    }

    /// Whether it is known to be about somebody under 14 on a day.
    pub fn is_minor(&self, day: CivilDate) -> bool {
        Identity { birth_date: self.birth_date, ..Identity::default() }.is_minor(day)
    }

    fn is_wrong(&self, codes: &[&str]) -> bool {
        self.wrong.iter().any(|(code, _)| codes.contains(code))
    }

    /// Whether a likeness leaves no doubt that it is the same person, as far as lists go: the same number and something of the
    /// name (rows of tables slip), or name, birth date and one thing more.
    pub fn is_surely(&self, likeness: &Likeness) -> bool {
        let has = |sign| likeness.signs.contains(&sign);
        let named = has(Sign::SameName) || has(Sign::SameSound) || has(Sign::NearName);
        let by_number = has(Sign::SameNumber) && (named || self.name.is_none());
        let by_words = has(Sign::SameName)
            && has(Sign::SameBirthDate)
            && (has(Sign::SameDwelling) || has(Sign::SamePhone));
        !self.is_wrong(WHO) && (by_number || by_words)
    }
}

/// A value on its way.
struct Reader<'a> {
    text: &'a str,
    wrong: &'a mut Vec<(&'static str, Invalid)>,
}

impl Reader<'_> {
    fn as_<T>(&mut self, code: &'static str, read: impl Fn(&str) -> Result<T, Invalid>) -> Option<T> {
        match read(self.text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong.push((code, why));
                None
            }
        }
    }
}

/// A line without any control character, line feeds and tabs among them.
fn one_line(text: &str) -> Result<Line, Invalid> {
    if text.chars().any(char::is_control) { Err(Invalid::ControlCharacter) } else { Line::new(text) }
}

/// A file that may be of the person of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// How much they are alike.
    pub likeness: Likeness,
    /// Whether the file is active.
    pub is_active: bool,
    /// Whether the person is, or will be, a member of the entry's group.
    pub is_member: bool,
}

/// An earlier entry that may be of the person of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierEntry {
    /// How much they are alike.
    pub likeness: Likeness,
    /// Whether it names the same group.
    pub same_group: bool,
}

/// What a person would do about an entry.
pub fn propose(entry: &RosterEntry, files: &[KnownFile], earlier: &[EarlierEntry]) -> RosterProposal {
    let is_repeated = earlier.iter().any(|other| other.same_group && entry.is_surely(&other.likeness));
    // A number settles it among several; words alone leave a doubt then.
    let by_number = |file: &&KnownFile| file.likeness.signs.contains(&Sign::SameNumber);
    let numbered: Vec<&KnownFile> = files.iter().filter(by_number).collect();
    let only = match (numbered.as_slice(), files) {
        ([only], _) => Some(*only),
        ([], [only]) => Some(only),
        _ => None,
    };
    let sure = only.filter(|file| entry.is_surely(&file.likeness));
    match sure {
        Some(file) if !file.is_active => RosterProposal::Compare, // moved out, or died
        Some(file) if entry.group.is_some() && file.is_member => RosterProposal::AlreadyMember,
        Some(_) if is_repeated => RosterProposal::Repeated,
        Some(_) if entry.is_wrong(&[GROUP, VALID_UNTIL]) => RosterProposal::AskBody,
        Some(_) => RosterProposal::AddMembership,
        None if !files.is_empty() => RosterProposal::Compare,
        None if is_repeated => RosterProposal::Repeated,
        None if entry.is_wrong(WHO) || entry.is_wrong(&[GROUP, VALID_UNTIL]) => RosterProposal::AskBody,
        None if !earlier.is_empty() => RosterProposal::Compare,
        None if entry.name.is_none() => RosterProposal::AskBody,
        None => RosterProposal::OpenFile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "11010519491231002X";

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    /// `name=…; group=…`, on 16 March 2026, where there is one care group.
    fn entry(text: &str) -> RosterEntry {
        let fields = text.split(';').filter_map(|field| field.split_once('='));
        let fields = fields.map(|(code, value)| (code.trim(), value));
        RosterEntry::read(fields, day("2026-03-16"), |group| group.as_str() == "low")
    }

    #[test]
    fn entries_are_read_as_far_as_they_can_be() {
        let check = |text: &str, expect: &str| {
            let entry = entry(text);
            let parts = [
                entry.name.as_ref().map(|_| "name"),
                entry.number.as_ref().map(|_| "number"),
                entry.birth_date.map(|_| "birth"),
                entry.phone.as_ref().map(|_| "phone"),
                entry.address.as_ref().map(|_| "address"),
                entry.group.as_ref().map(|_| "group"),
                entry.certificate.as_ref().map(|_| "certificate"),
                entry.valid_until.map(|_| "until"),
            ];
            let read: Vec<&str> = parts.into_iter().flatten().collect();
            let wrong: Vec<String> =
                entry.wrong.iter().map(|(code, why)| format!("!{code} {why:?}")).collect();
            assert_eq!([read.join(" "), wrong.join(" ")].join(" ").trim(), expect, "{text}");
        };
        check("name=王秀英; group=low", "name group");
        check(
            &format!(
                "name= 王秀英 ; identity_number={NUMBER}; phone=13800001234; address=3-2-501; group=low; certificate=A7; \
                 valid_until=2026-03-16; birth_date= "
            ),
            "name number birth phone address group certificate until",
        );
        check(&format!("identity_number={NUMBER}; group=low"), "number birth group");
        check("", "!name Missing !group Missing");
        check("name= ; group=high", "!group Unknown !name Missing");
        check("name=王\u{7}; group=L!", "!name ControlCharacter !group Code");
        check(
            "name=王秀英; identity_number=110105194912310021; birth_date=1949-12-32; phone=1; group=low",
            "name group !identity_number CheckDigit !birth_date Date !phone Phone",
        );
        check(
            &format!("identity_number={NUMBER}; birth_date=1950-01-01; group=low"),
            "number birth group !birth_date ContradictsIdentityNumber",
        );
        check(
            "name=王秀英; birth_date=2026-03-17; group=low; valid_until=2026-03-15",
            "name group until !birth_date Future !valid_until Past",
        );
        check("name=王秀英; group=low; address=3\n2; certificate=\u{9b}", {
            "name group !address ControlCharacter !certificate ControlCharacter"
        });
        let long = "长".repeat(201);
        check(
            &format!("name={long}; group=low; address={long}"),
            "group !name TooLong { max: 50 } !address TooLong { max: 200 }",
        );
        // What is nobody's business is not looked at.
        check("name=王秀英; group=low; health=\u{7}; sex=x; shoe_size=43", "name group");
    }

    fn alike(signs: &[Sign]) -> Likeness {
        Likeness { score: 80, signs: signs.to_vec() }
    }

    #[test]
    fn what_a_person_would_do() {
        use RosterProposal::{AddMembership, AlreadyMember, AskBody, Compare, OpenFile, Repeated};
        use Sign::{NearName, SameBirthDate, SameDwelling, SameName, SameNumber, SameSound};
        let file = |signs: &[Sign], is_active: bool, is_member: bool| KnownFile {
            likeness: alike(signs),
            is_active,
            is_member,
        };
        let check = |text: &str, files: &[KnownFile], expect: RosterProposal| {
            assert_eq!(propose(&entry(text), files, &[]), expect, "{text} {files:?}");
        };
        let whole = &format!("name=王秀英; identity_number={NUMBER}; group=low");
        let (sure, words) = (&[SameNumber, SameName][..], &[SameName, SameBirthDate, SameDwelling][..]);
        check(whole, &[], OpenFile);
        check(whole, &[file(sure, true, false)], AddMembership);
        check(whole, &[file(sure, true, true)], AlreadyMember);
        check(whole, &[file(sure, false, false)], Compare);
        check(whole, &[file(sure, false, true)], Compare);
        check(whole, &[file(&[SameNumber, SameSound], true, false)], AddMembership);
        // The number is one's, the name another's: a row of the table has slipped.
        check(whole, &[file(&[SameNumber], true, true)], Compare);
        check(whole, &[file(&[SameName, SameBirthDate], true, true)], Compare);
        check(whole, &[file(&[NearName, SameBirthDate, SameDwelling], true, false)], Compare);
        // A number settles it among several, words do not.
        check(whole, &[file(sure, true, false), file(words, true, false)], AddMembership);
        check("name=王秀英; birth_date=1949-12-31; group=low", &[file(words, true, false)], AddMembership);
        check(
            "name=王秀英; birth_date=1949-12-31; group=low",
            &[file(words, true, false), file(&[SameName, SameBirthDate], true, false)],
            Compare,
        );
        check(&format!("identity_number={NUMBER}; group=low"), &[file(&[SameNumber], true, false)], {
            AddMembership
        });
        // What decides must be read, what does not need not be.
        check(&format!("identity_number={NUMBER}; group=low"), &[], AskBody);
        check(&format!("{whole}; phone=x; address=\u{7}"), &[], OpenFile);
        check(&format!("{whole}; valid_until=2026-03-15"), &[], AskBody);
        check(&format!("{whole}; valid_until=2026-03-15"), &[file(sure, true, false)], AskBody);
        check(&format!("{whole}; valid_until=2026-03-15"), &[file(sure, true, true)], AlreadyMember);
        check(&format!("{whole}; birth_date=1950-01-01"), &[file(sure, true, true)], Compare);
        check("name=王秀英; group=high", &[], AskBody);
        check(&format!("name=王秀英; identity_number={NUMBER}"), &[file(sure, true, true)], AskBody);
        check("name=王秀英; identity_number=1; group=low", &[], AskBody);
        check("name=王秀英; identity_number=1; group=low", &[file(words, true, false)], Compare);

        let repeated = |signs: &[Sign], same_group: bool, files: &[KnownFile]| {
            let earlier = [EarlierEntry { likeness: alike(signs), same_group }];
            propose(&entry(whole), files, &earlier)
        };
        assert_eq!(repeated(sure, true, &[]), Repeated);
        assert_eq!(repeated(sure, false, &[]), Compare, "two groups of somebody who has no file yet");
        assert_eq!(repeated(&[SameName, SameBirthDate], true, &[]), Compare);
        assert_eq!(repeated(sure, true, &[file(sure, true, false)]), Repeated);
        assert_eq!(repeated(sure, false, &[file(sure, true, false)]), AddMembership);
        assert_eq!(repeated(sure, true, &[file(sure, true, true)]), AlreadyMember);
    }

    #[test]
    fn nothing_personal_is_shown_by_accident() {
        let entry = entry(&format!("name=王秀英; identity_number={NUMBER}; phone=13800001234; group=low"));
        let shown = format!("{entry:?}");
        for part in ["王", "110105", "1380000"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}
