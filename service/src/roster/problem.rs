//! What is wrong with a row or with a whole file, in words for the person who keeps the roster: what, where, and
//! what to do. A cell's value is never repeated.

use linli_core::invalid::Invalid;
use linli_core::text::Language;

/// Why a file cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileProblem {
    /// The file is too large, packed or unpacked.
    TooLarge {
        /// Largest accepted size, in MiB.
        max_mib: usize,
    },
    /// A workbook of Excel 97–2003, or one with a password.
    OldOrProtectedWorkbook,
    /// The file is cut off or damaged.
    Damaged,
    /// Neither UTF-8, UTF-16 nor GB18030.
    Encoding,
    /// More rows than a roster may have.
    TooManyRows {
        /// Largest accepted number.
        max: u32,
    },
    /// More columns than a roster may have.
    TooManyColumns {
        /// Largest accepted number.
        max: u32,
    },
    /// A cell is too long.
    CellTooLong {
        /// The line, from 1.
        line: u32,
        /// Largest accepted number of characters.
        max: usize,
    },
    /// No row of titles was found.
    NoHeader {
        /// How many rows were looked at.
        rows: usize,
    },
    /// The workbook has no sheet of this name.
    NoSuchSheet {
        /// The name that was asked for.
        name: String,
    },
    /// Two columns mean the same.
    SameColumn {
        /// Title of the one.
        first: String,
        /// Title of the other.
        second: String,
    },
    /// No column says who the person is.
    NoNameColumn,
    /// No column says where the person lives.
    NoPlaceColumn,
    /// The column map is not what it should be.
    ColumnMap(String),
}

impl FileProblem {
    /// The problem in words: lower case, no full stop.
    pub fn message(&self, language: Language) -> String {
        match language {
            Language::Zh => self.zh(),
            Language::En => self.en(),
        }
    }

    fn zh(&self) -> String {
        match self {
            Self::TooLarge { max_mib } => format!("文件(或解压后)超过 {max_mib} MiB"),
            Self::OldOrProtectedWorkbook => {
                "是旧版 .xls 或设有密码的工作簿;请在 Excel 中另存为不带密码的 .xlsx".into()
            }
            Self::Damaged => "文件不完整或已损坏".into(),
            Self::Encoding => "编码既不是 UTF-8、UTF-16,也不是 GB18030;请另存为 UTF-8".into(),
            Self::TooManyRows { max } => format!("超过 {max} 行;请分成几个文件"),
            Self::TooManyColumns { max } => format!("超过 {max} 列"),
            Self::CellTooLong { line, max } => format!("第 {line} 行有单元格超过 {max} 个字符"),
            Self::NoHeader { rows } => {
                format!("前 {rows} 行里没有找到表头(至少要有“姓名”和“房号”);可用列映射说明各列含义")
            }
            Self::NoSuchSheet { name } => format!("没有名为 `{name}` 的工作表"),
            Self::SameColumn { first, second } => {
                format!("`{first}` 与 `{second}` 两列含义相同;请在列映射中说明,或忽略其一")
            }
            Self::NoNameColumn => "没有“姓名”列;可用列映射指明".into(),
            Self::NoPlaceColumn => "没有“房号”或“住址”列;可用列映射指明".into(),
            Self::ColumnMap(why) => format!("列映射有误:{why}"),
        }
    }

    fn en(&self) -> String {
        match self {
            Self::TooLarge { max_mib } => {
                format!("the file, or what it unpacks to, is larger than {max_mib} MiB")
            }
            Self::OldOrProtectedWorkbook => {
                "this is an old `.xls` workbook or one with a password; save it as `.xlsx` without a password"
                    .into()
            }
            Self::Damaged => "the file is cut off or damaged".into(),
            Self::Encoding => "the text is neither UTF-8, UTF-16 nor GB18030; save it as UTF-8".into(),
            Self::TooManyRows { max } => format!("the file has more than {max} rows; split it"),
            Self::TooManyColumns { max } => format!("the file has more than {max} columns"),
            Self::CellTooLong { line, max } => {
                format!("line {line} has a cell of more than {max} characters")
            }
            Self::NoHeader { rows } => format!(
                "the first {rows} rows hold no header (at least a name and a room are needed); \
                 a column map can say what the columns mean"
            ),
            Self::NoSuchSheet { name } => format!("the workbook has no sheet `{name}`"),
            Self::SameColumn { first, second } => format!(
                "the columns `{first}` and `{second}` mean the same; a column map can tell them apart or ignore one"
            ),
            Self::NoNameColumn => "no column holds names; a column map can say which one does".into(),
            Self::NoPlaceColumn => {
                "no column holds rooms or addresses; a column map can say which one does".into()
            }
            Self::ColumnMap(why) => format!("the column map is wrong: {why}"),
        }
    }
}

/// One thing that is wrong with a row, or worth knowing about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Title of the column, as the file has it; `None` where the row as a whole is meant.
    pub column: Option<String>,
    /// What it is.
    pub fault: Fault,
}

