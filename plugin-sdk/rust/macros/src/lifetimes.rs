//! Naming the lifetimes of a type that the author wrote with others.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{DeriveInput, GenericParam};

/// The tokens of `item`, each of its lifetimes being `'name`.
pub(crate) fn named(item: &impl ToTokens, name: &str) -> TokenStream {
    rename(item.to_token_stream(), name)
}

fn rename(tokens: TokenStream, name: &str) -> TokenStream {
    let mut after_quote = false;
    let rename_one = |tree: TokenTree| {
        let is_lifetime =
            std::mem::replace(&mut after_quote, matches!(&tree, TokenTree::Punct(it) if it.as_char() == '\''));
        match tree {
            TokenTree::Ident(ident) if is_lifetime => TokenTree::Ident(Ident::new(name, ident.span())),
            TokenTree::Group(group) => {
                let mut renamed = Group::new(group.delimiter(), rename(group.stream(), name));
                renamed.set_span(group.span());
                TokenTree::Group(renamed)
            }
            other => other,
        }
    };
    tokens.into_iter().map(rename_one).collect()
}

/// The type that `input` declares, its lifetime, if it has one, being `'name`. The error is for other generics.
pub(crate) fn self_type(input: &DeriveInput, name: &str) -> syn::Result<TokenStream> {
    let ident = &input.ident;
    let mut parameters = input.generics.params.iter();
    match (parameters.next(), parameters.next()) {
        (None, _) => Ok(ident.to_token_stream()),
        (Some(GenericParam::Lifetime(it)), None) => {
            let lifetime = named(&it.lifetime, name);
            Ok(quote::quote!(#ident<#lifetime>))
        }
        _ => Err(syn::Error::new_spanned(
            &input.generics,
            "expected no parameters or one lifetime, of the batch that the fields borrow from",
        )),
    }
}
