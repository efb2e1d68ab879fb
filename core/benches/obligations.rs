//! Speed of the obligation engine.

fn main() {}
