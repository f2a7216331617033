//! Versions that take over while records flow, asked for over the interface: accepted, rolled back, refused, and after any death either one or
//! the other.

use super::pipelines::{fraud, with_rules};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasmill_tests::components::with_note;
use wasmill_tests::daemon::{Daemon, LIMIT};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse};
use wasmill_tests::settings;
use wasmill_tests::wait::until;

const UPGRADE: &str = "/api/v1/pipelines/fraud/upgrade";

pub(super) fn component(name: &str) -> Vec<u8> {
    std::fs::read(settings::plugin(name)).expect("a plugin that was built")
}

/// A daemon with two versions of the fraud rule and a pipeline with the first, which runs for ever.
fn with_two_versions(folder: &Folder) -> Daemon<'_> {
    let daemon = with_rules(folder);
    daemon.push("fraud-rules", "1.1.0", &with_note(&component("fraud-rules"), "1.1.0")).expect(201);
    daemon.apply("fraud", &fraud("fraud-rules@latest", 10, 10_000_000, 1_000).replace("latest", "1.0.0")).expect(201);
    daemon.wait_for("fraud", "running");
    daemon
}

fn to(version: &str) -> Value {
    json!({"step": "rules", "plugin": format!("fraud-rules@{version}"), "reason": "because"})
}

/// The version that a pipeline runs, as its status tells.
fn version(daemon: &Daemon<'_>, name: &str) -> String {
    daemon.show(name)["plugins"][0]["version"].as_str().expect("a version").to_owned()
}

fn history(daemon: &Daemon<'_>, name: &str) -> Vec<Value> {
    let found = daemon.get(&format!("/api/v1/pipelines/{name}/history")).expect(200).json();
    found["history"].as_array().expect("a list").clone()
}

#[test]
fn a_version_takes_over_goes_back_and_the_history_tells_who_when_and_why() {
    let folder = Folder::new();
    let daemon = with_two_versions(&folder);
    let dry = daemon.post_json(&format!("{UPGRADE}?dry_run=true"), &to("1.1.0")).expect(200).json();
    assert_eq!(
        (&dry["from"]["plugin"], &dry["to"]["plugin"]),
        (&json!("fraud-rules@1.0.0"), &json!("fraud-rules@1.1.0"))
    );
    assert_eq!((&dry["in_place"], &dry["state"]), (&json!(true), &json!("the step keeps none")));
    assert_eq!(dry["changes"][0]["key"], "steps.rules.plugin");
    assert_eq!(version(&daemon, "fraud"), "1.0.0");

    let begun = daemon
        .post_json(UPGRADE, &json!({"step": "rules", "plugin": "fraud-rules@latest", "config": {"max_amount": 20}}));
    let (states, done) = daemon.follow(begun);
    assert_eq!(states.last().map(String::as_str), Some("accepted"), "{done}");
    assert!(done["switch_ms"].is_u64() && done["epoch"].is_u64(), "{done}");
    let status = daemon.show("fraud");
    assert_eq!((&status["revision"], &status["plugins"][0]["version"]), (&json!(2), &json!("1.1.0")));
    let definition = status["definition"].as_str().expect("a definition");
    assert!(definition.contains("plugin = \"fraud-rules@1.1.0\"\nconfig = { \"max_amount\" = 20 }\n"), "{definition}");
    let same = daemon.apply("fraud", definition).expect(200).json();
    assert_eq!(same["outcome"], "unchanged");

    let told = daemon.command(&["pipeline", "rollback", "fraud", "--reason", "too quiet"]).expect_code(0).stdout;
    assert!(told.ends_with("rules: fraud-rules@1.0.0 is accepted\n"), "{told}");
    assert!(daemon.show("fraud")["definition"].as_str().is_some_and(|it| it.contains("\"max_amount\" = 10 }")));
    let upgraded = daemon
        .command(&["pipeline", "upgrade", "fraud", "--step", "rules", "--plugin", "fraud-rules@1.1.0", "-o", "json"])
        .expect_code(0);
    assert_eq!(parse(&upgraded.stdout)["state"], "accepted");

    let entries = history(&daemon, "fraud");
    let short: Vec<_> =
        entries.iter().map(|it| [&it["number"], &it["action"], &it["outcome"], &it["reason"]]).collect();
    let accepted = json!("accepted");
    assert_eq!(
        short,
        [
            [&json!(4), &json!("upgrade"), &accepted, &Value::Null],
            [&json!(3), &json!("rollback"), &accepted, &json!("too quiet")],
            [&json!(2), &json!("upgrade"), &accepted, &Value::Null],
            [&json!(1), &json!("deploy"), &accepted, &Value::Null],
        ]
    );
    assert_eq!(entries[0]["by"], "127.0.0.1");
    let listed = daemon.command(&["pipeline", "history", "fraud"]).expect_code(0).stdout;
    assert!(listed.contains("rollback  accepted  rules: fraud-rules@1.0.0"), "{listed}");

    // What was accepted comes back, and is in use.
    daemon.kill();
    let daemon = Daemon::start(&folder);
    daemon.wait_for("fraud", "running");
    assert_eq!(version(&daemon, "fraud"), "1.1.0");
    daemon.delete("/api/v1/plugins/fraud-rules/versions/1.1.0").expect_problem(409, "plugin_in_use", &["fraud"]);
    daemon.stop();
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let folder = Folder::new();
    let daemon = with_two_versions(&folder);
    daemon.push("large-amounts", "1.0.0", &component("large-amounts")).expect(201);
    daemon.push("velocity", "1.0.0", &component("velocity")).expect(201);
    let refuse = |body: Value, status: u16, code: &str, texts: &[&str]| {
        daemon.post_json(UPGRADE, &body).expect_problem(status, code, texts);
    };
    refuse(
        json!({"step": "rule", "plugin": "fraud-rules@1.1.0"}),
        422,
        "upgrade_refused",
        &["the steps of the pipeline are: `rules`"],
    );
    refuse(to("9.9.9"), 422, "upgrade_refused", &["has only 1.1.0, 1.0.0 of it"]);
    let keyed = json!({"step": "rules", "plugin": "velocity@1.0.0", "config": {}});
    refuse(keyed, 422, "upgrade_refused", &["velocity@1.0.0", "is a keyed plugin"]);
    refuse(
        json!({"step": "rules", "plugin": "fraud-rules@1.1.0", "config": {"max_amont": 1}}),
        422,
        "upgrade_refused",
        &["fraud-rules@1.1.0", "max_amont"],
    );
    refuse(
        json!({"step": "rules", "plugin": "fraud-rules@1.1.0", "config": {"max_amount": null}}),
        422,
        "upgrade_refused",
        &["null"],
    );
    refuse(json!({"step": "rules"}), 400, "bad_body", &["plugin"]);
    refuse(json!({"step": "rules", "plugin": "a@1.0.0", "why": 1}), 400, "bad_body", &["why"]);
    let rollback = "/api/v1/pipelines/fraud/rollback";
    daemon.post(rollback).expect_problem(409, "nothing_to_roll_back", &["apply the definition from before"]);
    daemon.get("/api/v1/operations/1").expect_problem(404, "no_such_operation", &["history"]);
    daemon.post("/api/v1/pipelines/fraud/stop").expect(200);
    refuse(to("1.1.0"), 409, "not_running", &["resume it"]);
    assert_eq!(history(&daemon, "fraud").len(), 1);
    assert_eq!(version(&daemon, "fraud"), "1.0.0");
    daemon.stop();
}

