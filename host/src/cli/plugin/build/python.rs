//! Python: componentize-py makes a component of the author's modules, and the SDK's adapter goes round it.

use super::Compiled;
use super::tool::{self, missing};
use crate::cli::folders;
use crate::cli::plugin::project::{Kind, Project};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The module that the component begins with; it loads the author's after the SDK has set the stage.
const ENTRY: &str = "_wasmill_entry";

/// Names of a project's folder that no rule imports, beside those that begin with a dot.
const NOT_SOURCES: [&str; 6] = ["build", "tests", "sdk", "__pycache__", "node_modules", "venv"];

/// Runs componentize-py over a copy of the sources: it writes beside what it reads.
pub(super) fn compile(project: &Project, scratch: &Path) -> Result<Compiled> {
    let module = module_of(&project.entry)?;
    let kind = match project.kind {
        Some(Kind::Keyed) => "keyed",
        Some(Kind::Aggregate) => "aggregate",
        Some(Kind::Transform) | None => "transform",
    };
    let (tool, packages) = componentizer(project)?;
    let adapter = project.sdk.join("adapters").join(format!("{kind}.wasm"));
    let adapter = std::fs::read(&adapter).with_context(|| format!("the SDK is incomplete: {}", adapter.display()))?;

    let (entry, sources, sdk) = (scratch.join("entry"), scratch.join("project"), scratch.join("sdk"));
    std::fs::create_dir_all(&entry)?;
    let start =
        format!("from wasmill_plugin._component import Calls, Lifecycle, load\n\nload(\"{module}\", \"{kind}\")\n");
    std::fs::write(entry.join(format!("{ENTRY}.py")), start)?;
    copy(&project.folder, &sources, &|name| !name.starts_with('.') && !NOT_SOURCES.contains(&name))?;
    copy(&project.sdk.join("wasmill_plugin"), &sdk.join("wasmill_plugin"), &|name| name != "__pycache__")?;

    let component = scratch.join("python.wasm");
    let mut command = Command::new(tool);
    command.arg("-d").arg(project.sdk.join("wit")).args(["-w", "wasmill:python/plugin", "componentize", "--stub-wasi"]);
    for folder in [&entry, &sources, &sdk] {
        command.arg("-p").arg(folder);
    }
    command.arg("-o").arg(&component).arg(ENTRY);
    // Where the packages are that the rule imports; without one the tool would look around in the system's Python.
    let none = scratch.join("venv");
    std::fs::create_dir_all(none.join("site-packages"))?;
    command.env("VIRTUAL_ENV", packages.unwrap_or(none)).env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    tool::run(&mut command).context("the component cannot be built")?;
    let component = std::fs::read(&component).context("componentize-py wrote no component")?;
    let composed = wasmill::plugin::adapt(&adapter, &component)
        .context("the SDK's adapter takes no component: copy the folder `sdk` of a new project into this one")?;
    Ok(Compiled::Component(composed))
}

/// `rules/main.py` is the module `rules.main`.
fn module_of(entry: &str) -> Result<String> {
    let module = entry.strip_suffix(".py").map(|it| it.replace('/', "."));
    let named = |it: &String| {
        it.split('.').all(|part| {
            part.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
                && part.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        })
    };
    match module.filter(named) {
        Some(module) => Ok(module),
        None => bail!("entry = \"{entry}\" is no module: expected a file such as `rule.py`, of letters, digits and _"),
    }
}

/// componentize-py, and the virtual environment with the packages that a rule may import: the project's own, or else the tool's.
fn componentizer(project: &Project) -> Result<(PathBuf, Option<PathBuf>)> {
    let own = project.folder.join(".venv");
    let tools = folders::tools().map(|it| it.join("python"));
    let places: Vec<PathBuf> = [Some(&own), tools.as_ref()].into_iter().flatten().map(|it| it.join("bin")).collect();
    let tool = tool::find("componentize-py", &places).ok_or_else(|| {
        let folder = project.folder.display();
        missing(
            "componentize-py",
            &format!("python3 -m venv {folder}/.venv && {folder}/.venv/bin/pip install -r {folder}/requirements.txt"),
        )
    })?;
    let beside = tool.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let environment = [own.as_path(), beside].into_iter().find(|it| it.join("pyvenv.cfg").is_file());
    let environment = environment.map(Path::to_owned);
    Ok((tool, environment))
}

/// Copies the files below `from` whose names, and whose folders' names, `wanted` takes.
fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        if !wanted(&name.to_string_lossy()) {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(&name), wanted)?;
        } else {
            std::fs::copy(entry.path(), to.join(&name)).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_module() {
        assert_eq!(module_of("rule.py").unwrap(), "rule");
        assert_eq!(module_of("rules/main.py").unwrap(), "rules.main");
        for wrong in ["rule", "my-rule.py", "../rule.py", "1.py", "/rule.py", "a\".py"] {
            let error = module_of(wrong).unwrap_err().to_string();
            assert!(error.contains("is no module"), "{wrong}: {error}");
        }
    }

    #[test]
    fn only_what_is_wanted_is_copied() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for file in ["rule.py", "model/tree.json", ".venv/lib.py", "tests/cases.toml"] {
            let file = from.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        copy(from.path(), to.path(), &|it| !it.starts_with('.') && !NOT_SOURCES.contains(&it)).unwrap();
        let there = |it: &str| to.path().join(it).exists();
        assert_eq!(
            [there("rule.py"), there("model/tree.json"), there(".venv"), there("tests")],
            [true, true, false, false]
        );
    }
}
