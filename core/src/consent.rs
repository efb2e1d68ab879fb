//! Consent and disclosure 同意与对外提供: which values may leave the property company, to whom and what for, and what is missing
//! where they may not.
//!
//! A value goes out on one of three grounds: somebody consented, a law demands it, or a life is in danger (个人信息保护法 13).
//! Whom it may reach at all, on whatever ground, says [`is_needed`]: no body gets what it has no use for.

use crate::id::{ConsentId, DisclosureId, ResidentId, SiteId, StaffId};
use crate::kind::closed_list;
use crate::resident::FieldClass;
use crate::text::Line;
use crate::time::Instant;

/// For how many days after a refusal nobody asks again: six months.
pub const ASK_AGAIN_DAYS: i64 = 183;

/// For how many days at most one consent holds: three years, then the person is asked anew.
pub const CONSENT_MAX_DAYS: i64 = 3 * 365 + 1;

closed_list! {
    /// Whom personal values may go to.
    BodyKind {
        /// The property company itself: its own care file.
        Company = "company", "物业公司", "the property company";
        /// The neighbourhood committee.
        NeighbourhoodCommittee = "neighbourhood_committee", "居民委员会", "neighbourhood committee";
        /// The street office.
        StreetOffice = "street_office", "街道办事处", "street office";
        /// Civil affairs.
        CivilAffairs = "civil_affairs", "民政部门", "civil affairs";
        /// The community health centre.
        HealthService = "health_service", "社区卫生服务机构", "community health service";
        /// The disabled persons' federation.
        DisabledFederation = "disabled_federation", "残疾人联合会", "disabled persons' federation";
        /// The women's federation.
        WomensFederation = "womens_federation", "妇女联合会", "women's federation";
        /// The veterans' service station.
        VeteransService = "veterans_service", "退役军人服务站", "veterans' service station";
        /// The police.
        Police = "police", "公安机关", "police";
        /// Ambulance and fire brigade.
        Rescue = "rescue", "急救与消防", "ambulance and fire brigade";
        /// A school or kindergarten.
        School = "school", "学校或幼儿园", "school or kindergarten";
        /// A provider of care, meals or domestic help.
        CareProvider = "care_provider", "养老家政服务机构", "care provider";
        /// A charity or a volunteers' society.
        Charity = "charity", "公益慈善组织", "charity";
    }
}

impl BodyKind {
    /// Whether a law binds it to keep what it is told: others need a written agreement.
    pub const fn is_public(self) -> bool {
        match self {
            Self::Company
            | Self::NeighbourhoodCommittee
            | Self::StreetOffice
            | Self::CivilAffairs
            | Self::HealthService
            | Self::DisabledFederation
            | Self::WomensFederation
            | Self::VeteransService
            | Self::Police
            | Self::Rescue
            | Self::School => true,
            Self::CareProvider | Self::Charity => false,
        }
    }
}

closed_list! {
    /// What values go out for.
    DisclosurePurpose {
        /// Keeping a care file: the company itself.
        CareFile = "care_file", "建立关怀档案", "keeping a care file";
        /// Handing a matter to a body that can help.
        Referral = "referral", "转介服务", "referral";
        /// A greeting or a present at a festival.
        Greeting = "greeting", "节日慰问", "festival greeting";
        /// Reporting what a law says must be reported.
        Report = "report", "依法报告", "report demanded by law";
        /// Danger to life or health.
        Rescue = "rescue", "生命健康紧急救助", "rescue from danger";
    }
}

closed_list! {
    /// On what ground values go out.
    Basis {
        /// The person, or who speaks for them, consented.
        Consent = "consent", "同意", "consent";
        /// A law demands it.
        LegalDuty = "legal_duty", "法定义务", "legal duty";
        /// A life or somebody's health is in danger, and nobody can be asked in time.
        Danger = "danger", "紧急情况下保护生命健康", "danger to life or health";
    }
}

