//! A transform that does what no plugin should, on demand: its `config` says what, and on which rows. It is written over
//! the bare bindings, so it also shows what a plugin without an SDK looks like.
//!
//! `{"mode": "trap", "when": {"field": "id", "every": 1000}}` traps on each row whose `id` is a multiple of 1,000. Without a
//! `mode` every row passes unchanged; without `when` the mode is for every row.

mod bindings {
    #![allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated")]
    wit_bindgen::generate!({ path: "../../wit", world: "transform-plugin" });
    #[cfg(target_family = "wasm")]
    export!(Misbehaving with_types_in self);
    #[cfg(target_family = "wasm")]
    use super::Misbehaving;
}
mod config;
mod mode;

use bindings::exports::wasmill::plugin::lifecycle::{Guest as Lifecycle, Info, Port, Spec};
use bindings::exports::wasmill::plugin::transform::Guest as Transform;
use bindings::wasmill::plugin::columns::{Batch, Field, Kind, Slot, Values};
use bindings::wasmill::plugin::logging::{self, Level};
use bindings::wasmill::plugin::output::{Body, Produced, Table};
use config::{Config, Mode};
use std::sync::OnceLock;

static CONFIG: OnceLock<Config> = OnceLock::new();

/// The plugin.
pub struct Misbehaving;

impl Lifecycle for Misbehaving {
    fn describe() -> Info {
        Info {
            name: "misbehaving".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "does what no plugin should, on demand".into(),
            config_schema: include_str!("config.schema.json").into(),
        }
    }

    fn open(config: String) -> Result<Spec, String> {
        std::panic::set_hook(Box::new(|panic| logging::log(Level::Error, "panic", &panic.to_string())));
        let config: Config = serde_json::from_str(&config).map_err(|error| format!("config: {error}"))?;
        if config.mode == Mode::FailOpen {
            return Err("this plugin was told not to open".into());
        }
        let field = |name: &str, kind| Field { slot: Slot::Field(name.into()), kind, required: true };
        let spec = Spec {
            reads: vec![field(&config.when.field, Kind::S64)],
            ports: vec![
                Port { name: "out".into(), fields: vec![] },
                Port { name: "made".into(), fields: vec![field("note", Kind::Text), field("document", Kind::Json)] },
            ],
            state_version: 0,
        };
        CONFIG.set(config).map_err(|_| "opened twice")?;
        Ok(spec)
    }
}

impl Transform for Misbehaving {
    fn process(records: Batch) -> Result<Produced, String> {
        let config = CONFIG.get().ok_or("not opened")?;
        let Values::S64(ids) = &records.columns[0].values else {
            return Err("the field to look at is not an s64".into());
        };
        let hit: Vec<u32> = (0..records.rows).filter(|&row| ids[row as usize] % config.when.every == 0).collect();
        let mut produced = pass(records.rows);
        if let (Some(&first), true) = (hit.first(), config.mode != Mode::None) {
            mode::misbehave(config.mode, &hit, ids[first as usize], records.rows, &mut produced)?;
        }
        Ok(produced)
    }
}

/// Every row as it is.
fn pass(rows: u32) -> Produced {
    Produced { tables: vec![Table { port: 0, origins: (0..rows).collect(), body: Body::Unchanged }], rejects: vec![] }
}
