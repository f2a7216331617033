//! An instance's memory stays where it is, however many records it has seen.
//!
//! The rule writes a row for every record, with a text of 2,000 bytes in it, and is called for 16 of them at a time: what a language's bindings make of
//! texts and answers is what they are known to leak, and a leak of either kind shows after some thousand records.

use std::fmt::Write;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse};
use wasmill_tests::settings;

const TEXT_BYTES: usize = 2_000;
const BATCH_ROWS: &str = "16";
/// Records that the longer of two runs has more: 48 MB of text, in 1,500 calls.
const MORE_RECORDS: u64 = 24_000;
/// Memory grows in steps, and a collector may be a little later once. A leak of 3 kB a call is more.
const SLACK_BYTES: i64 = 4 << 20;

/// The memory that an instance of the fraud rule in a language had at most, in a run over `records` records.
fn memory_bytes(folder: &Folder, plugin: &str, records: u64) -> i64 {
    let (mut lines, text) = (String::new(), "x".repeat(TEXT_BYTES));
    for at in 0..records {
        let (customer, second) = (at % 997, at % 60);
        let _ = writeln!(
            lines,
            r#"{{"customer_id":"customer-{customer}","transaction_id":"{at}-{text}","amount":20000.5,"timestamp":"2026-01-01T00:00:{second:02}Z"}}"#
        );
    }
    folder.write("records.jsonl", lines);
    let component = settings::plugin(plugin).display().to_string();
    let arguments =
        ["plugin", "run", &component, "--input", "records.jsonl", "--batch", BATCH_ROWS, "--out", "/dev/null"];
    let run = folder.wasmill(arguments).args(["-o", "json"]).end().expect_code(0);
    let summary = parse(run.stderr.lines().last().unwrap_or_default());
    let rows = int(&summary["ports"][0], "rows");
    assert_eq!((int(&summary, "records"), rows), (records as i64, records as i64), "{summary}");
    assert_eq!((int(&summary, "recycled"), int(&summary, "replaced")), (0, 0), "one instance sees them all: {summary}");
    int(&summary, "memory_bytes_max")
}

/// `records` are enough for buffers and collectors to have found their size.
fn stays_after(records: u64, plugin: &str) {
    let folder = Folder::new();
    let short = memory_bytes(&folder, plugin, records);
    let long = memory_bytes(&folder, plugin, records + MORE_RECORDS);
    println!("{plugin}: {short} bytes, then {long}");
    assert!(long - short <= SLACK_BYTES, "{plugin}: {short} bytes after {records} records, then {long}");
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
