//! Reading a batch: everything about its shape is checked once, then rows are read without further questions.

use crate::abi::{self, BatchHeader, Column};
use crate::date::Date;

/// A checked batch.
#[derive(Debug)]
pub struct Batch<'a> {
    rows: usize,
    columns: Vec<ColumnView<'a>>,
}

/// A checked column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnView<'a> {
    /// 0 where one element holds for every row, all ones otherwise.
    mask: usize,
    values: &'a [u8],
    validity: Option<&'a [u8]>,
    offsets: &'a [u32],
    since: Option<&'a [i32]>,
}

/// A column in which no row has a value.
const NOTHING: ColumnView<'static> =
    ColumnView { mask: 0, values: &[], validity: Some(&[0]), offsets: &[], since: None };

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

    /// The civil date of a row's site.
    pub fn today(&self, row: usize) -> Date {
        self.column(0).fixed(row).map_or(Date::ALWAYS, |bytes| Date::from_days(i32::from_le_bytes(bytes)))
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
        let optional = |offset: u32| (offset != 0).then_some(offset as usize);
        Ok(Self {
            mask: if constant { 0 } else { usize::MAX },
            values: array(bytes, values_off as usize, size).ok_or(outside)?,
            validity: match optional(validity_off) {
                Some(at) => Some(array(bytes, at, elements.div_ceil(8)).ok_or(outside)?),
                None => None,
            },
            offsets: offsets.unwrap_or_default(),
            since: match optional(since_off) {
                Some(at) => Some(array(bytes, at, elements).ok_or(outside)?),
                None => None,
            },
        })
    }

    fn present(&self, element: usize) -> bool {
        self.validity
            .is_none_or(|bits| bits.get(element / 8).is_some_and(|byte| byte >> (element % 8) & 1 == 1))
    }

    /// The bytes of a row's value.
    pub(crate) fn fixed<const N: usize>(&self, row: usize) -> Option<[u8; N]> {
        let element = row & self.mask;
        let bytes = self.values.get(element * N..)?.first_chunk()?;
        self.present(element).then_some(*bytes)
    }

    /// A row's text.
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        let element = row & self.mask;
        let (start, end) = (*self.offsets.get(element)?, *self.offsets.get(element + 1)?);
        let bytes = self.values.get(start as usize..end as usize)?;
        if self.present(element) { std::str::from_utf8(bytes).ok() } else { None }
    }

    /// From when on a row's value counts.
    pub(crate) fn since(&self, row: usize) -> Date {
        let days = self.since.and_then(|days| days.get(row & self.mask));
        days.map_or(Date::ALWAYS, |days| Date::from_days(*days))
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
