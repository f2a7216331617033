//! C: clang and wasi-libc, from the package of the Zig compiler or from the system. The library's sources are compiled with the rule's.

use super::Compiled;
use super::tool;
use crate::cli::folders;
use crate::cli::plugin::project::Project;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The stack of a rule, in bytes: Zig's default of 16 MiB would be the size of every instance.
const STACK_BYTES: u32 = 128 << 10;

/// What both compilers are told. An `assert` stays, which Zig would take away. Names and debug information go: a failure names its place by
/// itself, and libc has a megabyte of them. Rule and library are compiled as one: the size of a state and the rule's own functions are
/// constants to the library then, which halves what a keyed rule costs.
const FLAGS: [&str; 7] = ["-std=gnu11", "-O2", "-flto", "-UNDEBUG", "-s", "-Wall", "-mexec-model=reactor"];

/// Where libc is, when it is a package of the system.
const SYSTEM_LIBC: &str = "/usr/lib/wasm32-wasi/libc.a";

/// Compiles the entry and the `*.c` files beside it, and the library.
pub(super) fn compile(project: &Project, scratch: &Path) -> Result<Compiled> {
    let module = scratch.join("module.wasm");
    let mut command = compiler(project)?;
    command.args(FLAGS).arg("-o").arg(&module);
    command.arg(format!("-Wl,-z,stack-size={STACK_BYTES}"));
    // `__FILE__` is in messages: it names files as the author knows them, and the same on every machine.
    command.arg(format!("-ffile-prefix-map={}=sdk", project.sdk.display()));
    command.arg("-I").arg(project.sdk.join("include"));
    command.args(sources(project)?).args(c_files(&project.sdk.join("src"))?);
    command.current_dir(&project.folder).stdin(Stdio::null());
    let output = command.output().context("the C compiler cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("the C compiler failed:\n{}", said.trim_end());
    }
    if !said.trim().is_empty() {
        eprintln!("{}", said.trim_end()); // Warnings.
    }
    let bytes = std::fs::read(&module).with_context(|| module.display().to_string())?;
    Ok(Compiled::Module(bytes, None))
}

/// The compiler with its target: the project's own, the one that the toolchain script installed, one on the PATH.
fn compiler(project: &Project) -> Result<Command> {
    let installed = folders::tools().map(|it| it.join("c"));
    let mut places = vec![project.folder.join(".venv/bin")];
    places.extend(installed.iter().map(|it| it.join("venv/bin")));
    let zig = tool::find("python-zig", &places).or_else(|| tool::find("zig", &[]));
    if let Some(zig) = zig {
        let mut command = Command::new(zig);
        command.args(["cc", "-target", "wasm32-wasi"]);
        return Ok(command);
    }
    if let Some(clang) = tool::find("clang", &[]).filter(|_| Path::new(SYSTEM_LIBC).is_file()) {
        let mut command = Command::new(clang);
        command.args(["--target=wasm32-wasi", "--sysroot=/usr"]);
        return Ok(command);
    }
    let install = "python3 -m venv .venv && .venv/bin/pip install -r sdk/requirements.txt";
    bail!(
        "a C compiler for WebAssembly is missing; in {}, install one with\n  {install}\nor, on Debian, with\n  \
         apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32\nand run this command again",
        project.folder.display(),
    )
}

/// The plugin's files, relative to the project: the entry, and what lies beside it.
fn sources(project: &Project) -> Result<Vec<PathBuf>> {
    let entry = Path::new(&project.entry);
    let beside = entry.parent().unwrap_or(Path::new(""));
    let names =
        c_files(&project.folder.join(beside))?.into_iter().filter_map(|it| it.file_name().map(|it| beside.join(it)));
    Ok(names.collect())
}

/// The C files in a folder, in the order of their names, so that the same sources give the same module.
fn c_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot open the folder {}", folder.display()))?;
    let mut files = entries.map(|it| Ok(it?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|it| it.extension().is_some_and(|it| it == "c"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_beside_the_entry_are_compiled_and_its_tests_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["rule.c", "codec.c", "codec.h", "tests/test_rule.c"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let toml = "name = \"p\"\nlanguage = \"c\"\nkind = \"transform\"\nentry = \"rule.c\"\nsdk = \".\"\n";
        std::fs::write(folder.path().join("plugin.toml"), toml).unwrap();
        let project = Project::find(folder.path()).unwrap();
        assert_eq!(sources(&project).unwrap(), [Path::new("codec.c"), Path::new("rule.c")]);
    }
}
