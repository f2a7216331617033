//! What every plugin says of itself, whatever its kind.

use crate::wire::{Field, Info, Kind, Port, Slot, Spec};
use crate::{config, logging};
use serde::de::DeserializeOwned;
use std::sync::OnceLock;

/// A plugin: its name, its configuration, what it reads and writes. The attribute macros implement it.
pub trait Plugin: 'static {
    /// The plugin's name.
    const NAME: &'static str;
    /// Its semantic version.
    const VERSION: &'static str;
    /// What it does, in a sentence.
    const DESCRIPTION: &'static str;
    /// JSON Schema of the configuration, or an empty string.
    const CONFIG_SCHEMA: &'static str;
    /// Version of the state's or accumulator's format; 0 where there is none.
    const STATE_VERSION: u32;

    /// The step's `config`.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// Fields read, in the order of the columns.
    #[doc(hidden)]
    fn reads() -> Vec<Field>;

    /// Ports, the default one first.
    #[doc(hidden)]
    fn ports() -> Vec<Port>;

    /// The configuration of this instance, once opened.
    #[doc(hidden)]
    fn opened() -> &'static OnceLock<Self::Config>;
}

pub(crate) fn describe<P: Plugin>() -> Info {
    Info {
        name: P::NAME.into(),
        version: P::VERSION.into(),
        description: P::DESCRIPTION.into(),
        config_schema: P::CONFIG_SCHEMA.into(),
    }
}

pub(crate) fn spec<P: Plugin>() -> Spec {
    Spec { reads: P::reads(), ports: P::ports(), state_version: P::STATE_VERSION }
}

/// Takes the configuration. The error names its key.
pub(crate) fn open<P: Plugin>(config: &str) -> Result<Spec, String> {
    logging::log_panics();
    let config = config::parse(config)?;
    P::opened().set(config).map_err(|_| "open was called twice on one instance".to_string())?;
    Ok(spec::<P>())
}

/// The configuration, in every call after `open`.
pub(crate) fn config<P: Plugin>() -> Result<&'static P::Config, String> {
    P::opened().get().ok_or_else(|| "called before open".to_string())
}

/// A field: what the derive macros write.
#[doc(hidden)]
pub fn field(slot: Slot, kind: Kind, required: bool) -> Field {
    Field { slot, kind, required }
}

/// `fields` with one of `slot`, and that one's index: what the author reads already serves.
pub(crate) fn index_of_slot(fields: &mut Vec<Field>, slot: Slot, kind: Kind) -> usize {
    let same = |it: &Field| std::mem::discriminant(&it.slot) == std::mem::discriminant(&slot);
    fields.iter().position(same).unwrap_or_else(|| {
        fields.push(Field { slot, kind, required: false });
        fields.len() - 1
    })
}
