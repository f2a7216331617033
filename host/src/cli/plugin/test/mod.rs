//! `wasmill plugin test`: a component on the cases of an author.
//!
//! `case` reads a file of cases, `play` runs one in the sandbox and writes down what happened, a line a thing; here that is
//! compared with what was expected, and shown. `bless` writes it into the file instead.

mod bless;
mod case;
mod document;
mod logs;
mod play;

use super::build::Format;
use super::stop::Stop;
use super::subject::{self, Limits};
use crate::cli::exit::Exit;
use crate::cli::report::counted;
use case::{Case, CaseFile};
use clap::Args;
use logs::Logs;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use wasmill::plugin::Plugin;

/// `wasmill plugin test`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill plugin test                          the project in this folder, on its tests/*.toml
  wasmill plugin test --bless                  write what came out as what is expected; look at the difference in git
  wasmill plugin test build/big-spender.wasm --cases 'cases/*.toml' --filter large

A case:
  [[case]]
  name = \"a large amount is an alert\"
  config = { max_amount = 100 }
  input = '''
  {\"customer_id\":\"ann\",\"amount\":101}
  '''
  expected = '''
  out: {\"customer_id\":\"ann\",\"amount\":101.0}
  '''")]
pub(crate) struct Test {
    /// The folder of a project that was built, or a component
    #[arg(value_name = "FOLDER", default_value = ".")]
    file: PathBuf,

    /// The files with the cases; a glob, may be repeated [default: tests/*.toml in the project]
    #[arg(long, value_name = "GLOB")]
    cases: Vec<String>,

    /// Only the cases whose name holds this text
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,

    /// Write what came out into the files, as what is expected
    #[arg(long)]
    bless: bool,

    #[command(flatten)]
    limits: Limits,

    /// How results are written
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How a case went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Passed,
    Failed,
    Blessed,
}

/// A case with what came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    file: String,
    line: usize,
    name: String,
    status: Status,
    /// Why no comparison was possible.
    error: Option<String>,
    rounds: Vec<RoundOutcome>,
    /// What the plugin logged.
    logs: Vec<String>,
}

/// A round: the lines that were expected, if any, and those that came.
#[derive(Debug, Serialize)]
struct RoundOutcome {
    expected: Option<String>,
    got: String,
}

impl RoundOutcome {
    fn agrees(&self) -> bool {
        self.expected.as_deref() == Some(&*self.got)
    }
}

#[derive(Serialize)]
struct Results<'a> {
    component: &'a Path,
    passed: usize,
    failed: usize,
    blessed: usize,
    cases: &'a [Outcome],
}

/// Runs the cases: 0 where all pass, 1 where some fail, 78 where a file is wrong.
pub(crate) fn test(options: &Test) -> Exit {
    let component = match subject::component(&options.file) {
        Ok(component) => component,
        Err(error) => return Stop::from(error).report(),
    };
    subject::warn_of_newer_source(&options.file, &component);
    match outcomes(options, &component) {
        Ok(outcomes) => tell(options.output, &component, &outcomes),
        Err(stop) => stop.report(),
    }
}

fn outcomes(options: &Test, component: &Path) -> Result<Vec<Outcome>, Stop> {
    // The files first: they are what is being written.
    let files = case::load(&options.file, &options.cases)?;
    let wanted = |case: &Case| options.filter.as_ref().is_none_or(|it| case.name.contains(it.as_str()));
    if !files.iter().flat_map(|it| &it.cases).any(wanted) {
        let filter = options.filter.as_deref().unwrap_or_default();
        return Err(Stop::usage(format!("--filter {filter}: no case has that in its name")));
    }
    let logs = Logs::start();
    let plugin = Plugin::load(&subject::engine()?, component).map_err(|error| Stop::wrong(error.to_string()))?;
    let mut outcomes = Vec::new();
    for file in &files {
        let mut played = Vec::new();
        for (index, case) in file.cases.iter().enumerate().filter(|it| wanted(it.1)) {
            let mut outcome = outcome(&plugin, options, file, case)?;
            outcome.logs = logs.take();
            played.push((index, outcome));
        }
        if options.bless {
            bless(file, &mut played)?;
        }
        outcomes.extend(played.into_iter().map(|it| it.1));
    }
    Ok(outcomes)
}

fn outcome(plugin: &Plugin, options: &Test, file: &CaseFile, case: &Case) -> Result<Outcome, Stop> {
    let played = play::play(plugin, case, &options.limits.limits());
    let (got, error) = match played {
        Ok(got) => (got, None),
        Err(play::Unplayed::Needs(what)) => {
            return Err(Stop::wrong(format!("{}:{}: case \"{}\": {what}", file.path, case.line, case.name)));
        }
        Err(play::Unplayed::Refused(error)) => (Vec::new(), Some(error)),
        Err(play::Unplayed::Failed(got, error)) => (got, Some(error)),
    };
    let expected = case.rounds.iter().map(|it| it.expected.clone());
    let rounds: Vec<_> = expected.zip(got).map(|(expected, got)| RoundOutcome { expected, got }).collect();
    let passed = error.is_none() && rounds.iter().all(RoundOutcome::agrees);
    let status = if passed { Status::Passed } else { Status::Failed };
    let (file, name) = (file.path.clone(), case.name.clone());
    Ok(Outcome { file, line: case.line, name, status, error, rounds, logs: Vec::new() })
}

