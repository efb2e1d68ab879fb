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
    NoAfterYes,
    YesAfterNo,
    NoToCome,
    TakenBack,
    ToBeTakenBack,
    Expired,
    NotYet,
    OfAnotherClass,
    ForAnotherPurpose,
    ToAnotherBody,
}

const SAID: [Said; 15] = [
    Said::Nothing,
    Said::Yes(Signatory::Resident),
    Said::Yes(Signatory::Guardian),
    Said::Yes(Signatory::Agent),
    Said::No,
    Said::NoAfterYes,
    Said::YesAfterNo,
    Said::NoToCome,
    Said::TakenBack,
    Said::ToBeTakenBack,
    Said::Expired,
    Said::NotYet,
    Said::OfAnotherClass,
    Said::ForAnotherPurpose,
    Said::ToAnotherBody,
];

/// When an agreement holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Term {
    NotYet,
    Now,
    Over,
}

/// What was signed with the body: whether it names the field, or all others; the purpose, or all others; and when it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Signed {
    field: bool,
    purpose: bool,
    term: Term,
}

/// Nothing, and everything that may be signed.
fn signed() -> Vec<Option<Signed>> {
    let mut all = vec![None];
    for field in [true, false] {
        for purpose in [true, false] {
            all.extend(
                [Term::NotYet, Term::Now, Term::Over].map(|term| Some(Signed { field, purpose, term })),
            );
        }
    }
    all
}

fn consents(said: Said, body: BodyKind, purpose: DisclosurePurpose, class: FieldClass) -> Vec<Consent> {
    let yes = Consent {
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
    let no = Consent { granted: false, expires_at: None, ..yes.clone() };
    let withdrawn = |day| Some(Withdrawal { at: at(day), by: StaffId::new("wang").unwrap() });
    match said {
        Said::Nothing => vec![],
        Said::Yes(signatory) => vec![Consent { signatory, ..yes }],
        Said::No => vec![no],
        Said::NoAfterYes => vec![Consent { given_at: at(20), ..no }, yes],
        Said::YesAfterNo => vec![Consent { given_at: at(20), ..yes }, no],
        Said::NoToCome => vec![Consent { given_at: at(101), ..no }, yes],
        Said::TakenBack => vec![Consent { withdrawn: withdrawn(100), ..yes }],
        Said::ToBeTakenBack => vec![Consent { withdrawn: withdrawn(101), ..yes }],
        Said::Expired => vec![Consent { expires_at: Some(at(100)), ..yes }],
        Said::NotYet => vec![Consent { given_at: at(101), ..yes }],
        Said::OfAnotherClass => vec![Consent { classes: others(FieldClass::ALL, class), ..yes }],
        Said::ForAnotherPurpose => {
            let other = |purpose| Consent { purpose, ..yes.clone() };
            others(DisclosurePurpose::ALL, purpose).into_iter().map(other).collect()
        }
        Said::ToAnotherBody => {
            let other = |body| Consent { body, ..yes.clone() };
            others(BodyKind::ALL, body).into_iter().map(other).collect()
        }
    }
}

fn agreement(signed: Signed, field: DisclosedField, purpose: DisclosurePurpose) -> Agreement {
    let (first, last) = match signed.term {
        Term::NotYet => (101, 200),
        Term::Now => (100, 101),
        Term::Over => (0, 100),
    };
    let day = |day| SiteZone::SHANGHAI.date_of(at(day));
    Agreement {
        number: Line::new("2026-7").unwrap(),
        fields: if signed.field { vec![field] } else { others(DisclosedField::ALL, field) },
        purposes: if signed.purpose { vec![purpose] } else { others(DisclosurePurpose::ALL, purpose) },
        days: DateRange::new(day(first), day(last)),
    }
}

/// All but one.
fn others<T: Copy + PartialEq>(all: &[T], one: T) -> Vec<T> {
    all.iter().copied().filter(|other| *other != one).collect()
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
    class: FieldClass,
    said: Said,
    signed: Option<Signed>,
    is_child: bool,
}

/// Everything that is missing in a cell, by its code, in the slow way: rule by rule as the pages say it.
fn missing(cell: Cell) -> Vec<&'static str> {
    let (body, purpose, basis) = (cell.body.code(), cell.purpose.code(), cell.basis.code());
    let mut missing = Vec::new();
    if !needs(body, purpose).split(' ').any(|class| class == cell.class.code()) {
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
            (Said::Yes(Signatory::Guardian) | Said::YesAfterNo | Said::NoToCome | Said::ToBeTakenBack, _)
            | (Said::Yes(Signatory::Resident | Signatory::Agent), false) => None,
            (Said::Yes(Signatory::Resident | Signatory::Agent), true) => Some("guardian"),
            (Said::No | Said::NoAfterYes | Said::TakenBack, _) => Some("refused"),
            (
                Said::Nothing
                | Said::Expired
                | Said::NotYet
                | Said::OfAnotherClass
                | Said::ForAnotherPurpose
                | Said::ToAnotherBody,
                is_child,
            ) => Some(if is_child { "guardian" } else { "consent" }),
        };
        missing.extend(consent);
        let private = ["care_provider", "charity"].contains(&body);
        let everyday = ["referral", "greeting"].contains(&purpose);
        match cell.signed {
            None if private => missing.push("agreement"),
            Some(signed) if private || everyday => {
                let lacks = [
                    ("agreement_field", !signed.field),
                    ("agreement_purpose", !signed.purpose),
                    ("agreement_term", signed.term != Term::Now),
                ];
                missing.extend(lacks.iter().filter(|(_, lacks)| *lacks).map(|(why, _)| *why));
            }
            None | Some(_) => {}
        }
    }
    missing
}

