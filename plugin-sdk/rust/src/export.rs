//! Joins a plugin to the boundary: what the component exports, for whatever the macros implemented.

use crate::bindings::aggregate::exports::wasmill::plugin::aggregate as aggregate_wire;
use crate::bindings::keyed::exports::wasmill::plugin::keyed as keyed_wire;
use crate::bindings::lifecycle::exports::wasmill::plugin::lifecycle as lifecycle_wire;
use crate::bindings::migration::exports::wasmill::plugin::migration as migration_wire;
use crate::bindings::transform::exports::wasmill::plugin::transform as transform_wire;
use crate::wire::{Batch, Column, Info, Produced, Spec, Strings};
use crate::{AggregatePlugin, Keyed, Migrate, Plugin, Transform, aggregate, keyed, migration, plugin, transform};
use std::marker::PhantomData;

/// The exports of `P`. The macros name it and hand it to the bindings' `export!`.
pub struct Exports<P>(PhantomData<P>);

impl<P: Plugin> lifecycle_wire::Guest for Exports<P> {
    fn describe() -> Info {
        plugin::describe::<P>()
    }

    fn open(config: String) -> Result<Spec, String> {
        plugin::open::<P>(&config)
    }
}

impl<P: Transform> transform_wire::Guest for Exports<P> {
    fn process(records: Batch) -> Result<Produced, String> {
        transform::process::<P>(plugin::config::<P>()?, &records)
    }
}

impl<P: Keyed> keyed_wire::Guest for Exports<P> {
    fn process(records: Batch, groups: keyed_wire::Groups) -> Result<keyed_wire::KeyedOutput, String> {
        keyed::process::<P>(plugin::config::<P>()?, &records, &groups)
    }

    fn on_timers(due: Batch, ids: Vec<u32>, groups: keyed_wire::Groups) -> Result<keyed_wire::KeyedOutput, String> {
        keyed::on_timers::<P>(plugin::config::<P>()?, &due, &ids, &groups)
    }
}

impl<P: AggregatePlugin> aggregate_wire::Guest for Exports<P> {
    fn add(records: Batch, bounds: Vec<u32>, accumulators: Column) -> Result<Strings, String> {
        aggregate::add::<P>(plugin::config::<P>()?, &records, &bounds, &accumulators)
    }

    fn merge(left: Strings, right: Strings) -> Result<Strings, String> {
        aggregate::merge::<P>(plugin::config::<P>()?, &left, &right)
    }

    fn finish(windows: Batch, accumulators: Strings) -> Result<Produced, String> {
        aggregate::finish::<P>(plugin::config::<P>()?, &windows, &accumulators)
    }
}

impl<P: Migrate> migration_wire::Guest for Exports<P> {
    fn migrate(from_version: u32, states: Strings) -> Result<Strings, String> {
        migration::migrate::<P>(from_version, &states)
    }
}

pub use crate::aggregate::reads as aggregate_reads;
pub use crate::keyed::reads as keyed_reads;

/// Names a plugin where it is not exported.
pub fn keep<P: Plugin>() {}

/// The symbols of the component's interfaces named, for the plugin named: `exports!(Rules: lifecycle, transform)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __wasmill_exports {
    ($plugin:ident: $($interface:ident),+) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]
        const _: () = {
            type Exported = $crate::export::Exports<$plugin>;
            $($crate::bindings::$interface::export!(Exported with_types_in $crate::bindings::$interface);)+
        };

        // Natively nothing is exported: the plugin is in use all the same, and its private parts are no dead code.
        #[cfg(not(target_arch = "wasm32"))]
        #[allow(clippy::all)]
        const _: () = {
            let _ = $crate::export::keep::<$plugin>;
        };
    };
}
