//! The pipeline file: TOML as written, then checked into a [`Pipeline`] in which nothing is left to decide.
//!
//! The way of a file: `document` parses it and keeps where each value was written, `section` reads a table of it by the
//! one list of keys in `keys`, and `check` with `sources`, `steps`, `windows` and `sinks` makes the [`Pipeline`]. All
//! that is wrong is reported at once. Nothing here knows a broker, a plugin's inside or a clock.

mod check;
mod condition;
mod deployment;
mod document;
mod errors;
mod graph;
mod joins;
mod keys;
mod model;
mod ranking;
mod reference;
mod section;
mod sinks;
mod sources;
mod steps;
mod units;
mod warnings;
mod windows;

pub use condition::{Comparison, Condition, Literal, Operand};
pub use deployment::{Catalog, Connections, Deployment};
pub use errors::{ConfigError, ConfigErrors, Place};
pub use model::*;
pub use reference::reference;
pub use units::{duration_ms, size_bytes};
pub use warnings::warnings;

use errors::Errors;
use std::path::Path;
use std::sync::Arc;
use steps::Plugins;

/// Reads and checks the pipeline file at `path`; `overrides` are keys and values of `--set`, the later one winning.
///
/// Looks at the disk for the file itself and for whether the plugins that it names exist; opens nothing else.
///
/// # Errors
/// All that is wrong with the file and the overrides, in the order of the file.
pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Pipeline, ConfigErrors> {
    let file: Arc<str> = path.display().to_string().into();
    let text = std::fs::read(path).map_err(|error| format!("cannot be read: {error}")).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| {
            format!(
                "found a byte that is not UTF-8 at offset {}, expected a TOML file in UTF-8",
                error.utf8_error().valid_up_to()
            )
        })
    });
    let text = text.map_err(|problem| {
        let mut errors = Errors::default();
        errors.push(&Place::Whole { file: Arc::clone(&file) }, "", problem);
        errors.into_all()
    })?;
    let base = path.parent().unwrap_or(Path::new(""));
    let plugins = Plugins { base, exists: &|plugin| plugin.is_file(), deployment: None };
    check::check(&text, &file, overrides, &plugins)
}

/// Checks the pipeline file `text`, without looking at the disk. `file` names it in messages; relative paths in it are
/// resolved against the folder `base`.
///
/// # Errors
/// All that is wrong with the text and the overrides, in the order of the file.
pub fn parse(text: &str, file: &str, base: &Path, overrides: &[(String, String)]) -> Result<Pipeline, ConfigErrors> {
    check::check(text, &file.into(), overrides, &Plugins { base, exists: &|_| true, deployment: None })
}

/// As [`parse`], of a pipeline that is deployed to a daemon: its plugins and connections are those that the daemon knows.
///
/// # Errors
/// All that is wrong with the text, in the order of the file, with what the daemon says of what it names.
pub fn parse_deployment(
    text: &str,
    file: &str,
    base: &Path,
    deployment: &Deployment<'_>,
) -> Result<Pipeline, ConfigErrors> {
    let plugins = Plugins { base, exists: &|_| true, deployment: Some(deployment) };
    check::check(text, &file.into(), &[], &plugins)
}

#[cfg(test)]
mod tests;
