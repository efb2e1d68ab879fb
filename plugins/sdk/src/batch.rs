//! Reading a batch: everything about its shape is checked once, then rows are read without further questions.

use crate::abi::{self, BatchHeader, Column};
use crate::date::Date;

/// A checked batch.
#[derive(Debug)]
pub struct Batch<'a> {
    rows: usize,
    columns: Vec<ColumnView<'a>>,
}

/// Residents that are read together: as many as there are bits in a word, and few enough that they stay in the fastest
/// cache.
pub(crate) const STRIDE: usize = u64::BITS as usize;

/// A checked column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnView<'a> {
    rows: usize,
    /// One element serves every row.
    constant: bool,
    /// Bytes of an element; 0 where the elements are texts.
    width: usize,
    // INVARIANT: each array has an element for every row below `rows`, or one if it is constant. One that is not there is
    // empty.
    values: &'a [u8],
    /// One bit per element.
    validity: Option<&'a [u8]>,
    /// Where the elements of a column of text begin, and where the last one ends.
    offsets: &'a [u32],
    since: &'a [i32],
}

/// A column in which no row has a value.
const NOTHING: ColumnView<'static> =
    ColumnView { rows: 0, constant: false, width: 0, values: &[], validity: None, offsets: &[], since: &[] };

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
        Ok(Self {
            rows,
            constant,
            width,
            values: array(bytes, values_off as usize, size).ok_or(outside)?,
            validity: match validity_off {
                0 => None,
                at => Some(array(bytes, at as usize, elements.div_ceil(8)).ok_or(outside)?),
            },
            offsets: offsets.unwrap_or_default(),
            since: match since_off {
                0 => &[],
                at => array(bytes, at as usize, elements).ok_or(outside)?,
            },
        })
    }

    /// Whether one element serves every row.
    #[inline]
    pub(crate) fn is_constant(&self) -> bool {
        self.constant
    }

    /// Which of the rows of a stride have a value, one bit per row. The first row of a stride is a multiple of [`STRIDE`].
    #[inline]
    pub(crate) fn known(&self, first: usize) -> u64 {
        let in_stride = self.rows.saturating_sub(first);
        let exist = if in_stride >= STRIDE { u64::MAX } else { (1 << in_stride) - 1 };
        let bits = match self.validity {
            None => u64::MAX,
            Some(bits) if self.constant => {
                bits.first().map_or(0, |bits| 0_u64.wrapping_sub(u64::from(bits & 1)))
            }
            Some(bits) => match bits.get(first / 8..).and_then(<[u8]>::first_chunk) {
                Some(whole) => u64::from_le_bytes(*whole),
                None => {
                    let last = bits.get(first / 8..).unwrap_or_default();
                    last.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
                }
            },
        };
        bits & exist
    }

    /// The values of a stride, for types of `N` bytes, and from when on they count; empty where it is not said. A row
    /// without a value has any. The column is not constant.
    #[inline]
    pub(crate) fn stride<const N: usize>(&self, first: usize) -> (&'a [[u8; N]], &'a [i32]) {
        let values = if N == self.width { self.values.as_chunks().0 } else { &[] };
        (values.get(first..).unwrap_or_default(), self.since.get(first..).unwrap_or_default())
    }

    /// Place of a row's element; `None` where it has no value.
    fn element(&self, row: usize) -> Option<usize> {
        let element = if self.constant { 0 } else { row };
        let known = |bits: &[u8]| bits.get(element / 8).is_some_and(|byte| byte >> (element % 8) & 1 == 1);
        (row < self.rows && self.validity.is_none_or(known)).then_some(element)
    }

    /// The bytes of a row's value, for types of `N` bytes.
    pub(crate) fn fixed<const N: usize>(&self, row: usize) -> Option<[u8; N]> {
        let element = self.element(row)?;
        if N == self.width { self.values.as_chunks().0.get(element).copied() } else { None }
    }

    /// A row's text.
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        let element = self.element(row)?;
        let (start, end) = (*self.offsets.get(element)?, *self.offsets.get(element + 1)?);
        std::str::from_utf8(self.values.get(start as usize..end as usize)?).ok()
    }

    /// From when on a row's value counts.
    pub(crate) fn since(&self, row: usize) -> Date {
        let element = if self.constant { 0 } else { row };
        self.since.get(element).map_or(Date::ALWAYS, |days| Date::from_days(*days))
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
