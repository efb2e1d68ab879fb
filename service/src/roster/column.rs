//! What a column title means: built-in meanings in Chinese and English, and the operator's column map, which goes
//! before them.
//!
//! ```toml
//! # Which sheet of a workbook; the first one with a header otherwise.
//! sheet = "2026年"
//! # Blank building, unit and room cells of a .csv repeat those above (merged cells, which .csv loses).
//! carry_down = true
//!
//! [columns]
//! "户主" = "name"
//! "评估结论" = "fact.ability_level"
//! "是否信教" = "ignore"
//! "血压" = "fact.blood_pressure:integer"   # a field of a plugin that is not built in, with its type
//!
//! [values."fact.ability_level"]
//! "半失能" = "2"
//! ```

use std::collections::BTreeMap;

use linli_core::id::FieldCode;
use serde::Deserialize;

use super::problem::FileProblem;
use super::sheet::half_width;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meaning {
    /// Nothing that is read: running numbers, signatures, ages (the birth date says it better).
    Ignore,
    /// Building, unit and room in one.
    Place,
    /// The building.
    Building,
    /// The unit.
    Unit,
    /// The room.
    Room,
    /// The name.
    Name,
    /// The sex.
    Sex,
    /// The birth date.
    BirthDate,
    /// The identity number.
    IdentityNumber,
    /// The phone number.
    Phone,
    /// The day of moving in.
    MovedIn,
    /// The day of the survey: from then on the facts are true.
    SurveyedOn,
    /// Physical condition in words.
    Health,
    /// Family situation in words.
    Family,
    /// Special difficulties in words.
    Status,
    /// Needs, several in one cell.
    Needs,
    /// Anything else in words; kept with the special difficulties.
    Remark,
    /// Classes of people, several in one cell: 独居、高龄.
    Classes,
    /// How somebody lives: alone, with the spouse, with children.
    Living,
    /// Advanced age, which the rules work out from the birth date.
    AdvancedAge,
    /// A part of an emergency contact.
    Emergency {
        /// Which contact; contacts are read in this order.
        slot: u8,
        /// Which part.
        part: ContactPart,
    },
    /// An attribute that rules read.
    Fact(FactColumn),
}

/// A part of an emergency contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContactPart {
    /// The name, or name, relation and number in one.
    Name,
    /// The phone number.
    Phone,
    /// Daughter, neighbour, …
    Relation,
}

/// A column that holds an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactColumn {
    /// The field of a plugin's schema.
    pub field: FieldCode,
    /// How its cells are read.
    pub kind: FactKind,
}

/// How the cells of an attribute are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    /// Yes or no.
    Bool,
    /// A column that says the opposite of its field.
    NotBool,
    /// A whole number.
    Integer,
    /// A date.
    Date,
    /// A code, from these words.
    Code(&'static [(&'static str, &'static str)]),
    /// A number of a scale, from these words.
    Scale(&'static [(i64, &'static str)]),
    /// A code as it stands, after the column map's values.
    FreeCode,
    /// A short text.
    Text,
}

/// The words of the ability scale of GB/T 42195-2022, blanks between them.
pub const ABILITY_WORDS: &[(i64, &str)] = &[
    (0, "能力完好 完好 自理 能自理 完全自理 正常 0级 intact"),
    (1, "轻度失能 能力轻度受损 轻度受损 轻度 1级 mild"),
    (2, "中度失能 能力中度受损 中度受损 中度 2级 moderate"),
    (3, "重度失能 能力重度受损 重度受损 重度 3级 severe"),
    (4, "完全失能 能力完全丧失 完全丧失 4级 complete"),
];

/// The grades of a disability certificate, blanks between their words.
const DISABILITY_GRADES: &[(i64, &str)] =
    &[(1, "一级 1级"), (2, "二级 2级"), (3, "三级 3级"), (4, "四级 4级")];
/// The kinds of a disability certificate, with the digit that its number has for them.
const DISABILITY_KINDS: &[(&str, &str)] = &[
    ("sight", "视力 视力残疾 1"),
    ("hearing", "听力 听力残疾 2"),
    ("speech", "言语 言语残疾 3"),
    ("limb", "肢体 肢体残疾 4"),
    ("intellectual", "智力 智力残疾 5"),
    ("mental", "精神 精神残疾 6"),
    ("multiple", "多重 多重残疾 7"),
];
/// Whom the civil affairs departments support, and how they are called on the spot.
const HARDSHIP_CLASSES: &[(&str, &str)] = &[
    ("subsistence_allowance", "低保 低保对象 低保户 低保家庭 最低生活保障"),
    ("destitute", "特困 特困人员 特困供养"),
    ("near_threshold", "低保边缘 低保边缘家庭 低边 边缘户"),
    ("rigid_expenses", "刚性支出 刚性支出困难家庭 支出型 支出型困难家庭"),
    ("none", "无 否 已退出"),
];