/// Writes what the failed cases gave into their file. One that came to no result stays failed.
fn bless(file: &CaseFile, played: &mut [(usize, Outcome)]) -> Result<(), Stop> {
    let failed = played.iter_mut().filter(|it| it.1.status == Status::Failed && it.1.error.is_none());
    let mut changes = Vec::new();
    for (index, outcome) in failed {
        outcome.status = Status::Blessed;
        let got = outcome.rounds.iter().map(|it| if it.agrees() { None } else { Some(it.got.clone()) });
        changes.push((*index, got.collect::<Vec<_>>()));
    }
    if changes.is_empty() {
        return Ok(());
    }
    let text = bless::bless(&file.text, &changes).map_err(|it| Stop::internal(format!("{}: {it}", file.path)))?;
    std::fs::write(&file.path, text).map_err(|error| Stop::wrong(format!("{} cannot be written: {error}", file.path)))
}

fn tell(format: Format, component: &Path, outcomes: &[Outcome]) -> Exit {
    let count = |status| outcomes.iter().filter(|it| it.status == status).count();
    let (passed, failed, blessed) = (count(Status::Passed), count(Status::Failed), count(Status::Blessed));
    let text = match format {
        Format::Json => {
            let results = Results { component, passed, failed, blessed, cases: outcomes };
            serde_json::to_string(&results).unwrap_or_default() + "\n"
        }
        Format::Text => {
            let mut text = shown(outcomes);
            let _ = write!(text, "{} passed, {failed} failed", counted(passed as u64, "case"));
            let _ = if blessed > 0 { writeln!(text, ", {blessed} blessed") } else { writeln!(text) };
            text
        }
    };
    // A reader that has closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if failed > 0 { Exit::Failed } else { Exit::Done }
}

/// A line a case, and for a failed one its differences and what the plugin logged.
fn shown(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let mut file = "";
    for outcome in outcomes {
        if outcome.file != file {
            file = &outcome.file;
            let _ = writeln!(text, "{file}");
        }
        let status = match outcome.status {
            Status::Passed => "ok",
            Status::Failed => "FAILED",
            Status::Blessed => "blessed",
        };
        let place = if outcome.status == Status::Failed { format!(" (line {})", outcome.line) } else { String::new() };
        let _ = writeln!(text, "  {status:<8}{}{place}", outcome.name);
        if outcome.status == Status::Failed {
            for round in outcome.rounds.iter().enumerate() {
                differences(&mut text, outcome.rounds.len(), round);
            }
            for line in outcome.error.iter().flat_map(|it| it.lines()) {
                let _ = writeln!(text, "          {line}");
            }
            for line in &outcome.logs {
                let _ = writeln!(text, "          {line}");
            }
        }
    }
    text
}

/// The lines of a round that failed: `-` was expected, `+` came.
fn differences(text: &mut String, rounds: usize, (index, round): (usize, &RoundOutcome)) {
    if round.agrees() {
        return;
    }
    if rounds > 1 {
        let _ = writeln!(text, "          round {}:", index + 1);
    }
    if round.expected.is_none() {
        let _ = writeln!(text, "          nothing is expected yet: `--bless` writes what came");
    }
    // The last line ends like the others, or it would differ for that.
    let lines = |text: &str| if text.is_empty() { String::new() } else { format!("{text}\n") };
    let (expected, got) = (lines(round.expected.as_deref().unwrap_or_default()), lines(&round.got));
    for change in TextDiff::from_lines(&expected, &got).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let _ = writeln!(text, "        {sign} {}", change.value().trim_end_matches('\n'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn outcome(name: &str, status: Status, rounds: Vec<RoundOutcome>) -> Outcome {
        let (file, name) = ("tests/cases.toml".to_owned(), name.to_owned());
        Outcome { file, line: 7, name, status, error: None, rounds, logs: vec!["log info: hello".to_owned()] }
    }

    fn round(expected: Option<&str>, got: &str) -> RoundOutcome {
        RoundOutcome { expected: expected.map(str::to_owned), got: got.to_owned() }
    }

    #[test]
    fn a_failed_case_shows_each_line_that_differs_and_what_was_logged() {
        let wrong = vec![round(Some("out: 1\nout: 2"), "out: 1\nout: 3")];
        let later = vec![round(Some("out: 1"), "out: 1"), round(None, "out: 2")];
        let failed =
            Outcome { error: Some("the plugin\nfailed".to_owned()), ..outcome("third", Status::Failed, Vec::new()) };
        let outcomes = [
            outcome("first", Status::Passed, Vec::new()),
            outcome("second", Status::Failed, wrong),
            failed,
            outcome("fourth", Status::Failed, later),
            outcome("fifth", Status::Blessed, Vec::new()),
        ];
        expect![[r#"
            tests/cases.toml
              ok      first
              FAILED  second (line 7)
                      out: 1
                    - out: 2
                    + out: 3
                      log info: hello
              FAILED  third (line 7)
                      the plugin
                      failed
                      log info: hello
              FAILED  fourth (line 7)
                      round 2:
                      nothing is expected yet: `--bless` writes what came
                    + out: 2
                      log info: hello
              blessed fifth
        "#]]
        .assert_eq(&shown(&outcomes));
    }
}
