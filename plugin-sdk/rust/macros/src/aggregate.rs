//! `#[aggregate]`: an implementation of `Aggregate` made a plugin.

use crate::options::Options;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemImpl, Type};

pub(crate) fn expand(options: TokenStream, item: &ItemImpl) -> syn::Result<TokenStream> {
    let known = ["name", "version", "description", "config_schema", "state_version", "migrate"];
    let options = Options::parse(options, &known)?;
    let is_aggregate =
        item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last()).is_some_and(|it| it.ident == "Aggregate");
    if !is_aggregate || !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(&item.self_ty, "expected `impl Aggregate for Name`, without parameters"));
    }
    let Type::Path(path) = &*item.self_ty else {
        return Err(syn::Error::new_spanned(&item.self_ty, "expected a type of this crate"));
    };
    let Some(name) = path.path.get_ident() else {
        return Err(syn::Error::new_spanned(path, "expected a type of this module, by its name alone"));
    };
    let sdk = quote!(::wasmill_plugin);
    let config = quote!(<#name as #sdk::Aggregate>::Config);
    let output = quote!(<#name as #sdk::Aggregate>::Output);
    let state = quote!(<#name as #sdk::Aggregate>::Accumulator);
    let reads = quote!(#sdk::export::aggregate_reads::<#name>());
    let plugin = options.plugin(name, &item.attrs, &config, &reads, &output, true);
    let (migration, migration_export) = options.migration(name, &state);

    Ok(quote! {
        #item

        #[allow(missing_docs, unreachable_pub, unused_variables, clippy::all)]
        const _: () = {
            #plugin
            #migration

            impl #sdk::AggregatePlugin for #name {}
        };

        #sdk::__wasmill_exports!(#name: lifecycle, aggregate #migration_export);
    })
}