/// Attributes that estates keep a column of: field, how it is read, titles in normal spelling.
const FACTS: &[(&str, FactKind, &str)] = &[
    ("lives_alone", FactKind::Bool, "独居 独居老人 livesalone livingalone"),
    ("empty_nest", FactKind::Bool, "空巢 空巢老人 emptynest"),
    ("left_behind", FactKind::Bool, "留守 留守老人 leftbehind"),
    (
        "ability_level",
        FactKind::Scale(ABILITY_WORDS),
        "失能等级 失能程度 能力等级 自理能力 老年人能力评估 能力评估等级 abilitylevel disabilitylevel",
    ),
    ("ability_score", FactKind::Integer, "能力评估总分 能力评估得分 评估总分 评估得分 abilityscore"),
    ("coma", FactKind::Bool, "昏迷 coma"),
    ("mental_disorder", FactKind::Bool, "精神障碍 精神疾病 精神和行为障碍 mentaldisorder"),
    (
        "care_risk_event_last",
        FactKind::Date,
        "最近跌倒日期 最近风险事件日期 照护风险事件日期 lastcareriskevent",
    ),
    (
        "dispersed_support",
        FactKind::Bool,
        "特困 特困人员 分散供养 分散供养特困 分散供养特困人员 dispersedsupport",
    ),
    ("mobility_limited", FactKind::Bool, "行动不便 行动困难 行动能力受限 limitedmobility mobility"),
    ("hearing_impaired", FactKind::Bool, "听力 听力障碍 听力受损 hearing hearingimpaired"),
    ("sight_impaired", FactKind::Bool, "视力 视力障碍 视力受损 sight vision sightimpaired"),
    ("dementia", FactKind::Bool, "认知障碍 失智 失智老人 痴呆 dementia"),
    ("seriously_ill", FactKind::Bool, "重病 重大疾病 患重病 seriouslyill seriousillness"),
    ("severely_disabled", FactKind::Bool, "重残 重度残疾 severelydisabled"),
    (
        "disability_category",
        FactKind::Code(DISABILITY_KINDS),
        "残疾类别 残疾类型 残疾种类 disabilitycategory",
    ),
    ("disability_grade", FactKind::Scale(DISABILITY_GRADES), "残疾等级 残疾级别 disabilitygrade"),
    ("hardship_class", FactKind::Code(HARDSHIP_CLASSES), "困难类别 困难类型 救助类别 hardshipclass"),
    ("expected_due_date", FactKind::Date, "预产期 duedate expectedduedate"),
    ("veteran", FactKind::Bool, "退役军人 veteran"),
    ("orphan", FactKind::Bool, "孤儿 orphan"),
    ("family_planning_special", FactKind::Bool, "计生特殊家庭 失独 计划生育特殊家庭 familyplanningspecial"),
];