impl Basis {
    /// Whether it carries a purpose.
    pub const fn carries(self, purpose: DisclosurePurpose) -> bool {
        match (self, purpose) {
            (Self::Consent, DisclosurePurpose::CareFile | DisclosurePurpose::Referral)
            | (Self::Consent, DisclosurePurpose::Greeting | DisclosurePurpose::Rescue)
            | (Self::LegalDuty, DisclosurePurpose::Report)
            | (Self::Danger, DisclosurePurpose::Rescue) => true,
            (Self::Consent, DisclosurePurpose::Report)
            | (Self::LegalDuty, DisclosurePurpose::CareFile | DisclosurePurpose::Referral)
            | (Self::LegalDuty, DisclosurePurpose::Greeting | DisclosurePurpose::Rescue)
            | (Self::Danger, DisclosurePurpose::CareFile | DisclosurePurpose::Referral)
            | (Self::Danger, DisclosurePurpose::Greeting | DisclosurePurpose::Report) => false,
        }
    }
}

/// What which bodies need for which purpose: nothing else ever goes there.
const NEEDED: &[(DisclosurePurpose, &[BodyKind], &[FieldClass])] = {
    use BodyKind as B;
    use DisclosurePurpose as P;
    use FieldClass::{Care, Contact, Family, Health, Identity, Status};
    &[
        (P::CareFile, &[B::Company], FieldClass::ALL),
        (
            P::Referral,
            &[B::NeighbourhoodCommittee, B::StreetOffice, B::CivilAffairs],
            &[Contact, Identity, Family, Status],
        ),
        (P::Referral, &[B::HealthService], &[Contact, Identity, Health]),
        (P::Referral, &[B::DisabledFederation], &[Contact, Identity, Health, Status]),
        (P::Referral, &[B::VeteransService], &[Contact, Identity, Status]),
        (P::Referral, &[B::WomensFederation, B::School], &[Contact, Family]),
        (P::Referral, &[B::CareProvider], &[Contact, Health]),
        (P::Referral, &[B::Charity], &[Contact]),
        (
            P::Greeting,
            &[
                B::NeighbourhoodCommittee,
                B::StreetOffice,
                B::DisabledFederation,
                B::WomensFederation,
                B::VeteransService,
                B::Charity,
            ],
            &[Contact],
        ),
        (P::Report, &[B::NeighbourhoodCommittee, B::CivilAffairs, B::Police], &[Contact, Family, Care]),
        (
            P::Rescue,
            &[B::NeighbourhoodCommittee, B::HealthService, B::Police, B::Rescue],
            &[Contact, Health, Family],
        ),
    ]
};

/// Whether a body of this kind has use for a class of values for this purpose.
pub fn is_needed(body: BodyKind, purpose: DisclosurePurpose, class: FieldClass) -> bool {
    let holds = |(what_for, bodies, classes): &(DisclosurePurpose, &[BodyKind], &[FieldClass])| {
        *what_for == purpose && bodies.contains(&body) && classes.contains(&class)
    };
    NEEDED.iter().any(holds)
}

closed_list! {
    /// Who gave or refused a consent.
    Signatory {
        /// The person.
        Resident = "resident", "本人", "the person";
        /// A guardian: under 14 nobody else.
        Guardian = "guardian", "监护人", "a guardian";
        /// Somebody whom the person authorised in writing.
        Agent = "agent", "受托人", "an authorised agent";
    }
}

/// What somebody said about one purpose, one kind of body and some classes. It is never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The site.
    pub site: SiteId,
    /// Whose values.
    pub resident: ResidentId,
    /// The id.
    pub id: ConsentId,
    /// To whom they may go.
    pub body: BodyKind,
    /// What for.
    pub purpose: DisclosurePurpose,
    /// Which classes.
    pub classes: Vec<FieldClass>,
    /// Whether it was given; else it was refused.
    pub granted: bool,
    /// Who spoke.
    pub signatory: Signatory,
    /// Their name, and how they are related; absent where it is not shown.
    pub signed_by: Option<Line>,
    /// Which text was put before them.
    pub form: Line,
    /// When they spoke.
    pub given_at: Instant,
    /// Until when it holds, exclusive; a refusal has no end.
    pub expires_at: Option<Instant>,
    /// Who recorded it.
    pub recorded_by: StaffId,
    /// When.
    pub recorded_at: Instant,
    /// When it was taken back, and who recorded that.
    pub withdrawn: Option<Withdrawal>,
}

/// A consent taken back. What went out before stays lawful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// From when it holds no more.
    pub at: Instant,
    /// Who recorded it.
    pub by: StaffId,
}

impl Consent {
    /// Whether it opens anything at an instant.
    pub fn in_force(&self, at: Instant) -> bool {
        self.granted
            && self.given_at <= at
            && self.expires_at.is_none_or(|end| at < end)
            && self.no_since().is_none_or(|no| at < no)
    }

