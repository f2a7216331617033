//! `#[transform]` and `#[keyed]`: a function made a plugin.

use crate::lifetimes;
use crate::options::Options;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{FnArg, GenericArgument, GenericParam, ItemFn, PathArguments, Type};

/// What a parameter of a rule is, told by its type.
enum Parameter {
    Record,
    Config,
    State,
    Timers,
    Output,
}

/// A rule's signature.
struct Rule {
    parameters: Vec<Parameter>,
    record: Type,
    /// Whether the rule takes all records of a key at once: a `Group` of them.
    grouped: bool,
    config: TokenStream,
    /// The output's type, its lifetimes being `'static`.
    output: TokenStream,
    state: Option<State>,
}

struct State {
    ty: TokenStream,
    /// Whether the rule sees an `Option`; otherwise the state begins with its default.
    optional: bool,
}

pub(crate) fn expand_transform(options: TokenStream, item: &ItemFn) -> syn::Result<TokenStream> {
    let options = Options::parse(options, &["name", "version", "description", "config_schema"])?;
    let rule = Rule::of(item, false)?;
    let sdk = quote!(::wasmill_plugin);
    let (name, declared) = declaration(item);
    let Rule { config, output, .. } = &rule;
    let record = lifetimes::named(&rule.record, "row");
    let reads = quote!(<<#name as #sdk::Transform>::Record<'static> as #sdk::Record<'static>>::fields());
    let plugin = options.plugin(&name, &item.attrs, config, &reads, output, false);
    let call = rule.call(&name);

    let inline = inlining(item);

    Ok(quote! {
        #inline
        #item
        #declared

        #[allow(missing_docs, unreachable_pub, unused_variables, clippy::all)]
        const _: () = {
            #plugin

            impl #sdk::Transform for #name {
                type Record<'row> = #record;
                type Output = #output;

                #[inline(always)]
                fn process(
                    record: Self::Record<'_>,
                    config: &#config,
                    out: &mut #sdk::Output<#output>,
                ) -> ::core::result::Result<(), #sdk::Reject> {
                    #sdk::Outcome::into_result(#call)
                }
            }
        };

        #sdk::__wasmill_exports!(#name: lifecycle, transform);
    })
}

pub(crate) fn expand_keyed(options: TokenStream, item: &ItemFn) -> syn::Result<TokenStream> {
    let known = ["name", "version", "description", "config_schema", "state_version", "on_timer", "migrate"];
    let options = Options::parse(options, &known)?;
    let rule = Rule::of(item, true)?;
    let sdk = quote!(::wasmill_plugin);
    let (name, declared) = declaration(item);
    let Rule { config, output, .. } = &rule;
    let Some(State { ty: state, optional }) = &rule.state else {
        return Err(syn::Error::new_spanned(
            &item.sig,
            "a keyed rule has a state: expected a parameter `state: &mut Option<State>`, or `&mut State` of a type with a default",
        ));
    };
    let record = lifetimes::named(&rule.record, "row");
    let reads = quote!(#sdk::export::keyed_reads::<#name>());
    let plugin = options.plugin(&name, &item.attrs, config, &reads, output, true);
    let (migration, migration_export) = options.migration(&name, state);
    let unwrapped = if *optional {
        TokenStream::new()
    } else {
        quote!(let state = state.get_or_insert_with(::core::default::Default::default);)
    };
    let call = rule.call(&name);
    let drive = if rule.grouped { quote!(all) } else { quote!(each) };
    let has_timers = options.on_timer.is_some();
    let fired = options.on_timer.as_ref().map_or(quote!(), |it| quote!(#it(timer, state, timers, config, out)));

    let inline = inlining(item);

    Ok(quote! {
        #inline
        #item
        #declared

        #[allow(missing_docs, unreachable_pub, unused_variables, clippy::all)]
        const _: () = {
            #plugin
            #migration

            impl #sdk::Keyed for #name {
                type Record<'row> = #record;
                type State = #state;
                type Output = #output;
                const TIMERS: bool = #has_timers;

                #[inline(always)]
                fn process<'row>(
                    records: #sdk::Group<'row, Self::Record<'row>>,
                    state: &mut ::core::option::Option<#state>,
                    timers: &mut #sdk::Timers,
                    config: &#config,
                    out: &mut #sdk::Output<#output>,
                ) {
                    records.#drive(timers, out, |record, timers, out| {
                        let state = &mut *state;
                        #unwrapped
                        #sdk::Outcome::into_result(#call)
                    });
                }

                fn on_timer(
                    timer: #sdk::Timer<'_>,
                    state: &mut ::core::option::Option<#state>,
                    timers: &mut #sdk::Timers,
                    config: &#config,
                    out: &mut #sdk::Output<#output>,
                ) -> ::core::result::Result<(), #sdk::Reject> {
                    #unwrapped
                    #sdk::Outcome::into_result({ #fired })
                }
            }
        };

        #sdk::__wasmill_exports!(#name: lifecycle, keyed #migration_export);
    })
}

