//! A field of a record or of an output row: its name, its slot, its type.

use crate::lifetimes;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Ident, LitStr, Type};

/// Where the values come from, or go to.
enum Slot {
    Field(String),
    Header(LitStr),
    /// A variant of `slot` without a payload, as WIT and as Rust name it, and the kinds that it may have.
    Other {
        name: String,
        variant: Ident,
        kinds: &'static [&'static str],
        rust: &'static str,
        read_only: bool,
    },
}

pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    slot: Slot,
}

/// The fields of a struct with named fields, or with none.
pub(crate) fn of<'a>(input: &'a DeriveInput, derive: &str) -> syn::Result<Vec<Field<'a>>> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            &input.ident,
            format!("`{derive}` is derived for a struct with named fields"),
        ));
    };
    match &data.fields {
        Fields::Named(fields) => fields.named.iter().map(Field::of).collect(),
        Fields::Unit => Ok(Vec::new()),
        Fields::Unnamed(fields) => {
            Err(syn::Error::new_spanned(fields, format!("`{derive}` needs named fields: their names are the record's")))
        }
    }
}

impl<'a> Field<'a> {
    fn of(field: &'a syn::Field) -> syn::Result<Self> {
        let ident = field.ident.as_ref().ok_or_else(|| syn::Error::new_spanned(field, "expected a named field"))?;
        let mut slot = None;
        for attribute in &field.attrs {
            let found = if attribute.path().is_ident("field") {
                Slot::Field(attribute.parse_args::<LitStr>()?.value())
            } else if attribute.path().is_ident("slot") {
                attribute.parse_args::<Slot>()?
            } else {
                continue;
            };
            if slot.replace(found).is_some() {
                return Err(syn::Error::new_spanned(attribute, "a field has one `field` or `slot`"));
            }
        }
        let slot = slot.unwrap_or_else(|| Slot::Field(ident.unraw().to_string()));
        Ok(Field { ident, ty: &field.ty, slot })
    }

    /// Refuses a slot that cannot be written.
    pub(crate) fn check_writable(&self) -> syn::Result<()> {
        match &self.slot {
            Slot::Other { name, read_only: true, .. } => Err(syn::Error::new(
                self.ident.span(),
                format!("slot `{name}` is read only: an output row can set key, value, time and header(\"name\")"),
            )),
            _ => Ok(()),
        }
    }

    /// The name for messages.
    pub(crate) fn label(&self) -> String {
        match &self.slot {
            Slot::Field(name) => name.clone(),
            Slot::Header(name) => format!("header {}", name.value()),
            Slot::Other { name, .. } => name.clone(),
        }
    }

    /// The slot, as a value of the bindings' type.
    pub(crate) fn slot(&self) -> TokenStream {
        let slot = quote!(::wasmill_plugin::wire::Slot);
        match &self.slot {
            Slot::Field(name) => quote!(#slot::Field(::std::string::String::from(#name))),
            Slot::Header(name) => quote!(#slot::Header(::std::string::String::from(#name))),
            Slot::Other { variant, .. } => quote!(#slot::#variant),
        }
    }

    /// The type, its lifetimes being `'name`.
    pub(crate) fn type_at(&self, name: &str) -> TokenStream {
        lifetimes::named(self.ty, name)
    }

    /// A check, when the author's crate is compiled, that the type fits the slot; `kind` is the type's.
    pub(crate) fn kind_check(&self, kind: &TokenStream) -> TokenStream {
        let (name, kinds, rust): (_, &[&str], _) = match &self.slot {
            Slot::Field(_) => return TokenStream::new(),
            Slot::Header(_) => ("header".to_string(), &["Bytes"], "&[u8]"),
            Slot::Other { name, kinds, rust, .. } => (name.clone(), kinds, *rust),
        };
        let kinds = kinds.iter().map(|it| Ident::new(it, Span::call_site()));
        let message = format!("slot `{name}` is of type {rust}, or an Option of it");
        quote_spanned! { self.ty.span() =>
            const _: () = assert!(matches!(#kind, #(::wasmill_plugin::wire::Kind::#kinds)|*), #message);
        }
    }
}

impl Parse for Slot {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ident = input.call(Ident::parse_any)?;
        let name = ident.to_string();
        if name == "header" {
            let content;
            syn::parenthesized!(content in input);
            return Ok(Slot::Header(content.parse()?));
        }
        let (variant, kinds, rust, read_only): (_, &'static [&'static str], _, _) = match name.as_str() {
            "value" => ("Value", &["Bytes"], "&[u8]", false),
            "key" => ("Key", &["Text", "Bytes"], "&str or &[u8]", false),
            "time" => ("Time", &["S64"], "i64", false),
            "topic" => ("Topic", &["Text"], "&str", true),
            "partition" => ("Partition", &["S64"], "i64", true),
            "offset" => ("Offset", &["S64"], "i64", true),
            _ => {
                let message = "expected key, value, time, header(\"name\"), topic, partition or offset";
                return Err(syn::Error::new(ident.span(), format!("unknown slot `{name}`: {message}")));
            }
        };
        let variant = Ident::new(variant, Span::call_site());
        Ok(Slot::Other { name, variant, kinds, rust, read_only })
    }
}