    /// Since when it says no.
    fn no_since(&self) -> Option<Instant> {
        let withdrawn = self.withdrawn.as_ref().map(|withdrawal| withdrawal.at);
        if self.granted { withdrawn } else { Some(self.given_at) }
    }
}

/// When those who said no may be asked again; `None`: now.
pub fn ask_again_at(
    consents: &[Consent],
    body: BodyKind,
    purpose: DisclosurePurpose,
    now: Instant,
) -> Option<Instant> {
    let about = consents.iter().filter(|consent| consent.body == body && consent.purpose == purpose);
    let noes = about.filter_map(Consent::no_since).filter(|since| *since <= now);
    noes.max().map(|since| since.plus_hours(ASK_AGAIN_DAYS * 24)).filter(|again| now < *again)
}

closed_list! {
    /// Why a value may not go out.
    Missing {
        /// Such a body has no use for it.
        Need = "need", "该单位不需要此类信息", "such a body has no use for it";
        /// The ground does not carry the purpose.
        Basis = "basis", "该依据不适用于此目的", "this ground does not carry the purpose";
        /// Nobody consented, or not any more.
        Consent = "consent", "缺少有效的单独同意", "a consent that holds";
        /// The last word was no.
        Refused = "refused", "本人已拒绝或撤回同意", "the last word about it was no";
        /// The person is under 14, and no guardian consented.
        Guardian = "guardian", "未满14周岁,缺少监护人同意", "a guardian's consent, for the person is under 14";
        /// The body is not bound by law, and no agreement binds it.
        Agreement = "agreement", "缺少与该单位的书面协议", "a written agreement with the body";
        /// The agreement with the body does not name the field.
        AgreementField = "agreement_field", "与该单位的协议未包括此项信息", "the agreement with the body does not name it";
        /// The agreement with the body does not name the purpose.
        AgreementPurpose =
            "agreement_purpose", "与该单位的协议未包括此目的", "the agreement with the body does not name the purpose";
        /// The agreement with the body does not hold now.
        AgreementTerm = "agreement_term", "与该单位的协议不在有效期内", "the agreement with the body does not hold now";
        /// The channel to the body does not carry the field.
        Channel = "channel", "该单位的对接通道不能传送此项信息", "the channel to the body does not carry it";
    }
}

/// A class of values that is to go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub body: BodyKind,
    /// What for.
    pub purpose: DisclosurePurpose,
    /// On what ground.
    pub basis: Basis,
    /// Whether a written agreement that covers it binds the body.
    pub has_agreement: bool,
    /// Whether the person is under 14.
    pub is_child: bool,
}

impl Outgoing {
    /// Whether a class of one person's values may go out at an instant, and by which consent where it needs one.
    ///
    /// # Errors
    /// What is missing.
    pub fn may_go<'c>(
        &self,
        class: FieldClass,
        consents: &'c [Consent],
        at: Instant,
    ) -> Result<Option<&'c Consent>, Missing> {
        if !is_needed(self.body, self.purpose, class) {
            return Err(Missing::Need);
        }
        if !self.basis.carries(self.purpose) {
            return Err(Missing::Basis);
        }
        match self.basis {
            Basis::LegalDuty | Basis::Danger => return Ok(None),
            Basis::Consent => {}
        }
        if !self.body.is_public() && !self.has_agreement {
            return Err(Missing::Agreement);
        }
        self.consented(class, consents, at).map(Some)
    }

    /// The consent by which a class of one person's values may go out at an instant, as far as that is a question of consent.
    ///
    /// # Errors
    /// What is missing.
    pub fn consented<'c>(
        &self,
        class: FieldClass,
        consents: &'c [Consent],
        at: Instant,
    ) -> Result<&'c Consent, Missing> {
        // Who spoke last about this class decides.
        let last = consents
            .iter()
            .filter(|consent| consent.body == self.body && consent.purpose == self.purpose)
            .filter(|consent| consent.classes.contains(&class) && consent.given_at <= at)
            .max_by_key(|consent| (consent.given_at, consent.recorded_at, &consent.id));
        match last {
            Some(consent) if consent.in_force(at) => match consent.signatory {
                Signatory::Resident | Signatory::Agent if self.is_child => Err(Missing::Guardian),
                Signatory::Resident | Signatory::Guardian | Signatory::Agent => Ok(consent),
            },
            Some(consent) if consent.no_since().is_some_and(|no| no <= at) => Err(Missing::Refused),
            Some(_) | None if self.is_child => Err(Missing::Guardian),
            Some(_) | None => Err(Missing::Consent),
        }
    }
}