/// Everything else: meaning and titles in normal spelling.
const TITLES: &[(Meaning, &str)] = &[
    (
        Meaning::Ignore,
        "序号 编号 年龄 周岁 no no. age index 签字 签名 民族 填表人 照片 档案编号 管家 楼栋管家 责任人 小区 项目 社区 户籍 户籍地址 \
         户籍所在地",
    ),
    (
        Meaning::Place,
        "住址 地址 家庭住址 家庭地址 居住地址 现住址 现居住地址 房屋 房屋地址 住房 楼栋单元房号 楼栋房号 楼号房号 楼房号 门牌 门牌号 \
         address homeaddress dwelling",
    ),
    (Meaning::Building, "楼栋 楼号 栋号 幢号 楼 栋 幢 楼栋号 楼幢 座 座号 building block"),
    (Meaning::Unit, "单元 单元号 门 梯 unit entrance stairwell"),
    (Meaning::Room, "房号 室 室号 房间号 户号 房间 门号 room roomno flat apartment door"),
    (
        Meaning::Name,
        "姓名 业主姓名 老人姓名 居民姓名 住户姓名 名字 业主 本人姓名 对象姓名 name fullname residentname resident",
    ),
    (Meaning::Sex, "性别 sex gender"),
    (
        Meaning::BirthDate,
        "出生日期 出生年月日 出生年月 生日 出生时间 出生 birthdate dateofbirth dob birthday born",
    ),
    (
        Meaning::IdentityNumber,
        "身份证号 身份证号码 身份证 公民身份号码 身份号码 证件号 证件号码 idnumber identitynumber idno id idcard nationalid",
    ),
    (
        Meaning::Phone,
        "联系电话 电话 联系方式 手机 手机号 手机号码 电话号码 本人电话 业主电话 老人电话 phone phonenumber telephone tel mobile \
         mobilephone",
    ),
    (Meaning::MovedIn, "入住日期 入住时间 迁入日期 搬入日期 交房日期 moveindate movein movedin movedinon"),
    (
        Meaning::SurveyedOn,
        "登记日期 摸排日期 调查日期 填表日期 建档日期 摸排时间 登记时间 建档时间 surveydate surveyedon date",
    ),
    (Meaning::Health, "身体状况 健康状况 健康情况 身体情况 疾病 患病情况 病史 health healthcondition"),
    (Meaning::Family, "家庭情况 家庭状况 家庭成员 子女情况 family familysituation"),
    (Meaning::Status, "特殊困难 困难情况 特殊情况 difficulties specialdifficulties"),
    (Meaning::Needs, "需求 具体需求 服务需求 需求类别 帮扶需求 needs need"),
    (Meaning::Remark, "备注 说明 其他 备注说明 remark remarks note notes comment"),
    (
        Meaning::Classes,
        "人员类别 类别 群体类别 人群分类 特殊群体类别 特殊群体类型 人群类别 对象类别 群体 category groups group",
    ),
    (Meaning::Living, "居住状况 居住情况 居住方式 居住类型 living livingsituation household"),
    (Meaning::AdvancedAge, "高龄 高龄老人 80岁以上 80周岁以上 advancedage"),
];

/// Beginnings of titles of emergency contacts; those of one line are the same contacts.
const CONTACT_HEADS: &[&str] = &[
    "紧急联系人 应急联系人 联系人 emergencycontact emergency contact",
    "子女 children child",
    "家属 亲属 nextofkin",
    "监护人 guardian",
];
/// Endings of titles of emergency contacts; none at all is a name too.
const CONTACT_TAILS: &[(ContactPart, &str)] = &[
    (ContactPart::Name, "姓名 及电话 name"),
    (ContactPart::Phone, "电话 联系电话 联系方式 手机 手机号 电话号码 phone phonenumber mobile tel"),
    (ContactPart::Relation, "关系 与本人关系 与老人关系 称谓 relation relationship"),
];
/// Titles of the relation to the first emergency contact that do not name the contact.
const RELATION_TITLES: &str = "关系 与本人关系 与老人关系 与业主关系 relation relationship";

/// Whether a list of words, blanks between them, holds this one.
pub(super) fn lists(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|known| known == word)
}

/// A title in one spelling: half-width, lower case, without blanks, punctuation, remarks in brackets and 是否.
pub fn normal_title(title: &str) -> String {
    let title = half_width(title).to_lowercase();
    let mut depth = 0_u32;
    let mut normal = String::with_capacity(title.len());
    for c in title.chars() {
        match c {
            '(' | '[' | '【' | '<' => depth += 1,
            ')' | ']' | '】' | '>' => depth = depth.saturating_sub(1),
            c if depth == 0 && (c.is_alphanumeric() || c == '.') => normal.push(c),
            _ => {}
        }
    }
    let bare = normal.strip_prefix("是否").unwrap_or(&normal);
    let bare = bare.strip_prefix("为").filter(|_| normal.starts_with("是否")).unwrap_or(bare);
    bare.to_owned()
}

/// The built-in meaning of a title in normal spelling.
pub fn meaning(title: &str) -> Option<Meaning> {
    if title.is_empty() {
        return None;
    }
    if let Some((meaning, _)) = TITLES.iter().find(|(_, titles)| lists(titles, title)) {
        return Some(meaning.clone());
    }
    if let Some(fact) = fact_by_title(title) {
        return Some(Meaning::Fact(fact));
    }
    emergency(title)
}

/// The attribute that a title or a class names.
pub fn fact_by_title(title: &str) -> Option<FactColumn> {
    let (field, kind, _) = FACTS.iter().find(|(_, _, titles)| lists(titles, title))?;
    Some(FactColumn { field: FieldCode::new(field).ok()?, kind: *kind })
}

