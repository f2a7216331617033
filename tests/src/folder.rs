//! A scenario's own folder: its pipeline files, input, output and data directories, and the runs it starts.

use crate::process::{Ended, Run};
use crate::settings;
use crate::turn::{self, Turn};
use serde_json::Value;
use std::cell::Cell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a run to the end of its input may take.
pub const RUN_LIMIT: Duration = Duration::from_secs(180);

/// A temporary folder. Holding one is holding a turn on the machine.
#[derive(Debug)]
pub struct Folder {
    dir: tempfile::TempDir,
    runs: Cell<u32>,
    _turn: Turn,
}

impl Folder {
    /// A new, empty one, sharing the machine with other scenarios.
    pub fn new() -> Self {
        Folder::with(turn::shared())
    }

    /// A new, empty one, with the machine to itself.
    pub fn alone() -> Self {
        Folder::with(turn::alone())
    }

    fn with(turn: Turn) -> Self {
        let dir = tempfile::Builder::new().prefix("wasmill-test-").tempdir().expect("a temporary folder");
        Folder { dir, runs: Cell::new(0), _turn: turn }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, making the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let parent = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Writes records as JSON lines.
    pub fn write_lines<'a>(&self, name: &str, records: impl IntoIterator<Item = &'a Value>) -> PathBuf {
        let mut text = String::new();
        for record in records {
            text.push_str(&record.to_string());
            text.push('\n');
        }
        self.write(name, text)
    }

    /// The binary with `arguments`.
    pub fn wasmill<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Launch<'_> {
        let mut command = Command::new(settings::wasmill());
        command.args(arguments).current_dir(self.dir.path()).env_remove("WASMILL_FAILPOINT");
        command.env("WASMILL_CACHE", settings::compiled());
        Launch { folder: self, command }
    }

    /// `wasmill run FILE` with the data directory `data` of this folder.
    pub fn run(&self, file: &str) -> Launch<'_> {
        self.run_in(file, "data")
    }

    /// `wasmill run FILE` with the data directory `data_dir` of this folder.
    pub fn run_in(&self, file: &str, data_dir: &str) -> Launch<'_> {
        self.wasmill(["run", file, "--data-dir", data_dir])
    }

    /// The committed records of a file sink: the lines of `part-*.jsonl` under `name`, by name of the file.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let mut parts = files(&self.path(name));
        parts.retain(|it| {
            let name = it.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with("part-") && name.ends_with(".jsonl")
        });
        parts.sort();
        let mut lines = Vec::new();
        for part in parts {
            let text = std::fs::read_to_string(&part).unwrap_or_else(|error| panic!("{}: {error}", part.display()));
            assert!(text.is_empty() || text.ends_with('\n'), "{} ends in half a line", part.display());
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }

    /// [`Self::lines`], parsed.
    pub fn records(&self, name: &str) -> Vec<Value> {
        self.lines(name).iter().map(|it| crate::json::parse(it)).collect()
    }

    /// Copies a folder with everything in it.
    pub fn copy(&self, from: &str, to: &str) {
        copy(&self.path(from), &self.path(to));
    }
}

impl Default for Folder {
    fn default() -> Self {
        Folder::new()
    }
}

/// A run about to be started.
#[derive(Debug)]
pub struct Launch<'a> {
    folder: &'a Folder,
    command: Command,
}

impl Launch<'_> {
    /// Adds arguments.
    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Adds `--set KEY=VALUE`.
    pub fn set(self, key: &str, value: impl std::fmt::Display) -> Self {
        self.args(["--set".to_owned(), format!("{key}={value}")])
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lets it die at a named point of the commit: `NAME`, or `NAME:NTH` for the nth time that it is passed.
    pub fn dying_at(self, failpoint: &str) -> Self {
        self.env("WASMILL_FAILPOINT", failpoint)
    }

    /// Lets the thread that first passes a named point of the commit go no further.
    pub fn held_at(self, failpoint: &str) -> Self {
        self.env("WASMILL_FAILPOINT", &format!("{failpoint}:hold"))
    }

    /// Starts it.
    pub fn start(self) -> Run {
        let name = self.name();
        Run::start(self.command, self.folder.dir.path(), &name)
    }

    /// Starts it, and has `write` write its standard input.
    pub fn fed(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Run {
        let name = self.name();
        Run::fed(self.command, self.folder.dir.path(), &name, write)
    }

    fn name(&self) -> String {
        let number = self.folder.runs.get() + 1;
        self.folder.runs.set(number);
        format!("run-{number}")
    }

    /// Starts it and waits for its end.
    pub fn end(self) -> Ended {
        self.start().wait(RUN_LIMIT)
    }

    /// Runs it to the end of its input, which must succeed.
    #[track_caller]
    pub fn until_end(self) -> Ended {
        self.args(["--until-end"]).end().expect_code(0)
    }
}

/// Every file under `path`, at any depth; none where there is no such folder.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let inner = file.strip_prefix(from).expect("a file is under its folder");
        let target = to.join(inner);
        let parent = target.parent().expect("a file is in a folder");
        std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
        std::fs::copy(&file, &target).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
    }
}
