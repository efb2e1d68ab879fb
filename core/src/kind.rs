//! The closed lists of the domain that every layer shares: service kinds, departments, and the macro that
//! gives each list its stable code and its Chinese and English names.

/// Declares a closed list: an enum whose values have a stable code (stored, sent in manifests) and names in
/// Chinese and English. Order is the order of declaration.
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $zh:literal, $en:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The Chinese name.
            pub const fn zh(self) -> &'static str {
                match self { $(Self::$variant => $zh,)* }
            }

            /// The English name.
            pub const fn en(self) -> &'static str {
                match self { $(Self::$variant => $en,)* }
            }

            /// The value with this code.
            ///
            /// # Errors
            /// [`crate::invalid::Invalid::Unknown`] where there is none.
            pub fn from_code(code: &str) -> Result<Self, crate::invalid::Invalid> {
                match code { $($code => Ok(Self::$variant),)* _ => Err(crate::invalid::Invalid::Unknown) }
            }
        }
    };
}
pub(crate) use closed_list;

closed_list! {
    /// What was done: the one list from which standards accept and records report.
    ServiceKind {
        /// A visit at home.
        HomeVisit = "home_visit", "上门走访", "home visit";
        /// A telephone call.
        PhoneCall = "phone_call", "电话回访", "phone call";
        /// A video call.
        VideoCall = "video_call", "视频通话", "video call";
        /// A text message that was answered.
        AnsweredMessage = "answered_message", "文字回复", "answered message";
        /// A festival visit with a greeting.
        FestivalVisit = "festival_visit", "节日慰问", "festival visit";
        /// A first or full survey of a dwelling.
        Survey = "survey", "信息摸排", "survey";
        /// A review of a care file with its person.
        Review = "review", "档案复核", "review";
        /// An update of a care file after a reported change.
        FileUpdate = "file_update", "档案更新", "file update";
        /// A home safety check: gas, wiring.
        SafetyCheck = "safety_check", "居家安全排查", "home safety check";
        /// A check at the door.
        DoorCheck = "door_check", "上门查看", "door check";
        /// A call to the emergency contact.
        EmergencyContactCall = "emergency_contact_call", "联系紧急联系人", "emergency contact call";
        /// A report to the neighbourhood committee, 110 or 120.
        AuthorityReport = "authority_report", "报告居委会或110/120", "report to the authorities";
        /// A night patrol of an area.
        Patrol = "patrol", "夜间巡逻", "night patrol";
        /// A check that an accessible passage is free.
        PassageCheck = "passage_check", "无障碍通道检查", "passage check";
        /// A post held at a school gate.
        Post = "post", "护学岗", "school-run post";
        /// Escort, door or carrying help.
        Escort = "escort", "开门搀扶护送", "escort";
        /// An inspection of an accessible facility.
        Inspection = "inspection", "设施巡检", "facility inspection";
        /// A repair.
        Repair = "repair", "维修", "repair";
        /// Cleaning of an area.
        Cleaning = "cleaning", "清洁保洁", "cleaning";
        /// Disinfection of an area.
        Disinfection = "disinfection", "卫生消杀", "disinfection";
        /// Help indoors: rubbish, tidying.
        IndoorHelp = "indoor_help", "室内清理", "indoor help";
        /// Daily goods bought.
        ErrandShopping = "errand_shopping", "代买生活用品", "shopping errand";
        /// A parcel fetched.
        ErrandParcel = "errand_parcel", "代取快递", "parcel errand";
        /// A utility bill paid.
        ErrandBill = "errand_bill", "代缴水电费", "bill errand";
        /// Medicine bought.
        ErrandMedicine = "errand_medicine", "代买药品", "medicine errand";
        /// An activity attended.
        Activity = "activity", "活动", "activity";
        /// A follow-up with an evaluation.
        FollowUp = "follow_up", "回访评价", "follow-up";
        /// A request accepted.
        RequestAccepted = "request_accepted", "工单受理", "request accepted";
        /// Arrival at a request's place.
        RequestArrived = "request_arrived", "到场", "arrival";
        /// A request finished.
        RequestFinished = "request_finished", "工单完成", "request finished";
        /// A publication of totals.
        Publication = "publication", "公示", "publication";
        /// A referral handed to a community body.
        Referral = "referral", "转介", "referral";
        /// A report to leader or deputy.
        SupervisorReport = "supervisor_report", "上报项目负责人", "report to the supervisor";
        /// A deputy's review of a request.
        RequestReviewed = "request_reviewed", "工单复核", "request reviewed";
        /// A body's answer to a referral.
        ReferralAnswered = "referral_answered", "转介答复", "referral answered";
        /// The end of a referral.
        ReferralClosed = "referral_closed", "转介办结", "referral closed";
    }
}

