//! What `bindgen!` makes of `wit/wasmill.wit`: the only place that names generated code.
//!
//! One world exports every interface, so that their types are generated once. No component fits it: a plugin's exports
//! are found one interface at a time, through each one's `GuestIndices`. Parameters borrow, so that a column's values
//! are written into the guest's memory from where they are; results are owned, and moved into columns.

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package wasmill:host;
        world every-plugin {
            import wasmill:plugin/logging@0.1.0;
            import wasmill:plugin/metrics@0.1.0;
            export wasmill:plugin/lifecycle@0.1.0;
            export wasmill:plugin/transform@0.1.0;
            export wasmill:plugin/keyed@0.1.0;
            export wasmill:plugin/aggregate@0.1.0;
            export wasmill:plugin/migration@0.1.0;
        }
    ",
    world: "wasmill:host/every-plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) use self::wasmill::plugin::{columns, logging, metrics, output};
pub(super) use exports::wasmill::plugin::{aggregate, keyed, lifecycle, migration, transform};
