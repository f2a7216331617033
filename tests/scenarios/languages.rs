//! Every language from `plugin new` to a running rule, and the same rule in all of them.
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
    folder.wasmill(["plugin", "new", "my-rule", "--lang", lang, "--kind", kind]).end().expect_code(0);
    let built = folder.wasmill(["plugin", "build", "my-rule", "-o", "json"]).start().wait(BUILD_LIMIT).expect_code(0);
    let built = parse(&built.stdout);
    assert_eq!((text(&built, "name"), text(&built, "kind")), ("my-rule", kind));
    let component = text(&built, "file").to_owned();

    let checked = parse(&folder.wasmill(["plugin", "check", &component, "-o", "json"]).end().expect_code(0).stdout);
    assert_eq!((text(&checked, "kind"), &checked["digest"]), (kind, &built["digest"]));
    let tested = folder.wasmill(["plugin", "test", "my-rule"]).end().expect_code(0);
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
    const SILENCE_MS: i64 = 60_000;
    let folder = Folder::new();
    let component = project(&folder, lang, "keyed");
    let step = format!("key = \"customer_id\"\nconfig = {{ silence_ms = {SILENCE_MS} }}");
    let (all, out) = on_the_fraud_stream(&folder, &component, &step);
    let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for record in &all {
        times.entry(text(record, "customer_id")).or_default().push(rfc3339_ms(text(record, "timestamp")));
    }
    let mut expected = Vec::new();
    for (key, mut times) in times {
        times.sort_unstable();
        for active in times.chunk_by(|before, after| after - before < SILENCE_MS) {
            expected.push(json!({"key": key, "last": active.last(), "count": active.len()}));
        }
    }
    same_in_order_of_key("the summaries", "key", &out, &expected);
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
