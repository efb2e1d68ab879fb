//! The encoder of batches: columns in, position-independent bytes out (layout: `linli_batch` in the header).
//!
//! One encoder serves the host, the SDK's test kit and whoever writes a validator, so that a plugin sees the same
//! bytes wherever it runs. [`encode`] takes whole columns; a [`Draft`] is filled fact by fact where the batch will lie.

mod draft;

use core::fmt;

pub use draft::{Draft, Element, Fixed};

use crate::{BATCH_MAGIC, BATCH_VERSION, BatchHeader, COL_CONSTANT, Column};
use crate::{T_BOOL, T_CODE, T_DATE, T_INTEGER, T_TEXT};

/// Elements of one column, one per row, or a single one if the column is constant. A row without a value holds
/// any element (by custom the type's zero).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elements {
    /// 0 or 1.
    Bool(Vec<u8>),
    /// Whole numbers.
    Integer(Vec<i64>),
    /// Days since 1970-01-01.
    Date(Vec<i32>),
    /// Ordinals in the field's values.
    Code(Vec<u32>),
    /// Text: element i is `bytes[offsets[i]..offsets[i + 1]]`; one offset more than elements.
    Text {
        /// Where each element begins, and where the last one ends.
        offsets: Vec<u32>,
        /// UTF-8.
        bytes: Vec<u8>,
    },
}

impl Elements {
    /// An empty column of a `T_*` type; `None` for a number that is no type.
    pub fn empty(kind: u16) -> Option<Self> {
        match kind {
            T_BOOL => Some(Self::Bool(Vec::new())),
            T_INTEGER => Some(Self::Integer(Vec::new())),
            T_DATE => Some(Self::Date(Vec::new())),
            T_CODE => Some(Self::Code(Vec::new())),
            T_TEXT => Some(Self::Text { offsets: vec![0], bytes: Vec::new() }),
            _ => None,
        }
    }

    /// The `T_*` type.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Bool(_) => T_BOOL,
            Self::Integer(_) => T_INTEGER,
            Self::Date(_) => T_DATE,
            Self::Code(_) => T_CODE,
            Self::Text { .. } => T_TEXT,
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Integer(v) => v.len(),
            Self::Date(v) => v.len(),
            Self::Code(v) => v.len(),
            Self::Text { offsets, .. } => offsets.len().saturating_sub(1),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the element that stands for "no value".
    pub fn push_absent(&mut self) {
        match self {
            Self::Bool(v) => v.push(0),
            Self::Integer(v) => v.push(0),
            Self::Date(v) => v.push(0),
            Self::Code(v) => v.push(0),
            Self::Text { offsets, bytes } => offsets.push(bytes.len() as u32),
        }
    }

    /// Appends an element, as often as is said. Says whether it is of the column's type.
    pub fn push(&mut self, element: Element<'_>, times: usize) -> bool {
        let len = self.len() + times;
        match (self, element) {
            (elements, Element::Fixed(value)) if elements.kind() == value.kind() => match elements {
                Self::Bool(v) => v.resize(len, value.bits() as u8),
                Self::Integer(v) => v.resize(len, value.bits() as i64),
                Self::Date(v) => v.resize(len, value.bits() as i32),
                Self::Code(v) => v.resize(len, value.bits() as u32),
                Self::Text { .. } => return false,
            },
            (Self::Text { offsets, bytes }, Element::Text(value)) => {
                for _ in 0..times {
                    bytes.extend_from_slice(value.as_bytes());
                    offsets.push(bytes.len() as u32);
                }
            }
            (Self::Bool(_) | Self::Integer(_) | Self::Date(_) | Self::Code(_) | Self::Text { .. }, _) => {
                return false;
            }
        }
        true
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bool(v) => v,
            Self::Integer(v) => plain(v),
            Self::Date(v) => plain(v),
            Self::Code(v) => plain(v),
            Self::Text { bytes, .. } => bytes,
        }
    }
}

/// One column to encode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnData {
    /// The elements.
    pub elements: Elements,
    /// Which elements are values, one bit per element, least significant bit first; `None`: all are.
    pub validity: Option<Vec<u8>>,
    /// From when each element counts (`NO_DATE`: always), one per element; `None`: always.
    pub since: Option<Vec<i32>>,
    /// One element serves every row.
    pub constant: bool,
}