fn codes(missing: &[Missing]) -> Vec<&'static str> {
    missing.iter().map(|why| why.code()).collect()
}

/// Every way to hand something over: to what kind of body, what for, on what ground.
fn ways() -> impl Iterator<Item = (BodyKind, DisclosurePurpose, Basis)> {
    BodyKind::ALL.iter().flat_map(|body| {
        DisclosurePurpose::ALL
            .iter()
            .flat_map(move |purpose| Basis::ALL.iter().map(move |basis| (*body, *purpose, *basis)))
    })
}

#[test]
fn every_cell_of_the_projection_is_as_the_pages_say() {
    let (mut seen, mut goes, mut alone) = (0_u32, 0_u32, std::collections::BTreeSet::new());
    let asked = ways().flat_map(|way| DisclosedField::ALL.iter().map(move |field| (way, *field)));
    for ((body, purpose, basis), field) in asked {
        let class = FieldClass::from_code(class_of(field.code())).unwrap();
        let papers: Vec<_> = signed()
            .into_iter()
            .map(|signed| (signed, signed.map(|signed| agreement(signed, field, purpose))))
            .collect();
        let (carries, other_fields) = ([field], others(DisclosedField::ALL, field));
        // Beside the field there may be others of its class, which an agreement that names all others names.
        let is_alone =
            DisclosedField::ALL.iter().filter(|other| class_of(other.code()) == class.code()).count() == 1;
        for said in SAID {
            let consents = consents(said, body, purpose, class);
            for (signed, agreement) in &papers {
                for is_child in [false, true] {
                    let cell = Cell { body, purpose, basis, class, said, signed: *signed, is_child };
                    let expected = missing(cell);
                    let by_hand = Projection {
                        body,
                        agreement: agreement.as_ref(),
                        channel: None,
                        purpose,
                        basis,
                        is_child,
                    };
                    let found = by_hand.may_go(field, &consents, at(100));
                    match &found {
                        Ok(consent) => {
                            assert!(expected.is_empty(), "{cell:?} {field:?} goes, and lacks {expected:?}");
                            let granted = consent.map(|consent| consent.granted);
                            assert_eq!(granted, (basis == Basis::Consent).then_some(true), "{cell:?}");
                            goes += 1;
                        }
                        Err(found) => assert_eq!(codes(found), expected, "{cell:?} {field:?}"),
                    }
                    // A channel that carries it changes nothing; one that carries all others is one reason more.
                    let carried = Projection { channel: Some(&carries), ..by_hand };
                    assert_eq!(carried.may_go(field, &consents, at(100)), found, "{cell:?} {field:?}");
                    let barred = Projection { channel: Some(&other_fields), ..by_hand };
                    let barred = codes(&barred.may_go(field, &consents, at(100)).unwrap_err());
                    assert_eq!(barred, [&expected[..], &["channel"]].concat(), "{cell:?} {field:?}");
                    // By hand a class goes where one of its fields does.
                    let signed = signed.map(|signed| Signed { field: signed.field || !is_alone, ..signed });
                    let of_class = by_hand.class_may_go(class, &consents, at(100)).err().unwrap_or_default();
                    assert_eq!(codes(&of_class), missing(Cell { signed, ..cell }), "{cell:?}");
                    for lacks in [&codes(found.as_ref().err().map_or(&[], Vec::as_slice)), &barred] {
                        if let [only] = lacks.as_slice() {
                            alone.insert(*only);
                        }
                    }
                    seen += 1;
                }
            }
        }
    }
    // 13 kinds of body × 5 purposes × 3 grounds × 10 fields × 15 × 13 × child or not.
    assert_eq!(seen, 13 * 5 * 3 * 10 * 15 * 13 * 2);
    assert_eq!(goes, GOES, "how many cells let something out by hand");
    // Each reason is somewhere the only one: none hides behind another.
    let every: std::collections::BTreeSet<&str> = Missing::ALL.iter().map(|why| why.code()).collect();
    assert_eq!(alone, every);
}

/// Counted once, and looked at whenever it changes.
const GOES: u32 = 21_400;

#[test]
fn what_records_say_is_a_class_without_fields() {
    let mut seen = 0;
    for (body, purpose, basis) in ways() {
        for said in SAID {
            let class = FieldClass::Care;
            let consents = consents(said, body, purpose, class);
            for is_child in [false, true] {
                let projection =
                    Projection { body, agreement: None, channel: None, purpose, basis, is_child };
                let found = projection.class_may_go(class, &consents, at(100)).err().unwrap_or_default();
                let cell = Cell { body, purpose, basis, class, said, signed: None, is_child };
                // The first reason is enough here.
                assert_eq!(codes(&found), missing(cell).into_iter().take(1).collect::<Vec<_>>(), "{cell:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 13 * 5 * 3 * 15 * 2);
}

#[test]
fn an_agreement_holds_from_its_first_day_to_the_last_in_shanghai() {
    let days = DateRange::new(SiteZone::SHANGHAI.date_of(at(0)), SiteZone::SHANGHAI.date_of(at(200)));
    let signed = Signed { field: true, purpose: true, term: Term::Now };
    let agreement =
        Agreement { days, ..agreement(signed, DisclosedField::Name, DisclosurePurpose::Referral) };
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