impl ServiceKind {
    /// Whether a done service of this kind proves that the person is safe: somebody saw, heard or read them.
    pub const fn proves_safety(self) -> bool {
        match self {
            Self::HomeVisit
            | Self::PhoneCall
            | Self::VideoCall
            | Self::AnsweredMessage
            | Self::FestivalVisit
            | Self::Review
            | Self::SafetyCheck
            | Self::DoorCheck
            | Self::Escort
            | Self::IndoorHelp
            | Self::Activity
            | Self::FollowUp => true,
            Self::Survey
            | Self::FileUpdate
            | Self::EmergencyContactCall
            | Self::AuthorityReport
            | Self::Patrol
            | Self::PassageCheck
            | Self::Post
            | Self::Inspection
            | Self::Repair
            | Self::Cleaning
            | Self::Disinfection
            | Self::ErrandShopping
            | Self::ErrandParcel
            | Self::ErrandBill
            | Self::ErrandMedicine
            | Self::RequestAccepted
            | Self::RequestArrived
            | Self::RequestFinished
            | Self::Publication
            | Self::Referral
            | Self::SupervisorReport
            | Self::RequestReviewed
            | Self::ReferralAnswered
            | Self::ReferralClosed => false,
        }
    }
}

closed_list! {
    /// The departments of a property company (regulation, Art. 5).
    Department {
        /// Customer service and building stewards.
        CustomerService = "customer_service", "客服部/楼栋管家", "customer service";
        /// Order and security.
        Security = "security", "秩序维护部", "security";
        /// Engineering.
        Engineering = "engineering", "工程部", "engineering";
        /// Cleaning.
        Cleaning = "cleaning", "保洁部", "cleaning";
        /// Finance.
        Finance = "finance", "财务部", "finance";
    }
}

closed_list! {
    /// How much attention a resident needs; the order is that of attention.
    Tier {
        /// General attention.
        General = "general", "一般关注", "general";
        /// Key attention.
        Key = "key", "重点关注", "key";
        /// High attention.
        High = "high", "高度关注", "high";
    }
}

closed_list! {
    /// How sure it is that a number is right: the marks of the fact sheet.
    Confidence {
        /// Read in the full text of the source.
        Verified = "V", "已核原文", "verified in the source";
        /// Read in a secondary source only.
        Secondary = "V2", "二手来源", "verified in a secondary source";
        /// General knowledge.
        Known = "K", "通识", "known";
        /// Uncertain.
        Uncertain = "U", "不确定", "uncertain";
        /// An editable default of this product.
        Inferred = "I", "本系统默认", "default of this product";
    }
}

