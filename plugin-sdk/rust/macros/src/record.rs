//! `#[derive(Record)]`.

use crate::{field, lifetimes};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::DeriveInput;
use syn::spanned::Spanned;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let this = lifetimes::self_type(input, "row")?;
    let fields = field::of(input, "Record")?;
    let sdk = quote!(::wasmill_plugin);

    let idents: Vec<_> = fields.iter().map(|it| it.ident).collect();
    let types: Vec<_> = fields.iter().map(|it| it.type_at("row")).collect();
    let view_fields = fields.iter().zip(&types).map(|(it, ty)| {
        let ident = it.ident;
        quote_spanned!(it.ty.span() => #ident: <#ty as #sdk::Read<'row>>::Column)
    });
    let described = fields.iter().zip(&types).map(|(it, ty)| {
        let slot = it.slot();
        quote_spanned!(it.ty.span() => #sdk::field(#slot, <#ty as #sdk::Read<'row>>::KIND, <#ty as #sdk::Read<'row>>::REQUIRED))
    });
    let bound = fields.iter().zip(&types).enumerate().map(|(index, (it, ty))| {
        let (ident, label) = (it.ident, it.label());
        quote_spanned!(it.ty.span() => #ident: #sdk::bind_column::<#ty>(batch, #index, #label)?)
    });
    let checks = fields.iter().map(|it| {
        let ty = it.type_at("static");
        it.kind_check(&quote!(<#ty as #sdk::Read<'static>>::KIND))
    });

    Ok(quote! {
        #[allow(missing_docs, unreachable_pub, dead_code, unused_variables, clippy::all)]
        const _: () = {
            #[derive(Clone, Copy)]
            pub struct View<'row> {
                #(#view_fields,)*
                batch: ::core::marker::PhantomData<&'row ()>,
            }

            impl<'row> #sdk::Record<'row> for #this {
                type View = View<'row>;

                fn fields() -> ::std::vec::Vec<#sdk::wire::Field> {
                    ::std::vec![#(#described),*]
                }

                fn bind(batch: &'row #sdk::wire::Batch) -> ::core::result::Result<View<'row>, ::std::string::String> {
                    ::core::result::Result::Ok(View { #(#bound,)* batch: ::core::marker::PhantomData })
                }

                #[inline(always)]
                fn row(view: &View<'row>, row: usize) -> Self {
                    Self { #(#idents: #sdk::Read::read(view.#idents, row)),* }
                }
            }

            #(#checks)*
        };
    })
}
