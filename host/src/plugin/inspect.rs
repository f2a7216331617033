//! A file looked at as a whole, for a person who asks what it is: all that would be refused, not only the first.

use super::component::{self, Names, Plugin};
use super::engine::PluginEngine;
use super::error::LoadError;
use std::path::Path;

/// What a file was found to be.
#[derive(Debug)]
pub struct Inspection {
    /// Size of the file in bytes; 0 where it cannot be read.
    pub bytes: usize,
    /// The sha256 of the file, in lower-case hexadecimal; empty where it cannot be read.
    pub digest: String,
    /// The interfaces that it imports, those of nothing but types included; none where it is no component.
    pub imports: Vec<String>,
    /// What it exports; nothing where it is no component.
    pub exports: Vec<String>,
    /// The plugin, or all the reasons why it is none: at least one.
    pub plugin: Result<Plugin, Vec<LoadError>>,
}

impl Inspection {
    /// Reads and compiles the file at `path`.
    pub fn of(engine: &PluginEngine, path: &Path) -> Inspection {
        Self::named(engine, path, &path.display().to_string())
    }

    /// As [`Inspection::of`]; messages call the file `label`.
    pub fn named(engine: &PluginEngine, path: &Path, label: &str) -> Inspection {
        let nothing = |reason| Inspection {
            bytes: 0,
            digest: String::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            plugin: Err(vec![reason]),
        };
        let bytes = match component::read(path) {
            Ok(bytes) => bytes,
            Err(reason) => return nothing(reason),
        };
        let (size, digest) = (bytes.len(), component::digest(&bytes));
        let compiled = match component::compile(engine, label, &bytes) {
            Ok(compiled) => compiled,
            Err(reason) => return Inspection { bytes: size, digest, ..nothing(reason) },
        };
        let found = Names::of(&compiled, engine);
        let plugin = found.check_all(label).and_then(|kind| {
            Plugin::link(engine, label, &bytes, &compiled, kind, &found).map_err(|reason| vec![reason])
        });
        let Names { exports, imports } = found;
        Inspection { bytes: size, digest, imports, exports, plugin }
    }
}
