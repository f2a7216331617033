//! State of an earlier version, under a new one in each language: taken over where the author wrote a migration, refused before anything
//! changes where there is none.

use crate::upgrade::{Running, counting, counts_are_whole};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use wasmill::pipeline::{Progress, Upgrade};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse};
use wasmill_tests::settings;
use wasmill_tests::wait::until;

const RECORDS: u64 = 2_000;

/// A pipeline whose step keeps state of `version`, and has kept some.
fn with_state(folder: &Folder, version: u32) -> Running {
    let running = Running::start(folder, &format!("{}\nconfig = {{ state_version = {version} }}", counting()));
    running.writer().send((0..RECORDS).map(Running::record));
    running.wait_for(RECORDS);
    running
}

/// A component whose state is of version 1, and that cannot read one of version 2, does not take over from it.
pub(super) fn refused_before_the_swap(component: &str) {
    let folder = Folder::new();
    let running = with_state(&folder, 2);
    let upgrade =
        Upgrade { step: "rule".to_owned(), plugin: Path::new(component).to_owned(), config: Some("{}".to_owned()) };
    let error = running.control().upgrade(&upgrade).map(|_| ());
    let error = error.expect_err("there is no migration").to_string();
    let expected = "step `rule`: its state is of version 2, the new plugin's is 1: the new plugin ";
    let why = error.strip_prefix(expected).unwrap_or_else(|| panic!("{error}"));
    assert!(["exports no migration", "says: no migration from state version 2"].contains(&why), "{error}");
    running.writer().send((RECORDS..2 * RECORDS).map(Running::record));
    until("all is written", Duration::from_secs(60), || running.control().progress().records_out >= 2 * RECORDS);
    counts_are_whole(&running.end(), 2 * RECORDS);
}

/// The counter, which reads state of version 1 as well, goes on with the counts.
fn takes_over(plugin: &str) {
    let folder = Folder::new();
    let component = settings::plugin(plugin).display().to_string();
    let checked = parse(&folder.wasmill(["plugin", "check", &component, "-o", "json"]).end().expect_code(0).stdout);
    assert_eq!((int(&checked, "state_version"), &checked["migration"]), (2, &json!(true)), "{checked}");
    let text = folder.wasmill(["plugin", "check", &component]).end().expect_code(0).stdout;
    assert!(text.contains("version 2, migrates version 1\n"), "{text}");

    let running = with_state(&folder, 1);
    let told = running.settled(plugin, &json!({}));
    assert!(matches!(told[..], [Progress::Switched { .. }, Progress::Accepted { .. }]), "{told:?}");
    running.writer().send((RECORDS..2 * RECORDS).map(Running::record));
    until("all is written", Duration::from_secs(60), || running.control().progress().records_out >= 2 * RECORDS);
    counts_are_whole(&running.end(), 2 * RECORDS);
}

#[test]
fn by_rust() {
    takes_over("counter");
}

#[test]
fn by_python() {
    takes_over("counter-python");
}

#[test]
fn by_javascript() {
    takes_over("counter-js");
}

#[test]
fn by_go() {
    takes_over("counter-go");
}

#[test]
fn by_c() {
    takes_over("counter-c");
}
