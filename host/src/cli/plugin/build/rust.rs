//! Rust: cargo, for the target without any system below it.

use super::Compiled;
use super::tool::{self, missing};
use crate::cli::plugin::project::Project;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// Cargo's messages that matter, one JSON object a line.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    message: Option<Rendered>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    #[serde(default)]
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct Rendered {
    rendered: Option<String>,
}

/// Runs cargo, in its own target folder, so that a second build takes seconds.
pub(super) fn compile(project: &Project, _scratch: &Path) -> Result<Compiled> {
    let cargo = tool::find("cargo", &[]).ok_or_else(|| {
        missing("cargo", "apt-get install rustup && rustup default stable    (or see https://rustup.rs)")
    })?;
    there(project)?;
    let mut command = Command::new(cargo);
    command.current_dir(&project.folder).args(["build", "--release", "--target", TARGET, "--message-format", "json"]);
    // Names stay, for traces; line tables would be nine tenths of the file.
    command.env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
    let output = command.stdin(std::process::Stdio::null()).output().context("cargo cannot be started")?;
    let messages: Vec<Message> =
        output.stdout.split(|it| *it == b'\n').filter_map(|it| serde_json::from_slice(it).ok()).collect();
    if !output.status.success() {
        let errors: String = messages.into_iter().filter_map(|it| it.message?.rendered).collect();
        bail!("cargo build failed:\n{errors}{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let snake = project.name.replace('-', "_");
    let ours = |it: &&Message| {
        it.reason == "compiler-artifact"
            && it
                .target
                .as_ref()
                .is_some_and(|it| it.name.replace('-', "_") == snake && it.crate_types.contains(&"cdylib".to_owned()))
    };
    let wasm = |it: &Message| it.filenames.iter().find(|it| it.extension().is_some_and(|it| it == "wasm")).cloned();
    let Some(file) = messages.iter().rev().find(ours).and_then(wasm) else {
        bail!(
            "cargo built no `{snake}.wasm`: the crate needs `crate-type = [\"cdylib\"]` under [lib] in its Cargo.toml"
        );
    };
    let module = std::fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(Compiled::Module(module, None))
}

/// Whether the toolchain that cargo will use has the target's library.
fn there(project: &Project) -> Result<()> {
    let rustc = tool::find("rustc", &[]).ok_or_else(|| missing("rustc", "rustup default stable"))?;
    let sysroot = tool::run(Command::new(rustc).args(["--print", "sysroot"]).current_dir(&project.folder))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim_end());
    if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        return Ok(());
    }
    bail!(
        "Rust's target {TARGET} is missing; install it with\n  rustup target add {TARGET}\nand run this command again"
    )
}
