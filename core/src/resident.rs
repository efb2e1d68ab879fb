//! Residents and their care files, 关怀档案: who they are, where and since when they live here, and the facts
//! that rules read.
//!
//! Everything personal here redacts itself in `Debug`.

use std::fmt;

use crate::id::{DwellingId, FieldCode, ResidentId, SiteId, StaffId};
use crate::identity::IdentityNumber;
use crate::invalid::Invalid;
use crate::kind::closed_list;
use crate::text::{Line, Paragraph};
use crate::time::{CivilDate, DateRange, Instant};

/// A resident with a care file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: ResidentId,
    /// Where they live.
    pub dwelling: DwellingId,
    /// State of the file.
    pub state: FileState,
    /// When they live here.
    pub tenure: Tenure,
    /// The day of death: all duties and greetings end with it.
    pub died_on: Option<CivilDate>,
    /// Whether the file is under legal hold: it is neither sealed nor erased.
    pub held: bool,
    /// Who may know of the file, where it is protected 受保护档案 (domestic violence, shelter); `None`: whom the policies allow.
    pub protected_for: Option<Vec<StaffId>>,
    /// Class `contact`.
    pub contact: Contact,
    /// Class `identity`.
    pub identity: Identity,
    /// Class `health`: physical condition in words.
    pub health: Option<Paragraph>,
    /// Class `family`: family situation in words.
    pub family: Option<Paragraph>,
    /// Class `status`: special difficulties in words.
    pub status: Option<Paragraph>,
    /// What they need (regulation, Art. 6.2).
    pub needs: Vec<Need>,
    /// When the file was opened (care clock).
    pub created_at: Instant,
    /// When it last changed (care clock).
    pub updated_at: Instant,
    /// Counts changes, from 1; the etag is made of it.
    pub version: u64,
}

closed_list! {
    /// The life of a care file.
    FileState {
        /// In care.
        Active = "active", "在册", "active";
        /// Moved out or died: read-only but for earlier care.
        Left = "left", "已迁离", "left";
        /// Sealed: storage only.
        Sealed = "sealed", "已封存", "sealed";
        /// Erased: only the tombstone remains.
        Erased = "erased", "已清除", "erased";
    }
}

closed_list! {
    /// Classes of fields that are shown, sealed and audited together.
    FieldClass {
        /// Name, phone, address.
        Contact = "contact", "联系信息", "contact";
        /// Identity and certificate numbers.
        Identity = "identity", "身份信息", "identity";
        /// Health.
        Health = "health", "健康信息", "health";
        /// Family.
        Family = "family", "家庭信息", "family";
        /// Poverty, service: special status.
        Status = "status", "身份状况", "status";
        /// Service records.
        Care = "care", "服务记录", "care";
    }
}

closed_list! {
    /// What a resident needs (regulation, Art. 6.2).
    Need {
        /// Daily living care.
        LivingCare = "living_care", "生活照料", "living care";
        /// Medical help.
        Medical = "medical", "医疗帮扶", "medical help";
        /// Company and comfort.
        Companionship = "companionship", "精神慰藉", "companionship";
        /// Everyday convenience services.
        Convenience = "convenience", "便民服务", "convenience services";
    }
}

closed_list! {
    /// Sex as in an identity document.
    Sex {
        /// Female.
        Female = "female", "女", "female";
        /// Male.
        Male = "male", "男", "male";
    }
}

/// When somebody lives in the site: from the day of moving in, up to but without the day after moving out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// The first day.
    pub moved_in: CivilDate,
    /// The last day, where it is known.
    pub moved_out: Option<CivilDate>,
}

impl Tenure {
    /// The days of the tenure.
    pub fn days(self) -> DateRange {
        match self.moved_out {
            Some(last) => DateRange::new(self.moved_in, last.plus_days(1)),
            None => DateRange::from(self.moved_in),
        }
    }
}

/// A dwelling in which somebody lived before a change of room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerDwelling {
    /// The dwelling.
    pub dwelling: DwellingId,
    /// The day of the move: the first one elsewhere.
    pub until: CivilDate,
}

/// The days on which somebody lived in a dwelling that `counts`, wherever their tenure lies: in order, neither
/// overlapping nor adjacent. `former` is in order of the moves; `present` is the dwelling after the last one.
pub fn days_lived(
    former: &[FormerDwelling],
    present: &DwellingId,
    counts: impl Fn(&DwellingId) -> bool,
) -> Vec<DateRange> {
    let moves = former.iter().map(|former| (&former.dwelling, former.until));
    let mut lived: Vec<DateRange> = Vec::new();
    let mut from = CivilDate::MIN;
    for (dwelling, until) in moves.chain([(present, CivilDate::MAX)]) {
        let days = DateRange::new(from, until.max(from));
        from = days.end();
        if days.is_empty() || !counts(dwelling) {
            continue;
        }
        match lived.last_mut().filter(|last| last.end() == days.start()) {
            Some(last) => *last = DateRange::new(last.start(), days.end()),
            None => lived.push(days),
        }
    }
    lived
}

/// How to reach a person: class `contact`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The name.
    pub name: PersonName,
    /// The phone number.
    pub phone: Option<Phone>,
    /// People to call in an emergency, first to last.
    pub emergency: Vec<EmergencyContact>,
}

