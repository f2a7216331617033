//! The plugins of `tests/plugins`, one a language: each tries what the records say, in a pipeline of its own.

use crate::dead_letter;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::text;
use wasmill_tests::settings;

/// What came of the tries of a run.
pub(super) struct Tried {
    /// What the plugin answered, by try.
    pub(super) answers: BTreeMap<String, String>,
    /// Why the record of a try is a dead letter.
    pub(super) reasons: BTreeMap<String, String>,
    /// What wasmill logged.
    pub(super) log: String,
}

/// Runs `plugin` over a record for each of `tries`.
pub(super) fn run(plugin: &str, tries: &[&str]) -> Tried {
    again(&Folder::new(), "data", plugin, tries)
}

/// As [`run`], in a folder with the state in `data`.
pub(super) fn again(folder: &Folder, data: &str, plugin: &str, tries: &[&str]) -> Tried {
    let records: Vec<Value> = tries.iter().enumerate().map(|(at, it)| json!({"try": it, "at": at * 1_000})).collect();
    folder.write_lines("tries.jsonl", &records);
    folder.write(
        &format!("{data}.toml"),
        format!(
            r#"
name = "probe"
[sources.tries]
connector = "file"
path = "tries.jsonl"
event_time = {{ field = "at" }}
[steps.probe]
from = "tries"
plugin = "{}"
limits = {{ call = "30s" }}
[sinks.answers]
from = "probe"
connector = "file"
path = "{data}-answers"
[dead_letters]
connector = "file"
path = "{data}-dead"
"#,
            settings::plugin(plugin).display()
        ),
    );
    let ended = folder.run_in(&format!("{data}.toml"), data).until_end();
    let answers = folder.records(&format!("{data}-answers"));
    let dead = folder.records(&format!("{data}-dead"));
    let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let tried = Tried {
        answers: answers.iter().map(|it| owned(text(it, "try"), text(it, "answer"))).collect(),
        reasons: dead.iter().map(|it| owned(text(&dead_letter::record(it), "try"), dead_letter::reason(it))).collect(),
        log: ended.stderr,
    };
    assert_eq!(tried.answers.len() + tried.reasons.len(), tries.len(), "each record goes one way");
    tried
}
