//! Small conversions from columns to domain values; `None` where a column does not hold one.

use linli_core::id::{AreaId, DwellingId, FacilityId, RequestId, ResidentId, StaffId, Subject, SubjectKind};
use linli_core::staff::Signed;
use linli_core::time::{CivilDate, Instant};

/// A civil date from days since 1970-01-01.
pub(crate) fn date(days: i64) -> Option<CivilDate> {
    i32::try_from(days).ok().and_then(|days| CivilDate::from_days(days).ok())
}

/// An optional civil date; the outer `None` says that it is out of range.
pub(crate) fn date_opt(days: Option<i64>) -> Option<Option<CivilDate>> {
    days.map_or(Some(None), |days| date(days).map(Some))
}

/// An instant from microseconds since the epoch.
pub(crate) fn instant(micros: i64) -> Option<Instant> {
    Instant::from_micros(micros).ok()
}

/// An optional instant; the outer `None` says that it is out of range.
pub(crate) fn instant_opt(micros: Option<i64>) -> Option<Option<Instant>> {
    micros.map_or(Some(None), |micros| instant(micros).map(Some))
}

/// Days since 1970-01-01.
pub(crate) fn days(date: CivilDate) -> i64 {
    i64::from(date.days())
}

/// A version as the domain counts it.
pub(crate) fn version(version: i64) -> Option<u64> {
    u64::try_from(version).ok()
}

/// A version as the database counts it. Versions beyond 2⁶³ do not occur; one that did would conflict with every row.
pub(crate) fn version_column(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// A subject from its two columns.
pub(crate) fn subject(kind: &str, id: &str) -> Option<Subject> {
    Some(match SubjectKind::from_code(kind).ok()? {
        SubjectKind::Resident => Subject::Resident(ResidentId::new(id).ok()?),
        SubjectKind::Dwelling => Subject::Dwelling(DwellingId::new(id).ok()?),
        SubjectKind::Area => Subject::Area(AreaId::new(id).ok()?),
        SubjectKind::Facility => Subject::Facility(FacilityId::new(id).ok()?),
        SubjectKind::Request => Subject::Request(RequestId::new(id).ok()?),
        SubjectKind::Site => Subject::Site,
    })
}

/// Who and when, as two columns.
pub(crate) fn signed_columns(signed: Option<&Signed>) -> (Option<String>, Option<i64>) {
    (signed.map(|signed| signed.by.as_str().to_owned()), signed.map(|signed| signed.at.micros()))
}

/// Who and when; `None` where the columns do not hold it.
pub(crate) fn signed(by: &str, at: i64) -> Option<Signed> {
    Some(Signed { by: StaffId::new(by).ok()?, at: instant(at)? })
}

/// As [`signed`] where it may be absent; the outer `None` says that the columns do not hold it.
pub(crate) fn signed_opt(by: Option<&str>, at: Option<i64>) -> Option<Option<Signed>> {
    match (by, at) {
        (Some(by), Some(at)) => signed(by, at).map(Some),
        (None, None) => Some(None),
        (Some(_), None) | (None, Some(_)) => None,
    }
}
