//! `manifest!`: enums of the codes that a manifest declares.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Error, LitStr};

use crate::source::{Entry, Source, camel};

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream, Error> {
    let path = if input.is_empty() { None } else { Some(syn::parse2::<LitStr>(input)?) };
    let (relative, span) =
        path.map_or(("plugin.toml".to_owned(), Span::call_site()), |path| (path.value(), path.span()));
    let source = Source::read(&relative, span)?;
    let fields: Vec<Entry> = source
        .fields
        .iter()
        .map(|field| Entry { code: field.entry.code.clone(), doc: field.entry.doc.clone() })
        .collect();
    let tables = [
        ("Group", "Care groups of the manifest.", &source.groups),
        ("Tag", "Tags of the manifest.", &source.tags),
        ("Caution", "Cautions of the manifest.", &source.cautions),
        ("Reason", "Reasons of the manifest.", &source.reasons),
        ("Field", "Fields of the manifest.", &fields),
    ];
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut items = TokenStream::new();
    for (name, doc, entries) in tables {
        seen.insert(name.to_owned(), format!("the enum `{name}`"));
        let item = list(&Ident::new(name, Span::call_site()), doc, entries, span)?;
        let code_trait = Ident::new(&format!("{name}Code"), Span::call_site());
        let name = Ident::new(name, Span::call_site());
        items.extend(quote! {
            #item
            impl ::linli_plugin_sdk::#code_trait for #name {
                fn ordinal(self) -> u16 { self.to_ordinal() }
            }
        });
    }
    for column in source.fields.iter().chain(&source.parameters).filter(|column| column.kind == "code") {
        let name = camel(&column.entry.code);
        let owner = format!("the values of `{}`", column.entry.code);
        if let Some(other) = seen.insert(name.to_string(), owner.clone()) {
            return Err(Error::new(
                span,
                format!("`{relative}`: {owner} and {other} have one name, `{name}`"),
            ));
        }
        let item = list(
            &name,
            &format!("Values of `{}`: {}.", column.entry.code, column.entry.doc),
            &column.values,
            span,
        )?;
        let variants = column.values.iter().map(|value| camel(&value.code));
        let codes = column.values.iter().map(|value| &value.code);
        items.extend(quote! {
            #item
            impl ::linli_plugin_sdk::CodeValue for #name {
                const CODES: &'static [&'static str] = &[#(#codes),*];
                fn from_ordinal(ordinal: u32) -> ::core::option::Option<Self> {
                    const ALL: &[#name] = &[#(#name::#variants),*];
                    ALL.get(ordinal as usize).copied()
                }
            }
        });
    }
    Ok(quote! {
        /// What the manifest declares: an enum for each of its tables.
        #[allow(dead_code, unreachable_pub)]
        pub mod manifest { #items }
    })
}

fn list(name: &Ident, doc: &str, entries: &[Entry], span: Span) -> Result<TokenStream, Error> {
    let variants: Vec<Ident> = entries.iter().map(|entry| camel(&entry.code)).collect();
    for (index, variant) in variants.iter().enumerate() {
        if variants.iter().take(index).any(|earlier| earlier == variant) {
            return Err(Error::new(span, format!("two codes of {name} have one name, `{variant}`")));
        }
    }
    let docs = entries.iter().map(|entry| &entry.doc);
    let ordinals = 0_u16..;
    Ok(quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum #name { #(#[doc = #docs] #variants,)* }

        impl #name {
            fn to_ordinal(self) -> u16 {
                match self { #(Self::#variants => #ordinals,)* }
            }
        }
    })
}
