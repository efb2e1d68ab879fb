//! The rules of the disability plugin once more, as the table that both engines read.
//!
//! Conditions are written in what CEL and ZEN have in common but for the words of `and` and `or`. Whatever is not known
//! is 0, `false` or [`NEVER`]; dates are days since 1970-01-01.

/// A day that does not come: from then on counts what does not hold.
pub const NEVER: i32 = 1_000_000;

/// Names that conditions use for what is known of a resident.
pub const NUMBERS: [&str; 12] = [
    "today",
    "key_grade",
    "notice_days",
    "kind",
    "kind_since",
    "grade",
    "grade_since",
    "severely_since",
    "until",
    "adult_on",
    "never",
    "none",
];

/// As [`NUMBERS`], for yes and no; never known is no.
pub const FLAGS: [&str; 8] =
    ["until_known", "severely", "alone", "mobility", "hearing", "sight", "guardian", "dog"];

/// Names for what follows from them, in this order.
pub const DERIVED: [(&str, &str); 5] = [
    ("since", "min([kind_since, grade_since, severely_since])"),
    ("member", "kind > 0 or grade > 0 or severely"),
    ("valid", "until_known == false or until >= today"),
    ("severe", "(grade >= 1 and grade <= 2) or severely"),
    ("child", "grade > 2 and (kind == 5 or kind == 6) and adult_on > today"),
];

/// What a row says, in the words of the scenario tables; a membership and an expiry take the row's date.
pub type Says = &'static [&'static str];

/// A row of the table.
pub struct Row {
    /// When it applies.
    pub when: &'static str,
    /// The date that it says.
    pub date: &'static str,
    /// What it says.
    pub says: Says,
}

const fn row(when: &'static str, says: Says) -> Row {
    Row { when, date: "none", says }
}

const fn dated(when: &'static str, date: &'static str, says: Says) -> Row {
    Row { when, date, says }
}

/// The rows, each by its number: [`At`].
pub const ROWS: [Row; At::COUNT] = [
    dated("valid and kind > 0 and grade > 0", "since", &["member disabled since {}: kind_and_grade"]),
    dated("valid and kind > 0 and grade == 0", "since", &["member disabled since {}: kind_known"]),
    dated("valid and kind == 0 and grade > 0", "since", &["member disabled since {}: grade_known"]),
    dated("valid and kind == 0 and grade == 0", "since", &["member disabled since {}: severe_by_survey"]),
    row("valid == false", &["caution renew_certificate: certificate_ended"]),
    dated("valid and until_known", "until + 1", &["expires {}"]),
    dated("valid and until_known and until - notice_days > today", "until - notice_days", &["expires {}"]),
    row(
        "valid and until_known and until - notice_days <= today",
        &["caution renew_certificate: certificate_ends"],
    ),
    row("member", &["tier general: disabled"]),
    row(
        "severe",
        &[
            "tier key: severe",
            "tag disability_key: severe",
            "tag severe_disability: severe",
            "caution care_subsidy: severe",
            "tag evacuation_helper: severe",
            "caution evacuate_first: severe",
        ],
    ),
    dated(
        "child",
        "adult_on",
        &[
            "tier key: severe_child",
            "tag disability_key: severe_child",
            "tag severe_disability: severe_child",
            "expires {}",
        ],
    ),
    row(
        "severe == false and grade > 0 and grade <= key_grade",
        &["tier key: key_grade", "tag disability_key: key_grade"],
    ),
    row("alone", &["tier key: lives_alone", "tag disability_key: lives_alone"]),
    row(
        "kind == 1",
        &[
            "tag sight: kind_sight",
            "caution speak_first: kind_sight",
            "tag evacuation_helper: kind_sight",
            "caution evacuate_first: kind_sight",
        ],
    ),
    row(
        "kind == 2",
        &[
            "tag hearing: kind_hearing",
            "caution text_first: kind_hearing",
            "tag evacuation_helper: kind_hearing",
            "caution evacuate_first: kind_hearing",
        ],
    ),
    row("kind == 3", &["tag hearing: kind_speech", "caution text_first: kind_speech"]),
    row(
        "kind == 5",
        &[
            "tag guardian_contact: kind_intellectual",
            "caution guardian_first: kind_intellectual",
            "tag escort: kind_intellectual",
            "caution escort: kind_intellectual",
            "tag evacuation_helper: kind_intellectual",
            "caution evacuate_first: kind_intellectual",
        ],
    ),
    row(
        "kind == 6",
        &[
            "tag guardian_contact: kind_mental",
            "caution guardian_first: kind_mental",
            "caution crisis: kind_mental",
            "tag escort: kind_mental",
            "caution escort: kind_mental",
            "tag evacuation_helper: kind_mental",
            "caution evacuate_first: kind_mental",
        ],
    ),
    row(
        "kind == 4 and grade >= 1 and grade <= 2",
        &[
            "tag mobility: severe_limb",
            "caution give_time: severe_limb",
            "tag escort: severe_limb",
            "caution escort: severe_limb",
            "tag evacuation_helper: severe_limb",
            "caution evacuate_first: severe_limb",
        ],
    ),
    row(
        "kind == 1 and grade >= 1 and grade <= 2",
        &[
            "tag mobility: severe_sight",
            "caution give_time: severe_sight",
            "tag escort: severe_sight",
            "caution escort: severe_sight",
            "tag evacuation_helper: severe_sight",
            "caution evacuate_first: severe_sight",
        ],
    ),
    row(
        "hearing",
        &[
            "tag hearing: hearing_impaired",
            "caution text_first: hearing_impaired",
            "tag evacuation_helper: hearing_impaired",
            "caution evacuate_first: hearing_impaired",
        ],
    ),
    row(
        "sight",
        &[
            "tag sight: sight_impaired",
            "caution speak_first: sight_impaired",
            "tag evacuation_helper: sight_impaired",
            "caution evacuate_first: sight_impaired",
        ],
    ),
    row("guardian", &["tag guardian_contact: guardian_contact", "caution guardian_first: guardian_contact"]),
    row(
        "mobility",
        &[
            "tag mobility: mobility_limited",
            "caution give_time: mobility_limited",
            "tag escort: mobility_limited",
            "caution escort: mobility_limited",
            "tag evacuation_helper: mobility_limited",
            "caution evacuate_first: mobility_limited",
        ],
    ),
    row("dog", &["caution admit_service_dog: service_dog"]),
];

/// The rows by name, in the order of [`ROWS`].
#[derive(Clone, Copy)]
pub enum At {
    KindAndGrade,
    KindKnown,
    GradeKnown,
    BySurvey,
    Ended,
    Ends,
    Notice,
    EndsSoon,
    General,
    Severe,
    Child,
    KeyGrade,
    Alone,
    Sight,
    Hearing,
    Speech,
    Intellectual,
    Mental,
    SevereLimb,
    SevereSight,
    HearingImpaired,
    SightImpaired,
    Guardian,
    Mobility,
    ServiceDog,
}

impl At {
    pub const COUNT: usize = 25;
}

/// One thing that was said about a resident.
#[derive(Clone, Copy)]
pub struct Said {
    pub resident: u32,
    pub row: u16,
    /// Which of the row's.
    pub statement: u16,
    pub date: i32,
}

/// Says everything of a row.
#[inline]
pub fn say(said: &mut Vec<Said>, resident: usize, row: usize, date: i32) {
    let statements = ROWS.get(row).map_or(0, |row| row.says.len());
    said.extend((0..statements).map(|statement| Said {
        resident: resident as u32,
        row: row as u16,
        statement: statement as u16,
        date,
    }));
}
