//! Why a value was refused, in words for people.
//!
//! Every constructor of the domain that can refuse returns an [`Invalid`]. The edge collects them with the
//! path of the field, so that a caller learns of all at once, in Chinese or English.

use std::fmt;

use crate::text::Language;

/// One reason why a value is not acceptable. The value itself is never repeated: it may be personal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// A required value is absent.
    Missing,
    /// Longer than `max` characters.
    TooLong {
        /// Largest accepted length, in characters.
        max: usize,
    },
    /// More than `max` items.
    TooMany {
        /// Largest accepted number of items.
        max: usize,
    },
    /// Holds NUL or another control character.
    ControlCharacter,
    /// Not 1–63 characters of `a-z`, `0-9` and `-` with a letter or digit at both ends.
    Id,
    /// Not a code: 1–63 characters of `a-z`, `0-9`, `_` and `.`, beginning with a letter.
    Code,
    /// Not a resource name of the expected shape.
    Name {
        /// The expected shape, such as `sites/{site}/residents/{resident}`.
        shape: &'static str,
    },
    /// Not a date `YYYY-MM-DD`.
    Date,
    /// A date before 1900-01-01 or after 2199-12-31.
    DateRange,
    /// An instant outside the years 1900 to 2199.
    InstantRange,
    /// Something that has happened cannot lie in the future.
    Future,
    /// Must lie after the present.
    NotLater,
    /// A day that has passed.
    Past,
    /// Asks for less than the standard, which an approved waiver alone allows.
    BelowStandard,
    /// Ends before it begins.
    EndsBeforeStart,
    /// Later than the permitted number of days ahead.
    TooFarAhead {
        /// Largest accepted distance, in days.
        max_days: u32,
    },
    /// Not 18 (or, of old, 15) digits with an optional final `X`.
    IdentityNumberShape,
    /// The check digit of an identity number does not fit (GB 11643, MOD 11-2).
    CheckDigit,
    /// The birth date in an identity number does not exist.
    BirthDate,
    /// Differs from what the identity number says.
    ContradictsIdentityNumber,
    /// Not a telephone number.
    Phone,
    /// Below the smallest accepted number.
    TooSmall {
        /// Smallest accepted number.
        min: i64,
    },
    /// Above the largest accepted number.
    TooLarge {
        /// Largest accepted number.
        max: i64,
    },
    /// Not one of the values that the list knows.
    Unknown,
    /// Given twice.
    Duplicate,
    /// May not be given here.
    NotAllowed,
    /// Names something of another site.
    ForeignSite,
    /// Not of the type that the field's schema asks for.
    FactType,
    /// Not an IANA time zone.
    TimeZone,
    /// Not a UUID.
    Uuid,
    /// Before the resident's tenure.
    BeforeTenure,
    /// After the resident's tenure.
    AfterTenure,
    /// A day of another year than the one it is given for.
    OtherYear {
        /// The year.
        year: i32,
    },
    /// A time outside of that in which it may happen.
    OutsidePeriod,
    /// A field that this method does not write.
    FieldMask,
    /// Names nobody who supervises the site.
    NoSupervisor,
    /// Is not a guardian's, as of somebody under 14 it must be.
    NoGuardian,
}

impl Invalid {
    /// The reason in the given language: lower case, no full stop, without the value.
    pub fn message(&self, language: Language) -> String {
        match language {
            Language::Zh => self.zh(),
            Language::En => self.en(),
        }
    }

