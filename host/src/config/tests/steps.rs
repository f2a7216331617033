//! Steps: what each needs, and how they are joined.

use super::*;

#[test]
fn a_step_needs_something_to_do_and_its_keys_need_each_other() {
    check(
        &with_step(""),
        expect![[r#"
            p.toml:5:8: steps.s: does nothing, expected a `plugin`, a `window` with an `aggregate`, a `join`, a `dedupe`, a `where` or a `select`; add one
        "#]],
    );
    check(
        &with_step("select = { a = \"b\" }"),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &with_step(
            "select = { a = \"b\" }\nkey = \"k\"\nemit = \"on-close\"\nlate = \"drop\"\nconfig = {}\nlimits = {}\naggregate = { n = \"count()\" }",
        ),
        expect![[r#"
            p.toml:8:7: steps.s.key: goes with a `window` or a `plugin`, both are missing; add one or drop it
            p.toml:9:8: steps.s.emit: goes with a `window`, which is missing; add `window = { tumbling = "5m" }` or drop it
            p.toml:10:8: steps.s.late: goes with a `window`, which is missing; add `window = { tumbling = "5m" }` or drop it
            p.toml:11:10: steps.s.config: goes with a `plugin`, which is missing; add `plugin = "./NAME.wasm"` or drop it
            p.toml:12:10: steps.s.limits: goes with a `plugin`, which is missing; add `plugin = "./NAME.wasm"` or drop it
            p.toml:13:13: steps.s.aggregate: goes with a `window`, which is missing; add `window = { tumbling = "5m" }` or drop it
        "#]],
    );
    check(
        &with_step("window = { tumbling = \"5m\" }"),
        expect![[r#"
            p.toml:7:10: steps.s.window: nothing to compute, expected `aggregate`, `top` or `plugin` beside it; add `aggregate = { n = "count()" }`
        "#]],
    );
    check(
        &with_step("window = { tumbling = \"5m\" }\nplugin = \"./p.wasm\"\naggregate = { n = \"count()\" }"),
        expect![[r#"
            p.toml:9:13: steps.s.aggregate: found it beside `plugin`: the plugin is what folds the windows; drop one of the two
        "#]],
    );
    check(
        &with_step("window = { tumbling = \"5m\" }\nplugin = \"./p.wasm\""),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &with_step("window = { rolling = \"5m\" }\nplugin = \"./p.wasm\""),
        expect![[r#"
        p.toml:8:10: steps.s.plugin: a plugin on a rolling window is not supported by this version of wasmill; use `aggregate`, or a keyed plugin without `window`
    "#]],
    );
}

#[test]
fn a_window_is_of_one_kind_and_its_parts_fit() {
    let window = |window: &str| with_step(&format!("window = {{ {window} }}\naggregate = {{ n = \"count()\" }}"));
    check(
        &window(""),
        expect![[r#"
            p.toml:7:10: steps.s.window: no kind of window, expected one of `tumbling`, `hopping`, `session`, `rolling`, `sliding`, `calendar`, `count`, `global`; write `{ tumbling = "5m" }`
        "#]],
    );
    check(
        &window("tumbling = \"5m\", session = \"1m\""),
        expect![[r#"
            p.toml:7:10: steps.s.window: found `tumbling`, `session`, expected only one of `tumbling`, `hopping`, `session`, `rolling`, `sliding`, `calendar`, `count`, `global`
        "#]],
    );
    check(
        &window("tumbling = \"0s\""),
        expect![[r#"
        p.toml:7:23: steps.s.window.tumbling: found "0s", expected at least 1ms
    "#]],
    );
    check(
        &window("hopping = \"5m\""),
        expect![[r#"
        p.toml:7:1: steps.s.window.slide: missing, expected a duration of at most `hopping`; add `slide = ...`, or use `tumbling` for windows end to end
    "#]],
    );
    check(
        &window("hopping = \"5m\", slide = \"6m\""),
        expect![[r#"
        p.toml:7:36: steps.s.window.slide: found 360000 ms, expected at most `hopping` (300000 ms): records between two windows would be lost
    "#]],
    );
    check(
        &window("hopping = \"5m\", slide = \"1m\", offset = \"1m\""),
        expect![[r#"
        p.toml:7:51: steps.s.window.offset: found 60000 ms, expected less than `slide` (60000 ms)
    "#]],
    );
    check(
        &window("tumbling = \"5m\", slide = \"1m\", offset = \"5m\""),
        expect![[r#"
        p.toml:7:37: steps.s.window.slide: goes with `hopping`, found it beside `tumbling`
        p.toml:7:52: steps.s.window.offset: found 300000 ms, expected less than `tumbling` (300000 ms)
    "#]],
    );
    check(
        &with_step(
            "window = { session = \"5m\", time = \"processing\" }\naggregate = { n = \"count()\" }\nlate = \"drop\"\n\
             allowed_lateness = \"1m\"\nemit = { event_time = \"1m\" }",
        ),
        expect![[r#"
            p.toml:9:8: steps.s.late: nothing is late for windows by processing time; drop `late`
            p.toml:10:20: steps.s.allowed_lateness: nothing is late for windows by processing time; drop `allowed_lateness`
            p.toml:11:23: steps.s.emit.event_time: the windows are by processing time; write `every` in its place
        "#]],
    );
    check(
        &window("rolling = \"5m\", time = \"processing\""),
        expect![[r#"
            p.toml:7:35: steps.s.window.time: "processing" goes with one of `tumbling`, `hopping`, `session`, `calendar`, found it beside `rolling`
        "#]],
    );
    check(
        &window("tumbling = \"5m\", time = \"ingestion\""),
        expect![[r#"
            p.toml:7:36: steps.s.window.time: found "ingestion", expected one of "event", "processing"
        "#]],
    );
    check(
        &window("session = \"5m\", offset = \"1m\""),
        expect![[r#"
        p.toml:7:37: steps.s.window.offset: goes with `tumbling` and `hopping`, found it beside `session`
    "#]],
    );
    check(
        &window("hopping = \"5m\", slide = \"5m\", offset = \"4m\""),
        expect![[r#"
        ok
    "#]],
    );
}

#[test]
fn an_aggregate_that_cannot_be_read_says_how_it_is_written() {
    let aggregate =
        |it: &str| with_step(&format!("key = \"user\"\nwindow = {{ tumbling = \"5m\" }}\naggregate = {{ {it} }}"));
    check(
        &aggregate(""),
        expect![[r#"
        p.toml:9:13: steps.s.aggregate: found no aggregates, expected at least one such as `orders = "count()"`
    "#]],
    );
    check(
        &aggregate(
            "a = \"summ(x)\", b = \"average(x)\", c = \"sum\", d = \"sum()\", e = \"count(x)\", f = 1, g = \"sum(x + y)\", h = \"max(x, y)\"",
        ),
        expect![[r#"
            p.toml:9:19: steps.s.aggregate.a: found "summ(x)", expected one of `count()`, `sum(f)`, `min(f)`, `max(f)`, `avg(f)`, `first(f)`, `last(f)`, `distinct(f)`, `collect(f)`, `percentile(f, 99)`; did you mean `sum`?
            p.toml:9:34: steps.s.aggregate.b: found "average(x)", expected one of `count()`, `sum(f)`, `min(f)`, `max(f)`, `avg(f)`, `first(f)`, `last(f)`, `distinct(f)`, `collect(f)`, `percentile(f, 99)`; did you mean `avg`?
            p.toml:9:52: steps.s.aggregate.c: found "sum", expected `sum(FIELD)`, with both brackets
            p.toml:9:63: steps.s.aggregate.d: found "sum()", expected a field in the brackets: `sum(FIELD)`
            p.toml:9:76: steps.s.aggregate.e: found "count(x)", expected `count()`: it counts records, whatever their fields hold
            p.toml:9:92: steps.s.aggregate.f: found 1, expected an aggregate such as "sum(amount)"
            p.toml:9:99: steps.s.aggregate.g: found "sum(x + y)", expected the name of one field in the brackets; compute "x + y" in a plugin before
            p.toml:9:117: steps.s.aggregate.h: found "max(x, y)", expected the name of one field in the brackets; compute "x, y" in a plugin before
        "#]],
    );
    check(
        &aggregate("user = \"count()\", window_end = \"count()\""),
        expect![[r#"
            p.toml:9:15: steps.s.aggregate.user: names a field that a result may already have (the key, `window_start`, `window_end`, `pane`, `pane_index`, `retraction`); choose another
            p.toml:9:33: steps.s.aggregate.window_end: names a field that a result may already have (the key, `window_start`, `window_end`, `pane`, `pane_index`, `retraction`); choose another
        "#]],
    );
}

#[test]
fn emit_and_output_must_not_contradict_each_other() {
    let emit =
        |it: &str| with_step(&format!("window = {{ tumbling = \"5m\" }}\naggregate = {{ n = \"count()\" }}\n{it}"));
    check(
        &emit("output = \"update\"\nemit = \"on-close\""),
        expect![[r#"
        p.toml:9:10: steps.s.output: found "update", but emit = "on-close" writes each result once; write "append", or emit = "on-update" or { every = "30s" }
    "#]],
    );
    check(
        &emit("output = \"append\"\nemit = { every = \"30s\" }"),
        expect![[r#"
        p.toml:9:10: steps.s.output: found "append", but this `emit` writes a result again when it changes; write "update", or emit = "on-close"
    "#]],
    );
    check(
        &emit("emit = { evry = \"30s\" }"),
        expect![[r#"
            p.toml:9:10: steps.s.emit.evry: unknown key, expected one of `every`, `event_time`, `records`, `late`, `unchanged`; did you mean `every`?
        "#]],
    );
    check(
        &emit("emit = \"every\""),
        expect![[r#"
            p.toml:9:8: steps.s.emit: found "every", expected one of "on-close", "on-update", or a table with `every`, `event_time`, `records`, `late`, `unchanged`
        "#]],
    );
    check(
        &with_step(
            "window = { rolling = \"5m\" }\naggregate = { n = \"count()\" }\nemit = \"on-close\"\noutput = \"update\"",
        ),
        expect![[r#"
            p.toml:9:8: steps.s.emit: a rolling window answers every record as it arrives; drop `emit`
            p.toml:10:10: steps.s.output: found "update", but a rolling window answers every record as it arrives, and that is final; drop it or write "append"
        "#]],
    );
    check(
        &with_step(
            "window = { sliding = \"5m\", slide = \"1m\" }\naggregate = { n = \"count()\" }\nemit = { every = \"1s\" }\nallowed_lateness = \"1m\"\n\
             upsert = true",
        ),
        expect![[r#"
            p.toml:7:36: steps.s.window.slide: goes with `hopping`, found it beside `sliding`
            p.toml:9:8: steps.s.emit: found a table, but a sliding window is written when it closes or after every record; write "on-close" or "on-update"
            p.toml:10:20: steps.s.allowed_lateness: a sliding window does not remember what it wrote; drop `allowed_lateness`
            p.toml:11:10: steps.s.upsert: a sliding window does not remember what it wrote; drop `upsert`
        "#]],
    );
    let of = |it: &str| match parsed(&emit(it), &[]).unwrap().steps.remove(0).operation {
        Operation::Window { emit, .. } => emit,
        other => panic!("{other:?} is no window"),
    };
    assert_eq!(of(""), Emit::OnClose);
    assert_eq!(of("output = \"append\""), Emit::OnClose);
    assert_eq!(of("output = \"update\""), Emit::OnUpdate);
    assert_eq!(of("output = \"update\"\nemit = { every = \"30s\" }"), Emit::Every { interval_ms: 30_000 });
    let firing = |it: &str| match of(it) {
        Emit::Repeatedly(firing) => firing,
        other => panic!("{other:?} remembers nothing"),
    };
    let on_close = Firing::ON_CLOSE;
    assert_eq!(firing("panes = true"), Firing { panes: true, ..on_close });
    assert_eq!(firing("allowed_lateness = \"unlimited\""), Firing { lateness_ms: i64::MAX, ..on_close });
    assert_eq!(
        firing(
            "emit = { records = 2, event_time = \"1s\", late = \"at-expiry\", unchanged = true }\nallowed_lateness = \"5s\""
        ),
        Firing {
            records: Some(2),
            event_time_ms: Some(1_000),
            late: LatePanes::AtExpiry,
            unchanged: true,
            lateness_ms: 5_000,
            ..on_close
        }
    );
    let early = Firing { records: Some(1), accumulate: Accumulate::Retracting, ..on_close };
    assert_eq!(firing("emit = \"on-update\"\naccumulate = \"retracting\""), early);
    let complete = Firing { every_ms: Some(1_000), complete: true, lateness_ms: 60_000, ..on_close };
    let written = "emit = { every = \"1s\" }\noutput = \"complete\"\nallowed_lateness = \"1m\"";
    assert_eq!(firing(written), complete);
    check(
        &emit(
            "emit = {}\noutput = \"complete\"\naccumulate = \"discarding\"\nupsert = true\nallowed_lateness = 5\npanes = 1",
        ),
        expect![[r#"
            p.toml:9:1: steps.s.emit: says nothing, expected at least one of `every`, `event_time` and `records`; or write "on-close"
            p.toml:10:10: steps.s.output: found "complete", which writes all windows every so often; it goes with emit = { every = "30s" } and `allowed_lateness` alone
            p.toml:11:14: steps.s.accumulate: found it beside `upsert`, whose rows replace each other; drop one of the two
            p.toml:13:20: steps.s.allowed_lateness: found 5, expected a duration with its unit such as "5s", or "unlimited"; write "5s" if seconds are meant
            p.toml:14:9: steps.s.panes: found 1, expected true or false
        "#]],
    );
    check(
        &emit("emit = { late = \"at-expiry\" }\noutput = \"append\""),
        expect![[r#"
        p.toml:9:8: steps.s.emit: "at-expiry" goes with `allowed_lateness`: without it no window is held when it has closed
    "#]],
    );
}

#[test]
fn a_window_of_the_calendar_of_records_or_of_all_time_says_what_it_needs() {
    let window = |it: &str| with_step(&format!("window = {{ {it} }}\naggregate = {{ n = \"count()\" }}"));
    let of = |it: &str| match parsed(&window(it), &[]).unwrap().steps.remove(0).operation {
        Operation::Window { window, .. } => window,
        other => panic!("{other:?} is no window"),
    };
    let paris = Window::Calendar { unit: CalendarUnit::Month, zone: "Europe/Paris".into() };
    assert_eq!(of("calendar = \"month\", timezone = \"Europe/Paris\""), paris);
    assert_eq!(of("calendar = \"day\""), Window::Calendar { unit: CalendarUnit::Day, zone: "UTC".into() });
    assert_eq!(of("count = 10"), Window::Count { records: 10, every: 10 });
    assert_eq!(of("count = 10, every = 3"), Window::Count { records: 10, every: 3 });
    assert_eq!(of("global = true"), Window::Global);
    let sessions = Window::Session { gap_ms: 1_000, touching: true, gap_field: Some("wait_ms".into()) };
    assert_eq!(of("session = \"1s\", boundary = \"inclusive\", gap = \"wait_ms\""), sessions);
    check(
        &window("calendar = \"month\", timezone = \"Europe/Pariss\""),
        expect![[r#"
        p.toml:7:43: steps.s.window.timezone: found "Europe/Pariss", expected a time zone of the IANA database such as "Europe/Paris"; did you mean "Europe/Paris"?
    "#]],
    );
    check(
        &window("calendar = \"fortnight\", offset = \"1s\""),
        expect![[r#"
        p.toml:7:23: steps.s.window.calendar: found "fortnight", expected one of "day", "week", "month", "year"
        p.toml:7:45: steps.s.window.offset: goes with `tumbling` and `hopping`, found it beside `calendar`
    "#]],
    );
    check(
        &window("count = 3, every = 4, slide = \"1s\""),
        expect![[r#"
        p.toml:7:31: steps.s.window.every: found 4, expected at most `count` (3): records between two windows would be lost
        p.toml:7:42: steps.s.window.slide: goes with `hopping`, found it beside `count`
    "#]],
    );
    check(
        &window("global = false"),
        expect![[r#"
        p.toml:7:21: steps.s.window.global: found false, expected `true` or another kind of window
    "#]],
    );
    check(
        &with_step(
            "window = { count = 3 }\naggregate = { n = \"count()\" }\nemit = \"on-update\"\nallowed_lateness = \"1s\"",
        ),
        expect![[r#"
            p.toml:9:8: steps.s.emit: a window of a count is written when it is full; drop `emit`
            p.toml:10:20: steps.s.allowed_lateness: a window of a count is written when it is full; drop `allowed_lateness`
        "#]],
    );
}

#[test]
fn from_names_a_source_a_step_or_a_plugins_side_output() {
    check(
        &with_step("plugin = \"./p.wasm\"\n[sinks.a]\nfrom = \"s.audit\"\nconnector = \"stdout\""),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &with_step("plugin = \"./p.wasm\"\n[sinks.a]\nfrom = \"in.audit\"\nconnector = \"stdout\""),
        expect![[r#"
            p.toml:9:8: sinks.a.from: found the side output `audit` of `in`, which is a source and has none; write "in"
        "#]],
    );
    check(
        &with_step("select = { a = \"a\" }\n[sinks.a]\nfrom = \"s.audit\"\nconnector = \"stdout\""),
        expect![[r#"
            p.toml:9:8: sinks.a.from: found the side output `audit` of `s`, which has no plugin and so only one output; write "s"
        "#]],
    );
    check(
        &with_step("plugin = \"./p.wasm\"\n[sinks.a]\nfrom = \"out\"\nconnector = \"stdout\""),
        expect![[r#"
        p.toml:9:8: sinks.a.from: found "out", expected the name of a source or step: one of `in`, `s`
    "#]],
    );
}

#[test]
fn a_cycle_is_reported_once_with_the_steps_in_it() {
    let step = |name: &str, from: &str| format!("[steps.{name}]\nfrom = \"{from}\"\nplugin = \"./p.wasm\"\n");
    let steps = [step("tail", "b"), step("a", "c"), step("b", "a"), step("c", "b"), step("me", "me")].concat();
    check(
        &format!("{GENERATED}{steps}{SINK}"),
        expect![[r#"
        p.toml:9:8: steps.a.from: found a cycle (a reads c reads b reads a), expected a way from a source to each step; let one of them read something else
        p.toml:18:8: steps.me.from: found a cycle (me reads me), expected a way from a source to each step; let one of them read something else
    "#]],
    );
}

#[test]
fn steps_come_after_what_they_read_and_otherwise_in_the_order_of_the_file() {
    let step = |name: &str, from: &str| format!("[steps.{name}]\nfrom = \"{from}\"\nplugin = \"./p.wasm\"\n");
    let steps = [step("z", "y.side"), step("a", "in"), step("y", "x"), step("x", "in")].concat();
    let sinks = "[sinks.o]\nfrom = \"z\"\nconnector = \"stdout\"\n[sinks.p]\nfrom = \"a\"\nconnector = \"stdout\"\n";
    let pipeline = parsed(&format!("{GENERATED}{steps}{sinks}"), &[]).unwrap();
    let order: Vec<_> = pipeline.steps.iter().map(|it| (it.name.as_str(), it.from.clone())).collect();
    let side = Some("side".to_owned());
    assert_eq!(
        order,
        [("a", Input::Source(0)), ("x", Input::Source(0)), ("y", Input::Step(1, None)), ("z", Input::Step(2, side))]
    );
    let sinks: Vec<_> = pipeline.sinks.iter().map(|it| it.from.clone()).collect();
    assert_eq!(sinks, [Input::Step(3, None), Input::Step(0, None)]);
}

#[test]
fn what_nobody_reads_is_a_warning() {
    check(
        &with_step(
            "plugin = \"./p.wasm\"\n[steps.idle]\nfrom = \"s\"\nplugin = \"./p.wasm\"\n[sources.more]\nconnector = \"file\"\npath = \"x\"\n",
        ),
        expect![[r#"
            sources.more: no step or sink reads it; its records go nowhere
            steps.idle: no step or sink reads it; its results go nowhere
        "#]],
    );
    check(
        "name = \"t\"\n[sources.in]\nconnector = \"kafka\"\nbrokers = \"b\"\ntopic = \"t\"\n\
         [sinks.out]\nfrom = \"in\"\nconnector = \"kafka\"\nbrokers = \"B:9092\"\ntopic = \"t\"\n",
        expect![[r#"
            out: writes the topic t that the source in reads: a loop without end
        "#]],
    );
}

#[test]
fn dead_letters_must_be_there_where_something_goes_to_them() {
    let text = "name = \"t\"\nbad_records = \"dead-letter\"\n[sources.in]\nconnector = \"generator\"\nkind = \"orders\"\n\
                event_time = { late = \"dead-letter\" }\n[steps.s]\nfrom = \"in\"\nwindow = { session = \"1m\" }\nlate = \"dead-letter\"\n\
                aggregate = { n = \"count()\" }\n[sinks.out]\nfrom = \"s\"\nconnector = \"stdout\"\n";
    check(
        text,
        expect![[r#"
        p.toml:2:15: bad_records: found "dead-letter", but the file has no [dead_letters]; add that table with a `connector`, or write another value
        p.toml:6:23: sources.in.event_time.late: found "dead-letter", but the file has no [dead_letters]; add that table with a `connector`, or write another value
        p.toml:10:8: steps.s.late: found "dead-letter", but the file has no [dead_letters]; add that table with a `connector`, or write another value
    "#]],
    );
    check(
        &format!("{text}[dead_letters]\nconnector = \"stdout\"\nfrom = \"s\"\n"),
        expect![[r#"
        p.toml:17:1: dead_letters.from: unknown key, expected one of `connector`; `from` is a key of a step
    "#]],
    );
    let whole = parsed(&format!("{text}[dead_letters]\nconnector = \"stdout\"\n"), &[]).unwrap();
    assert_eq!(whole.bad_records, BadRecords::DeadLetter);
}

#[test]
fn a_step_inherits_late_from_its_source_and_not_from_the_step_before() {
    let text = "name = \"t\"\n[sources.in]\nconnector = \"generator\"\nkind = \"orders\"\nevent_time = { late = \"dead-letter\" }\n\
                [steps.a]\nfrom = \"in\"\nwindow = { session = \"1m\" }\nlate = \"drop\"\naggregate = { n = \"count()\" }\n\
                [steps.b]\nfrom = \"a\"\nwindow = { session = \"1m\" }\naggregate = { n = \"count()\" }\n\
                [sinks.out]\nfrom = \"b\"\nconnector = \"stdout\"\n[dead_letters]\nconnector = \"stdout\"\n";
    let late: Vec<_> = parsed(text, &[]).unwrap().steps.iter().map(|it| it.late).collect();
    assert_eq!(late, [Late::Drop, Late::DeadLetter]);
}