/// The built-in way of reading a field.
fn fact_by_field(field: &str) -> Option<FactKind> {
    FACTS.iter().find(|(code, ..)| *code == field).map(|(_, kind, _)| *kind)
}

fn emergency(title: &str) -> Option<Meaning> {
    let plain: String = title
        .chars()
        .map(|c| match c {
            '一' => '1',
            '二' => '2',
            '三' => '3',
            other => other,
        })
        .collect();
    if lists(RELATION_TITLES, title) {
        return Some(Meaning::Emergency { slot: 1, part: ContactPart::Relation });
    }
    let heads = CONTACT_HEADS
        .iter()
        .enumerate()
        .flat_map(|(place, heads)| heads.split_whitespace().map(move |head| (place, head)));
    heads.filter_map(|(place, head)| Some((place, plain.strip_prefix(head)?))).find_map(|(place, rest)| {
        let (number, tail) = match rest.chars().next().and_then(|c| c.to_digit(10)) {
            Some(number) => (number, rest.get(1..).unwrap_or_default()),
            None => match rest.chars().last().and_then(|c| c.to_digit(10)) {
                Some(number) => (number, rest.get(..rest.len() - 1).unwrap_or_default()),
                None => (1, rest),
            },
        };
        let part = match tail {
            "" => ContactPart::Name,
            tail => CONTACT_TAILS.iter().find(|(_, tails)| lists(tails, tail)).map(|(part, _)| *part)?,
        };
        let slot = u8::try_from(place * 10).ok()?.checked_add(u8::try_from(number).ok()?)?;
        Some(Meaning::Emergency { slot, part })
    })
}

/// The operator's explanations of titles and values.
#[derive(Debug, Clone, Default)]
pub struct ColumnMap {
    sheet: Option<String>,
    carry_down: bool,
    columns: BTreeMap<String, Meaning>,
    /// Titles of the fields that plugins declare; they go after everything else.
    declared: BTreeMap<String, Meaning>,
    values: BTreeMap<Meaning, BTreeMap<String, String>>,
}

/// A field that a plugin declares, as a roster may have a column of it.
#[derive(Debug, Clone)]
pub struct DeclaredColumn {
    /// The field.
    pub field: FieldCode,
    /// How its cells are read, where no built-in column reads them in its own way.
    pub kind: FactKind,
    /// What it is called: in Chinese, in English, by its code. Remarks in brackets and after a colon do not count.
    pub titles: Vec<String>,
    /// Words for its codes, and the codes.
    pub words: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MapFile {
    sheet: Option<String>,
    #[serde(default)]
    carry_down: bool,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    #[serde(default)]
    values: BTreeMap<String, BTreeMap<String, String>>,
}

impl ColumnMap {
    /// Reads a column map, TOML as in the module's example.
    ///
    /// # Errors
    /// [`FileProblem::ColumnMap`], naming the key.
    pub fn parse(text: &str) -> Result<Self, FileProblem> {
        let file: MapFile =
            toml::from_str(text).map_err(|error| FileProblem::ColumnMap(error.message().to_owned()))?;
        let mut values = BTreeMap::new();
        for (meaning, words) in file.values {
            let words = words.into_iter().map(|(word, value)| (normal_value(&word), value)).collect();
            values.insert(parse_meaning(&meaning)?, words);
        }
        let map = Self {
            sheet: file.sheet,
            carry_down: file.carry_down,
            columns: BTreeMap::new(),
            declared: BTreeMap::new(),
            values,
        };
        map.with_columns(&file.columns)
    }

    /// The map with further columns, title to meaning; they go before those that it has.
    ///
    /// # Errors
    /// [`FileProblem::ColumnMap`], naming the meaning that is none.
    pub fn with_columns(mut self, columns: &BTreeMap<String, String>) -> Result<Self, FileProblem> {
        for (title, meaning) in columns {
            self.columns.insert(normal_title(title), parse_meaning(meaning)?);
        }
        Ok(self)
    }

    /// The map with the fields that plugins declare, each by its titles; what the map and the built-in columns explain
    /// stays as it is.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = DeclaredColumn>) -> Self {
        for declared in fields {
            let DeclaredColumn { field, kind, titles, words } = declared;
            let kind = fact_by_field(field.as_str()).unwrap_or(kind);
            let meaning = Meaning::Fact(FactColumn { field, kind });
            for title in titles {
                let whole = half_width(&title);
                let bare = whole.split(':').next().unwrap_or_default();
                for title in [normal_title(&whole), normal_title(bare)] {
                    if !title.is_empty() {
                        self.declared.entry(title).or_insert_with(|| meaning.clone());
                    }
                }
            }
            if matches!(kind, FactKind::FreeCode | FactKind::Code(_)) {
                let known = self.values.entry(meaning).or_default();
                for (word, code) in words {
                    known.entry(normal_value(&word)).or_insert(code);
                }
            }
        }
        self
    }