/// Counts by user what a file has, in epochs of `interval`.
pub(super) fn counting(version: &str, config: &str, interval: &str) -> String {
    format!(
        r#"
name = "counting"
checkpoint_interval = "{interval}"
[sources.in]
connector = "generator"
kind = "orders"
seed = 3
rate = 2000
[sinks.out]
from = "count"
connector = "file"
path = "counts"
[steps.numbered]
from = "in"
key = "customer_id"
window = {{ rolling = "1h" }}
aggregate = {{ id = "count()" }}
[steps.count]
from = "numbered"
key = "customer_id"
plugin = "counter@{version}"
config = {config}
"#
    )
}

/// The counts of each user are 1, 2, 3, ..: no record is lost or counted twice, and state passes from version to version.
pub(super) fn counts_are_whole(folder: &Folder) {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for row in folder.records("daemon/files/counts") {
        *counts.entry(int(&row, "count")).or_default() += 1;
    }
    let users: Vec<u64> = counts.values().copied().collect();
    assert!(!users.is_empty() && counts.keys().copied().eq(1..=users.len() as i64), "{counts:?}");
    assert!(users.is_sorted_by(|a, b| a >= b), "a count is there more often than the one before it: {counts:?}");
}

#[test]
fn a_version_that_traps_is_rolled_back_by_itself_and_costs_nothing() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    daemon.push("counter", "1.0.0", &component("misbehaving-keyed")).expect(201);
    daemon.push("counter", "2.0.0", &with_note(&component("misbehaving-keyed"), "2")).expect(201);
    daemon.apply("counting", &counting("1.0.0", "{}", "300ms")).expect(201);
    daemon.wait_for("counting", "running");
    let upgrade = "/api/v1/pipelines/counting/upgrade";
    let trapping = json!({"step": "count", "plugin": "counter@2.0.0", "config": {"trap_every": 1}});
    let (states, done) = daemon.follow(daemon.post_json(upgrade, &trapping));
    assert_eq!(states.last().map(String::as_str), Some("rolled_back"), "{done}");
    assert!(
        done["detail"].as_str().is_some_and(|it| it.starts_with("step `count`: ") && it.contains("trapped")),
        "{done}"
    );
    let status = daemon.wait_for("counting", "running");
    assert_eq!((&status["plugins"][0]["version"], &status["revision"]), (&json!("1.0.0"), &json!(1)));
    let entries = history(&daemon, "counting");
    assert_eq!((&entries[0]["outcome"], &entries[0]["detail"]), (&json!("rolled_back"), &done["detail"]));
    let refused = daemon.command(&[
        "pipeline",
        "upgrade",
        "counting",
        "--step",
        "count",
        "--plugin",
        "counter@2.0.0",
        "--config",
        "{\"trap_every\": 1}",
    ]);
    refused.expect_code(78).expect_error(&["count: counter@2.0.0 was rolled back, counter@1.0.0 goes on: ", "trapped"]);

    let (states, done) = daemon.follow(daemon.post_json(upgrade, &json!({"step": "count", "plugin": "counter@2.0.0"})));
    assert_eq!(states.last().map(String::as_str), Some("accepted"), "{done}");
    daemon.stop();
    counts_are_whole(&folder);
}

