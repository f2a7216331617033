//! What a plugin gets of the world around it: no files, no sockets, no environment, each refused by name, and a clock and randomness that
//! are the same whenever the same records are read.

use super::probe::{self, Tried};
use wasmill_tests::folder::Folder;

const TRIES: [&str; 5] = ["read", "socket", "environment", "clock", "random"];

/// Runs the tries twice, from the beginning each time: what came of them, which is the same.
fn twice(plugin: &str) -> Tried {
    let folder = Folder::new();
    let first = probe::again(&folder, "first", plugin, &TRIES);
    let second = probe::again(&folder, "second", plugin, &TRIES);
    assert_eq!(first.answers, second.answers, "a replay gives the same");
    assert_eq!(first.reasons, second.reasons, "a replay fails the same");
    first
}

/// Asserts that the try was refused, with words for what was tried.
fn refused(tried: &Tried, what: &str, words: &str) {
    let reason = tried.reasons.get(what).unwrap_or_else(|| panic!("`{what}` is answered: {:?}", tried.answers));
    assert!(reason.contains(words), "{what}: {reason}");
}

/// The answer to a try, as the number that it must be.
fn number(tried: &Tried, what: &str) -> f64 {
    let answer = tried.answers.get(what).unwrap_or_else(|| panic!("`{what}` is refused: {:?}", tried.reasons));
    let first = answer.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_else(|_| panic!("{what}: {answer} is not a number"))
}

#[test]
fn rust_has_no_system_below_it() {
    let tried = twice("probe");
    refused(&tried, "read", "files, sockets, processes and threads are not available to a plugin");
    refused(&tried, "socket", "files, sockets, processes and threads are not available to a plugin");
    refused(&tried, "clock", "the clock is not available to a plugin");
    assert_eq!(tried.answers["environment"], "none");
    number(&tried, "random");
}

#[test]
fn python_refuses_by_name_and_sees_event_time() {
    let tried = twice("probe-python");
    refused(&tried, "read", "PermissionError: files are not available to a plugin: open '/etc/passwd' (rule.py:");
    refused(&tried, "socket", "PermissionError: sockets are not available to a plugin");
    refused(&tried, "environment", "PermissionError: environment variables are not available to a plugin");
    assert!((0.0..1.0).contains(&number(&tried, "clock")), "the rule does not read the time, so it is that of 1970");
    assert!((0.0..1.0).contains(&number(&tried, "random")));
}

#[test]
fn javascript_refuses_by_name_and_sees_the_watermark() {
    let tried = twice("probe-js");
    refused(&tried, "read", "Error: files are not available to a plugin: node:fs.readFileSync at rule.js:");
    refused(&tried, "socket", "the network is not available to a plugin: fetch");
    refused(&tried, "environment", "the environment is not available to a plugin");
    number(&tried, "clock");
    assert!((0.0..1.0).contains(&number(&tried, "random")));
}

#[test]
fn go_gets_errors_and_a_clock_of_its_own() {
    let tried = twice("probe-go");
    refused(&tried, "read", "open /etc/passwd: Permission denied (files are not available to a plugin)");
    refused(&tried, "socket", "(sockets are not available to a plugin)");
    assert_eq!(tried.answers["environment"], "none");
    let year_2000_ns = 946_684_800e9;
    assert!((0.0..1e9).contains(&(number(&tried, "clock") - year_2000_ns)), "{:?}", tried.answers);
    number(&tried, "random");
    assert!(tried.log.contains("files are not available to a plugin: path_open"), "{}", tried.log);
}

#[test]
fn c_gets_errnos_and_lines_in_the_log() {
    let tried = twice("probe-c");
    assert_eq!(tried.answers["read"], "refused: Permission denied");
    assert_eq!(tried.answers["socket"], "refused: Permission denied");
    assert_eq!(tried.answers["environment"], "none");
    assert_eq!(tried.answers["clock"], "946684800", "the year 2000");
    number(&tried, "random");
    for line in ["files are not available to a plugin: path_open", "sockets are not available to a plugin: sock_accept"]
    {
        assert!(tried.log.contains(line), "{line}\n{}", tried.log);
    }
}
