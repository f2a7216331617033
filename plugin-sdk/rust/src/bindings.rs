//! What `wit-bindgen` makes of `wit/wasmill.wit`, generated here so that an author's crate needs no WIT and no `wit-bindgen`.
//!
//! Each exported interface is a world of its own. A plugin exports the ones that it implements, and the worlds' sections are
//! united when its module becomes a component; so `lifecycle` exists once, and `migration` only where it is written. All of them
//! share the types generated in [`lifecycle`].
#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated code")]

/// The types, the imports and the interface that every plugin exports.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world lifecycle {
                import wasmill:plugin/columns@0.1.0;
                import wasmill:plugin/output@0.1.0;
                import wasmill:plugin/logging@0.1.0;
                import wasmill:plugin/metrics@0.1.0;
                export wasmill:plugin/lifecycle@0.1.0;
            }
        ",
        world: "lifecycle",
        generate_all,
        generate_unused_types: true,
        pub_export_macro: true,
        default_bindings_module: "wasmill_plugin::bindings::lifecycle",
    });
}

/// The interface of a plugin without state.
pub mod transform {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world transform { export wasmill:plugin/transform@0.1.0; }
        ",
        world: "transform",
        with: {
            "wasmill:plugin/columns@0.1.0": crate::bindings::lifecycle::wasmill::plugin::columns,
            "wasmill:plugin/output@0.1.0": crate::bindings::lifecycle::wasmill::plugin::output,
        },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "wasmill_plugin::bindings::transform",
    });
}

/// The interface of a plugin with state for each key.
pub mod keyed {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world keyed { export wasmill:plugin/keyed@0.1.0; }
        ",
        world: "keyed",
        with: {
            "wasmill:plugin/columns@0.1.0": crate::bindings::lifecycle::wasmill::plugin::columns,
            "wasmill:plugin/output@0.1.0": crate::bindings::lifecycle::wasmill::plugin::output,
        },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "wasmill_plugin::bindings::keyed",
    });
}

/// The interface of a plugin that folds windows.
pub mod aggregate {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world aggregate { export wasmill:plugin/aggregate@0.1.0; }
        ",
        world: "aggregate",
        with: {
            "wasmill:plugin/columns@0.1.0": crate::bindings::lifecycle::wasmill::plugin::columns,
            "wasmill:plugin/output@0.1.0": crate::bindings::lifecycle::wasmill::plugin::output,
        },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "wasmill_plugin::bindings::aggregate",
    });
}

/// The interface of a plugin that brings older state up to date.
pub mod migration {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world migration { export wasmill:plugin/migration@0.1.0; }
        ",
        world: "migration",
        with: {
            "wasmill:plugin/columns@0.1.0": crate::bindings::lifecycle::wasmill::plugin::columns,
        },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "wasmill_plugin::bindings::migration",
    });
}
