//! From `plugin new` to a running rule, and the same rule in all languages.
//!
//! The templates of a kind are the same rule in each language, so one independent computation serves all.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use wasmill_tests::compare::{same_in_order_of_key, same_records};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{float, parse, text};
use wasmill_tests::time::rfc3339_ms;

/// How long a build may take on a busy machine: compilers start cold, and components of 20 MB are compiled.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

const RECORDS: u64 = 20_000;

/// Makes, builds, checks and tests a project of the template, and answers the component.
fn project(folder: &Folder, lang: &str, kind: &str) -> String {
    // A name of its own: cargo may be told to build all crates into one folder.
    let name = &*format!("my-{kind}");
    folder.wasmill(["plugin", "new", name, "--lang", lang, "--kind", kind]).end().expect_code(0);
    let built = folder.wasmill(["plugin", "build", name, "-o", "json"]).start().wait(BUILD_LIMIT).expect_code(0);
    let built = parse(&built.stdout);
    assert_eq!((text(&built, "name"), text(&built, "kind")), (name, kind));
    let component = text(&built, "file").to_owned();

    let checked = parse(&folder.wasmill(["plugin", "check", &component, "-o", "json"]).end().expect_code(0).stdout);
    assert_eq!((text(&checked, "kind"), &checked["digest"]), (kind, &built["digest"]));
    assert_eq!(checked["migration"], json!(false), "a migration is something that an author writes");
    let tested = folder.wasmill(["plugin", "test", name]).end().expect_code(0);
    assert!(tested.stdout.contains("passed"), "{}", tested.tails());
    component
}

/// Runs `step` on the fraud stream: what came in, and what the step wrote.
fn on_the_fraud_stream(folder: &Folder, component: &str, step: &str) -> (Vec<Value>, Vec<Value>) {
    folder.write(
        "fraud.toml",
        format!(
            r#"
name = "fraud"
[sources.transactions]
connector = "generator"
kind = "transactions"
seed = 7
count = {RECORDS}
event_time = {{ field = "timestamp", format = "rfc3339", delay = "5s" }}
[steps.rule]
from = "transactions"
plugin = "{component}"
{step}
[sinks.all]
from = "transactions"
connector = "file"
path = "all"
[sinks.out]
from = "rule"
connector = "file"
path = "out"
"#
        ),
    );
    folder.run("fraud.toml").args(["--workers", "2"]).until_end();
    (folder.records("all"), folder.records("out"))
}

fn transform(lang: &str) {
    let folder = Folder::new();
    let component = project(&folder, lang, "transform");
    let rule = |it: &Value| {
        (float(it, "amount") > 400.0)
            .then(|| json!({"customer_id": it["customer_id"], "amount": it["amount"], "note": null}))
    };
    let (all, out) = on_the_fraud_stream(&folder, &component, "config = { max_amount = 400 }");
    let expected: Vec<_> = all.iter().filter_map(rule).collect();
    assert!(expected.len() > 100, "the stream has large amounts in it");
    same_records("the rule's output", &out, &expected);

    folder.write_lines("records.jsonl", &all);
    let config = r#"{"max_amount": 400}"#;
    let run = folder.wasmill(["plugin", "run", &component, "--input", "records.jsonl", "--config", config]).end();
    let lines: Vec<_> = run.expect_code(0).stdout.lines().map(parse).collect();
    let in_order: Vec<_> = all.iter().filter_map(rule).collect();
    same_records("the one-off's output", &lines, &in_order);
}

fn keyed(lang: &str) {
    // Longer than the stream: when a silence within it is noticed depends on where batches end, and the end of time is for all the same.
    const SILENCE_MS: i64 = 1_000_000_000;
    let folder = Folder::new();
    let component = project(&folder, lang, "keyed");
    let step = format!("key = \"customer_id\"\nconfig = {{ silence_ms = {SILENCE_MS} }}");
    let (all, out) = on_the_fraud_stream(&folder, &component, &step);
    let mut active: BTreeMap<&str, (i64, u64)> = BTreeMap::new();
    for record in &all {
        let time = rfc3339_ms(text(record, "timestamp"));
        let (last, count) = active.entry(text(record, "customer_id")).or_insert((time, 0));
        (*last, *count) = (time.max(*last), *count + 1);
    }
    let summary = |(key, (last, count))| json!({"key": key, "last": last, "count": count});
    let expected: Vec<_> = active.into_iter().map(summary).collect();
    same_in_order_of_key("the summaries", "key", &out, &expected);
    super::migration::refused_before_the_swap(&component);
}

