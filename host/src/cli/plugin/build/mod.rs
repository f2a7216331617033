//! `wasmill plugin build`: one file for each language, which answers a core module or a component; what follows is the same for all.

mod c;
mod go;
mod js;
mod python;
mod rust;
mod tool;

use super::project::{Language, Project};
use crate::cli::folders;
use crate::cli::report::{grouped, lasting};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wasmill::plugin::{Plugin, PluginEngine, World, componentize};

/// `wasmill plugin build`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill plugin build
  wasmill plugin build plugins/big-spender -o json
  wasmill plugin build --out rules/big-spender.wasm")]
pub(crate) struct Build {
    /// The project's folder
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,

    /// Where to write the component [default: build/NAME.wasm in the project]
    #[arg(long, value_name = "FILE.wasm")]
    out: Option<PathBuf>,

    /// How to say what was built
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// What a language's compiler left.
enum Compiled {
    /// A module; with a world where it does not carry its own WIT.
    Module(Vec<u8>, Option<World>),
    /// A component.
    Component(Vec<u8>),
}

/// What was built.
#[derive(Serialize)]
struct Built {
    name: String,
    kind: &'static str,
    file: PathBuf,
    bytes: u64,
    /// The sha256 of the file, as the host shows it everywhere.
    digest: String,
    seconds: f64,
}

/// Builds the component, loads it as a pipeline would, and puts it into its place by one rename.
///
/// # Errors
/// The folder is no project, a tool is missing (with the command that installs it), the compiler refuses the source (with all it said), or
/// what came out is no plugin. The file of an earlier build stays as it was.
#[expect(clippy::disallowed_methods, reason = "how long it took is told to a person")]
pub(crate) fn build(options: &Build) -> Result<()> {
    let started = Instant::now();
    let project = Project::find(&options.folder)?;
    let file = options.out.clone().unwrap_or_else(|| project.output());
    let scratch = tempfile::Builder::new().prefix("wasmill-build-").tempdir().context("no temporary folder")?;
    let component = match compile(&project, scratch.path())? {
        Compiled::Component(bytes) => bytes,
        Compiled::Module(bytes, world) => {
            componentize(&project.name, &bytes, world).context("what the compiler made is no plugin")?
        }
    };
    // Compiled here, with the cache, so that the first test or run finds it there.
    let engine = PluginEngine::new(folders::compiled().as_deref())?;
    let plugin = Plugin::from_bytes(&engine, &project.name, &component).context("what was built is no plugin")?;
    put(&file, &component).with_context(|| format!("cannot write {}", file.display()))?;
    report(
        options.output,
        &Built {
            name: project.name,
            kind: plugin.kind().name(),
            file,
            bytes: component.len() as u64,
            digest: plugin.digest().to_owned(),
            seconds: started.elapsed().as_secs_f64(),
        },
    )
}

fn compile(project: &Project, scratch: &Path) -> Result<Compiled> {
    match project.language {
        Language::Rust => rust::compile(project, scratch),
        Language::Python => python::compile(project, scratch),
        Language::Js | Language::Ts => js::compile(project, scratch),
        Language::Go => go::compile(project, scratch),
        Language::C => c::compile(project, scratch),
    }
}

/// Writes beside the place first: a reader sees the old file or the new one.
fn put(file: &Path, bytes: &[u8]) -> Result<()> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut beside = tempfile::Builder::new().permissions(readable()).tempfile_in(folder)?;
    beside.write_all(bytes)?;
    beside.persist(file)?;
    Ok(())
}

/// What any program gives a file that it writes; the user's mask takes away from it.
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

fn report(format: Format, built: &Built) -> Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string(built)?,
        Format::Text => format!(
            "built {} ({}, {} bytes, sha256 {}) in {}",
            built.file.display(),
            built.kind,
            grouped(built.bytes),
            built.digest,
            lasting(std::time::Duration::from_secs_f64(built.seconds)),
        ),
    };
    // A reader that has closed the pipe has read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}
