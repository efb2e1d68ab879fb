//! Identifiers and codes: small texts with a checked shape and a type of their own.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::invalid::Invalid;

/// Largest length of an id or a code, in bytes: fits a DNS label and every index.
pub const ID_MAX_BYTES: usize = 63;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident: $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Accepts text of the checked shape; identity is byte-exact.
            ///
            /// # Errors
            /// [`Invalid::Id`] or [`Invalid::Code`].
            pub fn new(text: &str) -> Result<Self, Invalid> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_id! {
    /// A managed estate, 项目: the unit of scope, time zone and calendar.
    SiteId: check_id;
    /// A dwelling of a site.
    DwellingId: check_id;
    /// A building, stairwell, passage or gate of a site.
    AreaId: check_id;
    /// An accessible facility of a site.
    FacilityId: check_id;
    /// A resident with a care file.
    ResidentId: check_id;
    /// A service record.
    RecordId: check_id;
    /// An event that starts a clock.
    EventId: check_id;
    /// A pause.
    PauseId: check_id;
    /// A membership of a resident in a care group.
    MembershipId: check_id;
    /// A site's override of a standard.
    OverrideId: check_id;
    /// A waiver of a standard for a resident.
    WaiverId: check_id;
    /// A post, 岗位.
    PostId: check_id;
    /// A member of staff or a volunteer.
    StaffId: check_id;
    /// A service request, 工单.
    RequestId: check_id;
    /// An activity.
    ActivityId: check_id;
    /// A survey of a site.
    SurveyId: check_id;
    /// An answer to a survey.
    AnswerId: check_id;
    /// A line of a fund year's budget.
    LineId: check_id;
    /// A spending of the special fund.
    SpendingId: check_id;
    /// An emergency access to a file.
    EmergencyAccessId: check_id;
    /// A consent, or a refusal of one.
    ConsentId: check_id;
    /// Values that went out.
    DisclosureId: check_id;
    /// A body that matters are handed to.
    BodyId: check_id;
    /// A channel to bodies, as the operator's configuration names it.
    ChannelName: check_id;
    /// A matter handed to a body, 转介.
    ReferralId: check_id;
    /// A care group, such as `living_alone`.
    GroupCode: check_code;
    /// A service standard, such as `elder.visit`.
    StandardCode: check_code;
    /// A tag of a resident, such as `mobility` or `hearing`.
    TagCode: check_code;
    /// A reason of a plugin's table.
    ReasonCode: check_code;
    /// A caution of a plugin's table.
    CautionCode: check_code;
    /// A field of the facts, such as `lives_alone`.
    FieldCode: check_code;
    /// A plugin's id in reverse-domain form, such as `cn.linli.elderly`.
    PluginId: check_code;
}

fn check_id(text: &str) -> Result<(), Invalid> {
    let bytes = text.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = bytes.first().is_some_and(alnum) && bytes.last().is_some_and(alnum);
    if ends && bytes.len() <= ID_MAX_BYTES && bytes.iter().all(|b| alnum(b) || *b == b'-') {
        Ok(())
    } else {
        Err(Invalid::Id)
    }
}

fn check_code(text: &str) -> Result<(), Invalid> {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-');
    if bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.len() <= ID_MAX_BYTES
        && bytes.iter().all(inner)
    {
        Ok(())
    } else {
        Err(Invalid::Code)
    }
}

/// What a duty is owed to, or a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A resident with a care file.
    Resident(ResidentId),
    /// A dwelling.
    Dwelling(DwellingId),
    /// A building, stairwell, passage or gate.
    Area(AreaId),
    /// An accessible facility.
    Facility(FacilityId),
    /// A service request.
    Request(RequestId),
    /// The site itself.
    Site,
}

impl Subject {
    /// What kind of subject it is.
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::Resident(_) => SubjectKind::Resident,
            Self::Dwelling(_) => SubjectKind::Dwelling,
            Self::Area(_) => SubjectKind::Area,
            Self::Facility(_) => SubjectKind::Facility,
            Self::Request(_) => SubjectKind::Request,
            Self::Site => SubjectKind::Site,
        }
    }

    /// The id as text; empty for the site itself.
    pub fn id_text(&self) -> &str {
        match self {
            Self::Resident(id) => id.as_str(),
            Self::Dwelling(id) => id.as_str(),
            Self::Area(id) => id.as_str(),
            Self::Facility(id) => id.as_str(),
            Self::Request(id) => id.as_str(),
            Self::Site => "",
        }
    }
}

crate::kind::closed_list! {
    /// The kinds of subject a duty can be owed to.
    SubjectKind {
        /// A resident.
        Resident = "resident", "居民", "resident";
        /// A dwelling.
        Dwelling = "dwelling", "房屋", "dwelling";
        /// An area.
        Area = "area", "区域", "area";
        /// A facility.
        Facility = "facility", "设施", "facility";
        /// A request.
        Request = "request", "工单", "request";
        /// The site.
        Site = "site", "项目", "site";
    }
}
