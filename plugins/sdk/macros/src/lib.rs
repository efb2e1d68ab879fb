//! Derive macros of linli-plugin-sdk.
