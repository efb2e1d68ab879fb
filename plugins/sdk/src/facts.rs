//! Facts as rules see them, and how members of the author's struct are read from columns.

use crate::abi;
use crate::batch::{Batch, ColumnView, STRIDE};
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
    /// for all of them. They are as many as are read together; they were read from the rows before, or are blank for the
    /// first, and those beyond the last row stay as they are.
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
    /// Reads the rows from `first` on into a place of each resident; there stands what was read of the rows before.
    fn read<R>(
        column: &ColumnView<'_>,
        first: usize,
        residents: &mut [R],
        place: impl Fn(&mut R) -> &mut Self,
    );
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
    /// Reads some rows of a stride, given as bits, each of which has a value.
    fn facts(column: &ColumnView<'_>, first: usize, rows: u64, put: impl FnMut(usize, Fact<Self>));
    /// What stands for a parameter without a value, which hosts never send.
    fn nothing() -> Self;
    /// Reads a parameter in the rows from `first` on into a place of each resident; there stands what was read of the
    /// rows before.
    fn read<R>(
        column: &ColumnView<'_>,
        first: usize,
        residents: &mut [R],
        place: impl Fn(&mut R) -> &mut Self,
    ) {
        let read = |row| Self::value(column, row).unwrap_or_else(Self::nothing);
        if !column.is_constant() {
            residents.iter_mut().zip(first..).for_each(|(resident, row)| *place(resident) = read(row));
        } else if first == 0 {
            let value = read(first);
            residents.iter_mut().for_each(|resident| place(resident).clone_from(&value));
        }
    }
}

impl<T: ParameterColumn> FactColumn for Fact<T> {
    const KIND: u16 = T::KIND;
    const CODES: &'static [&'static str] = T::CODES;

    fn nothing() -> Self {
        Self { value: None, since: Date::ALWAYS }
    }

    /// Most facts of most residents are not known: only those are touched that are, or were.
    #[inline]
    fn read<R>(
        column: &ColumnView<'_>,
        first: usize,
        residents: &mut [R],
        place: impl Fn(&mut R) -> &mut Self,
    ) {
        // There is room for a whole stride, so that no place in it needs a check.
        let Some(residents) = residents.first_chunk_mut::<STRIDE>() else { return };
        let known = column.known(first);
        let before = first.checked_sub(STRIDE).map_or(0, |before| column.known(before));
        // Two loops: whether a row of both is known cannot be foretold.
        for at in ones(before & !known) {
            if let Some(resident) = residents.get_mut(at % STRIDE) {
                *place(resident) = Self::nothing();
            }
        }
        T::facts(column, first, known, |at, fact| {
            if let Some(resident) = residents.get_mut(at % STRIDE) {
                *place(resident) = fact;
            }
        });
    }
}

/// The places of the bits that are set.
#[inline]
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let (at, some) = (bits.trailing_zeros() as usize, bits != 0);
        bits &= bits.wrapping_sub(1);
        some.then_some(at)
    })
}

/// From when on the facts of a stride count where it is not said.
const ALWAYS: [i32; STRIDE] = [abi::NO_DATE; STRIDE];

/// Reads facts of a type of `N` bytes.
#[inline]
fn fixed_facts<T: ParameterColumn, const N: usize>(
    column: &ColumnView<'_>,
    first: usize,
    rows: u64,
    decode: impl Fn([u8; N]) -> Option<T>,
    mut put: impl FnMut(usize, Fact<T>),
) {
    if column.is_constant() {
        return any_facts(column, first, rows, put);
    }
    let (values, since) = column.stride(first);
    let since_always = since.is_empty().then_some(&ALWAYS);
    if let (Some(values), Some(since)) =
        (values.first_chunk::<STRIDE>(), since_always.or_else(|| since.first_chunk::<STRIDE>()))
    {
        for at in ones(rows) {
            if let (Some(bytes), Some(days)) = (values.get(at % STRIDE), since.get(at % STRIDE)) {
                put(at, Fact { value: decode(*bytes), since: Date::from_days(*days) });
            }
        }
        return;
    }
    for at in ones(rows) {
        let value = values.get(at).and_then(|bytes| decode(*bytes));
        put(at, Fact { value, since: since.get(at).map_or(Date::ALWAYS, |days| Date::from_days(*days)) });
    }
}

/// Reads facts of any type.
fn any_facts<T: ParameterColumn>(
    column: &ColumnView<'_>,
    first: usize,
    rows: u64,
    mut put: impl FnMut(usize, Fact<T>),
) {
    for at in ones(rows) {
        put(at, Fact { value: T::value(column, first + at), since: column.since(first + at) });
    }
}

macro_rules! parameter_column {
    ($($kind:ty = $number:ident: $decode:expr, $nothing:expr;)*) => {$(
        impl ParameterColumn for $kind {
            const KIND: u16 = abi::$number;
            const CODES: &'static [&'static str] = &[];
            #[inline]
            fn value(column: &ColumnView<'_>, row: usize) -> Option<Self> {
                column.fixed(row).map($decode)
            }
            #[inline]
            fn facts(column: &ColumnView<'_>, first: usize, rows: u64, put: impl FnMut(usize, Fact<Self>)) {
                fixed_facts(column, first, rows, |bytes| Some($decode(bytes)), put);
            }
            fn nothing() -> Self {
                $nothing
            }
        }
    )*};
}

parameter_column! {
    bool = T_BOOL: |[byte]: [u8; 1]| byte != 0, false;
    i64 = T_INTEGER: i64::from_le_bytes, 0;
    Date = T_DATE: |bytes| Date::from_days(i32::from_le_bytes(bytes)), Date::ALWAYS;
}

impl ParameterColumn for String {
    const KIND: u16 = abi::T_TEXT;
    const CODES: &'static [&'static str] = &[];

    fn value(column: &ColumnView<'_>, row: usize) -> Option<Self> {
        column.text(row).map(str::to_owned)
    }

    fn facts(column: &ColumnView<'_>, first: usize, rows: u64, put: impl FnMut(usize, Fact<Self>)) {
        any_facts(column, first, rows, put);
    }

    fn nothing() -> Self {
        Self::new()
    }
}

impl<T: CodeValue> ParameterColumn for T {
    const KIND: u16 = abi::T_CODE;
    const CODES: &'static [&'static str] = T::CODES;

    #[inline]
    fn value(column: &ColumnView<'_>, row: usize) -> Option<Self> {
        column.fixed(row).map(u32::from_le_bytes).and_then(T::from_ordinal)
    }

    #[inline]
    fn facts(column: &ColumnView<'_>, first: usize, rows: u64, put: impl FnMut(usize, Fact<Self>)) {
        fixed_facts(column, first, rows, |bytes| T::from_ordinal(u32::from_le_bytes(bytes)), put);
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
