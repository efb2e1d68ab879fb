//! Money only moves where it is, through two pairs of hands; and what is published cannot be taken apart.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::id::RecordId;
use crate::testing::random::Random;

fn line_text(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn staff(id: &str) -> StaffId {
    StaffId::new(id).unwrap()
}

fn hand(by: &str) -> Hand {
    Hand { by: staff(by), at: Instant::from_micros(1_773_622_800_000_000).unwrap() }
}

fn fen(amount: i64) -> Fen {
    Fen::new(amount).unwrap()
}

fn empty_line(id: &str) -> BudgetLine {
    BudgetLine {
        site: SiteId::new("s").unwrap(),
        year: FundYear::from_number(2026).unwrap(),
        id: LineId::new(id).unwrap(),
        title: line_text(id),
        purpose: FundPurpose::Festival,
        available: Fen::ZERO,
        committed: Fen::ZERO,
        spent: Fen::ZERO,
        entries: 0,
        version: 1,
    }
}

fn line_of(id: &str, budget: i64) -> BudgetLine {
    let mut line = empty_line(id);
    line.set_budget(fen(budget), None, &hand("leader")).unwrap();
    line
}

fn spending(line: &str, id: &str, amount: i64, by: &str) -> Spending {
    Spending {
        site: SiteId::new("s").unwrap(),
        year: FundYear::from_number(2026).unwrap(),
        id: SpendingId::new(id).unwrap(),
        line: LineId::new(line).unwrap(),
        title: line_text("慰问品"),
        amount: fen(amount),
        cause: None,
        people: 0,
        requested: hand(by),
        progress: Progress::Requested,
        version: 1,
    }
}

fn payment(amount: i64, by: &str) -> Payment {
    Payment {
        amount: fen(amount),
        voucher: line_text("V-1"),
        paid_on: CivilDate::parse("2026-03-16").unwrap(),
        booked: hand(by),
    }
}

fn shown(line: &BudgetLine) -> (i64, i64, i64, i64) {
    (line.budget().get(), line.available.get(), line.committed.get(), line.spent.get())
}

#[test]
fn a_spending_goes_its_way() {
    let mut line = line_of("gifts", 1_000);
    let mut gift = spending("gifts", "a", 600, "wang");
    assert_eq!(gift.approve(&mut line, hand("wang")), Err(FundConflict::SameHands));
    let entry = gift.approve(&mut line, hand("leader")).unwrap();
    assert_eq!((entry.number, entry.movement, entry.amount.get()), (2, Movement::Committed, 600));
    assert_eq!(shown(&line), (1_000, 400, 600, 0));
    assert_eq!(gift.approve(&mut line, hand("leader")), Err(FundConflict::NotRequested));

    let mut other = spending("gifts", "b", 401, "wang");
    assert_eq!(other.approve(&mut line, hand("leader")), Err(FundConflict::Overdrawn));
    assert_eq!(other.state(), SpendingState::Requested);
    assert_eq!(other.disburse(&mut line, payment(1, "finance")), Err(FundConflict::NotApproved));
    assert_eq!(line.set_budget(fen(599), None, &hand("leader")), Err(FundConflict::BelowUse));
    assert_eq!(shown(&line), (1_000, 400, 600, 0), "what is refused changes nothing");

    assert_eq!(gift.disburse(&mut line, payment(500, "leader")), Err(FundConflict::SameHands));
    assert_eq!(gift.disburse(&mut line, payment(601, "finance")), Err(FundConflict::OverApproved));
    let entries = gift.disburse(&mut line, payment(500, "finance")).unwrap();
    let moved: Vec<_> = entries.iter().map(|entry| (entry.movement, entry.amount.get())).collect();
    assert_eq!(moved, [(Movement::Paid, 500), (Movement::Released, 100)]);
    assert_eq!(shown(&line), (1_000, 500, 0, 500));
    assert_eq!(gift.disburse(&mut line, payment(1, "finance")), Err(FundConflict::NotApproved));
    let reason = || line_text("不再需要");
    assert_eq!(gift.reject(&mut line, reason(), hand("leader")), Err(FundConflict::NotRequested));

    // An approval can be taken back until it was paid.
    other.amount = fen(500);
    other.approve(&mut line, hand("leader")).unwrap();
    assert_eq!(shown(&line), (1_000, 0, 500, 500));
    let entry = other.reject(&mut line, reason(), hand("leader")).unwrap().unwrap();
    assert_eq!((entry.movement, entry.note), (Movement::Released, Some(reason())));
    assert_eq!(shown(&line), (1_000, 500, 0, 500));
    let entry = line.set_budget(fen(500), Some(&reason()), &hand("leader")).unwrap().unwrap();
    assert_eq!((entry.movement, entry.amount.get(), entry.number), (Movement::Cut, 500, 7));
    assert_eq!(line.set_budget(fen(500), None, &hand("leader")), Ok(None), "as large already");
}

#[test]
fn amounts_and_years_are_checked() {
    let check =
        |amount: i64, expect: Result<i64, Invalid>| assert_eq!(Fen::new(amount).map(Fen::get), expect);
    check(1, Ok(1));
    check(FEN_MAX, Ok(FEN_MAX));
    check(0, Err(Invalid::Missing));
    check(-1, Err(Invalid::TooSmall { min: 1 }));
    check(i64::MIN, Err(Invalid::TooSmall { min: 1 }));
    check(FEN_MAX + 1, Err(Invalid::TooLarge { max: FEN_MAX }));
    assert_eq!(Fen::balance(i64::MAX).unwrap().plus(fen(1)).get(), i64::MAX);
    assert_eq!(Fen::balance(-1), None);
    let check = |text: &str, expect: Result<i32, Invalid>| {
        assert_eq!(FundYear::new(text).map(FundYear::number), expect, "{text}");
    };
    check("2026", Ok(2026));
    check("1999", Err(Invalid::TooSmall { min: 2000 }));
    check("2200", Err(Invalid::TooLarge { max: 2199 }));
    for text in ["", "26", "+026", "02026", "二〇二六"] {
        check(text, Err(Invalid::Id));
    }
}

/// Books kept beside the ledger, in the plainest way there is.
#[derive(Default)]
struct Books(BTreeMap<(LineId, &'static str), i64>);

impl Books {
    fn book(&mut self, entry: &LedgerEntry) {
        let (from, to) = match entry.movement {
            Movement::Budgeted => ("company", "available"),
            Movement::Cut => ("available", "company"),
            Movement::Committed => ("available", "committed"),
            Movement::Released => ("committed", "available"),
            Movement::Paid => ("committed", "spent"),
        };
        *self.0.entry((entry.line.clone(), from)).or_default() -= entry.amount.get();
        *self.0.entry((entry.line.clone(), to)).or_default() += entry.amount.get();
    }

    fn of(&self, line: &BudgetLine, account: &'static str) -> i64 {
        self.0.get(&(line.id.clone(), account)).copied().unwrap_or_default()
    }

    fn hold(&self, lines: &[BudgetLine]) {
        assert_eq!(self.0.values().sum::<i64>(), 0, "the ledger balances");
        for ((line, account), balance) in &self.0 {
            assert!(*account == "company" || *balance >= 0, "{line} {account} {balance}");
        }
        for line in lines {
            let accounts =
                [-self.of(line, "company"), self.of(line, "available"), self.of(line, "committed")];
            assert_eq!(
                (accounts[0], accounts[1], accounts[2], self.of(line, "spent")),
                shown(line),
                "the line is what its entries make it"
            );
        }
    }
}

/// Whatever is tried in whatever order: the ledger balances after every step, no account falls below zero, what is refused
/// changes nothing, and nobody approves what they asked for or pays what they approved.
#[test]
fn money_only_moves_where_it_is() {
    const PEOPLE: &[&str] = &["wang", "lin", "leader", "finance"];
    let mut refused = BTreeSet::new();
    let mut done = 0;
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut lines = [line_of("a", 900), line_of("b", 500)];
        let mut spendings: Vec<Spending> = Vec::new();
        let mut books = Books::default();
        let mut numbers: BTreeMap<LineId, u64> = lines.iter().map(|line| (line.id.clone(), 1)).collect();
        for line in &lines {
            let mut again = empty_line(line.id.as_str());
            books.book(&again.set_budget(line.budget(), None, &hand("leader")).unwrap().unwrap());
        }
        for step in 0..80 {
            let who = random.pick(PEOPLE);
            let at = usize::try_from(random.between(0, 1)).unwrap();
            let amount = random.between(1, 400);
            let before = (lines.clone(), spendings.clone());
            let entries: Result<Vec<LedgerEntry>, FundConflict> = match random.between(0, 9) {
                0..=2 => {
                    spendings.push(spending(["a", "b"][at], &format!("s{step}"), amount, who));
                    continue;
                }
                3 => lines[at]
                    .set_budget(fen(amount * 4), None, &hand("leader"))
                    .map(|entry| entry.into_iter().collect()),
                act => {
                    if spendings.is_empty() {
                        continue;
                    }
                    let which = usize::try_from(random.next() % spendings.len() as u64).unwrap();
                    let chosen = &mut spendings[which];
                    let line = lines.iter_mut().find(|line| line.id == chosen.line).unwrap();
                    match act {
                        4..=6 => chosen.approve(line, hand(who)).map(|entry| vec![entry]),
                        7 => chosen
                            .reject(line, line_text("否"), hand(who))
                            .map(|entry| entry.into_iter().collect()),
                        _ => chosen.disburse(line, payment(amount, who)),
                    }
                }
            };
            match entries {
                Ok(entries) => {
                    for entry in &entries {
                        assert!(entry.amount > Fen::ZERO);
                        let number = numbers.get_mut(&entry.line).unwrap();
                        *number += 1;
                        assert_eq!(entry.number, *number, "without gaps");
                        books.book(entry);
                        books.hold(&[]);
                    }
                    done += 1;
                }
                Err(conflict) => {
                    assert_eq!((&lines, &spendings), (&before.0, &before.1), "seed {seed}: {conflict:?}");
                    refused.insert(format!("{conflict:?}"));
                }
            }
            books.hold(&lines);
        }
        for spending in &spendings {
            let (approver, payer) = match &spending.progress {
                Progress::Requested | Progress::Rejected { .. } => continue,
                Progress::Approved(approved) => (approved, None),
                Progress::Disbursed { approved, payment } => (approved, Some(&payment.booked)),
            };
            assert_ne!(approver.by, spending.requested.by, "seed {seed}");
            assert!(payer.is_none_or(|payer| payer.by != approver.by), "seed {seed}");
        }
    }
    assert!(done > 3_000, "{done}");
    assert_eq!(refused.len(), 6, "every refusal occurs: {refused:?}");
}

// ── Publication ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A year of payments, each of its own power of two, so that a published amount says which payments are in it.
struct Year {
    lines: Vec<BudgetLine>,
    ledger: Vec<LedgerEntry>,
    paid: Vec<(Option<ResidentId>, u32)>,
    published: Option<Published>,
}

impl Year {
    fn new(lines: &[&str]) -> Self {
        let lines: Vec<BudgetLine> = lines.iter().map(|id| line_of(id, FEN_MAX)).collect();
        Self { lines, ledger: Vec::new(), paid: Vec::new(), published: None }
    }

    fn pay(&mut self, line: usize, resident: Option<&str>, people: u32) {
        let resident = resident.map(|id| ResidentId::new(id).unwrap());
        let place = self.paid.len();
        let mut paid = Spending {
            cause: resident.clone().map(Cause::Resident),
            people,
            ..spending(self.lines[line].id.as_str(), &format!("p{place}"), 1 << place, "wang")
        };
        let line = &mut self.lines[line];
        self.ledger.push(paid.approve(line, hand("leader")).unwrap());
        self.ledger.extend(paid.disburse(line, payment(1 << place, "finance")).unwrap());
        self.paid.push((resident, people));
    }

    fn publish(&mut self) -> Published {
        let takings = self.lines.iter().map(|line| {
            let mut takings = LineTakings::new(line, self.published.as_ref());
            self.ledger.iter().for_each(|entry| takings.add(entry));
            takings
        });
        let shown = publish(self.published.as_ref(), takings.collect());
        self.published = Some(shown.clone());
        shown
    }
}

/// `line: amount×helped`, with `*` where something is withheld; then what several lines paid together.
fn figures(shown: &Published) -> Vec<String> {
    let figure = |figure: Figure| format!("{}×{}", figure.amount.get(), figure.helped);
    let line = |line: &ReportLine| {
        format!("{}: {}{}", line.line, figure(line.paid), if line.withheld { " *" } else { "" })
    };
    shown.lines.iter().map(line).chain([figure(shown.together)]).collect()
}

#[test]
fn fewer_than_five_people_wait() {
    let mut year = Year::new(&["a", "b"]);
    assert_eq!(figures(&year.publish()), ["a: 0×0", "b: 0×0", "0×0"]);
    year.pay(0, None, 0);
    year.pay(0, Some("r1"), 1);
    year.pay(1, None, 5);
    // Things are shown at once, four people wait, five do not.
    assert_eq!(figures(&year.publish()), ["a: 1×0 *", "b: 4×5", "0×0"]);
    year.pay(0, Some("r2"), 1);
    year.pay(0, Some("r3"), 1);
    year.pay(0, Some("r3"), 1);
    year.pay(0, Some("r4"), 1);
    assert_eq!(
        figures(&year.publish()),
        ["a: 1×0 *", "b: 4×5", "0×0"],
        "the same person twice is one person"
    );
    year.pay(0, Some("r5"), 1);
    let shown = year.publish();
    assert_eq!(figures(&shown), ["a: 251×6", "b: 4×5", "0×0"]);
    assert_eq!((shown.total().amount.get(), shown.total().helped), (255, 11));
    assert_eq!(figures(&year.publish()), figures(&shown), "nothing new, the same again");
}

#[test]
fn too_few_of_several_lines_are_shown_together_and_never_apart() {
    let mut year = Year::new(&["a", "b", "c"]);
    for (line, resident) in [(0, "r1"), (0, "r2"), (1, "r3"), (1, "r4")] {
        year.pay(line, Some(resident), 1);
    }
    year.pay(2, None, 6);
    assert_eq!(figures(&year.publish()), ["a: 0×0 *", "b: 0×0 *", "c: 16×6", "0×0"]);
    year.pay(1, Some("r5"), 1);
    assert_eq!(figures(&year.publish()), ["a: 0×0", "b: 0×0", "c: 16×6", "47×5"]);
    // From then on both begin anew.
    for resident in ["r1", "r2", "r3", "r4", "r5"] {
        year.pay(0, Some(resident), 1);
    }
    assert_eq!(figures(&year.publish()), ["a: 1984×5", "b: 0×0", "c: 16×6", "47×5"]);
    // Two activities for three people each may be for the same three.
    year.pay(1, None, 3);
    year.pay(2, None, 3);
    assert_eq!(figures(&year.publish()), ["a: 1984×5", "b: 0×0 *", "c: 16×6 *", "47×5"]);
}

/// The rank of a matrix of zeros and ones (and their sums), modulo a large prime.
fn rank(rows: &[Vec<u64>]) -> usize {
    const P: u128 = (1 << 61) - 1;
    let times = |a: u64, b: u64| (u128::from(a) * u128::from(b) % P) as u64;
    let inverse = |a: u64| {
        let (mut power, mut base, mut result) = (P - 2, a, 1);
        while power > 0 {
            if power & 1 == 1 {
                result = times(result, base);
            }
            base = times(base, base);
            power >>= 1;
        }
        result
    };
    let mut rows = rows.to_vec();
    let columns = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..columns {
        let Some(pivot) = (rank..rows.len()).find(|row| rows[*row][column] != 0) else { continue };
        rows.swap(rank, pivot);
        let scale = inverse(rows[rank][column]);
        let unit: Vec<u64> = rows[rank].iter().map(|value| times(*value, scale)).collect();
        for row in rows.iter_mut().skip(rank + 1) {
            let factor = row[column];
            for (value, unit) in row.iter_mut().zip(&unit) {
                let less = P as u64 - times(factor, *unit);
                *value = ((u128::from(*value) + u128::from(less)) % P) as u64;
            }
        }
        rank += 1;
    }
    rank
}

#[test]
fn ranks_are_ranks() {
    assert_eq!(rank(&[]), 0);
    assert_eq!(rank(&[vec![1, 0], vec![0, 1]]), 2);
    assert_eq!(rank(&[vec![1, 1, 0], vec![0, 1, 1], vec![1, 2, 1]]), 2);
    assert_eq!(rank(&[vec![0, 0], vec![0, 3]]), 1);
}

/// Whether somebody who adds and subtracts published figures gets one that is about nobody but the people of `few`: payments
/// for nobody do not matter. `figures` and `few` are sets of payments.
fn gives_away(figures: &[i64], few: i64, impersonal: i64, payments: usize) -> bool {
    let column = |keep: i64| -> Vec<Vec<u64>> {
        let places: Vec<usize> = (0..payments).filter(|place| keep >> place & 1 == 1).collect();
        let row = |figure: &i64| places.iter().map(|place| (*figure >> place & 1) as u64).collect();
        figures.iter().map(row).collect()
    };
    let others = !(few | impersonal);
    // A combination that vanishes on all others and not on the few makes the difference.
    rank(&column(others)) < rank(&column(others | few))
}

#[test]
fn the_attack_finds_what_is_there_to_be_found() {
    // Two payments, the total and one of the two lines: the other line is the difference.
    assert!(gives_away(&[0b11, 0b01], 0b10, 0, 2));
    // This quarter's figure less the last one's.
    assert!(gives_away(&[0b011, 0b111], 0b100, 0, 3));
    assert!(!gives_away(&[0b11], 0b10, 0, 2));
    assert!(gives_away(&[0b11], 0b10, 0b01, 2), "what is for nobody hides nobody");
}

/// Years at random, published time and again: whoever combines all figures of all publications, line by line, together and in
/// total, learns nothing about any four people.
#[test]
fn suppression_cannot_be_undone_by_subtraction() {
    const RESIDENTS: &[&str] = &["r0", "r1", "r2", "r3", "r4", "r5", "r6"];
    let (mut shown_to_people, mut joined, mut waited, mut attacks) = (0, 0, 0, 0);
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut year = Year::new(&["a", "b", "c"]);
        let mut seen: Vec<i64> = Vec::new();
        for _ in 0..6 {
            for _ in 0..random.between(0, 6) {
                let line = usize::try_from(random.between(0, 2)).unwrap();
                match random.between(0, 5) {
                    0 => year.pay(line, None, 0),
                    1 => year.pay(line, None, u32::try_from(random.between(1, 7)).unwrap()),
                    _ => year.pay(line, Some(random.pick(RESIDENTS)), 1),
                }
            }
            let shown = year.publish();
            seen.extend(shown.lines.iter().map(|line| line.paid.amount.get()));
            seen.extend([shown.together.amount.get(), shown.total().amount.get()]);
            shown_to_people += usize::from(shown.total().helped > 0);
            joined += usize::from(shown.together.helped > 0);
            waited += usize::from(shown.lines.iter().any(|line| line.withheld));
        }
        seen.sort_unstable();
        seen.dedup();
        let payments = year.paid.len();
        let those = |fits: &dyn Fn(&Option<ResidentId>, u32) -> bool| -> i64 {
            let paid = year.paid.iter().enumerate();
            paid.filter(|(_, (resident, people))| fits(resident, *people)).map(|(place, _)| 1 << place).sum()
        };
        let impersonal = those(&|_, people| people == 0);
        for four in 0_u32..1 << RESIDENTS.len() {
            if four.count_ones() != 4 {
                continue;
            }
            // Payments to four residents, and those to so few that they may be for the same four.
            let few = those(&|resident, people| match resident {
                Some(id) => {
                    let place = RESIDENTS.iter().position(|known| *known == id.as_str()).unwrap();
                    four >> place & 1 == 1
                }
                None => (1..5).contains(&people),
            });
            assert!(!gives_away(&seen, few, impersonal, payments), "seed {seed}, residents {four:b}");
            attacks += 1;
        }
    }
    assert!(attacks == 400 * 35 && shown_to_people > 1_000, "{attacks} {shown_to_people}");
    assert!(joined > 200 && waited > 200, "{joined} {waited}");
}

#[test]
fn publications_count_a_line_only_up_to_where_it_was_read() {
    let mut year = Year::new(&["a"]);
    year.pay(0, None, 0);
    let early = year.lines[0].clone();
    year.pay(0, None, 0);
    let mut takings = LineTakings::new(&early, None);
    year.ledger.iter().for_each(|entry| takings.add(entry));
    assert_eq!(takings.wanted(), (0, 3));
    let report = FundReport {
        site: early.site.clone(),
        year: early.year,
        number: 1,
        published: hand("finance"),
        record: RecordId::new("r").unwrap(),
        shown: publish(None, vec![takings]),
    };
    assert_eq!(report.shown.total().amount.get(), 1, "what was booked meanwhile is the next one's");
    year.published = Some(report.shown);
    assert_eq!(year.publish().total().amount.get(), 3);
}
