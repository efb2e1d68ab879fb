//! The projection and the answers of bodies against what the pages say, cell by cell, written down a second time in the slow way.

use super::*;
use crate::consent::{Signatory, Withdrawal};
use crate::id::ConsentId;
use crate::time::{CivilDate, DateRange, SiteZone};

/// The first instant of a day in Shanghai, counted from an ordinary one.
fn at(day: i32) -> Instant {
    SiteZone::SHANGHAI.start_of(CivilDate::parse("2026-03-16").unwrap().plus_days(day))
}

/// What the person, or who speaks for them, said in the end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Said {
    Nothing,
    Yes(Signatory),
    No,
    TakenBack,
    Expired,
    OfAnotherClass,
}

/// What was signed with the body.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Signed {
    Nothing,
    NotThisField,
    NotThisPurpose,
    NotYet,
    Over,
    Holds,
    NothingThatFits,
}

const SAID: [Said; 8] = [
    Said::Nothing,
    Said::Yes(Signatory::Resident),
    Said::Yes(Signatory::Guardian),
    Said::Yes(Signatory::Agent),
    Said::No,
    Said::TakenBack,
    Said::Expired,
    Said::OfAnotherClass,
];

const SIGNED: [Signed; 7] = [
    Signed::Nothing,
    Signed::NotThisField,
    Signed::NotThisPurpose,
    Signed::NotYet,
    Signed::Over,
    Signed::Holds,
    Signed::NothingThatFits,
];

fn consents(said: Said, body: BodyKind, purpose: DisclosurePurpose, class: FieldClass) -> Vec<Consent> {
    let consent = Consent {
        site: SiteId::new("s").unwrap(),
        resident: ResidentId::new("r").unwrap(),
        id: ConsentId::new("c").unwrap(),
        body,
        purpose,
        classes: vec![class],
        granted: true,
        signatory: Signatory::Guardian,
        signed_by: None,
        form: Line::new("v1").unwrap(),
        given_at: at(0),
        expires_at: Some(at(365)),
        recorded_by: StaffId::new("wang").unwrap(),
        recorded_at: at(0),
        withdrawn: None,
    };
    match said {
        Said::Nothing => vec![],
        Said::Yes(signatory) => vec![Consent { signatory, ..consent }],
        Said::No => vec![Consent { granted: false, expires_at: None, ..consent }],
        Said::TakenBack => {
            let withdrawn = Some(Withdrawal { at: at(50), by: StaffId::new("wang").unwrap() });
            vec![Consent { withdrawn, ..consent }]
        }
        Said::Expired => vec![Consent { expires_at: Some(at(99)), ..consent }],
        Said::OfAnotherClass => {
            let other = FieldClass::ALL.iter().copied().find(|other| *other != class).unwrap();
            vec![Consent { classes: vec![other], ..consent }]
        }
    }
}

fn agreement(signed: Signed, field: DisclosedField, purpose: DisclosurePurpose) -> Option<Agreement> {
    let (mut fields, mut purposes) = (vec![field], vec![purpose]);
    let mut days = (at(0), at(200));
    let other_fields = || DisclosedField::ALL.iter().copied().filter(|other| *other != field).collect();
    let other_purposes =
        || DisclosurePurpose::ALL.iter().copied().filter(|other| *other != purpose).collect();
    match signed {
        Signed::Nothing => return None,
        Signed::NotThisField => fields = other_fields(),
        Signed::NotThisPurpose => purposes = other_purposes(),
        Signed::NotYet => days.0 = at(101),
        Signed::Over => days.1 = at(100),
        Signed::Holds => {}
        Signed::NothingThatFits => (fields, purposes, days.1) = (other_fields(), other_purposes(), at(100)),
    }
    let day = |at| SiteZone::SHANGHAI.date_of(at);
    let days = DateRange::new(day(days.0), day(days.1));
    Some(Agreement { number: Line::new("2026-7").unwrap(), fields, purposes, days })
}

/// What a kind of body may be told for a purpose, in plain words: its own table, written down beside the one of the product.
fn needs(body: &str, purpose: &str) -> &'static str {
    match (purpose, body) {
        ("care_file", "company") => "contact identity health family status care",
        ("referral", "neighbourhood_committee" | "street_office" | "civil_affairs") => {
            "contact identity family status"
        }
        ("referral", "health_service") => "contact identity health",
        ("referral", "disabled_federation") => "contact identity health status",
        ("referral", "veterans_service") => "contact identity status",
        ("referral", "womens_federation" | "school") => "contact family",
        ("referral", "care_provider") => "contact health",
        ("referral", "charity") => "contact",
        (
            "greeting",
            "neighbourhood_committee"
            | "street_office"
            | "disabled_federation"
            | "womens_federation"
            | "veterans_service"
            | "charity",
        ) => "contact",
        ("report", "neighbourhood_committee" | "civil_affairs" | "police") => "contact family care",
        ("rescue", "neighbourhood_committee" | "health_service" | "police" | "rescue") => {
            "contact health family"
        }
        _ => "",
    }
}

