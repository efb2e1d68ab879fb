//! A batch that is filled where it will lie: a fact is written once, and nothing is moved in the end.

use super::{Batch, Column, ColumnData, EncodeError, Writer, bytes_of, copy, halves_of, offset, table_words};
use crate::{COL_CONSTANT, NO_DATE, T_BOOL, T_CODE, T_DATE, T_INTEGER, T_TEXT};

/// Two halves of a word without a date.
const NO_DATES: u64 = (NO_DATE as u32 as u64) << 32 | NO_DATE as u32 as u64;

/// A value of a type whose elements have one width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    kind: u16,
    /// The element, little-endian; what it does not fill is zero.
    bits: u64,
}

impl Fixed {
    /// Yes or no.
    #[inline]
    pub fn bool(yes: bool) -> Self {
        Self { kind: T_BOOL, bits: u64::from(yes) }
    }

    /// A whole number.
    #[inline]
    pub fn integer(number: i64) -> Self {
        Self { kind: T_INTEGER, bits: number.cast_unsigned() }
    }

    /// Days since 1970-01-01.
    #[inline]
    pub fn date(days: i32) -> Self {
        Self { kind: T_DATE, bits: u64::from(days.cast_unsigned()) }
    }

    /// The ordinal in the field's values.
    #[inline]
    pub fn code(ordinal: u32) -> Self {
        Self { kind: T_CODE, bits: u64::from(ordinal) }
    }

    /// The `T_*` type.
    pub fn kind(self) -> u16 {
        self.kind
    }

    /// The element, little-endian; what it does not fill is zero.
    pub fn bits(self) -> u64 {
        self.bits
    }
}

/// A value of any type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// Of a type whose elements have one width.
    Fixed(Fixed),
    /// A text.
    Text(&'a str),
}

/// Room for so many rows, each of which is without a value at first. Rows are filled in ascending order.
#[derive(Debug)]
pub struct Draft {
    /// Header and table of columns, then the arrays of the fields.
    words: Vec<u64>,
    fields: Vec<Field>,
    parameters: usize,
    room: usize,
}

/// Where the arrays of a field lie.
#[derive(Debug)]
struct Field {
    kind: u16,
    /// The width of an element is 1 << shift bytes.
    shift: u32,
    /// In bytes from the beginning. Of a text its ends: element i ends where element i + 1 begins.
    values: usize,
    /// In bytes from the beginning.
    validity: usize,
    /// In halves of words from the beginning.
    since: usize,
    /// Whether a value counts from some day on.
    dated: bool,
    text: Text,
}

/// The texts of a field, which lie behind everything else in the end.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    /// Rows whose ends are written.
    rows: usize,
}

