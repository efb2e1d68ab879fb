//! Loads Linli plugins and calls them.