/// Somebody to call in an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyContact {
    /// The name.
    pub name: PersonName,
    /// The phone number.
    pub phone: Phone,
    /// Daughter, neighbour, …
    pub relation: Option<Line>,
}

/// Largest number of emergency contacts of one resident.
pub const EMERGENCY_CONTACTS_MAX: usize = 5;

/// Who a person is: class `identity`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The resident identity number.
    pub number: Option<IdentityNumber>,
    /// The birth date; where a number is known, that of the number.
    pub birth_date: Option<CivilDate>,
    /// The sex; where a number is known, that of the number.
    pub sex: Option<Sex>,
}

/// Below this age, in full years, a person's values are a child's: a guardian consents to the file, and nobody sees them in clear whom
/// the leader did not approve for it.
pub const MINOR_BELOW_YEARS: u32 = 14;

/// Most people who are named for a protected file: whoever visits, supervises and stands in.
pub const PROTECTED_FOR_MAX: usize = 20;

impl Identity {
    /// Whether the person is known to be under 14 on a day.
    pub fn is_minor(&self, day: CivilDate) -> bool {
        let age = self.birth_date.and_then(|birth| day.age_from(birth));
        age.is_some_and(|age| age < MINOR_BELOW_YEARS)
    }
}

/// A person's name: 1–50 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PersonName(crate::text::Text<50>);

impl PersonName {
    /// Accepts a name.
    ///
    /// # Errors
    /// [`Invalid::Missing`], [`Invalid::TooLong`] or [`Invalid::ControlCharacter`].
    pub fn new(name: &str) -> Result<Self, Invalid> {
        let name = crate::text::Text::new(name)?;
        if name.as_str().chars().any(char::is_control) {
            return Err(Invalid::ControlCharacter);
        }
        Ok(Self(name))
    }

    /// The name in full. Personal: never log it.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }

    /// The name with all but its first character hidden: `张**`.
    pub fn masked(&self) -> String {
        let mut characters = self.reveal().chars();
        characters.next().map(|first| format!("{first}**")).unwrap_or_default()
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(…)")
    }
}

/// A telephone number in one spelling: digits, for numbers outside China with a leading `+`.
///
/// Accepted: mobile `1[3-9]` and 9 digits, landline with area code, 400/800 numbers, `+86` before any of
/// these, and other countries' numbers in international form. Blanks and hyphens are dropped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// Accepts a telephone number.
    ///
    /// # Errors
    /// [`Invalid::Missing`] or [`Invalid::Phone`].
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let compact: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '(' | ')' | '（' | '）' | '－'))
            .collect();
        if compact.is_empty() {
            return Err(Invalid::Missing);
        }
        let national =
            compact.strip_prefix("+86").or_else(|| compact.strip_prefix("0086")).unwrap_or(&compact);
        if let Some(abroad) = national.strip_prefix('+') {
            let fits = (7..=15).contains(&abroad.len()) && abroad.bytes().all(|b| b.is_ascii_digit());
            return if fits { Ok(Self(compact)) } else { Err(Invalid::Phone) };
        }
        let digits = national.bytes().all(|b| b.is_ascii_digit());
        let mobile = national.len() == 11
            && national.starts_with('1')
            && matches!(national.as_bytes().get(1), Some(b'3'..=b'9'));
        let landline = national.starts_with('0') && (10..=12).contains(&national.len());
        let service = national.len() == 10 && (national.starts_with("400") || national.starts_with("800"));
        let local = (7..=8).contains(&national.len()) && !national.starts_with('0');
        if digits && (mobile || landline || service || local) {
            Ok(Self(national.to_owned()))
        } else {
            Err(Invalid::Phone)
        }
    }

    /// The number in full. Personal: never log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The number with its middle hidden: `138****1234`; short numbers show their last two digits.
    pub fn masked(&self) -> String {
        let digits: Vec<char> = self.0.chars().collect();
        let shown_ends = if digits.len() >= 11 { (3, 4) } else { (0, 2) };
        let hidden_from = shown_ends.0;
        let hidden_to = digits.len().saturating_sub(shown_ends.1);
        let head: String = digits.iter().take(hidden_from).collect();
        let tail: String = digits.iter().skip(hidden_to).collect();
        format!("{head}****{tail}")
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)")
    }
}

/// One fact of a care file: an attribute that rules read, with the day from which it is true.
#[derive(Clone, PartialEq, Eq)]
pub struct Fact {
    /// The field of a plugin's schema.
    pub field: FieldCode,
    /// The value; `None` says that the attribute is no longer known or no longer applies.
    pub value: Option<FactValue>,
    /// The day from which it is true.
    pub true_from: CivilDate,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fact({} from {})", self.field, self.true_from)
    }
}

/// A fact's value. `Debug` shows its type only.
#[derive(Clone, PartialEq, Eq)]
pub enum FactValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A day.
    Date(CivilDate),
    /// A code of the field's list.
    Code(String),
    /// A short text.
    Text(String),
}

impl fmt::Debug for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool(_) => "Bool(…)",
            Self::Integer(_) => "Integer(…)",
            Self::Date(_) => "Date(…)",
            Self::Code(_) => "Code(…)",
            Self::Text(_) => "Text(…)",
        })
    }
}

/// Largest number of facts of one resident.
pub const FACTS_MAX: usize = 200;
