//! Go: the stock compiler, for WASI preview 1; the stub takes WASI's place when the module becomes a component.

use super::Compiled;
use super::tool::{self, missing};
use crate::cli::folders;
use crate::cli::plugin::project::{Kind, Project};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use wasmill::plugin::World;

/// The oldest Go that compiles the SDK: major and minor version.
const VERSION_MIN: (u32, u32) = (1, 26);

const INSTALL: &str = "sh scripts/toolchain/go.sh    (in wasmill's repository; or see https://go.dev/dl)";

/// Runs `go build`, whose cache makes a second build take seconds.
pub(super) fn compile(project: &Project, scratch: &Path) -> Result<Compiled> {
    let places: Vec<_> = folders::tools().into_iter().map(|it| it.join("go/bin")).collect();
    let go = tool::find("go", &places).ok_or_else(|| missing("go", INSTALL))?;
    check_version(&go, project)?;
    let kind = project.kind.context("plugin.toml names no kind")?;
    let module = scratch.join("module.wasm");
    let mut command = Command::new(go);
    command.current_dir(&project.folder);
    command.args(["build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w"]);
    // The tag chooses what the SDK exports.
    command.arg(format!("-tags=wasmill_{}", name(kind))).arg("-o").arg(&module).arg(".");
    command.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOFLAGS", "")]);
    tool::run(&mut command)?;
    let bytes = std::fs::read(&module).context("go build wrote no module; is the project's package `main`?")?;
    Ok(Compiled::Module(bytes, Some(World { kind: kind.into(), migration: kind != Kind::Transform })))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Transform => "transform",
        Kind::Keyed => "keyed",
        Kind::Aggregate => "aggregate",
    }
}

/// Whether this Go can compile the SDK, or can fetch one that can, as versions from 1.21 on do.
fn check_version(go: &Path, project: &Project) -> Result<()> {
    let output =
        tool::run(Command::new(go).args(["env", "GOVERSION"]).current_dir(&project.folder).env("GOFLAGS", ""))?;
    let text = String::from_utf8_lossy(&output);
    match version(text.trim()) {
        Some(found) if found >= VERSION_MIN => Ok(()),
        _ => bail!(
            "{} is {}, expected Go {}.{} or later; install it with\n  {INSTALL}\nand run this command again",
            go.display(),
            text.trim(),
            VERSION_MIN.0,
            VERSION_MIN.1
        ),
    }
}

/// Major and minor version of `go1.26.8`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("go")?.split(['.', 'r', 'b', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_read_from_what_go_calls_it() {
        assert_eq!(version("go1.26.8"), Some((1, 26)));
        assert_eq!(version("go1.26rc1"), Some((1, 26)));
        assert_eq!(version("go2.0"), Some((2, 0)));
        assert_eq!(version("devel +a1b2c3"), None);
    }
}
