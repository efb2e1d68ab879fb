//! A row's cells into a [`RosterRow`]: every problem of the row is found, none stops the search for others.

use std::collections::BTreeMap;

use linli_core::id::FieldCode;
use linli_core::invalid::Invalid;
use linli_core::resident::{EMERGENCY_CONTACTS_MAX, EmergencyContact, FactValue, Need, PersonName};
use linli_core::text::{Line as OneLine, Paragraph};
use linli_core::time::CivilDate;

use super::column::{self, ContactPart, FactColumn, FactKind, Meaning};
use super::contact::split_contact;
use super::fact::{fact_value, words};
use super::header::{Column, Header};
use super::place::Place;
use super::problem::{Fault, Problem};
use super::sheet::{Cell, Line, Sheet};
use super::{Options, RosterRow, Row, value};

/// Beginnings of lines below a list that are no person.
const FOOTERS: &[&str] =
    &["合计", "总计", "小计", "共计", "填表", "制表", "审核", "说明", "备注", "注:", "注：", "total"];

/// The rows below the header.
pub(super) fn rows(sheet: &Sheet, header: &Header, options: &Options) -> Vec<Row> {
    let mut above = Above::default();
    let mut rows = Vec::new();
    for line in sheet.lines.iter().skip(header.body) {
        if header.is_repeated_by(line) || is_footer(line, header) {
            continue;
        }
        let mut reader = RowReader::new(line, header, options);
        let person = reader.person(&mut above);
        let RowReader { problems, notes, .. } = reader;
        let person = match person {
            Some(person) if problems.is_empty() => Ok(person),
            Some(_) | None => Err(problems),
        };
        rows.push(Row { line: line.number, person, notes });
    }
    rows
}

/// The place cells of the line above, for lists whose merged cells were lost.
#[derive(Default)]
struct Above {
    place: Cell,
    building: Cell,
    unit: Cell,
    room: Cell,
}

/// Whether a line is no person: a section's title merged over the columns, or what stands below a list.
fn is_footer(line: &Line, header: &Header) -> bool {
    let mut cells = line.cells.iter().filter(|cell| !cell.is_empty());
    let Some(first) = cells.next() else { return true };
    let (mut others, mut same) = (0, true);
    for cell in cells {
        others += 1;
        same &= cell == first;
    }
    if same && others >= 2 && matches!(first, Cell::Text(_)) {
        return true;
    }
    let of_person = [Meaning::IdentityNumber, Meaning::Phone, Meaning::BirthDate];
    let says_who = header.columns.iter().any(|column| {
        column.meaning.as_ref().is_some_and(|m| of_person.contains(m)) && !line.cell(column.at).is_empty()
    });
    let first = first.shown().to_lowercase();
    (same || !says_who) && FOOTERS.iter().any(|footer| first.starts_with(footer))
}

struct RowReader<'a> {
    line: &'a Line,
    header: &'a Header,
    options: &'a Options,
    problems: Vec<Problem>,
    notes: Vec<Problem>,
}

impl<'a> RowReader<'a> {
    fn new(line: &'a Line, header: &'a Header, options: &'a Options) -> Self {
        Self { line, header, options, problems: Vec::new(), notes: Vec::new() }
    }

    fn person(&mut self, above: &mut Above) -> Option<RosterRow> {
        let place = self.place(above);
        let name = self.required(&Meaning::Name, |cell| Ok(PersonName::new(&cell.shown())?));
        let identity_number = self.optional(&Meaning::IdentityNumber, value::identity_number);
        let said_birth_date = self.past_date(&Meaning::BirthDate);
        let said_sex = self.optional(&Meaning::Sex, value::sex);
        let phone = self.optional(&Meaning::Phone, value::phone);
        if let Some((_, true)) = phone {
            self.note(&Meaning::Phone, Fault::FirstPhoneOnly);
        }
        let moved_in = self.past_date(&Meaning::MovedIn);
        let surveyed_on = self.past_date(&Meaning::SurveyedOn);

        let birth_date = identity_number.as_ref().map(|number| number.birth_date()).or(said_birth_date);
        let sex = identity_number.as_ref().map(|number| number.sex()).or(said_sex);
        let contradicts = Fault::Invalid(Invalid::ContradictsIdentityNumber);
        if said_birth_date.is_some() && said_birth_date != birth_date {
            self.problem(&Meaning::BirthDate, contradicts.clone());
        }
        if said_sex.is_some() && said_sex != sex {
            self.problem(&Meaning::Sex, contradicts);
        }

        let health = self.paragraph(&Meaning::Health);
        let family = self.paragraph(&Meaning::Family);
        let status = self.status();
        let needs = self.needs();
        let emergency = self.emergency();
        let facts = self.facts(birth_date);
        Some(RosterRow {
            line: self.line.number,
            place: place?,
            name: name?,
            identity_number,
            birth_date,
            sex,
            phone: phone.map(|(phone, _)| phone),
            emergency,
            moved_in,
            surveyed_on,
            health,
            family,
            status,
            needs,
            facts,
        })
    }

