//! Facts as rules see them, and how members of the author's struct are read from columns.

use crate::abi;
use crate::batch::{Batch, ColumnView};
use crate::date::Date;

/// A declared field of one resident: its value, if it is known, and from when on it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<T> {
    /// The value; `None`: not known.
    pub value: Option<T>,
    /// The first day on which the fact counts; [`Date::ALWAYS`] where nobody knows a day.
    pub since: Date,
}

impl<T: PartialEq> Fact<T> {
    /// From when on the fact has this value; `None` if it has another one or is not known.
    pub fn is(&self, value: T) -> Option<Date> {
        (self.value.as_ref() == Some(&value)).then_some(self.since)
    }
}

impl<T> Fact<T> {
    /// From when on the value fulfils a condition; `None` if it does not or is not known.
    pub fn fulfils(&self, condition: impl FnOnce(&T) -> bool) -> Option<Date> {
        self.value.as_ref().is_some_and(condition).then_some(self.since)
    }

    /// From when on the value is known.
    pub fn known(&self) -> Option<Date> {
        self.value.is_some().then_some(self.since)
    }
}

/// The fields and parameters that rules read; derived.
pub trait Facts: Sized {
    /// Types of the columns, `today` first.
    const KINDS: &'static [u16];
    /// What the manifest declares.
    const MANIFEST: &'static Manifest;
    /// A resident of whom nothing is known.
    fn blank() -> Self;
    /// Reads the residents from row `first` on, one column after the other: what a column looks like is found out once
    /// for all of them.
    fn read(batch: &Batch<'_>, first: usize, residents: &mut [Self]);
}

/// What a manifest declares, as the derive found it.
#[derive(Debug)]
pub struct Manifest {
    /// The whole text, which the library carries.
    pub text: &'static str,
    /// Codes of the groups.
    pub groups: &'static [&'static str],
    /// Codes of the tags.
    pub tags: &'static [&'static str],
    /// Codes of the cautions.
    pub cautions: &'static [&'static str],
    /// Codes of the reasons.
    pub reasons: &'static [&'static str],
    /// The fields.
    pub fields: &'static [Declared],
    /// The parameters.
    pub parameters: &'static [Declared],
}

/// A declared field or parameter.
#[derive(Debug)]
pub struct Declared {
    /// Its code.
    pub code: &'static str,
    /// Its type, `T_*` of the interface.
    pub kind: u16,
    /// Its values, for codes.
    pub values: &'static [&'static str],
    /// Its default as text, for parameters.
    pub default: &'static str,
}

/// An enum of the values of a `code`; made by `manifest!`.
pub trait CodeValue: Copy + PartialEq {
    /// The codes in ordinal order.
    const CODES: &'static [&'static str];
    /// The value of an ordinal.
    fn from_ordinal(ordinal: u32) -> Option<Self>;
}

/// A type that a field's member may have.
#[diagnostic::on_unimplemented(message = "a member for a field has the type `Fact<T>`, not `{Self}`")]
pub trait FactColumn: Sized {
    /// Its column type.
    const KIND: u16;
    /// Its codes.
    const CODES: &'static [&'static str];
    /// What is not known.
    fn nothing() -> Self;
    /// Reads the rows from `first` on into these places.
    fn read<'o>(column: &ColumnView<'_>, first: usize, places: impl Iterator<Item = &'o mut Self>)
    where
        Self: 'o;
}