/// The plugin's type: of the function's name, in the namespace of types, so that it does not hide the function.
fn declaration(item: &ItemFn) -> (Ident, TokenStream) {
    let (name, visibility) = (&item.sig.ident, &item.vis);
    let documentation = format!("The plugin that [`{name}`](fn@{name}) is the rule of, for tests.");
    let declared = quote! {
        #[doc = #documentation]
        #[allow(non_camel_case_types, dead_code, unreachable_pub)]
        #visibility struct #name {}
    };
    (name.clone(), declared)
}

/// A rule is called in one place, once a record. Inlined there before anything else is optimised, the fields that it does not look at
/// are never loaded: a filter over two fields costs half.
fn inlining(item: &ItemFn) -> TokenStream {
    let has_its_own = item.attrs.iter().any(|it| it.path().is_ident("inline"));
    if has_its_own { TokenStream::new() } else { quote!(#[inline(always)]) }
}

impl Rule {
    fn of(item: &ItemFn, keyed: bool) -> syn::Result<Self> {
        let signature = &item.sig;
        if signature.asyncness.is_some() || signature.unsafety.is_some() || signature.variadic.is_some() {
            return Err(syn::Error::new_spanned(signature, "a rule is a plain function"));
        }
        if let Some(generic) = signature.generics.params.iter().find(|it| !matches!(it, GenericParam::Lifetime(_))) {
            return Err(syn::Error::new_spanned(generic, "a rule has no type parameters: it is called by the host"));
        }
        let mut rule = Rule {
            parameters: Vec::new(),
            record: Type::Verbatim(TokenStream::new()),
            grouped: false,
            config: quote!(::wasmill_plugin::NoConfig),
            output: quote!(::wasmill_plugin::Unchanged),
            state: None,
        };
        let mut seen = [false; 5];
        for argument in &signature.inputs {
            let FnArg::Typed(argument) = argument else {
                return Err(syn::Error::new_spanned(argument, "a rule is a function, not a method"));
            };
            let parameter = rule.parameter(&argument.ty, keyed)?;
            let index = match parameter {
                Parameter::Record => 0,
                Parameter::Config => 1,
                Parameter::State => 2,
                Parameter::Timers => 3,
                Parameter::Output => 4,
            };
            if std::mem::replace(&mut seen[index], true) {
                return Err(syn::Error::new_spanned(argument, expected(keyed)));
            }
            rule.parameters.push(parameter);
        }
        if !seen[0] || !(keyed || seen[4]) {
            return Err(syn::Error::new_spanned(signature, expected(keyed)));
        }
        Ok(rule)
    }

    /// What a parameter of type `ty` is; remembers its type.
    fn parameter(&mut self, ty: &Type, keyed: bool) -> syn::Result<Parameter> {
        let Type::Reference(reference) = ty else {
            let (record, grouped) = match last_segment(ty) {
                (Some(name), Some(record)) if name == "Group" && keyed => (record, true),
                _ => (ty, false),
            };
            (self.record, self.grouped) = (record.clone(), grouped);
            return Ok(Parameter::Record);
        };
        let inner = &*reference.elem;
        if reference.mutability.is_none() {
            self.config = lifetimes::named(inner, "static");
            return Ok(Parameter::Config);
        }
        match last_segment(inner) {
            (Some(name), argument) if name == "Output" => {
                if let Some(argument) = argument {
                    self.output = lifetimes::named(argument, "static");
                }
                Ok(Parameter::Output)
            }
            (Some(name), _) if name == "Timers" && keyed => Ok(Parameter::Timers),
            (Some(name), Some(argument)) if name == "Option" && keyed => {
                self.state = Some(State { ty: quote!(#argument), optional: true });
                Ok(Parameter::State)
            }
            _ if keyed => {
                self.state = Some(State { ty: quote!(#inner), optional: false });
                Ok(Parameter::State)
            }
            _ => Err(syn::Error::new_spanned(ty, expected(keyed))),
        }
    }

    /// A call of the function, its arguments being variables of these names.
    fn call(&self, function: &Ident) -> TokenStream {
        let arguments = self.parameters.iter().map(|it| match it {
            Parameter::Record => quote!(record),
            Parameter::Config => quote!(config),
            Parameter::State => quote!(state),
            Parameter::Timers => quote!(timers),
            Parameter::Output => quote!(out),
        });
        quote!(#function(#(#arguments),*))
    }
}

fn expected(keyed: bool) -> &'static str {
    if keyed {
        "expected, once each and in any order: the record by value or a `Group` of them, `state: &mut Option<State>` or `&mut State`, and where needed \
         `timers: &mut Timers`, `config: &Config` and `out: &mut Output<Row>`"
    } else {
        "expected, once each and in any order: the record by value, `out: &mut Output<Row>`, and where needed `config: &Config`; \
         a rule with a state is `keyed`"
    }
}

/// The name of a path's last segment, and its first argument that is a type.
fn last_segment(ty: &Type) -> (Option<String>, Option<&Type>) {
    let Type::Path(path) = ty else { return (None, None) };
    let Some(segment) = path.path.segments.last() else { return (None, None) };
    let argument = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|it| match it {
            GenericArgument::Type(it) => Some(it),
            _ => None,
        }),
        _ => None,
    };
    (Some(segment.ident.to_string()), argument)
}