impl Draft {
    /// Room for rows of fields of these `T_*` types, and for so many parameters.
    pub fn new(kinds: &[u16], parameters: usize, room: usize) -> Self {
        let table = table_words(1 + kinds.len() + parameters);
        // One element more: the end of the last text, and what is written behind the last value.
        let array = |shift: u32| ((room << shift) + 8).div_ceil(8);
        let (bits, days) = (room.div_ceil(64), room.div_ceil(2));
        let arrays: usize = kinds.iter().map(|kind| array(shift(*kind)) + bits + days).sum();
        // What comes at last: the dates of the rows and the parameters.
        let mut words = Vec::with_capacity(table + arrays + days + 4 * parameters);
        words.resize(table, 0);
        let mut fields = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let (values, shift) = (words.len(), shift(*kind));
            let validity = values + array(shift);
            let since = validity + bits;
            words.resize(since, 0);
            words.resize(since + days, NO_DATES);
            let (values, validity, since) = (8 * values, 8 * validity, 2 * since);
            let (dated, text) = (false, Text::default());
            fields.push(Field { kind: *kind, shift, values, validity, since, dated, text });
        }
        Self { words, fields, parameters, room }
    }

    /// How many rows it has room for.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Makes room for more rows.
    pub fn grow(&mut self, room: usize) {
        let kinds: Vec<u16> = self.fields.iter().map(|field| field.kind).collect();
        let mut larger = Self::new(&kinds, self.parameters, room.max(self.room));
        let (from, to) = (bytes_of(&mut self.words), bytes_of(&mut larger.words));
        for (old, new) in self.fields.iter_mut().zip(&mut larger.fields) {
            for (at, size, place) in [
                (old.values, (self.room << old.shift) + 8, new.values),
                (old.validity, self.room.div_ceil(8), new.validity),
                (old.since * 4, self.room * 4, new.since * 4),
            ] {
                copy(to, place, from.get(at..at + size).unwrap_or_default());
            }
            (new.dated, new.text) = (old.dated, core::mem::take(&mut old.text));
        }
        *self = larger;
    }

    /// Gives a row a value, which counts from a day on (`NO_DATE`: always). Says whether it fits: a value of the field's
    /// type, a row that there is room for.
    pub fn set(&mut self, field: usize, row: usize, element: Element<'_>, since: i32) -> bool {
        match element {
            Element::Fixed(value) => self.set_fixed(field, row, value, since),
            Element::Text(value) => {
                let fits =
                    row < self.room && self.fields.get(field).is_some_and(|field| field.kind == T_TEXT);
                if fits && let Some(field) = self.fields.get_mut(field) {
                    field.set_text(&mut self.words, row, value);
                    field.mark(&mut self.words, row, since);
                }
                fits
            }
        }
    }

    /// As [`Draft::set`], for types whose elements have one width: all take the same way.
    #[inline]
    pub fn set_fixed(&mut self, field: usize, row: usize, value: Fixed, since: i32) -> bool {
        let Some(field) = self.fields.get_mut(field) else { return false };
        if row >= self.room || value.kind != field.kind {
            return false;
        }
        // Eight bytes whatever the width: what does not belong to the element are zeros, and the rows after it hold nothing
        // else yet. Behind every array is room for them. No sum overflows: it is a place in the words.
        let at = field.values.wrapping_add(row.wrapping_shl(field.shift));
        if let Some(place) = bytes_of(&mut self.words).get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = value.bits.to_le_bytes();
        }
        field.mark(&mut self.words, row, since);
        true
    }

    /// Takes away what a row was given; no row after it was given anything.
    pub fn unset(&mut self, row: usize) {
        if row >= self.room {
            return;
        }
        for field in &mut self.fields {
            if field.kind == T_TEXT {
                field.cut_text(&mut self.words, row);
            } else {
                let (at, width) = (field.values + (row << field.shift), 1 << field.shift);
                let bytes = bytes_of(&mut self.words).get_mut(at..at + width);
                bytes.into_iter().for_each(|bytes| bytes.fill(0));
            }
            if let Some(byte) = bytes_of(&mut self.words).get_mut(field.validity + row / 8) {
                *byte &= !(1 << (row % 8));
            }
            put(halves_of(&mut self.words), field.since + row, NO_DATE);
        }
    }

    /// The batch of the first rows: one for each of the dates. `parameters` have an element for each of them, or one.
    ///
    /// # Errors
    /// [`EncodeError`], where the parameters do not fit, or more rows are wanted than there is room for.
    pub fn finish(mut self, today: &[i32], parameters: &[ColumnData]) -> Result<Batch, EncodeError> {
        let rows = today.len();
        if rows > self.room {
            return Err(EncodeError::ColumnLength(0));
        }
        self.unset(rows); // what a row was given that was not wanted in the end
        let words = &mut self.words;
        self.fields.iter_mut().for_each(|field| field.end_text(words, rows));
        let mut writer = Writer::new(self.words, 1 + self.fields.len() + self.parameters);
        // As a rule it is one day for all, which is then read once.
        let (days, flags) = match today {
            [day, others @ ..] if others.iter().all(|other| other == day) => {
                (core::slice::from_ref(day), COL_CONSTANT)
            }
            _ => (today, 0),
        };
        let values_off = writer.array(super::plain(days))?;
        writer.table.push(Column { values_off, flags, ..column(T_DATE) });
        for field in &self.fields {
            let mut column = column(field.kind);
            let values = offset(field.values)?;
            (column.values_off, column.offsets_off) = match field.kind {
                T_TEXT => (writer.array(&field.text.bytes)?, values),
                _ => (values, 0),
            };
            let bits = super::plain(&writer.words).get(field.validity..).unwrap_or_default();
            if !all(bits, rows) {
                column.validity_off = offset(field.validity)?;
            }
            if field.dated {
                column.since_off = offset(field.since * 4)?;
            }
            writer.table.push(column);
        }
        let (rows, fields) = (rows as u32, self.fields.len() as u32);
        for parameter in parameters {
            writer.column(parameter, rows)?;
        }
        writer.finish(rows, fields, self.parameters as u32)
    }
}

