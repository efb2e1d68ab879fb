//! Macros of linli-plugin-sdk. They read `plugin.toml` while the plugin compiles, so that a code that the manifest
//! does not declare, a field of the wrong type or a declared field that nobody reads is a compiler error.

mod facts;
mod names;
mod source;

use proc_macro::TokenStream;

/// `manifest!();` or `manifest!("path/plugin.toml");`: a module `manifest` with an enum for each table of the
/// manifest (`Group`, `Tag`, `Caution`, `Reason`, `Field`) and one for each field or parameter of type `code`.
/// The path is relative to the crate's folder.
#[proc_macro]
pub fn manifest(input: TokenStream) -> TokenStream {
    names::expand(input.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// `#[derive(Facts)]` on a struct with a member for every field and parameter of the manifest, and `today`: fields
/// are `Fact<T>`, parameters `T`, where `T` is `bool`, `i64`, `Date`, `String` or the enum of a `code`.
/// `#[facts(manifest = "path/plugin.toml")]` names another manifest than `plugin.toml`.
#[proc_macro_derive(Facts, attributes(facts))]
pub fn derive_facts(input: TokenStream) -> TokenStream {
    facts::expand(input.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