    // Cells.

    fn column(&self, meaning: &Meaning) -> Option<&'a Column> {
        self.header.columns.iter().find(|column| column.meaning.as_ref() == Some(meaning))
    }

    /// The cell of a column, after the column map's values.
    fn cell(&self, column: &Column) -> Cell {
        let cell = self.line.cell(column.at);
        let mapped = column.meaning.as_ref().and_then(|m| self.options.columns.value(m, &cell.shown()));
        mapped.map_or_else(|| cell.clone(), Cell::text)
    }

    fn report(&mut self, column: &Column, fault: Fault) {
        self.problems.push(Problem { column: Some(column.title.clone()), fault });
    }

    fn problem(&mut self, meaning: &Meaning, fault: Fault) {
        let column = self.column(meaning).map(|column| column.title.clone());
        self.problems.push(Problem { column, fault });
    }

    fn note(&mut self, meaning: &Meaning, fault: Fault) {
        let column = self.column(meaning).map(|column| column.title.clone());
        self.notes.push(Problem { column, fault });
    }

    fn required<T>(&mut self, meaning: &Meaning, read: impl Fn(&Cell) -> Result<T, Fault>) -> Option<T> {
        let column = self.column(meaning)?;
        let cell = self.cell(column);
        let found = if value::says_none(&cell) { Err(Invalid::Missing.into()) } else { read(&cell) };
        found.map_err(|fault| self.report(column, fault)).ok()
    }

    fn optional<T>(&mut self, meaning: &Meaning, read: impl Fn(&Cell) -> Result<T, Fault>) -> Option<T> {
        let column = self.column(meaning)?;
        let cell = self.cell(column);
        if value::says_none(&cell) {
            return None;
        }
        read(&cell).map_err(|fault| self.report(column, fault)).ok()
    }

    fn past_date(&mut self, meaning: &Meaning) -> Option<CivilDate> {
        let today = self.options.today;
        self.optional(meaning, |cell| {
            let date = value::date(cell)?;
            if today.is_some_and(|today| date > today) { Err(Invalid::Future.into()) } else { Ok(date) }
        })
    }

    fn paragraph(&mut self, meaning: &Meaning) -> Option<Paragraph> {
        self.optional(meaning, |cell| {
            if *cell == Cell::Error { Err(Fault::ErrorValue) } else { Ok(Paragraph::new(&cell.shown())?) }
        })
    }

    // Parts of a person.

    fn place(&mut self, above: &mut Above) -> Option<Place> {
        let of = |meaning| self.column(meaning).map(|column| self.cell(column)).unwrap_or_default();
        let (mut place, mut building, mut unit, mut room) =
            (of(&Meaning::Place), of(&Meaning::Building), of(&Meaning::Unit), of(&Meaning::Room));
        if self.options.columns.carry_down() {
            // A new building does not carry the unit of the one above, nor a new unit its room.
            if place.is_empty() && building.is_empty() && unit.is_empty() && room.is_empty() {
                room = above.room.clone();
                place = above.place.clone();
            }
            if building.is_empty() {
                building = above.building.clone();
                if unit.is_empty() {
                    unit = above.unit.clone();
                }
            }
            *above = Above {
                place: place.clone(),
                building: building.clone(),
                unit: unit.clone(),
                room: room.clone(),
            };
        }
        let column = if self.column(&Meaning::Room).is_some() { Meaning::Room } else { Meaning::Place };
        let fault = if !room.is_empty() && !building.is_empty() {
            match Place::from_parts(&building.shown(), &unit.shown(), &room.shown()) {
                Ok(place) => return Some(place),
                Err(fault) => fault,
            }
        } else {
            // One column; a column titled 房号 often holds all of it.
            let whole = [place, room].into_iter().find(|cell| !value::says_none(cell));
            match whole {
                None => Fault::RoomMissing,
                // 3/2/501 and 3-2 may have been turned into dates by the spreadsheet.
                Some(Cell::Date(_)) => Fault::Place,
                Some(cell) => match Place::parse(&cell.half_width()) {
                    Ok(place) => return Some(place),
                    Err(fault) => fault,
                },
            }
        };
        self.problem(&column, fault);
        None
    }

    /// Special difficulties, with the remarks below them.
    fn status(&mut self) -> Option<Paragraph> {
        let header = self.header;
        let mut parts = Vec::new();
        let mut last = None;
        for column in &header.columns {
            if matches!(column.meaning, Some(Meaning::Status | Meaning::Remark)) {
                let cell = self.cell(column);
                if cell == Cell::Error {
                    self.report(column, Fault::ErrorValue);
                } else if !value::says_none(&cell) {
                    parts.push(cell.shown());
                    last = Some(column);
                }
            }
        }
        let column = last?;
        Paragraph::new(&parts.join("\n")).map_err(|invalid| self.report(column, invalid.into())).ok()
    }

    fn needs(&mut self) -> Vec<Need> {
        let Some(column) = self.column(&Meaning::Needs) else { return Vec::new() };
        let cell = self.cell(column);
        if value::says_none(&cell) {
            return Vec::new();
        }
        let mut needs = Vec::new();
        for word in words(&cell.half_width()) {
            let found = Need::ALL.iter().copied().find(|need| {
                let stem: String = need.zh().chars().take(2).collect();
                word.contains(&stem) || word == need.code() || word == need.en()
            });
            match found {
                Some(need) if needs.contains(&need) => {}
                Some(need) => needs.push(need),
                None => {
                    let accepted = Need::ALL.iter().map(|need| need.zh()).collect::<Vec<_>>().join(", ");
                    self.report(column, Fault::UnknownWord { accepted });
                    return needs;
                }
            }
        }
        needs
    }

    fn emergency(&mut self) -> Vec<EmergencyContact> {
        #[derive(Default)]
        struct Parts<'a> {
            column: Option<&'a Column>,
            name: Cell,
            phone: Cell,
            relation: Cell,
        }
        let header = self.header;
        let mut slots: BTreeMap<u8, Parts<'_>> = BTreeMap::new();
        for column in &header.columns {
            if let Some(Meaning::Emergency { slot, part }) = &column.meaning {
                let cell = self.cell(column);
                if value::says_none(&cell) {
                    continue;
                }
                let parts = slots.entry(*slot).or_default();
                parts.column.get_or_insert(column);
                match part {
                    ContactPart::Name => parts.name = cell,
                    ContactPart::Phone => parts.phone = cell,
                    ContactPart::Relation => parts.relation = cell,
                }
            }
        }
        let mut contacts = Vec::new();
        for parts in slots.into_values() {
            let Some(column) = parts.column else { continue };
            // 李某(女儿)13900000000 in one cell.
            let split = split_contact(&parts.name.half_width());
            let phone = if parts.phone.is_empty() {
                split.phone.as_deref().map(Cell::text).unwrap_or_default()
            } else {
                parts.phone
            };
            let relation =
                if parts.relation.is_empty() { split.relation } else { Some(parts.relation.shown()) };
            if split.name.is_empty() || phone.is_empty() {
                self.report(column, Fault::ContactIncomplete);
                continue;
            }
            let name = PersonName::new(&split.name).map_err(Fault::from);
            let phone = value::phone(&phone);
            let relation = relation.map(|relation| OneLine::new(&relation)).transpose().map_err(Fault::from);
            match (name, phone, relation) {
                (Ok(name), Ok((phone, _)), Ok(relation)) => {
                    contacts.push(EmergencyContact { name, phone, relation })
                }
                (name, phone, relation) => {
                    for fault in [name.err(), phone.err(), relation.err()].into_iter().flatten() {
                        self.report(column, fault);
                    }
                }
            }
        }
        if contacts.len() > EMERGENCY_CONTACTS_MAX {
            self.problems.push(Problem {
                column: None,
                fault: Fault::TooManyContacts { max: EMERGENCY_CONTACTS_MAX },
            });
        }
        contacts
    }

    fn facts(&mut self, birth_date: Option<CivilDate>) -> Vec<(FieldCode, FactValue)> {
        let header = self.header;
        let mut facts: BTreeMap<FieldCode, FactValue> = BTreeMap::new();
        for column in &header.columns {
            let found = match &column.meaning {
                Some(Meaning::Fact(fact)) => {
                    let cell = self.cell(column);
                    // 无 in a yes-or-no column is a no; anywhere else it says that there is none.
                    let blank = match fact.kind {
                        FactKind::Bool | FactKind::NotBool | FactKind::Scale(_) | FactKind::Code(_) => {
                            value::says_nothing(&cell)
                        }
                        FactKind::Integer | FactKind::Date | FactKind::FreeCode | FactKind::Text => {
                            value::says_none(&cell)
                        }
                    };
                    if blank {
                        continue;
                    }
                    match fact_value(&cell, fact, &column.normal) {
                        Ok(found) => vec![(fact.field.clone(), found)],
                        Err(fault) => {
                            self.report(column, fault);
                            continue;
                        }
                    }
                }
                Some(Meaning::Classes) => self.classes(column, birth_date),
                Some(Meaning::Living) => self.living(column),
                Some(Meaning::AdvancedAge) => {
                    let says_yes = value::yes_or_no(&self.cell(column), &column.normal, &[], &[]) == Ok(true);
                    if says_yes && birth_date.is_none() {
                        self.note(&Meaning::AdvancedAge, Fault::AgeWithoutBirthDate);
                    }
                    continue;
                }
                Some(_) | None => continue,
            };
            for (field, found) in found {
                match facts.get(&field) {
                    Some(known) if *known != found => self.report(column, Fault::Contradiction),
                    Some(_) => {}
                    None => {
                        facts.insert(field, found);
                    }
                }
            }
        }
        facts.into_iter().collect()
    }

    /// 独居、高龄: every class that names an attribute.
    fn classes(&mut self, column: &Column, birth_date: Option<CivilDate>) -> Vec<(FieldCode, FactValue)> {
        let cell = self.cell(column);
        if value::says_none(&cell) {
            return Vec::new();
        }
        let mut facts = Vec::new();
        let mut unknown = false;
        for word in words(&cell.half_width()) {
            match column::meaning(&column::normal_title(&word)) {
                Some(Meaning::Fact(FactColumn { field, kind: FactKind::Bool })) => {
                    facts.push((field, FactValue::Bool(true)));
                }
                Some(Meaning::AdvancedAge) if birth_date.is_some() => {}
                Some(Meaning::AdvancedAge) => self
                    .notes
                    .push(Problem { column: Some(column.title.clone()), fault: Fault::AgeWithoutBirthDate }),
                Some(_) | None => unknown = true,
            }
        }
        if unknown {
            self.notes.push(Problem { column: Some(column.title.clone()), fault: Fault::UnknownClass });
        }
        facts
    }

    /// How somebody lives, in one column.
    fn living(&mut self, column: &Column) -> Vec<(FieldCode, FactValue)> {
        let cell = self.cell(column);
        if value::says_nothing(&cell) {
            return Vec::new();
        }
        let text = cell.half_width();
        let has = |words: &[&str]| words.iter().any(|word| text.to_lowercase().contains(word));
        let (alone, nest) = if has(&["独居", "独自", "alone"]) {
            (true, true)
        } else if has(&["空巢", "配偶", "老伴", "spouse"]) && !has(&["子女", "儿", "女儿", "children"])
        {
            (false, true)
        } else if has(&["子女", "儿", "女", "家人", "保姆", "合住", "children", "family"]) {
            (false, false)
        } else {
            self.report(column, Fault::UnknownWord { accepted: "独居, 与配偶同住, 与子女同住".into() });
            return Vec::new();
        };
        let fact = |field: &str, value: bool| Some((FieldCode::new(field).ok()?, FactValue::Bool(value)));
        [fact("lives_alone", alone), fact("empty_nest", nest)].into_iter().flatten().collect()
    }
}
