//! What rosters are written with: a workbook of one sheet, and text that no spreadsheet takes for a formula. The demo writes
//! its roster with it, and tests their fixtures.

use std::borrow::Cow;

use zip::result::ZipError;

use crate::workbook::{self, Sheet};

pub use crate::workbook::{Region, Value};

/// Text that no spreadsheet takes for a formula when it opens a text file: `'` before what would be one. The reader of
/// rosters takes it away again, as spreadsheets do.
pub fn inert(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'', '＝', '＋', '－', '＠']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

/// A workbook of one sheet, as the bytes of an `.xlsx` file.
///
/// # Errors
/// [`ZipError`] where the archive cannot be written.
pub fn workbook(sheet: &str, rows: &[Vec<Value>], merged: &[Region]) -> Result<Vec<u8>, ZipError> {
    let sheet = Sheet { title: sheet, rows, merged, ..Sheet::default() };
    workbook::workbook(&[sheet])
}
