//! Plugins: WebAssembly components that hold the rules of a pipeline.
//!
//! [`PluginEngine`] compiles, [`Plugin`] is a component that was found to fit the boundary, [`Instance`] is one running
//! copy of it in one worker. The pipeline calls a runner, one for each kind of plugin: [`TransformRunner`],
//! [`KeyedRunner`], [`AggregateRunner`]. A runner owns an instance and makes calls atomic: it checks every answer, and on
//! any fault it throws the instance away, narrows the rows down to those that fail alone, and refuses those with the
//! error.
//!
//! Nothing that a guest answers is trusted, and nothing that it does can take the host down. This module knows no
//! pipeline, no Kafka and no state: it is handed columns and hands columns back.

mod adapt;
mod aggregate;
mod answer;
mod bindings;
mod bisect;
mod component;
mod componentize;
mod engine;
mod error;
mod guest_host;
mod inspect;
mod instance;
mod keyed;
mod lower;
mod produced;
mod spec;
mod supervised;
#[cfg(test)]
mod testing;
mod transform;
mod wasi_stub;
mod wasm;

pub use adapt::{AdaptError, adapt};
pub use aggregate::{Added, AggregateRunner};
pub use component::{Plugin, PluginKind};
pub use componentize::{WIT, World, componentize};
pub use engine::PluginEngine;
pub use error::{Blame, Fault, FaultKind, LoadError, PluginError};
pub use inspect::Inspection;
pub use instance::{Info, Instance, Opened, Started};
pub use keyed::{Groups, KeyedProduced, KeyedRunner, Timer};
pub use produced::{Body, Call, Produced, REASON_BYTES_MAX, Rejected, Table};
pub use spec::{SpecError, SpecErrors};
pub use supervised::Vitals;
pub use transform::TransformRunner;