impl Field {
    /// Says that a row has a value, and from when on it counts.
    #[inline]
    fn mark(&mut self, words: &mut [u64], row: usize, since: i32) {
        if let Some(byte) = bytes_of(words).get_mut(self.validity.wrapping_add(row / 8)) {
            *byte |= 1 << (row % 8);
        }
        put(halves_of(words), self.since.wrapping_add(row), since);
        self.dated |= since != NO_DATE;
    }

    /// Appends a row's text. A row that has one already gets another.
    fn set_text(&mut self, words: &mut [u64], row: usize, value: &str) {
        self.cut_text(words, row);
        self.text.bytes.extend_from_slice(value.as_bytes());
        self.end_text(words, row + 1);
    }

    /// Forgets the texts from a row on.
    fn cut_text(&mut self, words: &mut [u64], row: usize) {
        self.end_text(words, row);
        let end = halves_of(words).get(self.values / 4 + row).copied().unwrap_or_default();
        self.text.bytes.truncate(end.cast_unsigned() as usize);
        self.text.rows = row;
    }

    /// Writes the ends of texts up to a row.
    fn end_text(&mut self, words: &mut [u64], rows: usize) {
        if self.kind == T_TEXT {
            let end = (self.text.bytes.len() as u32).cast_signed();
            for row in self.text.rows..rows {
                put(halves_of(words), self.values / 4 + row + 1, end);
            }
            self.text.rows = self.text.rows.max(rows);
        }
    }
}

/// The width of an element, as a power of two; of a text that of its end.
fn shift(kind: u16) -> u32 {
    match kind {
        T_BOOL => 0,
        T_INTEGER => 3,
        _ => 2,
    }
}

fn column(kind: u16) -> Column {
    Column { kind, flags: 0, values_off: 0, validity_off: 0, offsets_off: 0, since_off: 0, reserved: 0 }
}

/// Whether the first bits are all set.
fn all(bits: &[u8], count: usize) -> bool {
    let (whole, rest) = (bits.get(..count / 8).unwrap_or_default(), (1_u8 << (count % 8)) - 1);
    whole.iter().all(|byte| *byte == u8::MAX) && bits.get(count / 8).is_none_or(|byte| byte & rest == rest)
}

