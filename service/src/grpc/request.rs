//! What requests have in common: masks, pages, single fields.

use linli_core::invalid::Invalid;
use linli_core::time::CivilDate;
use linli_proto::v1;

use super::check::Check;
use super::page::{self, Binding};
use crate::app::PageRequest;
use crate::error::Result;

/// The fields that an update names.
pub(super) struct Mask(Vec<String>);

impl Mask {
    /// Names nothing.
    pub(super) fn empty() -> Self {
        Self(Vec::new())
    }

    /// Whether the update names `field`, or a field within it.
    pub(super) fn holds(&self, field: &str) -> bool {
        self.0.iter().any(|path| path == field)
    }

    /// The new value of `field` where the update names it.
    pub(super) fn taken<T>(
        &self,
        check: &mut Check,
        field: &str,
        resource: &str,
        parse: impl FnOnce() -> std::result::Result<T, Invalid>,
    ) -> Option<Option<T>> {
        if self.holds(field) {
            check.take(format!("{resource}.{field}"), parse()).map(Some)
        } else {
            Some(None)
        }
    }
}

/// An update mask, which must name at least one field and only fields that may be updated.
pub(super) fn mask(
    check: &mut Check,
    mask: Option<&prost_types::FieldMask>,
    allowed: &[&str],
    resource: &str,
) -> Mask {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() {
        check.refuse("update_mask", Invalid::Missing);
    }
    let mut named = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let path = path.strip_prefix(resource).and_then(|rest| rest.strip_prefix('.')).unwrap_or(path);
        if allowed.contains(&path) {
            named.push(path.to_owned());
        } else {
            check.refuse(format!("update_mask.paths[{at}]"), Invalid::FieldMask);
        }
    }
    Mask(named)
}

/// The page that a list request asks for.
pub(super) fn wanted(binding: &Binding, size: i32, token: &str) -> Result<PageRequest> {
    Ok(PageRequest { size: page::size(size)?, after: binding.cursor(token)? })
}

/// The token of the next page; empty after the last.
pub(super) fn next(binding: &Binding, cursor: Option<String>) -> String {
    cursor.map(|cursor| binding.token(&cursor)).unwrap_or_default()
}

/// A request of one field.
pub(super) fn one<T>(field: &str, value: std::result::Result<T, Invalid>) -> Result<T> {
    let mut check = Check::new();
    let value = check.take(field, value);
    check.finish(value)
}

/// A date that must be there.
pub(super) fn required_date(text: &str) -> std::result::Result<CivilDate, Invalid> {
    if text.is_empty() { Err(Invalid::Missing) } else { CivilDate::parse(text) }
}

/// Optional text on the wire.
pub(super) fn text<const MAX: usize>(text: Option<&linli_core::text::Text<MAX>>) -> String {
    text.map(|text| text.as_str().to_owned()).unwrap_or_default()
}

/// Whether a view shows words in clear.
pub(super) fn is_full(view: i32) -> std::result::Result<bool, Invalid> {
    match v1::View::try_from(view) {
        Ok(v1::View::Unspecified | v1::View::Masked | v1::View::Basic) => Ok(false),
        Ok(v1::View::Full) => Ok(true),
        Err(_) => Err(Invalid::Unknown),
    }
}