    /// The meaning of a title in normal spelling that a plugin gave one of its fields.
    pub fn declared(&self, title: &str) -> Option<Meaning> {
        self.declared.get(title).cloned()
    }

    /// The sheet to read, where the map names one.
    pub fn sheet(&self) -> Option<&str> {
        self.sheet.as_deref()
    }

    /// Whether blank places repeat those above.
    pub fn carry_down(&self) -> bool {
        self.carry_down
    }

    /// The meaning of a title in normal spelling, where the map explains it.
    pub fn meaning(&self, title: &str) -> Option<Meaning> {
        self.columns.get(title).cloned()
    }

    /// What a cell of such a column says instead, where the map explains it.
    pub fn value(&self, meaning: &Meaning, shown: &str) -> Option<&str> {
        // The type may be spelled out in one table and left out in the other.
        let same = |key: &Meaning| match (key, meaning) {
            (Meaning::Fact(key), Meaning::Fact(fact)) => key.field == fact.field,
            (key, meaning) => key == meaning,
        };
        let shown = normal_value(shown);
        let words = self.values.iter().filter(|(key, _)| same(key)).map(|(_, words)| words);
        words.into_iter().find_map(|words| words.get(&shown)).map(String::as_str)
    }
}

fn normal_value(word: &str) -> String {
    half_width(word).trim().to_lowercase()
}

/// The name of a meaning in a column map.
fn parse_meaning(text: &str) -> Result<Meaning, FileProblem> {
    let unknown = || FileProblem::ColumnMap(format!("`{text}` is not a meaning of a column"));
    if let Some(field) = text.strip_prefix("fact.") {
        let (field, kind) = match field.split_once(':') {
            Some((field, kind)) => (field, Some(kind)),
            None => (field, None),
        };
        let code = FieldCode::new(field)
            .map_err(|why| FileProblem::ColumnMap(format!("the field of `{text}` {why}")))?;
        let kind = match kind {
            None => fact_by_field(field).ok_or_else(|| {
                FileProblem::ColumnMap(format!(
                    "`{text}` needs a type: `{text}:bool`, `:integer`, `:date`, `:code` or `:text`"
                ))
            })?,
            Some("bool") => FactKind::Bool,
            Some("not_bool") => FactKind::NotBool,
            Some("integer") => fact_by_field(field).unwrap_or(FactKind::Integer),
            Some("date") => FactKind::Date,
            Some("code") => fact_by_field(field).unwrap_or(FactKind::FreeCode),
            Some("text") => FactKind::Text,
            Some(_) => return Err(unknown()),
        };
        return Ok(Meaning::Fact(FactColumn { field: code, kind }));
    }
    if let Some(part) = text.strip_prefix("emergency.") {
        let (slot, part) = match part.split_once('.') {
            Some((slot, part)) => (slot.parse().map_err(|_| unknown())?, part),
            None => (1, part),
        };
        let part = match part {
            "name" => ContactPart::Name,
            "phone" => ContactPart::Phone,
            "relation" => ContactPart::Relation,
            _ => return Err(unknown()),
        };
        return Ok(Meaning::Emergency { slot, part });
    }
    Ok(match text {
        "ignore" => Meaning::Ignore,
        "place" => Meaning::Place,
        "building" => Meaning::Building,
        "unit" => Meaning::Unit,
        "room" => Meaning::Room,
        "name" => Meaning::Name,
        "sex" => Meaning::Sex,
        "birth_date" => Meaning::BirthDate,
        "identity_number" => Meaning::IdentityNumber,
        "phone" => Meaning::Phone,
        "moved_in" => Meaning::MovedIn,
        "surveyed_on" => Meaning::SurveyedOn,
        "health" => Meaning::Health,
        "family" => Meaning::Family,
        "status" => Meaning::Status,
        "needs" => Meaning::Needs,
        "remark" => Meaning::Remark,
        "classes" => Meaning::Classes,
        "living" => Meaning::Living,
        "advanced_age" => Meaning::AdvancedAge,
        _ => return Err(unknown()),
    })
}
