//! `wasmill plugin check`, `test`, `run` and `bench` as an author meets them: what they say of a good plugin, of one that
//! misbehaves, and of input that is wrong.

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use wasmill_tests::components;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse, text};
use wasmill_tests::process::Ended;
use wasmill_tests::settings;

/// A folder with a copy of an example plugin, `rule.wasm`.
fn folder(plugin: &str) -> Folder {
    let folder = Folder::new();
    std::fs::copy(settings::plugin(plugin), folder.path("rule.wasm")).expect("a plugin can be copied");
    folder
}

fn plugin(folder: &Folder, arguments: &[&str]) -> Ended {
    folder.wasmill(std::iter::once("plugin").chain(arguments.iter().copied())).end()
}

/// `text` with each run of digits (and the dot within) as `#`, and each sha256 as `SHA`.
fn without_figures(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        if word.trim_end().len() == 64 && word.trim_end().bytes().all(|it| it.is_ascii_hexdigit()) {
            out.push_str("SHA\n");
            continue;
        }
        let measured = word.starts_with(|it: char| it.is_ascii_digit());
        let figure = |it: char| measured && (it.is_ascii_digit() || it == '.' || it == ',');
        let mut in_figure = false;
        for letter in word.chars() {
            match (figure(letter), in_figure) {
                (true, false) => out.push('#'),
                (true, true) => {}
                (false, _) => out.push(letter),
            }
            in_figure = figure(letter);
        }
    }
    out
}

// check

