//! Safe Rust for authors of Linli plugins.
