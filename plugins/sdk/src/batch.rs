//! Reading a batch: everything about its shape is checked once, then rows are read without further questions.

use crate::abi::{self, BatchHeader, Column};
use crate::date::Date;

/// A checked batch.
#[derive(Debug)]
pub struct Batch<'a> {
    rows: usize,
    columns: Vec<ColumnView<'a>>,
}

/// A checked column. A row is compared with the number of rows once; then its value is there, whether or not it is
/// one, and is taken without a branch: which facts are known cannot be foretold.
#[derive(Debug, Clone, Copy)]
pub struct ColumnView<'a> {
    // INVARIANT: each array has an element for every row below `rows`, values `width` bytes an element.
    rows: usize,
    width: usize,
    values: Array<'a, u8>,
    /// One bit per element.
    validity: Array<'a, u8>,
    /// Where the elements of a column of text begin, and where the last one ends; empty for other types.
    offsets: &'a [u32],
    since: Array<'a, i32>,
}

/// An array with an element for each row, or with one that serves every row: then the mask is 0, otherwise all ones.
/// What a column lacks is an array of one, so that reading asks no questions.
#[derive(Debug, Clone, Copy)]
struct Array<'a, T> {
    mask: usize,
    items: &'a [T],
}

impl<'a, T> Array<'a, T> {
    const fn one(items: &'a [T]) -> Self {
        Self { mask: 0, items }
    }
}

/// A column in which no row has a value.
const NOTHING: ColumnView<'static> = ColumnView {
    rows: 0,
    width: 0,
    values: Array::one(&[]),
    validity: Array::one(&[0]),
    offsets: &[],
    since: Array::one(&[abi::NO_DATE]),
};

impl<'a> Batch<'a> {
    /// Checks a batch whose columns must have these types (`today` first).
    ///
    /// # Safety
    /// `header` is null or points to a batch as the interface describes, which lives for `'a`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) unsafe fn open(
        header: *const BatchHeader,
        kinds: &[u16],
        fields: usize,
    ) -> Result<Self, &'static str> {
        if header.is_null() || header.align_offset(8) != 0 {
            return Err("the batch is null or not on an 8-byte boundary");
        }
        // SAFETY: the caller's promise.
        let head = unsafe { *header };
        if head.magic != abi::BATCH_MAGIC || head.version != abi::BATCH_VERSION {
            return Err("the batch has another magic number or version");
        }
        // SAFETY: the caller's promise: `total_size` bytes belong to the batch.
        let bytes = unsafe { std::slice::from_raw_parts(header.cast::<u8>(), head.total_size as usize) };
        if head.fields as usize != fields
            || head.fields as usize + head.parameters as usize + 1 != kinds.len()
        {
            return Err("the batch has other fields or parameters than the manifest");
        }
        let rows = head.rows as usize;
        let mut columns = Vec::with_capacity(kinds.len());
        for (index, kind) in kinds.iter().enumerate() {
            let at = head.columns_off as usize + index * usize::from(head.column_size);
            let raw =
                array::<u32>(bytes, at, size_of::<Column>() / 4).ok_or("a column lies outside the batch")?;
            columns.push(ColumnView::open(bytes, raw, *kind, rows)?);
        }
        Ok(Self { rows, columns })
    }

    /// How many residents it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column: 0 is `today`, then fields, then parameters.
    pub fn column(&self, index: usize) -> &ColumnView<'a> {
        self.columns.get(index).unwrap_or(&NOTHING)
    }
}

