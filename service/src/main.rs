//! `linli`: the command line of the service.

fn main() {}