impl ColumnData {
    /// A column whose every element is a value that always counted.
    pub fn complete(elements: Elements) -> Self {
        Self { elements, validity: None, since: None, constant: false }
    }

    /// A column of one element that serves every row.
    pub fn constant(elements: Elements) -> Self {
        Self { elements, validity: None, since: None, constant: true }
    }
}

/// An encoded batch: bytes on an 8-byte boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    words: Vec<u64>,
    rows: u32,
}

impl Batch {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        plain(&self.words)
    }

    /// The header's address, as the interface wants it; valid while the batch lives.
    pub fn as_ptr(&self) -> *const BatchHeader {
        self.words.as_ptr().cast()
    }

    /// Residents in it.
    pub fn rows(&self) -> u32 {
        self.rows
    }
}

/// Why columns are not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The number of columns is not 1 + fields + parameters.
    ColumnCount,
    /// This column has not one element per row (or exactly one, if constant), or its bitmap, dates or offsets do
    /// not fit its elements.
    ColumnLength(usize),
    /// More than 4 GiB.
    TooLarge,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ColumnCount => {
                f.write_str("the number of columns is not one more than fields and parameters")
            }
            Self::ColumnLength(column) => write!(f, "column {column} does not fit the number of rows"),
            Self::TooLarge => f.write_str("the batch is larger than 4 GiB"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Encodes `rows` residents. `columns` are `today`, the fields, the parameters.
///
/// # Errors
/// [`EncodeError`] where the columns do not fit the counts or each other.
pub fn encode(rows: u32, fields: u32, parameters: u32, columns: &[ColumnData]) -> Result<Batch, EncodeError> {
    let mut writer = Writer::new(vec![0; table_words(columns.len())], columns.len());
    for column in columns {
        writer.column(column, rows)?;
    }
    writer.finish(rows, fields, parameters)
}

/// Words that the header and a table of so many columns take.
fn table_words(columns: usize) -> usize {
    (size_of::<BatchHeader>() + columns * size_of::<Column>()) / 8
}

/// Puts arrays behind one another, and at last the header and the table of columns before them.
struct Writer {
    words: Vec<u64>,
    table: Vec<Column>,
}

impl Writer {
    /// Goes on behind words that hold room for header and table, and arrays as the case may be.
    fn new(words: Vec<u64>, columns: usize) -> Self {
        Self { words, table: Vec::with_capacity(columns) }
    }

    /// The offset of an array on the next 8-byte boundary.
    fn array(&mut self, bytes: &[u8]) -> Result<u32, EncodeError> {
        let offset = offset(8 * self.words.len())?;
        let (whole, rest) = bytes.as_chunks::<8>();
        self.words.extend(whole.iter().map(|chunk| u64::from_le_bytes(*chunk)));
        if !rest.is_empty() {
            let mut last = [0_u8; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.words.push(u64::from_le_bytes(last));
        }
        Ok(offset)
    }

    fn column(&mut self, data: &ColumnData, rows: u32) -> Result<(), EncodeError> {
        check(data, rows).ok_or(EncodeError::ColumnLength(self.table.len()))?;
        let values_off = self.array(data.elements.bytes())?;
        let validity_off = data.validity.as_deref().map_or(Ok(0), |bits| self.array(bits))?;
        let offsets_off = match &data.elements {
            Elements::Text { offsets, .. } => self.array(plain(offsets))?,
            Elements::Bool(_) | Elements::Integer(_) | Elements::Date(_) | Elements::Code(_) => 0,
        };
        let since_off = data.since.as_deref().map_or(Ok(0), |days| self.array(plain(days)))?;
        let (kind, flags) = (data.elements.kind(), if data.constant { COL_CONSTANT } else { 0 });
        self.table.push(Column {
            kind,
            flags,
            values_off,
            validity_off,
            offsets_off,
            since_off,
            reserved: 0,
        });
        Ok(())
    }

    fn finish(mut self, rows: u32, fields: u32, parameters: u32) -> Result<Batch, EncodeError> {
        if self.table.len() as u64 != 1 + u64::from(fields) + u64::from(parameters) {
            return Err(EncodeError::ColumnCount);
        }
        let header = BatchHeader {
            magic: BATCH_MAGIC,
            version: BATCH_VERSION,
            header_size: size_of::<BatchHeader>() as u16,
            total_size: offset(8 * self.words.len())?,
            rows,
            fields,
            parameters,
            columns_off: size_of::<BatchHeader>() as u32,
            column_size: size_of::<Column>() as u16,
            reserved: 0,
        };
        let out = bytes_of(&mut self.words);
        copy(out, 0, plain(core::slice::from_ref(&header)));
        copy(out, size_of::<BatchHeader>(), plain(&self.table));
        Ok(Batch { words: self.words, rows })
    }
}

fn check(data: &ColumnData, rows: u32) -> Option<()> {
    let elements = data.elements.len();
    let expected = if data.constant { 1 } else { rows as usize };
    let lengths = elements == expected
        && data.validity.as_ref().is_none_or(|bits| bits.len() >= expected.div_ceil(8))
        && data.since.as_ref().is_none_or(|days| days.len() == expected);
    let text = match &data.elements {
        Elements::Text { offsets, bytes } => {
            offsets.is_sorted() && offsets.last().is_some_and(|end| *end as usize == bytes.len())
        }
        Elements::Bool(_) | Elements::Integer(_) | Elements::Date(_) | Elements::Code(_) => true,
    };
    (lengths && text).then_some(())
}

fn offset(bytes: usize) -> Result<u32, EncodeError> {
    u32::try_from(bytes).map_err(|_| EncodeError::TooLarge)
}

fn copy(out: &mut [u8], start: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(start..start + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Types without padding and without invalid bit patterns.
trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u64 {}
impl Plain for i64 {}
impl Plain for BatchHeader {}
impl Plain for Column {}

fn plain<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: `Plain` types have no padding, so every byte is initialised; the length is exact.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

#[inline]
fn bytes_of(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: as in `plain`, and every bit pattern is a valid `u64`.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

#[inline]
fn halves_of(words: &mut [u64]) -> &mut [i32] {
    // SAFETY: as in `bytes_of`; a word holds two, on its own boundary.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words) / 4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(n: usize) -> ColumnData {
        ColumnData::complete(Elements::Date(vec![7; n]))
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        let check = |rows, fields, columns: &[ColumnData], expected| {
            assert_eq!(encode(rows, fields, 0, columns), Err(expected));
        };
        check(1, 1, &[dates(1)], EncodeError::ColumnCount);
        check(2, 0, &[dates(1)], EncodeError::ColumnLength(0));
        check(2, 1, &[dates(2), dates(3)], EncodeError::ColumnLength(1));
        let short_bits = ColumnData { validity: Some(vec![0]), ..dates(9) };
        check(9, 0, &[short_bits], EncodeError::ColumnLength(0));
        let short_since = ColumnData { since: Some(vec![0]), ..dates(2) };
        check(2, 0, &[short_since], EncodeError::ColumnLength(0));
        let text = ColumnData::complete(Elements::Text { offsets: vec![0, 3], bytes: b"ab".to_vec() });
        check(1, 0, &[text], EncodeError::ColumnLength(0));
    }

    #[test]
    fn every_array_lies_on_an_eight_byte_boundary_inside_the_batch() {
        let text = ColumnData::complete(Elements::Text { offsets: vec![0, 1, 3, 3], bytes: b"abc".to_vec() });
        let flags = ColumnData { validity: Some(vec![0b101]), since: Some(vec![1, 2, 3]), ..dates(3) };
        let batch =
            encode(3, 2, 1, &[dates(3), text, flags, ColumnData::constant(Elements::Integer(vec![80]))])
                .unwrap();
        assert_eq!(batch.as_ptr().align_offset(8), 0);
        let bytes = batch.as_bytes();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(word(0), BATCH_MAGIC);
        assert_eq!(word(8) as usize, bytes.len());
        let columns = word(24) as usize;
        for column in 0..4 {
            for member in [4, 8, 12, 16] {
                let offset = word(columns + column * 24 + member) as usize;
                assert_eq!(offset % 8, 0);
                assert!(offset < bytes.len());
            }
        }
        let values = word(columns + 24 + 4) as usize;
        assert_eq!(&bytes[values..values + 3], b"abc");
    }
}
