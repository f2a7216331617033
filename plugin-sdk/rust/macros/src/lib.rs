//! The macros of `wasmill-plugin`, which re-exports and documents them with examples; use them from there.
//!
//! What they write is thin: names, kinds and orders. All that runs is generic code of `wasmill-plugin`.

mod aggregate;
mod emit;
mod field;
mod lifetimes;
mod options;
mod ports;
mod record;
mod rule;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, ItemImpl, parse_macro_input};

/// Makes a struct a record that a rule reads: one field of the struct for each field of the record that the rule wants to see.
///
/// See the trait of the same name for the types and for `#[field("name")]` and `#[slot(..)]`.
#[proc_macro_derive(Record, attributes(field, slot))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct a row that a rule emits: its fields, in their order, are the output's.
///
/// See the trait of the same name for the types and for `#[field("name")]` and `#[slot(..)]`.
#[proc_macro_derive(Emit, attributes(field, slot))]
pub fn derive_emit(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    emit::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum the ports of a plugin: one variant a port, holding a row that derives `Emit`, or nothing for records passed on.
///
/// See the trait of the same name.
#[proc_macro_derive(Ports, attributes(port))]
pub fn derive_ports(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    ports::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a function the plugin: it is called for each record, in order.
///
/// Its parameters, in any order and told apart by how they are written: the record by value; `config: &Config`, of a type that
/// implements `serde::Deserialize`, may be left out; `out: &mut Output<Row>`. It returns nothing, or `Result<(), Reject>`.
///
/// Options: `name` and `version` (the crate's), `description` (the doc comment's first paragraph), `config_schema` (a JSON Schema's text).
///
/// The function stays as it is. Beside it there is a type of the same name, for `wasmill_plugin::testing::TransformTest`.
#[proc_macro_attribute]
pub fn transform(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    rule::expand_transform(options.into(), &item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a function the plugin: it is called for each record with the state of the record's key.
///
/// Its parameters are those of `transform`, and `state: &mut Option<State>` (none before the key's first record; none afterwards deletes
/// it) or `state: &mut State` of a type with a default (then always kept); `timers: &mut Timers` may be left out. A `Group<'a, Record<'a>>` in place of the
/// record makes it a rule that is called once for each key of a batch.
///
/// Options are those of `transform`, and:
///
/// - `state_version` (1): raise it when the state's form changes;
/// - `migrate = function`, a `fn(from_version: u32, state: &[u8]) -> Result<State, Reject>`: reads states of older versions;
/// - `on_timer = function`, a `fn(timer: Timer<'_>, state, timers: &mut Timers, config: &Config, out: &mut Output<Row>)` with the state as the
///   rule has it: called when a timer fires.
///
/// The function stays as it is. Beside it there is a type of the same name, for `wasmill_plugin::testing::KeyedTest`.
#[proc_macro_attribute]
pub fn keyed(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    rule::expand_keyed(options.into(), &item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a type's implementation of `Aggregate` the plugin.
///
/// Options are those of `transform`, and `state_version` (1) and `migrate = function`, a
/// `fn(from_version: u32, accumulator: &[u8]) -> Result<Accumulator, Reject>`, for accumulators of older versions.
#[proc_macro_attribute]
pub fn aggregate(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    aggregate::expand(options.into(), &item).unwrap_or_else(syn::Error::into_compile_error).into()
}