#[inline]
fn put<T>(values: &mut [T], at: usize, value: T) {
    if let Some(place) = values.get_mut(at) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Elements;

    const KINDS: [u16; 5] = [T_BOOL, T_INTEGER, T_DATE, T_CODE, T_TEXT];

    /// What a batch says of a field in each row: the bytes of the value and from when on it counts.
    fn read(batch: &Batch, column: usize) -> Vec<Option<(Vec<u8>, i32)>> {
        let bytes = batch.as_bytes();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let at = word(24) as usize + column * size_of::<Column>();
        let kind = word(at) as u16;
        let [values, validity, ends, since] = [4, 8, 12, 16].map(|member| word(at + member) as usize);
        let row = |row: usize| {
            let is_known = validity == 0 || bytes[validity + row / 8] >> (row % 8) & 1 == 1;
            let (from, to) = match kind {
                T_TEXT => (word(ends + 4 * row) as usize, word(ends + 4 * row + 4) as usize),
                _ => (row << shift(kind), (row + 1) << shift(kind)),
            };
            let since = if since == 0 { NO_DATE } else { word(since + 4 * row).cast_signed() };
            is_known.then(|| (bytes[values + from..values + to].to_vec(), since))
        };
        (0..batch.rows() as usize).map(row).collect()
    }

    /// Elements of every type that differ from row to row.
    fn elements(row: usize) -> [Element<'static>; 5] {
        let number = row as i64 * 257 - 3;
        [
            Element::Fixed(Fixed::bool(row.is_multiple_of(2))),
            Element::Fixed(Fixed::integer(number)),
            Element::Fixed(Fixed::date(-(row as i32))),
            Element::Fixed(Fixed::code(row as u32)),
            Element::Text(["", "无", "wheelchair"][row % 3]),
        ]
    }

    fn bytes(element: Element<'_>) -> Vec<u8> {
        match element {
            Element::Fixed(value) => value.bits().to_le_bytes()[..1 << shift(value.kind())].to_vec(),
            Element::Text(text) => text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_was_set_is_read_and_nothing_else() {
        for rows in [0, 1, 7, 8, 9, 63, 64, 65, 200] {
            let mut draft = Draft::new(&KINDS, 1, 0);
            let mut expected = vec![Vec::new(); KINDS.len()];
            for row in 0..rows {
                if row >= draft.room() {
                    draft.grow(row * 2 + 1);
                }
                // A row that is taken back, and its values with it.
                for (field, element) in elements(row + 1).into_iter().enumerate() {
                    assert!(draft.set(field, row, element, 7));
                }
                draft.unset(row);
                for (field, element) in elements(row).into_iter().enumerate() {
                    let known = (row + field) % 4 != 0;
                    let since = if field == 2 { NO_DATE } else { row as i32 };
                    if known {
                        assert!(draft.set(field, row, elements(row + 2)[field], since), "the last one holds");
                        assert!(draft.set(field, row, element, since));
                    }
                    expected[field].push(known.then(|| (bytes(element), since)));
                }
            }
            // A row that was begun and is not wanted.
            draft.grow(rows + 1);
            for (field, element) in elements(rows).into_iter().enumerate() {
                draft.set(field, rows, element, 7);
            }
            draft.set(4, rows, Element::Text("not wanted"), 7);
            let today: Vec<i32> = (0..rows as i32).collect();
            let parameter = ColumnData::constant(Elements::Integer(vec![80]));
            let batch = draft.finish(&today, &[parameter]).unwrap();
            assert_eq!(batch.rows() as usize, rows);
            for (field, expected) in expected.iter().enumerate() {
                assert_eq!(&read(&batch, field + 1), expected, "field {field} of {rows} rows");
            }
            let days = read(&batch, 0).into_iter().map(|day| day.unwrap().0);
            assert!(days.eq(today.iter().map(|day| day.to_le_bytes().to_vec())));
            assert!(!batch.as_bytes().windows(10).any(|bytes| bytes == b"not wanted"));
        }
    }

    #[test]
    fn what_does_not_fit_is_not_set() {
        let mut draft = Draft::new(&KINDS, 0, 2);
        let yes = Element::Fixed(Fixed::bool(true));
        assert!(draft.set(0, 1, yes, NO_DATE));
        assert!(!draft.set(0, 2, yes, NO_DATE), "no such row");
        assert!(!draft.set(1, 0, yes, NO_DATE), "another type");
        assert!(!draft.set(4, 0, yes, NO_DATE) && !draft.set(0, 0, Element::Text("yes"), NO_DATE));
        assert!(!draft.set(5, 0, yes, NO_DATE), "no such field");
        assert_eq!(draft.finish(&[0; 3], &[]), Err(EncodeError::ColumnLength(0)));
    }

    #[test]
    fn columns_without_gaps_or_dates_say_so() {
        let mut draft = Draft::new(&[T_BOOL, T_BOOL], 0, 64);
        for row in 0..9 {
            draft.set(0, row, Element::Fixed(Fixed::bool(true)), NO_DATE);
            draft.set(1, row, Element::Fixed(Fixed::bool(true)), if row == 8 { 1 } else { NO_DATE });
        }
        let batch = draft.finish(&[0; 9], &[]).unwrap();
        let word = |at: usize| u32::from_le_bytes(batch.as_bytes()[at..at + 4].try_into().unwrap());
        let columns = [1, 2].map(|column| word(24) as usize + column * size_of::<Column>());
        assert_eq!(word(word(24) as usize) >> 16, u32::from(COL_CONSTANT), "one day for all");
        assert_eq!(columns.map(|at| word(at + 8)), [0, 0], "every row has a value");
        assert_eq!(columns.map(|at| word(at + 16) == 0), [true, false], "no date, and one");
    }
}
