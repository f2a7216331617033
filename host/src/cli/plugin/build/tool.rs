//! The compilers and other programs of the languages: where they are, and how they are run.

use crate::cli::folders;
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first of `places` that holds a file `program`, or else the one on the PATH.
pub(crate) fn find(program: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let places = places.iter().cloned().chain(folders::path());
    places.map(|it| it.join(program)).find(|it| it.is_file())
}

/// The message for a program that is missing: what it is for, and how it is installed.
pub(crate) fn missing(program: &str, install: &str) -> anyhow::Error {
    anyhow::anyhow!("`{program}` is missing; install it with\n  {install}\nand run this command again")
}

/// Runs a command to its end and answers what it wrote to standard output.
///
/// # Errors
/// It does not start, or fails: with the command and all that it wrote.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>> {
    let shown = shown(command);
    let output = match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => bail!("{shown}\ncannot be started: {error}"),
    };
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{shown}\nfailed ({}) and said:\n{}", output.status, String::from_utf8_lossy(&said).trim_end())
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    command.get_current_dir().map_or_else(|| line.clone(), |it: &Path| format!("(in {}) {line}", it.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_says_what_was_run_and_what_it_said() {
        let error = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err().to_string();
        assert_eq!(error, "sh -c echo out; echo err >&2; exit 3\nfailed (exit status: 3) and said:\nout\nerr");
        let error = run(&mut Command::new("no-such-program-anywhere")).unwrap_err().to_string();
        assert!(error.starts_with("no-such-program-anywhere\ncannot be started: "), "{error}");
    }

    #[test]
    fn a_program_is_found_in_the_places_before_the_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sh"), "").unwrap();
        assert_eq!(find("sh", &[folder.path().to_owned()]), Some(folder.path().join("sh")));
        assert!(find("sh", &[]).is_some());
        assert_eq!(find("no-such-program-anywhere", &[]), None);
    }
}
