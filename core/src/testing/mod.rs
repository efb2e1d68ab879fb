//! What the tests of the engine share: random histories, a slow and obvious second engine, and the comparison.

mod differential;
mod history;
mod merges;
mod oracle;
mod properties;
pub(crate) mod random;
mod rooms;
