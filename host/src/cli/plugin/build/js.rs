//! JavaScript and TypeScript: node runs the SDK's `build.mjs`, which bundles the project and sets an engine below it.

use super::Compiled;
use super::tool::{self, missing};
use crate::cli::folders;
use crate::cli::plugin::project::{Kind, Language, Project};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wasmill::plugin::{WIT, World};

/// Oldest node that the tools run on.
const NODE_MAJOR_MIN: u32 = 20;

/// Runs the build in `scratch`; only the project's own files are read beside it.
pub(super) fn compile(project: &Project, scratch: &Path) -> Result<Compiled> {
    let node = node()?;
    let tools = tools(project)?;
    let kind = project.kind.context("plugin.toml: `kind` is missing")?;
    let wit = boundary(scratch, kind)?;
    let component = scratch.join("component.wasm");
    let mut command = Command::new(node);
    command.current_dir(&project.folder).arg(project.sdk.join("build.mjs"));
    let options: [(&str, &Path); 8] = [
        ("--project", &project.folder),
        ("--entry", Path::new(&project.entry)),
        ("--kind", Path::new(name(kind))),
        ("--wit", &wit),
        ("--world", Path::new(World::NAME)),
        ("--tools", &tools),
        ("--scratch", scratch),
        ("--out", &component),
    ];
    for (option, value) in options {
        command.arg(option).arg(value);
    }
    let output = command.stdin(Stdio::null()).output().context("node cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("the plugin cannot be built:\n{}", said.trim_end());
    }
    eprint!("{said}"); // Warnings.
    let bytes = std::fs::read(&component).with_context(|| component.display().to_string())?;
    Ok(Compiled::Component(bytes))
}

/// A node that is new enough.
fn node() -> Result<PathBuf> {
    let install = "apt-get install nodejs npm    (or see https://nodejs.org; version 20 or later)";
    let node = tool::find("node", &[]).ok_or_else(|| missing("node", install))?;
    let version = tool::run(Command::new(&node).arg("--version"))?;
    let version = String::from_utf8_lossy(&version);
    match major(&version) {
        Some(it) if it >= NODE_MAJOR_MIN => Ok(node),
        _ => bail!(
            "node is {}, expected {NODE_MAJOR_MIN} or later; install it with\n  {install}\nand run this command again",
            version.trim()
        ),
    }
}

/// `20` of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The folder whose `node_modules` has what the build needs: the project's own, or else the one of the toolchain script.
fn tools(project: &Project) -> Result<PathBuf> {
    let mut needed = vec!["@bytecodealliance/componentize-js", "esbuild"];
    if project.language == Language::Ts {
        needed.push("typescript");
    }
    let places: Vec<PathBuf> =
        [Some(project.folder.clone()), folders::tools().map(|it| it.join("js"))].into_iter().flatten().collect();
    let lacking = |place: &PathBuf| {
        needed.iter().copied().find(|it| !place.join("node_modules").join(it).join("package.json").is_file())
    };
    match places.iter().find(|it| lacking(it).is_none()) {
        Some(place) => Ok(place.clone()),
        None => {
            let program = lacking(&project.folder).unwrap_or("esbuild");
            Err(missing(program, &format!("npm --prefix {} install", project.folder.display())))
        }
    }
}

/// Writes the boundary where the tool looks for it, and answers the folder. What has state also exports `migration`.
fn boundary(scratch: &Path, kind: Kind) -> Result<PathBuf> {
    let folder = scratch.join("wit");
    let package = folder.join("deps").join("wasmill");
    std::fs::create_dir_all(&package)?;
    std::fs::write(package.join("wasmill.wit"), WIT)?;
    let world = World { kind: kind.into(), migration: kind != Kind::Transform };
    std::fs::write(folder.join("guest.wit"), world.wit())?;
    Ok(folder)
}

fn name(kind: Kind) -> &'static str {
    wasmill::plugin::PluginKind::from(kind).name()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(folder: &Path, language: Language) -> Project {
        Project {
            folder: folder.to_owned(),
            name: "rule".into(),
            language,
            kind: Some(Kind::Keyed),
            entry: "rule.js".into(),
            sdk: folder.join("sdk"),
        }
    }

    fn install(folder: &Path, package: &str) {
        let package = folder.join("node_modules").join(package);
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("package.json"), "{}").unwrap();
    }

    #[test]
    fn a_package_that_is_missing_is_named_with_the_command_that_installs_it() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), "@bytecodealliance/componentize-js");
        install(folder.path(), "esbuild");
        assert_eq!(tools(&project(folder.path(), Language::Js)).unwrap(), folder.path());
        let wanted = project(folder.path(), Language::Ts);
        // Where the toolchain script has been run, its folder serves.
        if let Err(error) = tools(&wanted) {
            let expected = format!(
                "`typescript` is missing; install it with\n  npm --prefix {} install\n",
                folder.path().display()
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn the_boundary_is_written_with_the_world_of_the_kind() {
        let folder = tempfile::tempdir().unwrap();
        let wit = boundary(folder.path(), Kind::Keyed).unwrap();
        let world = std::fs::read_to_string(wit.join("guest.wit")).unwrap();
        assert!(world.contains("keyed-plugin") && world.contains("migration"), "{world}");
        assert_eq!(std::fs::read_to_string(wit.join("deps/wasmill/wasmill.wit")).unwrap(), WIT);
    }

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!((major("v20.20.2\n"), major("v8.1"), major("20"), major("")), (Some(20), Some(8), None, None));
    }
}