    fn en(&self) -> String {
        match self {
            Self::Missing => "is required".into(),
            Self::TooLong { max } => format!("is longer than {max} characters"),
            Self::TooMany { max } => format!("has more than {max} items"),
            Self::ControlCharacter => "holds a control character".into(),
            Self::Id => {
                "must be 1 to 63 characters of `a-z`, `0-9` and `-`, with a letter or digit at both ends"
                    .into()
            }
            Self::Code => {
                "must be 1 to 63 characters of `a-z`, `0-9`, `_` and `.`, beginning with a letter".into()
            }
            Self::Name { shape } => format!("must look like `{shape}`"),
            Self::Date => "must be a date `YYYY-MM-DD`".into(),
            Self::DateRange => "must lie between 1900-01-01 and 2199-12-31".into(),
            Self::InstantRange => "must lie in the years 1900 to 2199".into(),
            Self::Future => "lies in the future".into(),
            Self::NotLater => "must be later than the present".into(),
            Self::Past => "lies in the past".into(),
            Self::BelowStandard => {
                "asks for less than the standard, which needs an approved waiver of it".into()
            }
            Self::EndsBeforeStart => "ends before it begins".into(),
            Self::OtherYear { year } => format!("does not lie in the year {year}"),
            Self::TooFarAhead { max_days } => format!("is more than {max_days} days ahead"),
            Self::IdentityNumberShape => {
                "must be 18 digits, the last possibly `X`, or an old number of 15 digits".into()
            }
            Self::CheckDigit => "has a check digit that does not fit; a digit is probably mistyped".into(),
            Self::BirthDate => "holds a birth date that does not exist".into(),
            Self::ContradictsIdentityNumber => "contradicts the identity number".into(),
            Self::Phone => "must be a telephone number".into(),
            Self::TooSmall { min } => format!("must be at least {min}"),
            Self::TooLarge { max } => format!("must be at most {max}"),
            Self::Unknown => "is not a known value".into(),
            Self::Duplicate => "is given twice".into(),
            Self::NotAllowed => "may not be given here".into(),
            Self::ForeignSite => "belongs to another site".into(),
            Self::FactType => "is not of the type that the field asks for".into(),
            Self::TimeZone => "must be an IANA time zone such as `Asia/Shanghai`".into(),
            Self::Uuid => "must be a UUID".into(),
            Self::BeforeTenure => "lies before the move-in".into(),
            Self::AfterTenure => "lies after the move-out".into(),
            Self::OutsidePeriod => "lies outside of the time that was set for it".into(),
            Self::FieldMask => "is not a field that this method updates".into(),
            Self::NoSupervisor => "must name a deputy or a leader of the site".into(),
            Self::NoGuardian => "must be a guardian's: the person is under 14".into(),
        }
    }

    fn zh(&self) -> String {
        match self {
            Self::Missing => "必填".into(),
            Self::TooLong { max } => format!("超过 {max} 个字符"),
            Self::TooMany { max } => format!("超过 {max} 项"),
            Self::ControlCharacter => "含有控制字符".into(),
            Self::Id => "须为 1–63 个小写字母、数字或连字符,首尾为字母或数字".into(),
            Self::Code => "须为 1–63 个小写字母、数字、下划线或点,以字母开头".into(),
            Self::Name { shape } => format!("格式须为 `{shape}`"),
            Self::Date => "须为日期 `YYYY-MM-DD`".into(),
            Self::DateRange => "须在 1900-01-01 与 2199-12-31 之间".into(),
            Self::InstantRange => "须在 1900 年至 2199 年之间".into(),
            Self::Future => "不能晚于当前时间".into(),
            Self::NotLater => "须晚于当前时间".into(),
            Self::Past => "不能早于今天".into(),
            Self::BelowStandard => "低于服务标准,须先有获批的豁免".into(),
            Self::EndsBeforeStart => "结束早于开始".into(),
            Self::OtherYear { year } => format!("不在 {year} 年内"),
            Self::TooFarAhead { max_days } => format!("不能晚于 {max_days} 天之后"),
            Self::IdentityNumberShape => "须为 18 位身份号码(末位可为 X)或 15 位旧号码".into(),
            Self::CheckDigit => "校验码不符,可能有一位输入错误".into(),
            Self::BirthDate => "其中的出生日期不存在".into(),
            Self::ContradictsIdentityNumber => "与身份号码不一致".into(),
            Self::Phone => "须为电话号码".into(),
            Self::TooSmall { min } => format!("不能小于 {min}"),
            Self::TooLarge { max } => format!("不能大于 {max}"),
            Self::Unknown => "不是已知的取值".into(),
            Self::Duplicate => "重复".into(),
            Self::NotAllowed => "此处不可填写".into(),
            Self::ForeignSite => "属于其他项目".into(),
            Self::FactType => "类型与字段要求不符".into(),
            Self::TimeZone => "须为 IANA 时区,例如 `Asia/Shanghai`".into(),
            Self::Uuid => "须为 UUID".into(),
            Self::BeforeTenure => "早于入住日期".into(),
            Self::AfterTenure => "晚于搬离日期".into(),
            Self::OutsidePeriod => "不在规定的时间范围内".into(),
            Self::FieldMask => "此方法不能更新该字段".into(),
            Self::NoSupervisor => "须包含本项目的一名副组长或组长".into(),
            Self::NoGuardian => "未满14周岁,须由监护人同意".into(),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en())
    }
}

impl std::error::Error for Invalid {}