/// What went out. It is never changed, and stays for three years at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// The site.
    pub site: SiteId,
    /// Whose values.
    pub resident: ResidentId,
    /// The id.
    pub id: DisclosureId,
    /// To what kind of body.
    pub body: BodyKind,
    /// To which one.
    pub recipient: Line,
    /// What for.
    pub purpose: DisclosurePurpose,
    /// On what ground.
    pub basis: Basis,
    /// Which classes.
    pub classes: Vec<FieldClass>,
    /// By which consents.
    pub consents: Vec<ConsentId>,
    /// The agreement that binds the body.
    pub agreement: Option<Line>,
    /// When they went out.
    pub disclosed_at: Instant,
    /// Who gave them.
    pub disclosed_by: StaffId,
    /// When it was recorded.
    pub recorded_at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Instant {
        Instant::from_micros(1_773_622_800_000_000).unwrap().plus_hours(days * 24)
    }

    fn said(id: &str, granted: bool, signatory: Signatory, day: i64) -> Consent {
        Consent {
            site: SiteId::new("s").unwrap(),
            resident: ResidentId::new("r").unwrap(),
            id: ConsentId::new(id).unwrap(),
            body: BodyKind::HealthService,
            purpose: DisclosurePurpose::Referral,
            classes: vec![FieldClass::Contact],
            granted,
            signatory,
            signed_by: None,
            form: Line::new("v1").unwrap(),
            given_at: at(day),
            expires_at: granted.then(|| at(day + 365)),
            recorded_by: StaffId::new("wang").unwrap(),
            recorded_at: at(day),
            withdrawn: None,
        }
    }

    /// Whether a table of plain words lets it go: by purpose, the bodies, and the classes they need.
    fn is_listed(body: BodyKind, purpose: DisclosurePurpose, class: FieldClass) -> bool {
        const TABLE: &str = "
            care_file company: contact identity health family status care
            referral neighbourhood_committee street_office civil_affairs: contact identity family status
            referral health_service: contact identity health
            referral disabled_federation: contact identity health status
            referral veterans_service: contact identity status
            referral womens_federation school: contact family
            referral care_provider: contact health
            referral charity: contact
            greeting neighbourhood_committee street_office disabled_federation womens_federation veterans_service charity: contact
            report neighbourhood_committee civil_affairs police: contact family care
            rescue neighbourhood_committee health_service police rescue: contact health family";
        TABLE.lines().any(|line| {
            let Some((head, classes)) = line.split_once(':') else { return false };
            let mut head = head.split_whitespace();
            head.next() == Some(purpose.code())
                && head.any(|known| known == body.code())
                && classes.split_whitespace().any(|known| known == class.code())
        })
    }

    /// What was said, and what counts of it: whether it is a yes, and whether a guardian's.
    type Situation = (Vec<Consent>, Option<(bool, bool)>);

    #[test]
    fn every_combination_is_answered_as_the_table_says() {
        use Signatory::{Agent, Guardian, Resident};
        let withdrawn = |consent: Consent| Consent {
            withdrawn: Some(Withdrawal { at: at(50), by: StaffId::new("wang").unwrap() }),
            ..consent
        };
        let situations: [Situation; 9] = [
            (vec![], None),
            (vec![said("a", true, Resident, 0)], Some((true, false))),
            (vec![said("a", true, Agent, 0)], Some((true, false))),
            (vec![said("a", true, Guardian, 0)], Some((true, true))),
            (vec![said("a", false, Resident, 0)], Some((false, false))),
            (vec![withdrawn(said("a", true, Guardian, 0))], Some((false, false))),
            (vec![said("a", true, Guardian, -400)], None),
            (vec![said("a", true, Guardian, 200)], None),
            (vec![said("b", true, Guardian, 0), said("a", false, Guardian, -10)], Some((true, true))),
        ];
        let mut allowed = 0;
        for body in BodyKind::ALL {
            for purpose in DisclosurePurpose::ALL {
                for basis in Basis::ALL {
                    for class in FieldClass::ALL {
                        for (said, last) in &situations {
                            let said: Vec<Consent> = said
                                .iter()
                                .map(|consent| Consent {
                                    body: *body,
                                    purpose: *purpose,
                                    classes: vec![*class],
                                    ..consent.clone()
                                })
                                .collect();
                            for (has_agreement, is_child) in
                                [(false, false), (false, true), (true, false), (true, true)]
                            {
                                let basis = *basis;
                                let outgoing = Outgoing {
                                    body: *body,
                                    purpose: *purpose,
                                    basis,
                                    has_agreement,
                                    is_child,
                                };
                                let found = outgoing.may_go(*class, &said, at(100));
                                let carried = match basis.code() {
                                    "consent" => purpose.code() != "report",
                                    "legal_duty" => purpose.code() == "report",
                                    _ => purpose.code() == "rescue",
                                };
                                let bound = !["care_provider", "charity"].contains(&body.code());
                                let expect = if !is_listed(*body, *purpose, *class) {
                                    Err(Missing::Need)
                                } else if !carried {
                                    Err(Missing::Basis)
                                } else if basis.code() != "consent" {
                                    Ok(false)
                                } else if !bound && !has_agreement {
                                    Err(Missing::Agreement)
                                } else {
                                    match last {
                                        Some((false, _)) => Err(Missing::Refused),
                                        Some((true, true)) => Ok(true),
                                        Some((true, false)) if !is_child => Ok(true),
                                        None if !is_child => Err(Missing::Consent),
                                        Some((true, false)) | None => Err(Missing::Guardian),
                                    }
                                };
                                let found = found.map(|consent| consent.is_some());
                                assert_eq!(found, expect, "{outgoing:?} {class:?} {said:?}");
                                allowed += usize::from(found.is_ok());
                            }
                        }
                    }
                }
            }
        }
        assert!(allowed > 1000, "{allowed}");
    }

    #[test]
    fn a_consent_carries_its_own_class_body_and_purpose_alone() {
        let yes = said("a", true, Signatory::Resident, 0);
        let outgoing = Outgoing {
            body: yes.body,
            purpose: yes.purpose,
            basis: Basis::Consent,
            has_agreement: true,
            is_child: false,
        };
        let consents = [yes];
        assert!(outgoing.may_go(FieldClass::Contact, &consents, at(1)).is_ok());
        assert_eq!(outgoing.may_go(FieldClass::Health, &consents, at(1)), Err(Missing::Consent));
        let other = Outgoing { body: BodyKind::CareProvider, ..outgoing };
        assert_eq!(other.may_go(FieldClass::Contact, &consents, at(1)), Err(Missing::Consent));
        let other = Outgoing { purpose: DisclosurePurpose::Rescue, ..outgoing };
        assert_eq!(other.may_go(FieldClass::Contact, &consents, at(1)), Err(Missing::Consent));
        // The last instant and the first after it.
        assert!(outgoing.may_go(FieldClass::Contact, &consents, at(365).plus_minutes(-1)).is_ok());
        assert_eq!(outgoing.may_go(FieldClass::Contact, &consents, at(365)), Err(Missing::Consent));
    }

    #[test]
    fn whoever_said_no_is_left_alone_for_half_a_year() {
        let (body, purpose) = (BodyKind::HealthService, DisclosurePurpose::Referral);
        let no = [said("a", false, Signatory::Resident, 0)];
        assert_eq!(ask_again_at(&no, body, purpose, at(1)), Some(at(ASK_AGAIN_DAYS)));
        assert_eq!(ask_again_at(&no, body, purpose, at(ASK_AGAIN_DAYS)), None);
        assert_eq!(ask_again_at(&no, body, DisclosurePurpose::Greeting, at(1)), None);
        let mut taken_back = said("a", true, Signatory::Resident, 0);
        assert_eq!(ask_again_at(std::slice::from_ref(&taken_back), body, purpose, at(1)), None);
        taken_back.withdrawn = Some(Withdrawal { at: at(30), by: StaffId::new("wang").unwrap() });
        assert_eq!(
            ask_again_at(std::slice::from_ref(&taken_back), body, purpose, at(31)),
            Some(at(30 + ASK_AGAIN_DAYS))
        );
        assert!(taken_back.in_force(at(29)) && !taken_back.in_force(at(30)));
    }
}
