//! Referrals 转介: matters that are handed to bodies outside the company, and what may be said with them.

use crate::kind::closed_list;
use crate::resident::FieldClass;

closed_list! {
    /// What of a care file may go to a body, field by field: agreements and connectors name these codes.
    DisclosedField {
        /// The name.
        Name = "name", "姓名", "name";
        /// The telephone number.
        Phone = "phone", "联系电话", "telephone number";
        /// Building, unit and room.
        Address = "address", "住址", "address";
        /// Whom to call in an emergency.
        EmergencyContacts = "emergency_contacts", "紧急联系人", "emergency contacts";
        /// The resident identity number.
        IdentityNumber = "identity_number", "身份证号码", "identity number";
        /// The birth date.
        BirthDate = "birth_date", "出生日期", "birth date";
        /// The sex.
        Sex = "sex", "性别", "sex";
        /// The physical condition, in words.
        Health = "health", "身体状况", "physical condition";
        /// The family situation, in words.
        Family = "family", "家庭情况", "family situation";
        /// Special difficulties, in words.
        Status = "status", "特殊困难", "special difficulties";
    }
}

impl DisclosedField {
    /// The class by which it is shown, consented to and audited.
    pub const fn class(self) -> FieldClass {
        match self {
            Self::Name | Self::Phone | Self::Address | Self::EmergencyContacts => FieldClass::Contact,
            Self::IdentityNumber | Self::BirthDate | Self::Sex => FieldClass::Identity,
            Self::Health => FieldClass::Health,
            Self::Family => FieldClass::Family,
            Self::Status => FieldClass::Status,
        }
    }
}
