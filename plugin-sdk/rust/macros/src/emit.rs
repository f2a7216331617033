//! `#[derive(Emit)]`.

use crate::{field, lifetimes};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::DeriveInput;
use syn::spanned::Spanned;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let generics = &input.generics;
    let this = &input.ident;
    let (_, arguments, _) = generics.split_for_impl();
    let of_row = lifetimes::self_type(input, "row")?;
    let of_static = lifetimes::self_type(input, "static")?;
    let fields = field::of(input, "Emit")?;
    fields.iter().try_for_each(field::Field::check_writable)?;
    let sdk = quote!(::wasmill_plugin);

    let idents: Vec<_> = fields.iter().map(|it| it.ident).collect();
    let types: Vec<_> = fields.iter().map(|it| it.type_at("static")).collect();
    let stores = fields.iter().zip(&types).map(|(it, ty)| {
        let ident = it.ident;
        quote_spanned!(it.ty.span() => #ident: #sdk::Cells<<#ty as #sdk::Value>::Store>)
    });
    let described = fields.iter().zip(&types).map(|(it, ty)| {
        let slot = it.slot();
        quote_spanned!(it.ty.span() => #sdk::field(#slot, <#ty as #sdk::Value>::KIND, !<#ty as #sdk::Value>::NULLABLE))
    });
    // The spans make an error of a type point at the field.
    let puts = fields.iter().map(|it| {
        let ident = it.ident;
        quote_spanned!(it.ty.span() => #sdk::Value::put(row.#ident, &mut columns.#ident)?;)
    });
    let finished = fields.iter().zip(&types).map(|(it, ty)| {
        let ident = it.ident;
        quote_spanned!(it.ty.span() => columns.#ident.finish(<#ty as #sdk::Value>::KIND))
    });
    let checks = fields.iter().zip(&types).map(|(it, ty)| it.kind_check(&quote!(<#ty as #sdk::Value>::KIND)));

    Ok(quote! {
        #[allow(missing_docs, unreachable_pub, dead_code, unused_variables, clippy::all)]
        const _: () = {
            #[derive(Default)]
            pub struct Columns {
                #(#stores,)*
            }

            impl #generics #sdk::Emit for #this #arguments {
                type Of<'row> = #of_row;
                type Columns = Columns;

                fn fields() -> ::std::vec::Vec<#sdk::wire::Field> {
                    ::std::vec![#(#described),*]
                }

                #[inline(always)]
                fn push(columns: &mut Columns, row: Self::Of<'_>) -> ::core::result::Result<(), #sdk::Reject> {
                    #(#puts)*
                    ::core::result::Result::Ok(())
                }

                fn truncate(columns: &mut Columns, rows: usize) {
                    #(columns.#idents.truncate(rows);)*
                }

                fn finish(columns: Columns) -> ::std::vec::Vec<#sdk::wire::Column> {
                    ::std::vec![#(#finished),*]
                }
            }

            impl #generics #sdk::Ports for #this #arguments {
                type Row<'row> = #of_row;
                type Tables = #sdk::PortTable<#of_static>;

                fn ports() -> ::std::vec::Vec<#sdk::wire::Port> {
                    let fields = <#of_static as #sdk::Emit>::fields();
                    ::std::vec![#sdk::wire::Port { name: ::std::string::String::from("out"), fields }]
                }

                #[inline(always)]
                fn emit(
                    tables: &mut Self::Tables,
                    origin: u32,
                    row: Self::Row<'_>,
                ) -> ::core::result::Result<(), #sdk::Reject> {
                    tables.emit(origin, row)
                }

                #[inline(always)]
                fn pass(tables: &mut Self::Tables, origin: u32) {
                    tables.pass(origin);
                }

                fn forget(tables: &mut Self::Tables, origin: u32) {
                    tables.forget(origin);
                }

                fn finish(tables: Self::Tables) -> ::std::vec::Vec<#sdk::wire::Table> {
                    let mut finished = ::std::vec::Vec::new();
                    tables.finish(0, &mut finished);
                    finished
                }
            }

            #(#checks)*
        };
    })
}
