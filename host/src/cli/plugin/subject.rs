//! What `check`, `test`, `run` and `bench` begin with: a component, its config, its limits.

use super::project::{Language, Project};
use crate::cli::folders;
use anyhow::{Result, bail};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use wasmill::config::{PluginLimits, duration_ms, size_bytes};
use wasmill::plugin::{PluginEngine, PluginError};

/// What one call and one instance may use.
#[derive(Args, Clone, Debug)]
pub(crate) struct Limits {
    /// Wall time of one call, as `limits.call` of a step [default: 5s]
    #[arg(long = "call-max", value_name = "DURATION", value_parser = duration_ms)]
    call_ms: Option<u64>,

    /// Linear memory of an instance, as `limits.memory` of a step [default: 256MiB]
    #[arg(long = "memory-max", value_name = "SIZE", value_parser = size_bytes)]
    memory_bytes: Option<u64>,
}

impl Limits {
    /// The limits, with the defaults of a pipeline file.
    pub(crate) fn limits(&self) -> PluginLimits {
        let defaults = PluginLimits::default();
        let memory = self.memory_bytes.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        PluginLimits {
            call_ms_max: self.call_ms.unwrap_or(defaults.call_ms_max),
            memory_bytes_max: memory.unwrap_or(defaults.memory_bytes_max),
            ..defaults
        }
    }
}

/// A plugin's `config`, as the JSON object that it is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config(pub(crate) String);

/// Reads a JSON object, or the one in a file: `@config.json`, `@config.toml`.
///
/// # Errors
/// What was found and what was expected.
pub(crate) fn config(text: &str) -> Result<Config, String> {
    let Some(file) = text.strip_prefix('@') else { return json_object(text) };
    let content = std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    if Path::new(file).extension().is_some_and(|it| it == "toml") {
        let table: toml::Table = toml::from_str(&content).map_err(|error| format!("{file}: {}", error.message()))?;
        let json = serde_json::to_string(&table).map_err(|error| format!("{file}: {error}"))?;
        return Ok(Config(json));
    }
    json_object(&content).map_err(|error| format!("{file}: {error}"))
}

fn json_object(text: &str) -> Result<Config, String> {
    let example = "expected a JSON object such as '{\"max_amount\": 100}', or @FILE.json or @FILE.toml";
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => Ok(Config(serde_json::Value::Object(object).to_string())),
        Ok(other) => Err(format!("found {other}, {example}")),
        Err(error) => Err(format!("not JSON ({error}); {example}")),
    }
}

/// The JSON of a `config` that may not have been given.
pub(crate) fn config_or_empty(config: Option<&Config>) -> String {
    config.map_or_else(|| "{}".to_owned(), |it| it.0.clone())
}

/// An engine that finds again what was compiled before: a large component takes seconds.
pub(crate) fn engine() -> Result<PluginEngine, PluginError> {
    PluginEngine::new(folders::compiled().as_deref())
}

/// The component that `path` names: a file, or what the project in a folder builds.
///
/// # Errors
/// There is no such file, the folder is no project, or it was not built.
pub(crate) fn component(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        if !path.exists() {
            bail!("{}: there is no such file or folder", path.display());
        }
        return Ok(path.to_owned());
    }
    let project = Project::find(path)?;
    let built = path.join("build").join(format!("{}.wasm", project.name));
    let cargos = (project.language == Language::Rust).then(|| of_cargo(&project)).flatten();
    match (built.is_file(), cargos) {
        (true, _) => Ok(built),
        (false, Some(file)) => Ok(file),
        (false, None) => bail!("{} is not built: run `wasmill plugin build {}`", built.display(), path.display()),
    }
}

/// What `cargo build --release --target wasm32-unknown-unknown` left, in the project's own target folder or a workspace's.
fn of_cargo(project: &Project) -> Option<PathBuf> {
    let file = format!("{}.wasm", project.name.replace('-', "_"));
    let targets = project.folder.ancestors().map(|it| it.join("target"));
    let places = folders::cargo_target().into_iter().chain(targets);
    places.map(|it| it.join("wasm32-unknown-unknown/release").join(&file)).find(|it| it.is_file())
}

/// Says that the source is newer than the component, which is what an author forgets.
pub(crate) fn warn_of_newer_source(folder: &Path, component: &Path) {
    let modified = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
    let Ok(project) = Project::find(folder) else { return };
    let entry = if project.language == Language::Rust { "src/lib.rs" } else { &project.entry };
    let source = project.folder.join(entry);
    if let (false, Some(source_at), Some(built_at)) = (entry.is_empty(), modified(&source), modified(component))
        && source_at > built_at
    {
        let _ = writeln!(
            std::io::stderr(),
            "warning: {} is newer than {}: `wasmill plugin build` builds it again",
            folder.join(entry).display(),
            component.display()
        );
    }
}
