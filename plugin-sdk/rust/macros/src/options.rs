//! What is written in the parentheses of `transform`, `keyed` and `aggregate`, and what they have in common.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Path, Token};

pub(crate) struct Options {
    name: Option<Expr>,
    version: Option<Expr>,
    description: Option<Expr>,
    config_schema: Option<Expr>,
    state_version: Option<Expr>,
    pub(crate) on_timer: Option<Path>,
    pub(crate) migrate: Option<Path>,
}

/// `key = value`.
struct Setting {
    key: Ident,
    value: Expr,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Setting { key, value: input.parse()? })
    }
}

impl Options {
    /// Reads the options that are among `known`.
    pub(crate) fn parse(tokens: TokenStream, known: &[&str]) -> syn::Result<Self> {
        let settings = Punctuated::<Setting, Token![,]>::parse_terminated.parse2(tokens)?;
        let mut options = Options {
            name: None,
            version: None,
            description: None,
            config_schema: None,
            state_version: None,
            on_timer: None,
            migrate: None,
        };
        for Setting { key, value } in settings {
            let name = key.to_string();
            if !known.contains(&name.as_str()) {
                let message = format!("unknown option `{name}`: expected one of {}", known.join(", "));
                return Err(syn::Error::new(key.span(), message));
            }
            match name.as_str() {
                "name" => options.name = Some(value),
                "version" => options.version = Some(value),
                "description" => options.description = Some(value),
                "config_schema" => options.config_schema = Some(value),
                "state_version" => options.state_version = Some(value),
                "on_timer" => options.on_timer = Some(function(value)?),
                _ => options.migrate = Some(function(value)?),
            }
        }
        Ok(options)
    }

    /// The implementation of `Plugin` for `plugin`, documented by `attributes`.
    pub(crate) fn plugin(
        &self,
        plugin: &Ident,
        attributes: &[Attribute],
        config: &TokenStream,
        reads: &TokenStream,
        output: &TokenStream,
        has_state: bool,
    ) -> TokenStream {
        let sdk = quote!(::wasmill_plugin);
        let or = |given: &Option<Expr>, default: TokenStream| given.as_ref().map_or(default, |it| quote!(#it));
        let name = or(&self.name, quote!(::core::env!("CARGO_PKG_NAME")));
        let version = or(&self.version, quote!(::core::env!("CARGO_PKG_VERSION")));
        let documented = first_paragraph(attributes);
        let documented =
            if documented.is_empty() { quote!(::core::env!("CARGO_PKG_DESCRIPTION")) } else { quote!(#documented) };
        let description = or(&self.description, documented);
        let config_schema = or(&self.config_schema, quote!(""));
        let state_version = or(&self.state_version, if has_state { quote!(1) } else { quote!(0) });
        quote! {
            impl #sdk::Plugin for #plugin {
                const NAME: &'static str = #name;
                const VERSION: &'static str = #version;
                const DESCRIPTION: &'static str = #description;
                const CONFIG_SCHEMA: &'static str = #config_schema;
                const STATE_VERSION: u32 = #state_version;

                type Config = #config;

                fn reads() -> ::std::vec::Vec<#sdk::wire::Field> {
                    #reads
                }

                fn ports() -> ::std::vec::Vec<#sdk::wire::Port> {
                    <#output as #sdk::Ports>::ports()
                }

                fn opened() -> &'static ::std::sync::OnceLock<Self::Config> {
                    static OPENED: ::std::sync::OnceLock<#config> = ::std::sync::OnceLock::new();
                    &OPENED
                }
            }
        }
    }

    /// The implementation of `Migrate`, and the export that goes with it; neither when there is nothing to migrate.
    pub(crate) fn migration(&self, plugin: &Ident, state: &TokenStream) -> (TokenStream, TokenStream) {
        let Some(migrate) = &self.migrate else { return (TokenStream::new(), TokenStream::new()) };
        let implementation = quote! {
            impl ::wasmill_plugin::Migrate for #plugin {
                type State = #state;

                fn migrate(
                    from_version: u32,
                    state: &[u8],
                ) -> ::core::result::Result<Self::State, ::wasmill_plugin::Reject> {
                    #migrate(from_version, state)
                }
            }
        };
        (implementation, quote!(, migration))
    }
}

/// The path of a function, which may also be written as a string.
fn function(value: Expr) -> syn::Result<Path> {
    match value {
        Expr::Path(it) => Ok(it.path),
        Expr::Lit(ExprLit { lit: Lit::Str(it), .. }) => it.parse(),
        other => Err(syn::Error::new_spanned(other, "expected the name of a function")),
    }
}

/// The first paragraph of a doc comment, on one line.
fn first_paragraph(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|it| it.path().is_ident("doc")).filter_map(|it| match &it.meta {
        Meta::NameValue(it) => match &it.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_string()),
            _ => None,
        },
        _ => None,
    });
    lines.take_while(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
}