closed_list! {
    /// What starts a clock.
    EventKind {
        /// A household moved in.
        HouseholdMovedIn = "household_moved_in", "新住户入住", "household moved in";
        /// A change of a care file was reported.
        ChangeReported = "change_reported", "信息变更报告", "change reported";
        /// A planned contact did not reach the person. Derived from records; events of this kind are not read.
        ContactNotReached = "contact_not_reached", "未联系上", "contact not reached";
        /// Family, a neighbour or a guard confirmed that the person is safe.
        SafetyConfirmed = "safety_confirmed", "确认平安", "safety confirmed";
        /// A pause outlived its expected return. Derived from pauses; events of this kind are not read.
        PauseOverdue = "pause_overdue", "暂停逾期未归", "pause overdue";
        /// Discharged from hospital.
        Discharged = "discharged", "出院", "discharged";
        /// A major change of a person's situation: illness, accident, loss.
        MajorChange = "major_change", "重大变故", "major change";
        /// Extreme weather was announced for the site.
        ExtremeWeather = "extreme_weather", "极端天气", "extreme weather";
        /// A request was submitted.
        RequestSubmitted = "request_submitted", "工单提交", "request submitted";
        /// A request was accepted.
        RequestAccepted = "request_accepted", "工单受理", "request accepted";
        /// A request was dispatched.
        RequestDispatched = "request_dispatched", "工单派出", "request dispatched";
        /// A request's work was done.
        RequestDone = "request_done", "工单完成", "request done";
        /// What became of a request is due for a deputy's review.
        RequestReviewDue = "request_review_due", "工单待复核", "request due for review";
        /// A referral reached a body, or was handed over.
        ReferralSent = "referral_sent", "转介送达", "referral sent";
        /// A body took a referral on.
        ReferralAccepted = "referral_accepted", "转介受理", "referral accepted";
        /// A service was done; its record is due. Derived from records; events of this kind are not read.
        ServiceDone = "service_done", "服务完成", "service done";
    }
}

closed_list! {
    /// The occasions of the year that the calendar knows; a site may define more.
    Occasion {
        /// Spring Festival, lunar 1/1.
        SpringFestival = "spring_festival", "春节", "Spring Festival";
        /// Lantern Festival, lunar 1/15.
        LanternFestival = "lantern_festival", "元宵节", "Lantern Festival";
        /// Tomb-sweeping day, the solar term 清明.
        Qingming = "qingming", "清明节", "Qingming";
        /// Dragon Boat Festival, lunar 5/5.
        DragonBoat = "dragon_boat", "端午节", "Dragon Boat Festival";
        /// Mid-Autumn Festival, lunar 8/15.
        MidAutumn = "mid_autumn", "中秋节", "Mid-Autumn Festival";
        /// Double Ninth, lunar 9/9, the day of the elderly.
        DoubleNinth = "double_ninth", "重阳节", "Double Ninth";
        /// Women's Day, 8 March.
        WomensDay = "womens_day", "妇女节", "Women's Day";
        /// Mother's Day, second Sunday of May.
        MothersDay = "mothers_day", "母亲节", "Mother's Day";
        /// National Day for Helping the Disabled, third Sunday of May.
        HelpDisabledDay = "help_disabled_day", "全国助残日", "National Day for Helping the Disabled";
        /// Children's Day, 1 June.
        ChildrensDay = "childrens_day", "儿童节", "Children's Day";
        /// Army Day, 1 August.
        ArmyDay = "army_day", "建军节", "Army Day";
        /// Martyrs' Day, 30 September.
        MartyrsDay = "martyrs_day", "烈士纪念日", "Martyrs' Day";
        /// International Day of Persons with Disabilities, 3 December.
        DisabilityDay = "disability_day", "国际残疾人日", "International Day of Persons with Disabilities";
    }
}

/// A set of service kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KindSet(u64);

impl KindSet {
    /// No kind.
    pub const EMPTY: Self = Self(0);

    /// The set of these kinds.
    pub const fn of(kinds: &[ServiceKind]) -> Self {
        let mut bits = 0;
        let mut rest = kinds;
        while let [first, tail @ ..] = rest {
            bits |= 1 << (*first as u64);
            rest = tail;
        }
        Self(bits)
    }

    /// Whether it holds `kind`.
    pub const fn contains(self, kind: ServiceKind) -> bool {
        self.0 & (1 << (kind as u64)) != 0
    }

    /// Whether every kind of this set is in `other`.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether it holds no kind.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Every kind it holds, in the list's order.
    pub fn iter(self) -> impl Iterator<Item = ServiceKind> {
        ServiceKind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<ServiceKind> for KindSet {
    fn from_iter<I: IntoIterator<Item = ServiceKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::EMPTY, |set, kind| set.union(Self::of(&[kind])))
    }
}

// A `KindSet` has a bit for every kind.
const _: () = assert!(ServiceKind::ALL.len() <= 64);