/// In which class a field is, in plain words.
fn class_of(field: &str) -> &'static str {
    match field {
        "name" | "phone" | "address" | "emergency_contacts" => "contact",
        "identity_number" | "birth_date" | "sex" => "identity",
        "health" => "health",
        "family" => "family",
        "status" => "status",
        _ => unreachable!("{field}"),
    }
}

/// One cell of the matrix.
#[derive(Debug, Clone, Copy)]
struct Cell {
    body: BodyKind,
    purpose: DisclosurePurpose,
    basis: Basis,
    field: DisclosedField,
    said: Said,
    signed: Signed,
    is_child: bool,
    carried: bool,
}

/// Everything that is missing in a cell, by its code, in the slow way: rule by rule as the pages say it.
fn missing(cell: Cell) -> Vec<&'static str> {
    let (body, purpose, basis) = (cell.body.code(), cell.purpose.code(), cell.basis.code());
    let mut missing = Vec::new();
    if !needs(body, purpose).split(' ').any(|class| class == class_of(cell.field.code())) {
        missing.push("need");
    }
    let grounds = match purpose {
        "care_file" | "referral" | "greeting" => "consent",
        "report" => "legal_duty",
        "rescue" => "consent danger",
        _ => unreachable!("{purpose}"),
    };
    if !grounds.split(' ').any(|ground| ground == basis) {
        missing.push("basis");
    }
    if basis == "consent" {
        let consent = match (cell.said, cell.is_child) {
            (Said::Yes(Signatory::Guardian), _)
            | (Said::Yes(Signatory::Resident | Signatory::Agent), false) => None,
            (Said::Yes(Signatory::Resident | Signatory::Agent), true) => Some("guardian"),
            (Said::No | Said::TakenBack, _) => Some("refused"),
            (Said::Nothing | Said::Expired | Said::OfAnotherClass, true) => Some("guardian"),
            (Said::Nothing | Said::Expired | Said::OfAnotherClass, false) => Some("consent"),
        };
        missing.extend(consent);
        let private = ["care_provider", "charity"].contains(&body);
        let everyday = ["referral", "greeting"].contains(&purpose);
        if private && cell.signed == Signed::Nothing {
            missing.push("agreement");
        }
        if private || everyday {
            let lacks = match cell.signed {
                Signed::Nothing | Signed::Holds => "",
                Signed::NotThisField => "agreement_field",
                Signed::NotThisPurpose => "agreement_purpose",
                Signed::NotYet | Signed::Over => "agreement_term",
                Signed::NothingThatFits => "agreement_field agreement_purpose agreement_term",
            };
            missing.extend(lacks.split(' ').filter(|lack| !lack.is_empty()));
        }
    }
    if !cell.carried {
        missing.push("channel");
    }
    missing
}

/// Every cell.
fn cells() -> impl Iterator<Item = Cell> {
    let of = |body: &BodyKind| {
        let body = *body;
        DisclosurePurpose::ALL.iter().flat_map(move |purpose| {
            Basis::ALL.iter().flat_map(move |basis| {
                DisclosedField::ALL.iter().flat_map(move |field| {
                    SAID.into_iter().flat_map(move |said| {
                        SIGNED.into_iter().flat_map(move |signed| {
                            [(false, false), (false, true), (true, false), (true, true)].map(
                                move |(is_child, carried)| Cell {
                                    body,
                                    purpose: *purpose,
                                    basis: *basis,
                                    field: *field,
                                    said,
                                    signed,
                                    is_child,
                                    carried,
                                },
                            )
                        })
                    })
                })
            })
        })
    };
    BodyKind::ALL.iter().flat_map(of)
}

