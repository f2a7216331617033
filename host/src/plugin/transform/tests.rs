use super::*;
use crate::column::{Column, Values};
use crate::plugin::{Blame, Body, KeyedRunner, testing};
use expect_test::{Expect, expect};

/// Ids from 1 on.
fn ids(rows: usize) -> [Column; 1] {
    [Column::from(Values::S64((1..=rows as i64).collect()))]
}

fn call<'a>(columns: &'a [&'a Column]) -> Call<'a> {
    Call { rows: columns[0].len(), columns, watermark: i64::MIN }
}

fn start(mode: &str, every: i64, limits: &PluginLimits) -> Result<TransformRunner, PluginError> {
    let config = format!(r#"{{"mode": "{mode}", "when": {{"field": "id", "every": {every}}}}}"#);
    TransformRunner::start(&testing::plugin("misbehaving"), &config, limits).map(|(runner, _)| runner)
}

/// Origins of the rows that were passed on.
fn passed(produced: &Produced) -> Vec<u32> {
    assert!(produced.tables.iter().all(|it| it.port == 0 && it.body == Body::Unchanged));
    produced.tables.iter().flat_map(|it| it.origins.iter().copied()).collect()
}

/// Runs 64 rows of which one is bad: it alone must be rejected, and the runner must go on working.
fn check_one_bad_row(mode: &str, limits: &PluginLimits, reason: Expect) {
    let mut runner = start(mode, 50, limits).unwrap();
    let columns = ids(64);
    for _ in 0..2 {
        let produced = runner.process(&call(&[&columns[0]])).unwrap();
        assert_eq!(passed(&produced), (0..64).filter(|it| *it != 49).collect::<Vec<_>>(), "{mode}");
        let rejects: Vec<_> = produced.rejects.iter().map(|it| (it.row, it.fault)).collect();
        assert_eq!(rejects, [(49, true)], "{mode}");
        reason.assert_eq(&produced.rejects[0].reason);
    }
    assert_eq!(runner.vitals().replaced, 14, "{mode}"); // Seven calls fail on the way to one row of 64.
}

#[test]
fn a_good_plugin_passes_every_row_in_one_table() {
    let (mut runner, opened) =
        TransformRunner::start(&testing::plugin("misbehaving"), "{}", &PluginLimits::default()).unwrap();
    assert_eq!((opened.info.name.as_str(), opened.spec.ports.len()), ("misbehaving", 2));
    let columns = ids(3);
    let produced = runner.process(&call(&[&columns[0]])).unwrap();
    assert_eq!(produced.tables.len(), 1);
    assert_eq!(passed(&produced), [0, 1, 2]);
    assert_eq!(runner.process(&call(&[&ids(0)[0]])).unwrap(), Produced::default());
    assert_eq!(runner.vitals().replaced, 0);
}

#[test]
fn a_row_that_traps_is_rejected_alone() {
    let check = |mode, reason| check_one_bad_row(mode, &PluginLimits::default(), reason);
    check("trap", expect!["the plugin trapped: wasm `unreachable` instruction executed"]);
    check("recurse", expect!["the plugin trapped: call stack exhausted"]);
    check("err", expect!["the plugin answered with an error: cannot take id 50"]);
}

#[test]
fn a_panic_is_told_in_its_own_words() {
    check_one_bad_row(
        "panic",
        &PluginLimits::default(),
        expect![
            "the plugin trapped: wasm `unreachable` instruction executed; it logged: panicked at example-plugins/misbehaving/src/mode.rs:29:24: cannot stand id 50"
        ],
    );
}

#[test]
fn a_row_that_never_returns_is_rejected_alone() {
    let limits = PluginLimits { call_ms_max: 200, ..PluginLimits::default() };
    check_one_bad_row("loop", &limits, expect!["the plugin ran longer than 200 ms"]);
}

#[test]
fn a_row_that_takes_all_memory_is_rejected_alone() {
    let limits = PluginLimits { memory_bytes_max: 48 << 20, ..PluginLimits::default() };
    check_one_bad_row(
        "grow",
        &limits,
        expect!["the plugin needed more memory than 50331648 bytes (wasm `unreachable` instruction executed)"],
    );
}

#[test]
fn a_row_with_a_wrong_answer_is_rejected_alone() {
    let check = |mode, reason| check_one_bad_row(mode, &PluginLimits::default(), reason);
    check(
        "bad-origin",
        expect!["the plugin gave a wrong answer: port `out`: an output row has the origin 1, but there are 1 rows"],
    );
    check("bad-port", expect!["the plugin gave a wrong answer: port 7, there are 2"]);
    check(
        "bad-utf8",
        expect!["the plugin gave a wrong answer: port `made`, the field `note`: output row 0 is not UTF-8"],
    );
    check(
        "bad-offsets",
        expect!["the plugin gave a wrong answer: port `made`, the field `note`: the first offset is 9, expected 0"],
    );
    check(
        "bad-length",
        expect![
            "the plugin gave a wrong answer: port `made`, the field `note`: 1 offsets for 1 rows, expected one more than rows"
        ],
    );
    check(
        "bad-json",
        expect![
            "the plugin gave a wrong answer: port `made`, the field `document`: output row 0 is not JSON: EOF while parsing a value at line 1 column 8"
        ],
    );
    check(
        "wrong-kind",
        expect!["the plugin gave a wrong answer: port `made`, the field `note`: json values, expected text"],
    );
    check("reject-twice", expect!["the plugin gave a wrong answer: 2 rows rejected of 1"]);
    check("too-many-rows", expect!["the plugin gave a wrong answer: more than 1088 output rows for 1 rows"]);
    check("too-many-bytes", expect!["the plugin handed over more than 67108864 bytes in one call"]);
}

#[test]
fn rows_that_the_plugin_refuses_are_no_faults() {
    let mut runner = start("reject", 3, &PluginLimits::default()).unwrap();
    let columns = ids(7);
    let produced = runner.process(&call(&[&columns[0]])).unwrap();
    assert_eq!(passed(&produced), [0, 1, 3, 4, 6]);
    let rejects: Vec<_> = produced.rejects.iter().map(|it| (it.row, it.reason.as_str(), it.fault)).collect();
    assert_eq!(rejects, [(2, "not wanted", false), (5, "not wanted", false)]);
}

#[test]
fn several_bad_rows_are_all_found_and_order_is_kept() {
    let mut runner = start("panic", 7, &PluginLimits::default()).unwrap();
    let columns = ids(100);
    let produced = runner.process(&call(&[&columns[0]])).unwrap();
    assert_eq!(passed(&produced), (0..100).filter(|it| (it + 1) % 7 != 0).collect::<Vec<_>>());
    let rejects: Vec<_> = produced.rejects.iter().map(|it| it.row).collect();
    assert_eq!(rejects, (0..100).filter(|it| (it + 1) % 7 == 0).collect::<Vec<_>>());
}

#[test]
fn a_plugin_that_fails_on_every_row_is_given_up_with_its_reason() {
    let mut runner = start("err", 1, &PluginLimits::default()).unwrap();
    assert_eq!(runner.process(&call(&[&ids(99)[0]])).unwrap().rejects.len(), 99);
    let error = runner.process(&call(&[&ids(64)[0]])).unwrap_err();
    assert_eq!(error.blame(), Blame::Plugin);
    let text = error.to_string();
    assert!(
        text.ends_with("failed on every one of the last 100 rows: it answered with an error: cannot take id 1"),
        "{text}"
    );
}

#[test]
fn an_instance_that_has_grown_is_recycled_between_calls() {
    let limits = PluginLimits { memory_bytes_max: 24 << 20, ..PluginLimits::default() };
    let mut runner = start("leak", 1, &limits).unwrap();
    let columns = ids(4);
    for _ in 0..100 {
        assert_eq!(passed(&runner.process(&call(&[&columns[0]])).unwrap()).len(), 4);
        assert!(runner.vitals().memory_bytes < 16 << 20);
    }
    let vitals = runner.vitals();
    assert_eq!(vitals.replaced, 0);
    assert!((5..20).contains(&vitals.recycled), "{vitals:?}");
}

#[test]
fn a_flood_of_log_lines_is_cut_and_counted() {
    let mut runner = start("log-flood", 1, &PluginLimits::default()).unwrap();
    assert_eq!(passed(&runner.process(&call(&[&ids(2)[0]])).unwrap()), [0, 1]);
    assert_eq!(runner.vitals().log_lines_dropped, 100_000 - 100);
}

#[test]
fn counters_add_up_over_calls_and_instances() {
    let mut runner = start("count", 2, &PluginLimits::default()).unwrap();
    for _ in 0..3 {
        runner.process(&call(&[&ids(10)[0]])).unwrap();
        runner.0.replace().unwrap();
    }
    assert_eq!(runner.counters().iter().collect::<Vec<_>>(), [(&"rows_hit".to_owned(), &15)]);
}

use crate::plugin::bisect::Replace as _;

#[test]
fn a_plugin_that_does_not_open_is_refused_with_its_reason() {
    let refusal = |mode| start(mode, 1, &PluginLimits::default()).map(|_| ()).unwrap_err();
    assert!(refusal("fail-open").to_string().ends_with("refuses its config: this plugin was told not to open"));
    assert!(refusal("fly").to_string().contains("unknown variant `fly`"));
    assert_eq!(refusal("fly").blame(), Blame::Configuration);
    let limits = PluginLimits { memory_bytes_max: 1 << 16, ..PluginLimits::default() };
    let error = start("none", 1, &limits).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("does not start: it needed more memory than 65536 bytes"), "{error}");
}

#[test]
fn a_plugin_of_another_kind_is_refused() {
    let started = KeyedRunner::start(&testing::plugin("misbehaving"), "{}", &PluginLimits::default());
    let error = started.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "exports transform, but keyed is wanted here; a step with `key` and without `window` runs a keyed plugin"
        ),
        "{error}"
    );
}

#[test]
fn plugins_are_shared_between_workers_and_runners_move_to_them() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<Plugin>();
    moved::<TransformRunner>();
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let runner = start("panic", 5 + worker, &PluginLimits::default()).unwrap();
            std::thread::Builder::new().spawn(move || {
                let mut runner = runner;
                runner.process(&call(&[&ids(50)[0]])).unwrap().rejects.len()
            })
        })
        .collect();
    let rejects: Vec<_> = workers.into_iter().map(|it| it.unwrap().join().unwrap()).collect();
    assert_eq!(rejects, [10, 8, 7]);
}
