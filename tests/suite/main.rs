//! The end-to-end suite: one binary, one module per concern.
//!
//! `cargo suite` builds what it starts (the server, the plugins) and runs it with all other tests.
//! A resource's tests stand in the file of its stem; what several modules share stands in a module
//! without tests of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a helper of a test may end the test, and speaks through the harness"
)]

mod activity;
mod admin;
mod architecture;
mod attacks;
mod audit;
mod authorisation;
mod backends;
mod backup;
mod bad_input;
mod built;
mod calendar;
mod care_plan;
mod catalog;
mod change;
mod change_event;
mod community_body;
mod community_roster;
mod compliance;
mod consent;
mod credentials;
mod damage;
mod delivery;
mod demo;
mod downtime;
mod duplicate;
mod durability;
mod emergency;
mod erasure;
mod errors;
mod export;
mod facility;
mod fund;
mod harness;
mod import;
mod interop;
mod key_rotation;
mod merge;
mod minors;
mod obligation;
mod paging;
mod period;
mod plugin;
mod plugin_manual;
mod plugin_overlap;
mod plugin_scenarios;
mod plugin_tools;
mod plugin_upgrade;
mod policy;
mod privacy;
mod protection;
mod quarter;
mod record;
mod referral;
mod regulation;
mod repetition;
mod report;
mod request;
mod resident;
mod reveal;
mod roster;
mod sealed;
mod simulation;
mod site;
mod staff;
mod standard_override;
mod survey;
mod tls;
mod upkeep;
mod weeks;