impl<'a> ColumnView<'a> {
    fn open(bytes: &'a [u8], raw: &[u32], kind: u16, rows: usize) -> Result<Self, &'static str> {
        let &[types, values_off, validity_off, offsets_off, since_off, _] = raw else {
            return Err("a column lies outside the batch");
        };
        if types as u16 != kind {
            return Err("a column has another type than the manifest declares");
        }
        let constant = (types >> 16) as u16 & abi::COL_CONSTANT != 0;
        let elements = if constant { 1 } else { rows };
        let outside = "an array lies outside the batch";
        let (width, offsets) = match kind {
            abi::T_BOOL => (1, None),
            abi::T_INTEGER => (8, None),
            abi::T_DATE | abi::T_CODE => (4, None),
            abi::T_TEXT => {
                let offsets = array::<u32>(bytes, offsets_off as usize, elements + 1).ok_or(outside)?;
                (0, Some(offsets))
            }
            _ => return Err("a column has an unknown type"),
        };
        let size = match offsets {
            Some(offsets) => *offsets.last().unwrap_or(&0) as usize,
            None => elements * width,
        };
        let mask = if constant { 0 } else { usize::MAX };
        Ok(Self {
            rows,
            width,
            values: Array { mask, items: array(bytes, values_off as usize, size).ok_or(outside)? },
            validity: match validity_off {
                0 => Array::one(&[u8::MAX]),
                at => Array { mask, items: array(bytes, at as usize, elements.div_ceil(8)).ok_or(outside)? },
            },
            offsets: offsets.unwrap_or_default(),
            since: match since_off {
                0 => Array::one(&[abi::NO_DATE]),
                at => Array { mask, items: array(bytes, at as usize, elements).ok_or(outside)? },
            },
        })
    }

    /// Whether one element serves every row.
    pub(crate) fn is_constant(&self) -> bool {
        self.values.mask == 0
    }

    /// Whether a row has a value; the row is below `rows`.
    #[inline]
    fn present(&self, row: usize) -> bool {
        let bit = row & self.validity.mask;
        debug_assert!(bit / 8 < self.validity.items.len());
        // SAFETY: the array has a bit for every row below `rows`.
        let byte = unsafe { *self.validity.items.get_unchecked(bit / 8) };
        byte >> (bit % 8) & 1 == 1
    }

    /// The bytes of a row's value, for types of `N` bytes.
    #[inline]
    pub(crate) fn fixed<const N: usize>(&self, row: usize) -> Option<[u8; N]> {
        if row >= self.rows || N != self.width {
            return None;
        }
        let start = (row & self.values.mask) * N;
        debug_assert!(start + N <= self.values.items.len());
        // SAFETY: the array has `width` bytes for every row below `rows`, and an array of bytes needs no boundary.
        let bytes = unsafe { *self.values.items.as_ptr().add(start).cast::<[u8; N]>() };
        if self.present(row) { Some(bytes) } else { None }
    }

    /// A row's text.
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        if row >= self.rows || !self.present(row) {
            return None;
        }
        let element = row & self.values.mask;
        let (start, end) = (*self.offsets.get(element)?, *self.offsets.get(element + 1)?);
        std::str::from_utf8(self.values.items.get(start as usize..end as usize)?).ok()
    }

    /// From when on a row's value counts.
    #[inline]
    pub(crate) fn since(&self, row: usize) -> Date {
        if row >= self.rows {
            return Date::ALWAYS;
        }
        let element = row & self.since.mask;
        debug_assert!(element < self.since.items.len());
        // SAFETY: the array has a date for every row below `rows`.
        Date::from_days(unsafe { *self.since.items.get_unchecked(element) })
    }
}

/// Types of which every bit pattern is a value.
trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for i32 {}

/// `len` elements at an offset, if they lie inside and on their boundary.
fn array<T: Plain>(bytes: &[u8], at: usize, len: usize) -> Option<&[T]> {
    let size = len.checked_mul(size_of::<T>())?;
    let slice = bytes.get(at..at.checked_add(size)?)?;
    if slice.as_ptr().align_offset(align_of::<T>()) != 0 {
        return None;
    }
    // SAFETY: in bounds, aligned, and every bit pattern is a value.
    Some(unsafe { std::slice::from_raw_parts(slice.as_ptr().cast(), len) })
}