#[test]
fn every_cell_of_the_projection_is_as_the_pages_say() {
    let (mut seen, mut goes, mut alone) = (0_u32, 0_u32, std::collections::BTreeSet::new());
    for cell in cells() {
        let Cell { body, purpose, basis, field, said, signed, is_child, carried } = cell;
        let agreement = agreement(signed, field, purpose);
        let carries: Vec<DisclosedField> =
            DisclosedField::ALL.iter().copied().filter(|other| carried || *other != field).collect();
        let consents = consents(said, body, purpose, field.class());
        let agreement = agreement.as_ref();
        let projection = Projection { body, agreement, channel: Some(&carries), purpose, basis, is_child };
        let found = projection.may_go(field, &consents, at(100));
        let expected = missing(cell);
        match &found {
            Ok(consent) => {
                assert_eq!(consent.is_some(), basis == Basis::Consent, "{cell:?}");
                assert!(expected.is_empty(), "{cell:?} goes, and lacks {expected:?}");
                goes += 1;
            }
            Err(found) => {
                let found: Vec<&str> = found.iter().map(|why| why.code()).collect();
                assert_eq!(found, expected, "{cell:?}");
                if let [only] = found.as_slice() {
                    alone.insert(*only);
                }
            }
        }
        if carried {
            // By hand nothing but the channel falls away.
            let by_hand = Projection { channel: None, ..projection };
            assert_eq!(by_hand.may_go(field, &consents, at(100)), found, "{cell:?}");
        }
        seen += 1;
    }
    // 13 kinds of body × 5 purposes × 3 grounds × 10 fields × 8 × 7 × child or not × carried or not.
    assert_eq!(seen, 13 * 5 * 3 * 10 * 8 * 7 * 4);
    assert_eq!(goes, GOES, "how many cells let something out");
    // Each reason is somewhere the only one: none hides behind another.
    let every: std::collections::BTreeSet<&str> = Missing::ALL.iter().map(|why| why.code()).collect();
    assert_eq!(alone, every);
}

/// Counted once, and looked at whenever it changes.
const GOES: u32 = 6028;

#[test]
fn an_agreement_holds_from_its_first_day_to_the_last_in_shanghai() {
    let agreement = agreement(Signed::Holds, DisclosedField::Name, DisclosurePurpose::Referral).unwrap();
    let holds =
        [at(0).plus_minutes(-1), at(0), at(200).plus_minutes(-1), at(200)].map(|at| agreement.holds(at));
    assert_eq!(holds, [false, true, true, false]);
}

/// Where an answer leads, as a person would write it down: rows are states, columns the last answer and the new one.
fn written(state: &str, last: Option<&str>, new: &str) -> &'static str {
    match (state, new) {
        ("queued" | "sent" | "failed", "accepted") | ("rejected", "accepted") => "accepted",
        ("queued" | "sent" | "failed", "rejected") | ("accepted", "rejected") => "rejected",
        ("queued" | "sent" | "failed" | "accepted" | "rejected", "closed") => "closed",
        ("accepted", "accepted") | ("rejected", "rejected") => "unchanged",
        ("closed" | "revoked", new) => {
            if last == Some(new) {
                "unchanged"
            } else {
                "noted"
            }
        }
        _ => unreachable!("{state} {new}"),
    }
}

#[test]
fn every_answer_in_every_state_does_what_is_written() {
    let lasts: Vec<Option<Decision>> =
        std::iter::once(None).chain(Decision::ALL.iter().copied().map(Some)).collect();
    let mut seen = 0;
    for state in ReferralState::ALL {
        for last in &lasts {
            for new in Decision::ALL {
                assert_eq!(
                    effect(*state, false, *last, *new),
                    Effect::TooEarly,
                    "{state:?} {last:?} {new:?}"
                );
                let found = match effect(*state, true, *last, *new) {
                    Effect::Moves(state) => state.code(),
                    Effect::Noted => "noted",
                    Effect::Unchanged => "unchanged",
                    Effect::TooEarly => "too early",
                };
                let expected = written(state.code(), last.map(Decision::code), new.code());
                assert_eq!(found, expected, "{state:?} {last:?} {new:?}");
                // The same answer again never does anything.
                if let Effect::Moves(moved) = effect(*state, true, *last, *new) {
                    assert_eq!(effect(moved, true, Some(*new), *new), Effect::Unchanged);
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 7 * 4 * 3);
}

#[test]
fn what_was_taken_back_stays_so_whatever_the_body_says() {
    for last in std::iter::once(None).chain(Decision::ALL.iter().copied().map(Some)) {
        for new in Decision::ALL {
            let found = effect(ReferralState::Revoked, true, last, *new);
            assert!(matches!(found, Effect::Noted | Effect::Unchanged), "{found:?}");
        }
    }
}

#[test]
fn codes_of_values_and_of_words_are_told_apart() {
    let fields = DisclosedField::ALL.iter().copied().map(ReferralPart::Field);
    let parts: Vec<ReferralPart> = fields.chain(ReferralPart::WORDS).collect();
    for part in &parts {
        assert_eq!(ReferralPart::from_code(part.code()), Ok(*part));
    }
    let codes: std::collections::BTreeSet<&str> = parts.iter().map(|part| part.code()).collect();
    assert_eq!(codes.len(), parts.len());
    assert_eq!(ReferralPart::from_code("salary"), Err(Invalid::Unknown));
}
