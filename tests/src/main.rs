//! `dev`: builds the workspace in full, then runs the demo or the suite.

fn main() {}
