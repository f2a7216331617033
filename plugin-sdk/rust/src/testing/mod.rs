//! Runs a plugin natively, as the host runs it: records go in as JSON and out as columns, through all that the macros wrote.
//!
//! ```
//! use wasmill_plugin::prelude::*;
//! use wasmill_plugin::testing::TransformTest;
//! use serde_json::json;
//!
//! #[derive(Record)]
//! struct Txn {
//!     amount: f64,
//! }
//!
//! /// Lets the large transactions through.
//! #[wasmill_plugin::transform]
//! fn large(txn: Txn, out: &mut Output) {
//!     if txn.amount > 100.0 {
//!         out.pass();
//!     }
//! }
//!
//! # fn main() {
//! let run = TransformTest::<large>::new(json!({})).run([json!({"amount": 99}), json!({"amount": 101})]);
//! assert_eq!(run.to_string(), r#"out: {"amount":101}"#);
//! # }
//! ```
//!
//! A [`Run`] prints one line for each thing that happened, which suits a snapshot test; its fields suit assertions.
#![allow(clippy::indexing_slicing, reason = "a test's driver panics where the plugin's answer is out of shape")]

mod batch;
pub(crate) mod capture;
mod keyed;
mod run;
mod transform;
mod window;

pub use batch::Row;
pub use keyed::KeyedTest;
pub use run::{Emitted, Run};
pub use transform::TransformTest;
pub use window::AggregateTest;

use crate::{Plugin, config};

/// The configuration, as `open` would read it. Panics with what `open` would refuse.
fn configured<P: Plugin>(value: &serde_json::Value) -> P::Config {
    match config::parse(&value.to_string()) {
        Ok(config) => config,
        Err(error) => panic!("the plugin refuses its configuration: {error}"),
    }
}

/// Why the plugin refuses this configuration, or none when it takes it.
pub fn config_error<P: Plugin>(value: &serde_json::Value) -> Option<String> {
    config::parse::<P::Config>(&value.to_string()).err()
}