/// A type that a parameter's member may have, and a field's member inside [`Fact`].
#[diagnostic::on_unimplemented(
    message = "facts and parameters are `bool`, `i64`, `Date`, `String` or an enum of `manifest!`, not `{Self}`"
)]
pub trait ParameterColumn: Clone {
    /// Its column type.
    const KIND: u16;
    /// Its codes.
    const CODES: &'static [&'static str];
    /// Reads a row that has a value.
    fn value(column: &ColumnView<'_>, row: usize) -> Option<Self>;
    /// What stands for a parameter without a value, which hosts never send.
    fn nothing() -> Self;
    /// Reads a parameter in the rows from `first` on into these places.
    fn read<'o>(column: &ColumnView<'_>, first: usize, places: impl Iterator<Item = &'o mut Self>)
    where
        Self: 'o,
    {
        let read = |row| Self::value(column, row).unwrap_or_else(Self::nothing);
        if column.is_constant() {
            let value = read(first);
            places.for_each(|place| place.clone_from(&value));
        } else {
            places.zip(first..).for_each(|(place, row)| *place = read(row));
        }
    }
}

impl<T: ParameterColumn> FactColumn for Fact<T> {
    const KIND: u16 = T::KIND;
    const CODES: &'static [&'static str] = T::CODES;

    fn nothing() -> Self {
        Self { value: None, since: Date::ALWAYS }
    }

    #[inline]
    fn read<'o>(column: &ColumnView<'_>, first: usize, places: impl Iterator<Item = &'o mut Self>)
    where
        Self: 'o,
    {
        // A copy, which the places are known not to overlap: it stays in registers.
        let column = *column;
        for (place, row) in places.zip(first..) {
            *place = Self { value: T::value(&column, row), since: column.since(row) };
        }
    }
}

macro_rules! parameter_column {
    ($($kind:ty = $number:ident: $read:expr, $nothing:expr;)*) => {$(
        impl ParameterColumn for $kind {
            const KIND: u16 = abi::$number;
            const CODES: &'static [&'static str] = &[];
            #[inline]
            fn value(column: &ColumnView<'_>, row: usize) -> Option<Self> {
                $read(column, row)
            }
            fn nothing() -> Self {
                $nothing
            }
        }
    )*};
}

parameter_column! {
    bool = T_BOOL: |column: &ColumnView<'_>, row| column.fixed(row).map(|[byte]: [u8; 1]| byte != 0), false;
    i64 = T_INTEGER: |column: &ColumnView<'_>, row| column.fixed(row).map(i64::from_le_bytes), 0;
    Date = T_DATE: |column: &ColumnView<'_>, row| column.fixed(row).map(i32::from_le_bytes).map(Date::from_days), Date::ALWAYS;
    String = T_TEXT: |column: &ColumnView<'_>, row| column.text(row).map(str::to_owned), String::new();
}

impl<T: CodeValue> ParameterColumn for T {
    const KIND: u16 = abi::T_CODE;
    const CODES: &'static [&'static str] = T::CODES;

    #[inline]
    fn value(column: &ColumnView<'_>, row: usize) -> Option<Self> {
        column.fixed(row).map(u32::from_le_bytes).and_then(T::from_ordinal)
    }

    fn nothing() -> Self {
        // INVARIANT: the manifest gives every code at least one value.
        T::from_ordinal(0).expect("a code has at least one value")
    }
}

/// Whether two lists of codes are equal, at compile time.
pub const fn same_codes(a: &[&str], b: &[&str]) -> bool {
    let (mut a, mut b) = (a, b);
    loop {
        match (a, b) {
            ([], []) => return true,
            ([x, rest_a @ ..], [y, rest_b @ ..]) => {
                if !same_text(x.as_bytes(), y.as_bytes()) {
                    return false;
                }
                (a, b) = (rest_a, rest_b);
            }
            ([], [_, ..]) | ([_, ..], []) => return false,
        }
    }
}

const fn same_text(a: &[u8], b: &[u8]) -> bool {
    let (mut a, mut b) = (a, b);
    loop {
        match (a, b) {
            ([], []) => return true,
            ([x, rest_a @ ..], [y, rest_b @ ..]) => {
                if *x != *y {
                    return false;
                }
                (a, b) = (rest_a, rest_b);
            }
            ([], [_, ..]) | ([_, ..], []) => return false,
        }
    }
}
