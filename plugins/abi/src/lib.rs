//! The binary interface between Linli and its plugins.
