//! What other stream processors do, case by case, through the real planner and workers; see tests/conformance/README.md.

mod joins;
mod outcome;
mod play;
mod scenario;
mod special;
mod tables;
mod translate;

use expect_test::expect_file;
use scenario::{Scenario, Unsupported};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What became of a case.
enum Verdict {
    /// Every way of running it gave what it expects; with what it was not compared on.
    Pass(Vec<String>),
    Fail(String),
    /// Which choice of wasmill's differs, or what it does not have.
    Unsupported(String),
}

#[test]
fn the_cases_of_other_stream_processors_give_what_they_give_there_or_differ_as_documented() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/cases");
    let folder = std::env::var_os("WASMILL_CONFORMANCE_DIR").map(PathBuf::from);
    let mut lines = String::new();
    let mut failed = 0;
    for path in cases(folder.as_deref().unwrap_or(&own)) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let line = match verdict(&path) {
            Verdict::Pass(notes) if notes.is_empty() => format!("pass {name}"),
            Verdict::Pass(notes) => format!("pass {name} (but for: {})", notes.join("; ")),
            Verdict::Unsupported(reason) => format!("unsupported {name}: {reason}"),
            Verdict::Fail(diff) => {
                failed += 1;
                format!("fail {name}:\n    {}", diff.trim_end().replace('\n', "\n    "))
            }
        };
        println!("{line}");
        let _ = writeln!(lines, "{line}");
    }
    assert!(!lines.is_empty(), "no case was found");
    if folder.is_none() {
        expect_file!["../conformance/verdicts.txt"].assert_eq(&lines);
    }
    assert_eq!(failed, 0, "{failed} cases failed");
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("the folder can be read").path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "json"));
    paths.sort();
    paths
}

fn verdict(path: &Path) -> Verdict {
    let case = std::fs::read(path).map_err(|error| error.to_string());
    let case = case.and_then(|it| serde_json::from_slice::<Value>(&it).map_err(|error| error.to_string()));
    let case = match case {
        Ok(case) => case,
        Err(error) => return Verdict::Fail(format!("not a case: {error}")),
    };
    let scenarios = match translate::scenarios(&case) {
        Ok(scenarios) if scenarios.is_empty() => return Verdict::Fail("the case has nothing in it".to_owned()),
        Ok(scenarios) => scenarios,
        Err(Unsupported(reason)) => return Verdict::Unsupported(reason),
    };
    let mut notes: Vec<String> = Vec::new();
    for scenario in &scenarios {
        match every_way(scenario) {
            Ok(()) => notes.extend(scenario.notes.iter().filter(|it| !notes.contains(it)).cloned().collect::<Vec<_>>()),
            Err(verdict) => return verdict,
        }
    }
    Verdict::Pass(notes)
}

/// Runs a scenario by one and by two workers, again with a new start between any two steps by one worker more or less, and with a
/// new start between all of them.
fn every_way(scenario: &Scenario) -> Result<(), Verdict> {
    let steps = scenario.steps.len();
    let mut ways = vec![(1, 1, Vec::new()), (2, 2, Vec::new())];
    if !scenario.fixed {
        ways.extend((0..steps).map(|it| if it % 2 == 0 { (1, 2, vec![it]) } else { (2, 1, vec![it]) }));
        ways.extend([1, 2].map(|workers| (workers, workers, (0..steps).collect())));
    }
    for (workers, then, restarts) in ways {
        let found = match play::play(scenario, workers, then, &restarts) {
            Ok(found) => found,
            Err(play::Stop::NotYet(reason)) => return Err(Verdict::Unsupported(reason)),
            Err(play::Stop::Broken(error)) => return Err(Verdict::Fail(error)),
        };
        if let Err(diff) = outcome::compare(scenario, &found) {
            let way = match restarts[..] {
                [] => format!("{workers} workers"),
                [step] => format!("{workers} workers, then {then} after step {step}"),
                _ => format!("{workers} workers, a new start after every step"),
            };
            let named = if scenario.name.is_empty() { String::new() } else { format!("{}, ", scenario.name) };
            return Err(Verdict::Fail(format!("{named}{way}:\n{diff}")));
        }
    }
    Ok(())
}
