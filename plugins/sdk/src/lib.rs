//! Safe Rust for authors of Linli plugins.
//!
//! A plugin is a folder with a manifest `plugin.toml` and a library. **The manifest declares, the code decides**: write
//! down the groups, the fields you read, the reasons you may give, and the standards; then write one function from the
//! facts of a resident to findings. A code that the manifest does not declare does not compile.
//!
//! ```
//! use linli_plugin_sdk::{Date, Fact, Facts, Findings, Rules, Tier, export_plugin};
//!
//! linli_plugin_sdk::manifest!("examples/chronic.toml");
//! use manifest::{Course, Group, Reason};
//!
//! /// Every field and parameter that `chronic.toml` declares.
//! #[derive(Facts)]
//! #[facts(manifest = "examples/chronic.toml")]
//! struct Person {
//!     today: Date,
//!     diagnosed: Fact<bool>,
//!     course: Fact<Course>,
//!     confirmed_until: Fact<Date>,
//!     recheck_months: i64,
//! }
//!
//! struct Chronic;
//!
//! impl Rules for Chronic {
//!     type Facts = Person;
//!
//!     fn assess(person: &Person, found: &mut Findings<'_>) {
//!         let Some(since) = person.diagnosed.is(true) else { return };
//!         found.member(Group::ChronicIllness, since, Reason::Diagnosed);
//!         if let Some(unstable) = person.course.is(Course::Unstable) {
//!             found.tier(Tier::High, since.max(unstable), Reason::Unstable);
//!         }
//!         let confirmed = person.confirmed_until.value.unwrap_or(person.today);
//!         found.expires(confirmed.plus_months(person.recheck_months));
//!     }
//! }
//!
//! export_plugin!(Chronic);
//! # linli_plugin_sdk::testing::check::<Chronic>("
//! # case unstable
//! #   today 2026-03-16
//! #   diagnosed yes since 2026-01-10
//! #   course unstable since 2026-02-01
//! #   => member chronic_illness since 2026-01-10: diagnosed
//! #   => tier high: unstable
//! #   => expires 2026-06-16
//! # ");
//! ```
//!
//! What does not compile: a code that the manifest does not declare,
//!
//! ```compile_fail
//! # linli_plugin_sdk::manifest!("examples/chronic.toml");
//! let reason = manifest::Reason::Undeclared;
//! ```
//!
//! a member of another type than declared (here `bool` for a whole number), and a declared field that no member reads:
//!
//! ```compile_fail
//! # use linli_plugin_sdk::{Date, Fact, Facts};
//! # linli_plugin_sdk::manifest!("examples/chronic.toml");
//! # use manifest::Course;
//! #[derive(Facts)]
//! #[facts(manifest = "examples/chronic.toml")]
//! struct Person { diagnosed: Fact<bool>, course: Fact<Course>, confirmed_until: Fact<Date>, recheck_months: bool }
//! ```
//! ```compile_fail
//! # use linli_plugin_sdk::{Date, Fact, Facts};
//! #[derive(Facts)]
//! #[facts(manifest = "examples/chronic.toml")]
//! struct Person { diagnosed: Fact<bool>, confirmed_until: Fact<Date>, recheck_months: i64 }
//! ```
//!
//! What the SDK does for you: it reads the columns of a batch, catches panics at every entry, embeds the manifest,
//! writes the exported entry, and runs tables of cases without a host ([`testing`]). What it cannot do: rules read no
//! clock, no file and no global state. `today` is a member like any other.
//!
//! Dates: a fact counts from [`Fact::since`] on, which is the later of the day it became true and the day it was
//! recorded. A membership's `since` is the latest of the facts that decide ([`all_of`]) and of the dates that the rule
//! computes, such as a birthday.
//!
//! Plugins that speak with bodies outside the company are written with [`connector`].

#![allow(unsafe_code)] // `batch`, `findings`, `export` and `connector` read and write the host's memory

#[cfg(not(panic = "unwind"))]
compile_error!(
    "a plugin must be built with `panic = \"unwind\"`: with `abort` a panic of the plugin would end the whole service. Remove `panic = \"abort\"` from the profile"
);

mod batch;
#[cfg(feature = "connector")]
pub mod connector;
mod date;
pub mod export;
mod facts;
mod findings;
pub mod testing;

pub use linli_plugin_abi as abi;
pub use linli_plugin_sdk_macros::{Facts, manifest};

pub use batch::Batch;
pub use date::{Date, all_of, any_of};
pub use facts::{CodeValue, Declared, Fact, FactColumn, Facts, Manifest, ParameterColumn, same_codes};
pub use findings::{
    Basis, CautionCode, FieldCode, Findings, GroupCode, Issues, Membership, ReasonCode, TagCode, Tier,
};

/// Rules of care groups: from the facts of one resident to what follows from them.
///
/// Pure functions: the same facts give the same findings, whoever else is in the batch.
pub trait Rules: 'static {
    /// The fields and parameters that the rules read; derive it with [`macro@Facts`].
    type Facts: Facts;

    /// What follows from the facts.
    fn assess(facts: &Self::Facts, found: &mut Findings<'_>);

    /// Which facts contradict each other. Type, range and list of values are checked by the host already.
    fn validate(facts: &Self::Facts, found: &mut Issues<'_>) {
        let _ = (facts, found);
    }
}