fn aggregate(lang: &str) {
    const WINDOW_MS: i64 = 60_000;
    let folder = Folder::new();
    let component = project(&folder, lang, "aggregate");
    let step = "key = \"customer_id\"\nwindow = { tumbling = \"1m\" }";
    let (all, out) = on_the_fraud_stream(&folder, &component, step);
    let mut windows: BTreeMap<(&str, i64), (i64, f64)> = BTreeMap::new();
    for record in &all {
        let start = rfc3339_ms(text(record, "timestamp")).div_euclid(WINDOW_MS) * WINDOW_MS;
        let window = windows.entry((text(record, "customer_id"), start)).or_default();
        *window = (window.0 + 1, window.1 + float(record, "amount"));
    }
    let expected: Vec<_> = windows
        .into_iter()
        .map(|((seller, start), (orders, revenue))| {
            json!({
                "seller": seller, "window_start": start, "window_end": start + WINDOW_MS, "orders": orders, "revenue": revenue,
            })
        })
        .collect();
    same_in_order_of_key("the windows", "seller", &out, &expected);
}

macro_rules! languages {
    ($($lang:ident),*) => {$(
        mod $lang {
            #[test]
            fn a_transform_from_nothing_to_the_fraud_stream() {
                super::transform(stringify!($lang));
            }

            #[test]
            fn a_keyed_rule_from_nothing_to_the_fraud_stream() {
                super::keyed(stringify!($lang));
            }

            #[test]
            fn an_aggregate_from_nothing_to_the_fraud_stream() {
                super::aggregate(stringify!($lang));
            }
        }
    )*};
}

languages!(rust, python, js, ts, go, c);

/// The fraud pipeline with the rule of `example-plugins`, built in another language.
fn fraud_alerts(folder: &Folder, plugin: &str) -> Vec<String> {
    let component = wasmill_tests::settings::plugin(plugin);
    folder.write(
        &format!("{plugin}.toml"),
        format!(
            r#"
name = "{plugin}"
[sources.transactions]
connector = "generator"
kind = "transactions"
seed = 7
count = 100000
event_time = {{ field = "timestamp", format = "rfc3339", delay = "5s" }}
[steps.velocity]
from = "transactions"
key = "customer_id"
window = {{ rolling = "5m" }}
aggregate = {{ txn_count = "count()" }}
[steps.rules]
from = "velocity"
plugin = {component:?}
config = {{ max_amount = 1000, max_count = 2 }}
[sinks.out]
from = "rules"
connector = "file"
path = "out-{plugin}"
"#
        ),
    );
    folder.run_in(&format!("{plugin}.toml"), plugin).args(["--workers", "1"]).until_end();
    folder.lines(&format!("out-{plugin}"))
}

#[test]
fn the_fraud_rule_gives_the_same_bytes_in_every_language() {
    let folder = Folder::new();
    let expected = fraud_alerts(&folder, "fraud-rules");
    assert!(expected.len() > 100, "the stream has fraud in it");
    for language in ["python", "js", "go", "c"] {
        let found = fraud_alerts(&folder, &format!("fraud-rules-{language}"));
        let other = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert_eq!((other, found.len()), (None, expected.len()), "{language}");
    }
}

#[test]
fn a_missing_tool_is_named_with_the_command_that_installs_it() {
    let folder = Folder::new();
    for (lang, tool, install) in [
        ("rust", "cargo", "rustup"),
        ("python", "componentize-py", "pip install"),
        ("js", "node", "apt-get install nodejs"),
        ("go", "go", "go.dev"),
        ("c", "C compiler", "pip install"),
    ] {
        folder.wasmill(["plugin", "new", lang, "--lang", lang]).end().expect_code(0);
        let build = folder.wasmill(["plugin", "build", lang]).env("PATH", "/nowhere").env("WASMILL_TOOLS", "/nowhere");
        let ended = build.end().expect_code(78).expect_error(&[tool, install, "run this command again"]);
        println!("{}", ended.stderr);
        assert!(!folder.path(&format!("{lang}/build")).exists(), "{lang}: nothing is half-built");
    }
}