#[test]
fn another_state_version_is_refused_without_migration_and_applied_with_it_and_survives_every_kill() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    daemon.push("counter", "1.0.0", &component("misbehaving-keyed")).expect(201);
    daemon.push("counter", "2.0.0", &with_note(&component("misbehaving-keyed"), "2")).expect(201);
    daemon.push("velocity", "1.0.0", &component("velocity")).expect(201);
    daemon.apply("counting", &counting("1.0.0", "{ state_version = 2 }", "50ms")).expect(201);
    daemon.wait_for("counting", "running");
    let upgrade = "/api/v1/pipelines/counting/upgrade";
    daemon.post_json(upgrade, &json!({"step": "count", "plugin": "velocity@1.0.0", "config": {}})).expect_problem(
        422,
        "upgrade_refused",
        &["its state is of version 2, the new plugin's is 1: the new plugin exports no migration"],
    );
    daemon.delete("/api/v1/pipelines/counting?state=discard").expect(204);
    std::fs::remove_dir_all(folder.path("daemon/files/counts")).expect("output");
    daemon.apply("counting", &counting("1.0.0", "{ state_version = 1 }", "50ms")).expect(201);
    until("output", LIMIT, || folder.lines("daemon/files/counts").len() > 1_000);
    daemon.stop();
    folder.copy("daemon", "saved");

    // Each time the new version has brought the state to its own, or it has not; the version that comes back is the one that can read it.
    let new = json!({"step": "count", "plugin": "counter@2.0.0", "config": {"state_version": 2}});
    for (point, accepted) in [
        ("upgrade.before-record", false),
        ("upgrade.after-record", false),
        ("upgrade.accepted", true),
        ("upgrade.settled", true),
    ] {
        std::fs::remove_dir_all(folder.path("daemon")).expect("the data of the last turn");
        folder.copy("saved", "daemon");
        let mut daemon = Daemon::start_with(&folder, &[], Some(point));
        daemon.wait_for("counting", "running");
        let lines = || folder.lines("daemon/files/counts").len();
        let dry = daemon.post_json(&format!("{upgrade}?dry_run=true"), &new).expect(200).json();
        assert_eq!(dry["state"], "is brought from version 1 to version 2 by the new plugin");
        let _ = daemon.try_ask("POST", upgrade, "application/json", new.to_string().as_bytes());
        assert!(daemon.run().wait(LIMIT).was_killed(), "it did not die at {point}");
        let daemon = Daemon::start(&folder);
        daemon.wait_for("counting", "running");
        let before = lines();
        until("output goes on", LIMIT, || lines() > before);
        until("it is settled", LIMIT, || daemon.show("counting").get("upgrading").is_none());
        assert_eq!(version(&daemon, "counting"), if accepted { "2.0.0" } else { "1.0.0" }, "{point}");
        let last = &history(&daemon, "counting")[0];
        let outcome = match point {
            "upgrade.before-record" => "deploy accepted",
            "upgrade.after-record" => "upgrade rolled_back",
            _ => "upgrade accepted",
        };
        assert_eq!(format!("{} {}", last["action"], last["outcome"]).replace('"', ""), outcome, "{point}");
        daemon.stop();
        counts_are_whole(&folder);
    }
}
