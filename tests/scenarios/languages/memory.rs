//! An instance's memory stays where it is, however many records it has seen.
//!
//! The rule writes a row for every record, with a text of 2,000 bytes in it, and is called for 16 of them at a time: what a language's bindings make of
//! texts and answers is what they are known to leak, and a leak of either kind shows after some thousand records. That it does is tested with
//! a rule that keeps some of the texts.
//!
//! With `WASMILL_TEST_MEMORY_RECORDS=10000000` each language's rule is given so many short records as well, in calls of 1,024.

use std::io::{self, Write};
use std::time::Duration;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse};
use wasmill_tests::settings;

/// Records that the longer of two runs has more: 48 MB of text, in 1,500 calls.
const MORE_RECORDS: u64 = 24_000;
/// Memory grows in steps, and a collector may be a little later once. A leak of 3 kB a call is more.
const SLACK_BYTES: i64 = 4 << 20;
/// How long many records may take on a busy machine.
const MANY_LIMIT: Duration = Duration::from_secs(3_600);

/// What a plugin is given.
struct Load {
    plugin: &'static str,
    text_bytes: usize,
    batch_rows: u32,
    /// Writes the record of a number, with a text in it.
    record: fn(&mut dyn Write, u64, &str) -> io::Result<()>,
}

/// A record that the fraud rule writes a row for.
fn fraud(out: &mut dyn Write, at: u64, text: &str) -> io::Result<()> {
    let (customer, second) = (at % 997, at % 60);
    writeln!(
        out,
        r#"{{"customer_id":"customer-{customer}","transaction_id":"{at}-{text}","amount":20000.5,"timestamp":"2026-01-01T00:00:{second:02}Z"}}"#
    )
}

/// A record of which the probe keeps every fourth: a leak of a quarter of what is there to leak.
fn kept(out: &mut dyn Write, at: u64, text: &str) -> io::Result<()> {
    let what = if at.is_multiple_of(4) { "keep" } else { "drop" };
    writeln!(out, r#"{{"try":"{what} {at}-{text}"}}"#)
}

fn texts(plugin: &'static str) -> Load {
    Load { plugin, text_bytes: 2_000, batch_rows: 16, record: fraud }
}

/// The memory that the instance had at most in a run over `records` records, in bytes.
///
/// # Errors
/// It was not one instance: its memory grew so much that it was replaced.
fn memory_bytes(load: &Load, records: u64) -> Result<i64, String> {
    let folder = Folder::new();
    let (text, batch) = ("x".repeat(load.text_bytes), load.batch_rows.to_string());
    let component = settings::plugin(load.plugin).display().to_string();
    let arguments =
        ["plugin", "run", &component, "--input", "-", "--batch", &batch, "--out", "/dev/null", "-o", "json"];
    let mut run = folder.wasmill(arguments).fed(|out| (0..records).try_for_each(|at| (load.record)(out, at, &text)));
    let run = run.wait(MANY_LIMIT).expect_code(0);
    let summary = parse(run.stderr.lines().last().unwrap_or_default());
    let rows = int(&summary["ports"][0], "rows");
    assert_eq!((int(&summary, "records"), rows), (records as i64, records as i64), "{summary}");
    match (int(&summary, "recycled"), int(&summary, "replaced")) {
        (0, 0) => Ok(int(&summary, "memory_bytes_max")),
        _ => Err(format!("{}: one instance should have seen all {records} records: {summary}", load.plugin)),
    }
}

/// Whether memory is the same after `more` records more; `records` are enough for buffers and collectors to have found their size.
fn is_flat(load: &Load, records: u64, more: u64) -> Result<(), String> {
    let (short, long) = (memory_bytes(load, records)?, memory_bytes(load, records + more)?);
    println!("{}: {short} bytes after {records} records, {long} after {}", load.plugin, records + more);
    if long - short <= SLACK_BYTES {
        return Ok(());
    }
    Err(format!("{}: {short} bytes after {records} records, {long} after {}", load.plugin, records + more))
}

fn stays_after(records: u64, plugin: &'static str) {
    is_flat(&texts(plugin), records, MORE_RECORDS).unwrap_or_else(|error| panic!("{error}"));
    if let Some(many) = settings::memory_records() {
        let load = Load { text_bytes: 20, batch_rows: 1_024, ..texts(plugin) };
        let first = many / 10;
        is_flat(&load, first, many - first).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What [`is_flat`] says of the same language's probe, which keeps some of what it is given.
fn a_leak_is_found_after(records: u64, plugin: &'static str) {
    let error = is_flat(&Load { record: kept, ..texts(plugin) }, records, MORE_RECORDS)
        .expect_err("a rule that keeps texts is found");
    println!("{error}");
}

#[test]
fn in_rust() {
    stays_after(2_000, "fraud-rules");
}

#[test]
fn in_python() {
    stays_after(2_000, "fraud-rules-python");
}

/// The engine collects when some 90 MB have come together.
#[test]
fn in_javascript() {
    stays_after(32_000, "fraud-rules-js");
}

#[test]
fn in_go() {
    stays_after(2_000, "fraud-rules-go");
}

#[test]
fn in_c() {
    stays_after(2_000, "fraud-rules-c");
}

#[test]
fn a_leak_is_found_in_python() {
    a_leak_is_found_after(2_000, "probe-python");
}

#[test]
fn a_leak_is_found_in_javascript() {
    a_leak_is_found_after(32_000, "probe-js");
}

#[test]
fn a_leak_is_found_in_go() {
    a_leak_is_found_after(2_000, "probe-go");
}
