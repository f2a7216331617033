//! Write a wasmill plugin in Rust: the business rule as one typed function, nothing else.
//!
//! ```
//! use wasmill_plugin::prelude::*;
//!
//! #[derive(Record)]
//! struct Txn<'a> {
//!     customer_id: &'a str,
//!     amount: f64,
//! }
//!
//! #[derive(Emit)]
//! struct Alert<'a> {
//!     customer_id: &'a str,
//!     amount: f64,
//! }
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     max_amount: f64,
//! }
//!
//! /// Passes on the transactions that are too large.
//! #[wasmill_plugin::transform]
//! fn large_amount(txn: Txn<'_>, config: &Config, out: &mut Output<Alert<'_>>) {
//!     if txn.amount > config.max_amount {
//!         out.emit(Alert { customer_id: txn.customer_id, amount: txn.amount });
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! A plugin's crate is a `cdylib`, and `cargo build --release --target wasm32-unknown-unknown` is the whole build. The host hands a
//! plugin the fields that it names, as columns; the macros turn them into records and what the rule emits back into columns, so
//! an author never sees one. A rule is a plain function: call it in a test, or drive it with [`testing`], without WebAssembly.
//!
//! | a rule that                               | is written as                                                    |
//! |-------------------------------------------|------------------------------------------------------------------|
//! | looks at one record                       | [`transform`]: filter, map, split, route                         |
//! | remembers something for each key          | [`keyed`]: a typed state, timers                                 |
//! | folds the records of a window             | [`aggregate`]: an implementation of [`Aggregate`]                |
//!
//! The order of the modules is the way of a record: `record` reads it, `transform`, `keyed` or `aggregate` drive the rule over a
//! batch, `output` and `emit` take what it says, `export` joins that to the boundary.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

// The macros name this crate by its path, in its own tests too.
extern crate self as wasmill_plugin;

#[doc(hidden)]
pub mod bindings;

mod aggregate;
mod capability;
mod config;
mod emit;
#[doc(hidden)]
pub mod export;
mod group;
mod json;
mod keyed;
mod logging;
mod migration;
mod output;
mod plugin;
mod record;
mod reject;
mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod timers;
mod transform;

pub use aggregate::{Aggregate, AggregatePlugin, Window};
pub use config::NoConfig;
pub use emit::{Cells, Emit, Unchanged, Value};
pub use group::Group;
pub use json::{Json, JsonText};
pub use keyed::Keyed;
pub use logging::{Level, count, log};
pub use migration::Migrate;
pub use output::{Output, PortTable, Ports};
pub use plugin::{Plugin, field};
pub use record::{Read, Record, bind_column};
pub use reject::{Outcome, Reject};
pub use state::{Bytes, State};
pub use timers::{Timer, Timers};
pub use transform::Transform;
pub use wasmill_plugin_macros::{Emit, Ports, Record, aggregate, keyed, transform};

/// The types of the boundary, which only the macros and the tests of this crate touch.
#[doc(hidden)]
pub mod wire {
    pub use crate::bindings::lifecycle::exports::wasmill::plugin::lifecycle::{Info, Port, Spec};
    pub use crate::bindings::lifecycle::wasmill::plugin::columns::{Batch, Column, Field, Kind, Slot, Strings, Values};
    pub use crate::bindings::lifecycle::wasmill::plugin::output::{Body, Produced, Reject, Table};
}

/// What a plugin's source needs, in one `use`.
pub mod prelude {
    pub use crate::{
        Aggregate, Emit, Group, Json, JsonText, Output, Ports, Record, Reject, Timer, Timers, Unchanged, Window,
    };
}
