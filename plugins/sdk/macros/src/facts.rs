//! `#[derive(Facts)]`: from the columns of a batch to the author's struct.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Type};

use crate::source::{Column, Source};

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream, Error> {
    let input: DeriveInput = syn::parse2(input)?;
    let name = &input.ident;
    let relative = manifest_path(&input)?;
    let source = Source::read(&relative, name.span())?;
    let Data::Struct(data) = &input.data else { return Err(Error::new(name.span(), "Facts is for structs")) };
    let Fields::Named(members) = &data.fields else {
        return Err(Error::new(name.span(), "Facts is for structs with named members"));
    };

    let columns: Vec<&Column> = source.fields.iter().chain(&source.parameters).collect();
    let mut unread: Vec<&str> = columns.iter().map(|column| column.entry.code.as_str()).collect();
    let (mut reads, mut blanks) = (TokenStream::new(), TokenStream::new());
    let mut checks = TokenStream::new();
    for member in &members.named {
        let Some(ident) = &member.ident else { continue };
        let (code, kind) = (ident.to_string(), &member.ty);
        if code == "today" {
            reads.extend(read(ident, kind, &quote! { ::linli_plugin_sdk::ParameterColumn }, 0));
            blanks.extend(quote! { today: ::linli_plugin_sdk::Date::ALWAYS, });
            continue;
        }
        let Some(index) = columns.iter().position(|column| column.entry.code == code) else {
            let message = format!(
                "`{relative}` declares no field or parameter `{code}`; declared: {}",
                columns.iter().map(|column| column.entry.code.as_str()).collect::<Vec<_>>().join(", ")
            );
            return Err(Error::new(ident.span(), message));
        };
        let Some(column) = columns.get(index) else { continue };
        unread.retain(|declared| *declared != code);
        let number = kind_number(&column.kind);
        let codes = column.values.iter().map(|value| &value.code);
        let message = format!("`{code}` is declared as `{}`, the member has another type", column.kind);
        let reader = if index < source.fields.len() {
            quote_spanned! { kind.span() => ::linli_plugin_sdk::FactColumn }
        } else {
            quote_spanned! { kind.span() => ::linli_plugin_sdk::ParameterColumn }
        };
        reads.extend(read(ident, kind, &reader, index + 1));
        blanks.extend(quote_spanned! { kind.span() => #ident: <#kind as #reader>::nothing(), });
        checks.extend(quote_spanned! { kind.span() =>
            const _: () = assert!(
                <#kind as #reader>::KIND == #number
                    && ::linli_plugin_sdk::same_codes(<#kind as #reader>::CODES, &[#(#codes),*]),
                #message
            );
        });
    }
    if !unread.is_empty() {
        let message = format!(
            "`{relative}` declares what no member reads: {}. Nobody's data is asked for without need",
            unread.join(", ")
        );
        return Err(Error::new(name.span(), message));
    }

    let tables = tables(&source);
    let kinds = columns.iter().map(|column| kind_number(&column.kind));
    Ok(quote! {
        #checks
        impl ::linli_plugin_sdk::Facts for #name {
            const KINDS: &'static [u16] = &[::linli_plugin_sdk::abi::T_DATE #(, #kinds)*];
            const MANIFEST: &'static ::linli_plugin_sdk::Manifest = &#tables;
            fn blank() -> Self {
                Self { #blanks }
            }
            fn read(batch: &::linli_plugin_sdk::Batch<'_>, first: usize, residents: &mut [Self]) {
                #reads
            }
        }
    })
}

/// Reads a column into a member of each resident.
fn read(member: &Ident, kind: &Type, reader: &TokenStream, column: usize) -> TokenStream {
    let column = Literal::usize_unsuffixed(column);
    quote_spanned! { kind.span() =>
        <#kind as #reader>::read(
            ::linli_plugin_sdk::Batch::column(batch, #column),
            first,
            residents,
            |resident| &mut resident.#member,
        );
    }
}

fn manifest_path(input: &DeriveInput) -> Result<String, Error> {
    let mut path = "plugin.toml".to_owned();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("facts")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("manifest") {
                return Err(meta.error("only `manifest = \"…\"` is known here"));
            }
            path = meta.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(path)
}

fn tables(source: &Source) -> TokenStream {
    let path = &source.path;
    let codes = |entries: &[crate::source::Entry]| {
        let codes = entries.iter().map(|entry| &entry.code);
        quote! { &[#(#codes),*] }
    };
    let columns = |columns: &[Column]| {
        let entries = columns.iter().map(|column| {
            let (code, kind, default) = (&column.entry.code, kind_number(&column.kind), &column.default);
            let values = codes(&column.values);
            quote! {
                ::linli_plugin_sdk::Declared { code: #code, kind: #kind, values: #values, default: #default }
            }
        });
        quote! { &[#(#entries),*] }
    };
    let (groups, tags) = (codes(&source.groups), codes(&source.tags));
    let (cautions, reasons) = (codes(&source.cautions), codes(&source.reasons));
    let (fields, parameters) = (columns(&source.fields), columns(&source.parameters));
    quote! {
        ::linli_plugin_sdk::Manifest {
            text: ::core::include_str!(#path),
            groups: #groups,
            tags: #tags,
            cautions: #cautions,
            reasons: #reasons,
            fields: #fields,
            parameters: #parameters,
        }
    }
}

fn kind_number(kind: &str) -> TokenStream {
    match kind {
        "bool" => quote! { ::linli_plugin_sdk::abi::T_BOOL },
        "integer" => quote! { ::linli_plugin_sdk::abi::T_INTEGER },
        "date" => quote! { ::linli_plugin_sdk::abi::T_DATE },
        "code" => quote! { ::linli_plugin_sdk::abi::T_CODE },
        _ => quote! { ::linli_plugin_sdk::abi::T_TEXT },
    }
}
