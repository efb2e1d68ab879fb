//! What rules say: findings and issues, written into the host's sink.

use crate::abi::{self, Finding, NO_DATE, NO_REASON, Sink};
use crate::date::Date;

macro_rules! code_traits {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub trait $name: Copy {
            /// Its place in the manifest.
            fn ordinal(self) -> u16;
        }
    )*};
}

code_traits! {
    /// A group of the manifest.
    GroupCode;
    /// A tag of the manifest.
    TagCode;
    /// A caution of the manifest.
    CautionCode;
    /// A reason of the manifest.
    ReasonCode;
    /// A field of the manifest.
    FieldCode;
}

/// How much attention a resident needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// General attention.
    General,
    /// Key attention.
    Key,
    /// High attention.
    High,
}

/// Why somebody is a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// A rule over the facts.
    Rule,
    /// It was declared.
    Declared,
    /// A certificate was seen.
    Certificate,
}

/// A membership with everything that may be said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership<G, R> {
    /// The group.
    pub group: G,
    /// Why, in kind.
    pub basis: Basis,
    /// From when on; [`Date::ALWAYS`] where nobody knows a day.
    pub since: Date,
    /// The first day no longer, if it is known in advance; after today.
    pub until: Option<Date>,
    /// Why, in words.
    pub reason: R,
}

/// What rules say about the rows of a batch, one row after the other.
pub(crate) trait Statements<'a> {
    fn new(writer: Writer<'a>) -> Self;
    fn begin(&mut self, row: u32);
    fn end(&mut self);
    fn status(&self) -> abi::Status;
}

/// The findings about one resident. At most one membership per group; nothing is said twice.
#[derive(Debug)]
pub struct Findings<'a> {
    writer: Writer<'a>,
    /// The earliest expiry of the row, or a day that is not said: one record says it.
    until: i32,
}

impl<'a> Statements<'a> for Findings<'a> {
    fn new(writer: Writer<'a>) -> Self {
        Self { writer, until: i32::MAX }
    }

    fn begin(&mut self, row: u32) {
        self.writer.row = row;
    }

    fn end(&mut self) {
        if self.until <= abi::DATE_LAST {
            self.writer.push(Finding { kind: abi::F_EXPIRES, until: self.until, ..EMPTY });
        }
        self.until = i32::MAX;
    }

    fn status(&self) -> abi::Status {
        self.writer.status
    }
}

impl Findings<'_> {
    /// The resident belongs to a group, by rule, until further notice.
    pub fn member(&mut self, group: impl GroupCode, since: Date, reason: impl ReasonCode) {
        self.membership(Membership { group, basis: Basis::Rule, since, until: None, reason });
    }

    /// The resident belongs to a group.
    pub fn membership<G: GroupCode, R: ReasonCode>(&mut self, membership: Membership<G, R>) {
        let Membership { group, basis, since, until, reason } = membership;
        self.writer.push(Finding {
            kind: abi::F_MEMBERSHIP,
            basis: match basis {
                Basis::Rule => abi::BASIS_RULE,
                Basis::Declared => abi::BASIS_DECLARED,
                Basis::Certificate => abi::BASIS_CERTIFICATE,
            },
            ordinal: group.ordinal(),
            reason: reason.ordinal(),
            since: begun(since),
            until: until.map_or(NO_DATE, ahead),
            ..EMPTY
        });
    }

    /// The attention that the resident needs. The highest of several counts.
    pub fn tier(&mut self, tier: Tier, since: Date, reason: impl ReasonCode) {
        let ordinal = match tier {
            Tier::General => 0,
            Tier::Key => 1,
            Tier::High => 2,
        };
        self.writer.push(Finding {
            kind: abi::F_TIER,
            ordinal,
            reason: reason.ordinal(),
            since: begun(since),
            ..EMPTY
        });
    }

    /// A tag.
    pub fn tag(&mut self, tag: impl TagCode, since: Date, reason: impl ReasonCode) {
        self.writer.push(Finding {
            kind: abi::F_TAG,
            ordinal: tag.ordinal(),
            reason: reason.ordinal(),
            since: begun(since),
            ..EMPTY
        });
    }

    /// A caution for whoever makes contact.
    pub fn caution(&mut self, caution: impl CautionCode, reason: impl ReasonCode) {
        self.writer.push(Finding {
            kind: abi::F_CAUTION,
            ordinal: caution.ordinal(),
            reason: reason.ordinal(),
            ..EMPTY
        });
    }

    /// The first day, after today, on which the answer may differ though no fact changed. The earliest of several
    /// counts; one after 2199-12-31 is left out.
    pub fn expires(&mut self, on: Date) {
        if on != Date::ALWAYS {
            self.until = self.until.min(on.days());
        }
    }
}

/// The issues with one resident's facts.
#[derive(Debug)]
pub struct Issues<'a> {
    writer: Writer<'a>,
}

impl<'a> Statements<'a> for Issues<'a> {
    fn new(writer: Writer<'a>) -> Self {
        Self { writer }
    }

    fn begin(&mut self, row: u32) {
        self.writer.row = row;
    }

    fn end(&mut self) {}

    fn status(&self) -> abi::Status {
        self.writer.status
    }
}

impl Issues<'_> {
    /// A fact is not acceptable.
    pub fn issue(&mut self, field: impl FieldCode, reason: impl ReasonCode) {
        self.writer.push(Finding {
            kind: abi::F_ISSUE,
            ordinal: field.ordinal(),
            reason: reason.ordinal(),
            ..EMPTY
        });
    }
}

/// A first day: before the first date of the interface it always was so.
fn begun(day: Date) -> i32 {
    if day.days() < abi::DATE_FIRST { NO_DATE } else { day.days() }
}

/// A day to come: what lies after the last date of the interface is not said.
fn ahead(day: Date) -> i32 {
    if day.days() > abi::DATE_LAST { NO_DATE } else { day.days() }
}

const EMPTY: Finding = Finding {
    resident: 0,
    kind: 0,
    basis: 0,
    ordinal: 0,
    reason: NO_REASON,
    reserved_a: 0,
    since: NO_DATE,
    until: NO_DATE,
    reserved_b: 0,
};

/// Writes records into the host's sink; remembers the first refusal.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    sink: &'a mut Sink,
    row: u32,
    status: abi::Status,
}

impl<'a> Writer<'a> {
    /// # Safety
    /// `sink` is as the interface describes.
    pub(crate) unsafe fn new(sink: &'a mut Sink) -> Self {
        Self { sink, row: 0, status: abi::OK }
    }

    fn push(&mut self, record: Finding) {
        if self.status != abi::OK {
            return;
        }
        if self.sink.len >= self.sink.cap {
            let at_least = self.sink.len.saturating_add(1);
            self.status = match self.sink.grow {
                // SAFETY: during the call, on its thread, with the host's own sink.
                Some(grow) => unsafe { grow(self.sink, at_least) },
                None => abi::E_FULL,
            };
            if self.status == abi::OK && self.sink.len >= self.sink.cap {
                self.status = abi::E_FULL;
            }
            if self.status != abi::OK {
                return;
            }
        }
        // SAFETY: `items` has room for `cap` records and `len < cap`.
        unsafe {
            self.sink.items.add(self.sink.len as usize).write(Finding { resident: self.row, ..record })
        };
        self.sink.len += 1;
    }
}