impl Problem {
    /// The problem in words, with the column's title: lower case, no full stop, never the value.
    pub fn message(&self, language: Language) -> String {
        let what = self.fault.message(language);
        match (&self.column, language) {
            (Some(column), Language::Zh) => format!("`{column}` {what}"),
            (Some(column), Language::En) => format!("`{column}` {what}"),
            (None, _) => what,
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Refused by the domain.
    Invalid(Invalid),
    /// The cell holds an error value of the spreadsheet.
    ErrorValue,
    /// A long number kept as a number: its last digits are gone.
    DigitsLost,
    /// A date without its day, or without month and day.
    DateIncomplete,
    /// A date whose year is missing, has two digits or does not come first.
    DateYearFirst,
    /// A day that no calendar has, such as 30 February.
    NoSuchDay,
    /// A lunar date.
    DateLunar,
    /// Not a date in any known spelling.
    DateUnknown,
    /// Not a yes or a no.
    NotYesOrNo,
    /// Not a whole number.
    NotAnInteger,
    /// Not one of the words that the column knows.
    UnknownWord {
        /// The words, as examples.
        accepted: String,
    },
    /// A place that cannot be taken apart.
    Place,
    /// No room; perhaps a merged cell that the file format lost.
    RoomMissing,
    /// An emergency contact of which the name or the number is missing.
    ContactIncomplete,
    /// More emergency contacts than a file holds.
    TooManyContacts {
        /// Largest accepted number.
        max: usize,
    },
    /// Two columns that say different things about one fact.
    Contradiction,
    /// Note: only the first of several telephone numbers was read.
    FirstPhoneOnly,
    /// Note: some of the listed classes are not known here.
    UnknownClass,
    /// Note: advanced age follows from the birth date, which is missing.
    AgeWithoutBirthDate,
    /// Note: the same person stands in an earlier line.
    SamePerson {
        /// The earlier line, from 1.
        line: u32,
    },
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Fault {
    /// The fault in words.
    pub fn message(&self, language: Language) -> String {
        match language {
            Language::Zh => self.zh(),
            Language::En => self.en(),
        }
    }

    fn zh(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.message(Language::Zh),
            Self::ErrorValue => "是错误值(例如 #REF!)".into(),
            Self::DigitsLost => "按数字保存,末几位已丢失;请先把该列设为“文本”格式,再按证件重新录入".into(),
            Self::DateIncomplete => "日期不完整,须有年、月、日".into(),
            Self::DateYearFirst => "日期须以四位年份开头,例如 2026-03-01".into(),
            Self::NoSuchDay => "这一天不存在".into(),
            Self::DateLunar => "是农历日期;请填公历日期".into(),
            Self::DateUnknown => "不是日期;可写作 2026-03-01、2026/3/1、2026年3月1日 或 20260301".into(),
            Self::NotYesOrNo => "须为“是/否”或“有/无”".into(),
            Self::NotAnInteger => "须为整数".into(),
            Self::UnknownWord { accepted } => format!("不是已知的取值;可填:{accepted}"),
            Self::Place => "无法拆分为楼栋、单元、房号;可写作 3号楼2单元501 或 3-2-501".into(),
            Self::RoomMissing => {
                "没有房号;若原表为合并单元格,请在列映射中设置 carry_down = true,或使用 .xlsx".into()
            }
            Self::ContactIncomplete => "紧急联系人须同时有姓名和电话".into(),
            Self::TooManyContacts { max } => format!("紧急联系人超过 {max} 位"),
            Self::Contradiction => "与同一行另一列的内容矛盾".into(),
            Self::FirstPhoneOnly => "有多个号码,只导入了第一个".into(),
            Self::UnknownClass => "其中有未能识别的类别,未导入".into(),
            Self::AgeWithoutBirthDate => "高龄由出生日期判断,而本行没有出生日期".into(),
            Self::SamePerson { line } => format!("与第 {line} 行为同一人,以本行更新"),
        }
    }

    fn en(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.message(Language::En),
            Self::ErrorValue => "holds an error value such as `#REF!`".into(),
            Self::DigitsLost => {
                "was kept as a number, so that its last digits are lost; format the column as text and type it again"
                    .into()
            }
            Self::DateIncomplete => "is an incomplete date; year, month and day are needed".into(),
            Self::DateYearFirst => "must be a date that begins with a year of four digits, such as 2026-03-01".into(),
            Self::NoSuchDay => "is a day that does not exist".into(),
            Self::DateLunar => "is a lunar date; the Gregorian date is needed".into(),
            Self::DateUnknown => "is not a date such as 2026-03-01, 2026/3/1, 2026年3月1日 or 20260301".into(),
            Self::NotYesOrNo => "must be yes or no (是/否, 有/无)".into(),
            Self::NotAnInteger => "must be a whole number".into(),
            Self::UnknownWord { accepted } => format!("is not a known value; accepted are: {accepted}"),
            Self::Place => {
                "cannot be taken apart into building, unit and room; write 3号楼2单元501 or 3-2-501".into()
            }
            Self::RoomMissing => "has no room; if cells were merged, set `carry_down = true` in the column map or \
                                  keep the file as `.xlsx`"
                .into(),
            Self::ContactIncomplete => "is an emergency contact without a name or without a number".into(),
            Self::TooManyContacts { max } => format!("names more than {max} emergency contacts"),
            Self::Contradiction => "contradicts another column of the row".into(),
            Self::FirstPhoneOnly => "holds several numbers; only the first was read".into(),
            Self::UnknownClass => "names classes that are not known here; they were not read".into(),
            Self::AgeWithoutBirthDate => "follows from the birth date, which the row does not have".into(),
            Self::SamePerson { line } => format!("is the same person as in line {line}; this line updates that one"),
        }
    }
}