#[test]
fn check_says_what_a_component_reads_writes_and_is() {
    let folder = folder("fraud-rules");
    let ended = plugin(&folder, &["check", "rule.wasm"]).expect_code(0);
    expect![[r#"
        fraud-rules #: ok: a transform plugin
          about      Alerts on transactions of a customer that are too many in five minutes or too large.
          file       rule.wasm, # bytes
          sha256     SHA
          reads      customer_id     text     required
                     transaction_id  text     required
                     amount          f64      required
                     timestamp       text     required
                     txn_count       s64
          port out   customer_id     text     required
                     transaction_id  text     required
                     amount          f64      required
                     alerts          json     required
                     timestamp       text     required
          config     without a schema
          imports    wasmill:plugin/columns@0.1.0, wasmill:plugin/output@0.1.0, wasmill:plugin/logging@0.1.0
          compile    # ms
          open       # ms
    "#]]
    .assert_eq(&without_figures(&ended.stdout.replace(", found compiled", "")));
    let report = parse(&plugin(&folder, &["check", "rule.wasm", "-o", "json"]).expect_code(0).stdout);
    assert_eq!((text(&report, "kind"), &report["ok"]), ("transform", &json!(true)));
    assert_eq!(report["reads"][2], json!({"slot": "field", "name": "amount", "kind": "f64", "required": true}));
    assert_eq!(report["compile_cached"], json!(true), "the second time it is found compiled");
    assert_eq!(text(&report, "digest").len(), 64);
}

#[test]
fn check_tells_of_state_timers_and_migration() {
    let report = |name: &str, config: &str| {
        let folder = folder(name);
        parse(&plugin(&folder, &["check", "rule.wasm", "--config", config, "-o", "json"]).expect_code(0).stdout)
    };
    let keyed = report("misbehaving-keyed", "{}");
    assert_eq!((text(&keyed, "kind"), &keyed["migration"], int(&keyed, "state_version")), ("keyed", &json!(true), 2));
    assert_eq!(keyed["reads"][1]["slot"], json!("time"));
    let aggregate = report("revenue", "{}");
    assert_eq!((text(&aggregate, "kind"), &aggregate["migration"]), ("aggregate", &json!(false)));
    let schema = report("misbehaving", "{}");
    assert!(schema["config_schema"].is_object(), "a schema that is JSON is said as JSON: {schema}");
}

#[test]
fn check_refuses_with_all_reasons_and_what_is_known_all_the_same() {
    let folder = Folder::new();
    let check = |content: &[u8]| {
        folder.write("rule.wasm", content);
        plugin(&folder, &["check", "rule.wasm"]).expect_code(78)
    };
    check(b"not a component\n").expect_error(&["not WebAssembly", "it is text"]);
    check(b"").expect_error(&["empty"]);
    check(&components::core_module()).expect_error(&["a core module without an interface"]);
    let world =
        check(&components::of_another_world()).expect_error(&["wasi:cli/run@0.2.0", "wasmill:plugin/lifecycle"]);
    assert!(world.stdout.contains("refused: no plugin") && world.stdout.contains("1 error"), "{}", world.tails());
    let whole = std::fs::read(settings::plugin("revenue")).expect("the plugin is built");
    check(&whole[..whole.len() / 2]).expect_error(&["truncated"]);
    plugin(&folder, &["check", "nowhere.wasm"]).expect_code(78).expect_error(&["nowhere.wasm"]);
    let json = plugin(&folder, &["check", "rule.wasm", "-o", "json"]).expect_code(78);
    assert_eq!((parse(&json.stdout)["ok"].clone(), json.stderr.as_str()), (json!(false), ""));
}

#[test]
fn check_opens_with_the_config_that_is_given() {
    let folder = folder("large-amounts");
    plugin(&folder, &["check", "rule.wasm", "--config", r#"{"min_amount": 1}"#]).expect_code(0);
    folder.write("config.toml", "min_amount = 10.5\n");
    folder.write("config.json", "{\"min_amount\": \"much\"}");
    plugin(&folder, &["check", "rule.wasm", "--config", "@config.toml"]).expect_code(0);
    let wrong = plugin(&folder, &["check", "rule.wasm", "--config", "@config.json"]).expect_code(78);
    wrong.expect_error(&["refuses its config", "min_amount", "much"]);
    for (config, what) in [("[1]", "JSON object"), ("{", "not JSON"), ("@nowhere.json", "nowhere.json")] {
        plugin(&folder, &["check", "rule.wasm", "--config", config]).expect_code(64).expect_error(&[what]);
    }
}

// test

/// Runs `cases` on a plugin and compares what is printed.
fn test_cases(name: &str, cases: &str, code: i32, expected: Expect) {
    let folder = folder(name);
    folder.write("tests/cases.toml", cases);
    let ended = plugin(&folder, &["test", "rule.wasm"]).expect_code(code);
    expected.assert_eq(&ended.stdout);
}

const TRANSFORM: &str = r#"
[[case]]
name = "a large amount is an alert"
config = { max_amount = 100 }
input = '''
{"customer_id":"ann","transaction_id":"t1","amount":100,"timestamp":"2026-01-01T00:00:00Z"}
{"customer_id":"bob","transaction_id":"t2","amount":101,"timestamp":"2026-01-01T00:00:00Z"}
'''
expected = '''
out: {"customer_id":"bob","transaction_id":"t2","amount":101.0,"alerts":["High amount: 101.00"],"timestamp":"2026-01-01T00:00:00Z"}
'''

[[case]]
name = "what does not fit never reaches the rule"
input = '''
{"customer_id":7,"transaction_id":"t","amount":1,"timestamp":""}
{"customer_id":"ann"
{"customer_id":"ann","transaction_id":"t","timestamp":""}
'''
expected = '''
reject 0: field `customer_id` is 7, expected text
reject 1: value is not JSON: it ends at byte 20, expected `,` or `}`
reject 2: field `amount` is missing
'''

[[case]]
name = "an unknown key is refused"
config = { max_amont = 1 }
expected = '''
refused: config: unknown field `max_amont`, expected `max_amount` or `max_count`
'''
"#;

#[test]
fn cases_that_pass_are_counted() {
    test_cases(
        "fraud-rules",
        TRANSFORM,
        0,
        expect![[r#"
        tests/cases.toml
          ok      a large amount is an alert
          ok      what does not fit never reaches the rule
          ok      an unknown key is refused
        3 cases passed, 0 failed
    "#]],
    );
}

#[test]
fn a_failed_case_shows_what_differs_and_ends_with_1() {
    let cases = TRANSFORM.replace("101.00", "101.50").replace("reject 2: field `amount` is missing\n", "");
    test_cases(
        "fraud-rules",
        &cases,
        1,
        expect![[r#"
        tests/cases.toml
          FAILED  a large amount is an alert (line 2)
                - out: {"customer_id":"bob","transaction_id":"t2","amount":101.0,"alerts":["High amount: 101.50"],"timestamp":"2026-01-01T00:00:00Z"}
                + out: {"customer_id":"bob","transaction_id":"t2","amount":101.0,"alerts":["High amount: 101.00"],"timestamp":"2026-01-01T00:00:00Z"}
          FAILED  what does not fit never reaches the rule (line 13)
                  reject 0: field `customer_id` is 7, expected text
                  reject 1: value is not JSON: it ends at byte 20, expected `,` or `}`
                + reject 2: field `amount` is missing
          ok      an unknown key is refused
        1 case passed, 2 failed
    "#]],
    );
}

#[test]
fn keyed_cases_show_state_and_timers_after_each_round() {
    let cases = r#"
[[case]]
name = "a key falls silent"
config = { silence_ms = 100 }
key = "user"
time = "at"
state = { cid = { first = 1, last = 2, count = 7 } }
input = '''
{"user":"ann","at":10}
{"user":"bob","at":20}
{"user":"cid","at":30}
{"user":null,"at":30}
'''
expected = '''
reject 3: the key (user) is missing or null
state ann: {"first":10,"last":10,"count":1}
state bob: {"first":20,"last":20,"count":1}
state cid: {"first":1,"last":30,"count":8}
timer ann 0 at 110
timer bob 0 at 120
timer cid 0 at 130
'''
[[case.then]]
input = '{"user":"ann","at":50}'
watermark = 125
expected = '''
out: {"key":"bob","first":20,"last":20,"count":1}
state ann: {"first":10,"last":50,"count":2}
state cid: {"first":1,"last":30,"count":8}
timer ann 0 at 150
timer cid 0 at 130
'''
[[case.then]]
watermark = "end"
expected = '''
out: {"key":"cid","first":1,"last":30,"count":8}
out: {"key":"ann","first":10,"last":50,"count":2}
'''

[[case]]
name = "times may be RFC 3339, and several fields a key"
key = ["user", "card"]
time = "at"
input = '{"user":"ann","card":7,"at":"1970-01-01T00:00:01Z"}'
expected = '''
state ["ann",7]: {"first":1000,"last":1000,"count":1}
timer ["ann",7] 0 at 301000
'''
"#;
    test_cases(
        "velocity",
        cases,
        0,
        expect![[r#"
        tests/cases.toml
          ok      a key falls silent
          ok      times may be RFC 3339, and several fields a key
        2 cases passed, 0 failed
    "#]],
    );
}

#[test]
fn state_of_an_older_version_is_migrated_and_bytes_are_base64() {
    let cases = r#"
[[case]]
name = "eight bytes become a text"
key = "id"
time = "at"
state = { 7 = { bytes = "BQAAAAAAAAA=" } }
state_version = 1
input = '{"id":7,"at":0}'
expected = '''
out: {"count":6}
state 7: 6
'''

[[case]]
name = "a row that traps costs only itself"
config = { trap_every = 2 }
key = "user"
time = "at"
input = '''
{"user":"ann","id":1,"at":0}
{"user":"ann","id":2,"at":0}
{"user":"ann","id":3,"at":0}
'''
expected = '''
out: {"count":1}
out: {"count":2}
reject 1: the plugin trapped: wasm `unreachable` instruction executed
state ann: 2
'''
"#;
    test_cases(
        "misbehaving-keyed",
        cases,
        0,
        expect![[r#"
        tests/cases.toml
          ok      eight bytes become a text
          ok      a row that traps costs only itself
        2 cases passed, 0 failed
    "#]],
    );
}

#[test]
fn a_window_is_folded_whole_and_in_parts_which_must_agree() {
    let cases = r#"
[[case]]
name = "eighths are exact"
key = "shop"
window = [0, 300000]
input = '''
{"shop":"a","amount":10.125}
{"shop":"b","amount":1}
{"shop":"a","amount":0.25}
{"shop":"a"}
'''
expected = '''
out: {"seller":"a","window_start":0,"window_end":300000,"orders":2,"revenue":10.375}
out: {"seller":"b","window_start":0,"window_end":300000,"orders":1,"revenue":1.0}
reject 3: field `amount` is missing
'''

[[case]]
name = "a record outside of the window is refused"
key = "shop"
time = "at"
window = ["1970-01-01T00:00:00Z", 10]
input = '''
{"shop":"a","amount":1,"at":10}
'''
expected = "reject 0: its time, 10 ms, is outside of the window from 0 to 10"

[[case]]
name = "tenths depend on the order in which they are added"
key = "shop"
window = [0, 10]
input = '''
{"shop":"a","amount":0.1}
{"shop":"a","amount":0.2}
{"shop":"a","amount":0.3}
'''
expected = '''
out: {"seller":"a","window_start":0,"window_end":10,"orders":3,"revenue":0.6000000000000001}
'''
"#;
    test_cases(
        "revenue",
        cases,
        1,
        expect![[r#"
        tests/cases.toml
          ok      eighths are exact
          ok      a record outside of the window is refused
          FAILED  tenths depend on the order in which they are added (line 28)
                  merge does not agree with add: the records before record 1 and those from it on, folded apart and merged, give
                  out: {"seller":"a","window_start":0,"window_end":10,"orders":3,"revenue":0.6}
        2 cases passed, 1 failed
    "#]],
    );
}

#[test]
fn bless_writes_what_came_and_leaves_the_rest_of_the_file() {
    let folder = folder("fraud-rules");
    let cases = "# Ours.\n[[case]]\nname = \"one\" # first\nexpected = '''\nout: 1\n''' # soon\ninput = '''\n{\"customer_id\":7}\n'''\n\n[[case]]\nname = \"two\"\n";
    folder.write("tests/cases.toml", cases);
    plugin(&folder, &["test", "rule.wasm"]).expect_code(1);
    let blessed = plugin(&folder, &["test", "rule.wasm", "--bless", "--filter", "one"]).expect_code(0);
    assert!(blessed.stdout.contains("1 blessed"), "{}", blessed.tails());
    expect![[r##"
        # Ours.
        [[case]]
        name = "one" # first
        expected = '''
        reject 0: field `customer_id` is 7, expected text
        ''' # soon
        input = '''
        {"customer_id":7}
        '''

        [[case]]
        name = "two"
    "##]]
    .assert_eq(&std::fs::read_to_string(folder.path("tests/cases.toml")).expect("it is there"));
    let again = plugin(&folder, &["test", "rule.wasm", "-o", "json"]).expect_code(1);
    let results = parse(&again.stdout);
    assert_eq!((int(&results, "passed"), int(&results, "failed")), (1, 1));
    assert_eq!(results["cases"][1]["rounds"][0], json!({"expected": null, "got": ""}));
    plugin(&folder, &["test", "rule.wasm", "--bless"]).expect_code(0);
    plugin(&folder, &["test", "rule.wasm"]).expect_code(0);
}

#[test]
fn a_case_file_that_is_wrong_is_refused_with_its_line() {
    let folder = folder("velocity");
    let refused = |cases: &str, texts: &[&str]| {
        folder.write("tests/cases.toml", cases);
        plugin(&folder, &["test", "rule.wasm"]).expect_code(78).expect_error(texts);
    };
    refused("\n[[case]]\nname = \"a\"\nkye = \"user\"\n", &["tests/cases.toml:4", "kye", "`key`"]);
    refused("[[case]]\nname = \"a\"\ntime = \"at\"\n", &["tests/cases.toml:1", "case \"a\"", "key = \"FIELD\""]);
    refused("[[case]]\nname = \"a\"\nkey = \"user\"\n", &["time = \"FIELD\""]);
    refused("[[case]]\nname = \"a\"\nwindow = [0, 1]\n", &["`window` is for aggregate plugins"]);
    refused("", &["no [[case]]"]);
    refused("[[case]]\nname = \"a\n", &["tests/cases.toml:2"]);
    plugin(&folder, &["test", "rule.wasm", "--cases", "none/*.toml"]).expect_code(78).expect_error(&["none/*.toml"]);
    folder.write("tests/cases.toml", "[[case]]\nname = \"a\"\nkey = \"user\"\ntime = \"at\"\n");
    plugin(&folder, &["test", "rule.wasm", "--filter", "b"]).expect_code(64).expect_error(&["no case"]);
    plugin(&folder, &["test", "."]).expect_code(78).expect_error(&["plugin.toml"]);
}

#[test]
fn what_a_plugin_logged_is_shown_with_its_failed_case() {
    let cases = r#"
[[case]]
name = "flood"
config = { mode = "log-flood", when = { every = 2 } }
input = '''
{"id":1}
{"id":2}
'''
expected = "out: 1"
"#;
    let folder = folder("misbehaving");
    folder.write("tests/cases.toml", cases);
    let ended = plugin(&folder, &["test", "rule.wasm"]).expect_code(1);
    let logged = ended.stdout.matches("log warn: line ").count();
    assert_eq!(logged, 100, "as many as a call may log\n{}", ended.tails());
}

// run

fn records(count: i64) -> String {
    let mut text = String::new();
    for id in 1..=count {
        let _ = writeln!(text, "{}", json!({"id": id, "at": id * 1_000, "user": format!("u{}", id % 3)}));
    }
    text
}

#[test]
fn a_run_writes_what_comes_out_and_says_what_it_cost() {
    let folder = folder("misbehaving");
    folder.write("in.jsonl", records(2_000));
    let config = r#"{"mode": "reject", "when": {"every": 1000}}"#;
    let base = ["run", "rule.wasm", "--input", "in.jsonl", "--config", config];
    let ended = plugin(&folder, &base).expect_code(0);
    assert_eq!(ended.stdout.lines().count(), 1_998);
    assert_eq!(ended.stdout.lines().next(), Some(r#"{"at":1000,"id":1,"user":"u1"}"#));
    expect![[r#"
        line #: not wanted
        line #: not wanted
        misbehaving: # records in # ms
          port out             #  rows
          port made                #  rows
          refused                  #  records
          call                  #  ns a record, in the plugin
          memory                #  MiB at most, of an instance
    "#]]
    .assert_eq(&without_figures(&ended.stderr).replace(" in # s\n", " in # ms\n"));

    let arguments = ["--rejects", "bad.jsonl", "--out", "out.jsonl", "--batch", "7", "-o", "json"];
    let ended = plugin(&folder, &[&base[..], &arguments].concat()).expect_code(0);
    assert_eq!(ended.stdout, "");
    let summary = parse(&ended.stderr);
    assert_eq!((int(&summary, "records"), int(&summary, "rejects")), (2_000, 2));
    assert_eq!(summary["ports"][0], json!({"name": "out", "rows": 1_998, "written": true}));
    assert!(summary["call_ns_per_record"].as_f64().is_some_and(|it| it > 0.0), "{summary}");
    assert!(int(&summary, "memory_bytes_max") > 1 << 16, "{summary}");
    let letters = std::fs::read_to_string(folder.path("bad.jsonl")).expect("the rejects are written");
    let letters: Vec<Value> = letters.lines().map(parse).collect();
    assert_eq!((text(&letters[0], "reason"), int(&letters[0], "offset")), ("not wanted", 1_000));
    assert_eq!(parse(text(&letters[1], "value"))["id"], json!(2_000));
}

#[test]
fn a_port_can_be_chosen_and_an_unknown_one_is_refused_with_those_there_are() {
    let folder = folder("misbehaving");
    folder.write("in.jsonl", records(10));
    let base = ["run", "rule.wasm", "--input", "in.jsonl"];
    let ended = plugin(&folder, &[&base[..], &["--port", "made"]].concat()).expect_code(0);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("rows, not written"), "{}", ended.tails());
    plugin(&folder, &[&base[..], &["--port", "mad"]].concat()).expect_code(64).expect_error(&["mad", "out, made"]);
}

#[test]
fn records_come_from_standard_input_too() {
    let folder = folder("misbehaving");
    let mut child = Command::new(settings::wasmill())
        .args(["plugin", "run", "rule.wasm", "--input", "-"])
        .env("WASMILL_CACHE", settings::compiled())
        .current_dir(folder.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wasmill starts");
    let mut stdin = child.stdin.take().expect("it has an input");
    stdin.write_all(b"{\"id\":1}\n\nnonsense\n{\"id\":2}").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((stdout.as_ref(), output.status.code()), ("{\"id\":1}\n{\"id\":2}\n", Some(0)), "{stderr}");
    assert!(stderr.contains("line 3: value is not JSON"), "{stderr}");
}

#[test]
fn timers_and_windows_fire_as_time_passes_and_at_the_end() {
    let keyed = folder("velocity");
    keyed.write("in.jsonl", records(7));
    let arguments = ["run", "rule.wasm", "--input", "in.jsonl", "--key", "user", "--time", "at", "--batch", "1"];
    let config = ["--config", r#"{"silence_ms": 2500}"#];
    let ended = plugin(&keyed, &[&arguments[..], &config].concat()).expect_code(0);
    expect![[r#"
        {"key":"u2","first":2000,"last":5000,"count":2}
        {"key":"u0","first":3000,"last":6000,"count":2}
        {"key":"u1","first":1000,"last":7000,"count":3}
    "#]]
    .assert_eq(&ended.stdout);

    let aggregate = folder("revenue");
    let amounts: Vec<_> = [(0, 1), (4_000, 2), (9_000, 4), (3_000, 8)]
        .map(|(at, amount)| json!({"shop": "a", "at": at, "amount": amount}))
        .into();
    aggregate.write_lines("in.jsonl", &amounts);
    let arguments = ["run", "rule.wasm", "--input", "in.jsonl", "--key", "shop", "--time", "at", "--window", "5s"];
    let ended = plugin(&aggregate, &arguments).expect_code(0).expect_error(&["line 4: late"]);
    expect![[r#"
        {"seller":"a","window_start":0,"window_end":5000,"orders":2,"revenue":3.0}
        {"seller":"a","window_start":5000,"window_end":10000,"orders":1,"revenue":4.0}
    "#]]
    .assert_eq(&ended.stdout);
    let ended = plugin(&aggregate, &[&arguments[..], &["--delay", "10s"]].concat()).expect_code(0);
    expect![[r#"
        {"seller":"a","window_start":0,"window_end":5000,"orders":3,"revenue":11.0}
        {"seller":"a","window_start":5000,"window_end":10000,"orders":1,"revenue":4.0}
    "#]]
    .assert_eq(&ended.stdout);
}

#[test]
fn what_a_run_lacks_is_named_by_its_flag() {
    let keyed = folder("velocity");
    keyed.write("in.jsonl", records(1));
    let base = ["run", "rule.wasm", "--input", "in.jsonl"];
    plugin(&keyed, &base).expect_code(64).expect_error(&["--key FIELD"]);
    plugin(&keyed, &[&base[..], &["--key", "user"]].concat()).expect_code(64).expect_error(&["--time FIELD"]);
    let aggregate = folder("revenue");
    aggregate.write("in.jsonl", records(1));
    plugin(&aggregate, &base).expect_code(64).expect_error(&["--window"]);
    plugin(&aggregate, &[&base[..], &["--window", "5"]].concat()).expect_code(64).expect_error(&["unit"]);
    plugin(&aggregate, &["run", "rule.wasm", "--input", "none.jsonl"]).expect_code(64).expect_error(&["none.jsonl"]);
}

#[test]
fn a_plugin_that_traps_loops_or_eats_memory_costs_the_records_that_it_does_it_on() {
    let folder = folder("misbehaving");
    folder.write("in.jsonl", records(500));
    for (mode, reason) in [("panic", "cannot stand id 250"), ("loop", "longer than 300 ms"), ("grow", "memory")] {
        let config = format!(r#"{{"mode": "{mode}", "when": {{"every": 250}}}}"#);
        let limits = ["--call-max", "300ms", "--memory-max", "64MiB", "-o", "json"];
        let base = ["run", "rule.wasm", "--input", "in.jsonl", "--config", &config];
        let ended = plugin(&folder, &[&base[..], &limits].concat()).expect_code(0);
        assert_eq!(ended.stdout.lines().count(), 498, "{mode}: {}", ended.tails());
        assert!(ended.stderr.contains("line 250: ") && ended.stderr.contains(reason), "{mode}: {}", ended.tails());
        let summary = parse(ended.stderr.lines().last().unwrap_or_default());
        assert!(int(&summary, "replaced") >= 2 && int(&summary, "rejects") == 2, "{mode}: {summary}");
    }
    let config = r#"{"mode": "trap"}"#;
    let ended = plugin(&folder, &["run", "rule.wasm", "--input", "in.jsonl", "--config", config]);
    ended.expect_code(70).expect_error(&["failed on every one of the last 100 rows", "unreachable"]);
}

#[test]
fn a_reader_that_has_read_enough_ends_the_run() {
    let folder = folder("misbehaving");
    folder.write("in.jsonl", records(50_000));
    let script = format!("{} plugin run rule.wasm --input in.jsonl | head -n 1", settings::wasmill().display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path(".")).env("WASMILL_CACHE", settings::compiled());
    let output = command.output().expect("sh runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing to complain of");
}

// bench

#[test]
fn a_benchmark_tells_time_size_and_memory_for_each_kind() {
    for (name, finishes) in [("fraud-rules", false), ("velocity", false), ("revenue", true)] {
        let folder = folder(name);
        let arguments = ["bench", "rule.wasm", "--batch", "1,64", "--groups", "8", "--seconds", "0.05"];
        let figures = parse(&plugin(&folder, &[&arguments[..], &["-o", "json"]].concat()).expect_code(0).stdout);
        for batch in figures["batches"].as_array().expect("a list of batches") {
            let (best, median) = (&batch["best_ns"], &batch["median_ns"]);
            assert!(best.as_f64() > Some(0.0) && best.as_f64() <= median.as_f64(), "{name}: {batch}");
            assert_eq!((int(batch, "rejects"), batch["finish_ns"].is_number()), (0, finishes), "{name}: {batch}");
        }
        let batch = &figures["batches"][1];
        assert_eq!((int(batch, "rows"), int(batch, "groups")), (64, 8));
        for figure in ["compile_ms", "instantiate_us", "open_us", "memory_start_bytes", "calls"] {
            assert!(figures[figure].as_f64() > Some(0.0), "{name}: {figure} of {figures}");
        }
    }
}

#[test]
fn a_benchmark_takes_records_of_a_file_and_says_which_do_not_fit() {
    let folder = folder("fraud-rules");
    folder.write("in.jsonl", "{\"customer_id\":7}\n");
    let base = ["bench", "rule.wasm", "--seconds", "0.05", "--batch", "8", "--input", "in.jsonl"];
    let ended = plugin(&folder, &base).expect_code(65);
    ended.expect_error(&["no record fits", "`customer_id` is 7"]);
    let good =
        json!({"customer_id": "a", "transaction_id": "t", "amount": 20_000, "timestamp": "2026-01-01T00:00:00Z"});
    folder.write_lines("in.jsonl", [&good]);
    let ended = plugin(&folder, &base).expect_code(0);
    assert!(ended.stdout.contains("in.jsonl") && ended.stdout.contains("best"), "{}", ended.tails());
    let figures = parse(&plugin(&folder, &[&base[..], &["-o", "json"]].concat()).expect_code(0).stdout);
    assert_eq!(int(&figures["batches"][0], "rows_out"), 8);
    plugin(&folder, &["bench", "rule.wasm", "--seconds", "0"]).expect_code(64).expect_error(&["--seconds"]);
    plugin(&folder, &["bench", "rule.wasm", "--batch", "0"]).expect_code(64);
}
