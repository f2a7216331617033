//! `#[derive(Ports)]`.

use crate::lifetimes;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Fields, Ident, LitStr, Variant};

/// One variant: a port.
struct Port<'a> {
    name: String,
    variant: &'a Ident,
    /// The row's type at `'static`; none when the port only passes records on.
    row: Option<TokenStream>,
    /// The field of the generated struct that holds its table.
    table: Ident,
}

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let generics = &input.generics;
    let this = &input.ident;
    let (_, arguments, _) = generics.split_for_impl();
    let of_row = lifetimes::self_type(input, "row")?;
    let ports = ports(input)?;
    let Some(default) = ports.first().map(|it| &it.table) else {
        return Err(syn::Error::new_spanned(this, "expected a variant for each port, the default output first"));
    };
    let sdk = quote!(::wasmill_plugin);

    let tables: Vec<_> = ports.iter().map(|it| &it.table).collect();
    let names = ports.iter().map(|it| &it.name);
    let rows: Vec<_> = ports.iter().map(|it| it.row.clone().unwrap_or_else(|| quote!(#sdk::Unchanged))).collect();
    let arms = ports.iter().map(|Port { variant, row, table, .. }| match row {
        Some(_) => quote!(#this::#variant(row) => tables.#table.emit(origin, row)),
        None => quote!(#this::#variant => {
            tables.#table.pass(origin);
            ::core::result::Result::Ok(())
        }),
    });
    let indexes = 0..ports.len() as u32;

    Ok(quote! {
        #[allow(missing_docs, unreachable_pub, dead_code, unused_variables, clippy::all)]
        const _: () = {
            #[derive(Default)]
            pub struct Tables {
                #(#tables: #sdk::PortTable<#rows>,)*
            }

            impl #generics #sdk::Ports for #this #arguments {
                type Row<'row> = #of_row;
                type Tables = Tables;

                fn ports() -> ::std::vec::Vec<#sdk::wire::Port> {
                    ::std::vec![#(#sdk::wire::Port {
                        name: ::std::string::String::from(#names),
                        fields: <#rows as #sdk::Emit>::fields(),
                    }),*]
                }

                #[inline(always)]
                fn emit(
                    tables: &mut Tables,
                    origin: u32,
                    row: Self::Row<'_>,
                ) -> ::core::result::Result<(), #sdk::Reject> {
                    match row {
                        #(#arms,)*
                    }
                }

                #[inline(always)]
                fn pass(tables: &mut Tables, origin: u32) {
                    tables.#default.pass(origin);
                }

                fn forget(tables: &mut Tables, origin: u32) {
                    #(tables.#tables.forget(origin);)*
                }

                fn finish(tables: Tables) -> ::std::vec::Vec<#sdk::wire::Table> {
                    let mut finished = ::std::vec::Vec::new();
                    #(tables.#tables.finish(#indexes, &mut finished);)*
                    finished
                }
            }
        };
    })
}

fn ports(input: &DeriveInput) -> syn::Result<Vec<Port<'_>>> {
    let Data::Enum(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            &input.ident,
            "`Ports` is derived for an enum with a variant for each port; a single row derives `Emit` and is its own port",
        ));
    };
    data.variants.iter().map(port).collect()
}

fn port(variant: &Variant) -> syn::Result<Port<'_>> {
    let row = match &variant.fields {
        Fields::Unit => None,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Some(lifetimes::named(&fields.unnamed[0].ty, "static")),
        other => {
            return Err(syn::Error::new_spanned(
                other,
                "expected a variant with one row, as `Alert(Alert)`, or with none for records passed on",
            ));
        }
    };
    let table = format_ident!("{}", snake_case(&variant.ident.to_string()), span = variant.ident.span());
    let mut name = table.to_string();
    for attribute in variant.attrs.iter().filter(|it| it.path().is_ident("port")) {
        name = attribute.parse_args::<LitStr>()?.value();
    }
    let table = format_ident!("table_{table}");
    Ok(Port { name, variant: &variant.ident, row, table })
}

/// `HighAmount` as `high_amount`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
