//! `join` and `where` as they are written.

use super::*;

/// A file that is right but for `join`, in the step `s`, and what else stands there.
fn with_join(join: &str) -> String {
    with_step(&format!("join = {{ {join} }}"))
}

#[test]
fn a_join_says_with_what_on_what_and_when() {
    for join in [
        "with = \"in\", on = \"user\", within = { before = \"5m\", after = \"10m\" }, type = \"outer\"",
        "with = \"in\", on = [\"user\", \"shop\"], within = { after = \"-1ms\", before = \"2ms\" }",
        "with = \"in\", on = { user = \"id\" }, as_of = \"latest\", type = \"left\"",
        "with = \"in\", on = \"user\", within = { tumbling = \"1h\", offset = \"15m\" }, type = \"outer\"",
        "with = \"in\", on = \"user\", within = { session = \"30s\" }",
        "with = \"in\", on = { user = \"id\" }, key = [\"order\", \"line\"], type = \"left\"",
    ] {
        check(
            &with_join(join),
            expect![[r#"
                ok
            "#]],
        );
    }
    let pipeline =
        parsed(&with_join("with = \"in\", on = { user = \"id\" }, within = { before = \"5m\" }"), &[]).unwrap();
    let Operation::Join(join) = &pipeline.steps[0].operation else { panic!("the step joins") };
    assert_eq!(join.on, [("user".into(), "id".into())]);
    assert_eq!((join.keeps, join.kind), ([false; 2], JoinKind::Within { before_ms: 300_000, after_ms: 0 }));
    let hopping = "with = \"in\", on = \"id\", within = { hopping = \"60s\", slide = \"10s\", offset = \"1s\" }";
    let pipeline = parsed(&with_join(hopping), &[]).unwrap();
    let Operation::Join(join) = &pipeline.steps[0].operation else { panic!("the step joins") };
    let window = JoinWindow::Aligned { size_ms: 60_000, slide_ms: 10_000, offset_ms: 1_000 };
    assert_eq!(join.kind, JoinKind::Window(window));
}

#[test]
fn what_is_wrong_with_a_join_is_said() {
    let mut text = String::new();
    for join in [
        "",
        "with = \"in\"",
        "with = \"ni\", on = \"user\", as_of = \"latest\"",
        "with = \"in\", on = \"user\"",
        "with = \"in\", on = \"user\", as_of = \"latest\", within = { before = \"5m\" }",
        "with = \"in\", on = \"user\", as_of = \"event-time\", type = \"outer\"",
        "with = \"in\", on = \"user\", as_of = \"eventtime\"",
        "with = \"in\", on = \"user\", within = { before = \"1s\", after = \"-2s\" }",
        "with = \"in\", on = \"user\", within = { before = 5 }",
        "with = \"in\", on = \"user\", within = { tumbling = \"5m\", before = \"1s\" }",
        "with = \"in\", on = \"user\", within = { tumbling = \"5m\", session = \"1s\" }",
        "with = \"in\", on = \"user\", within = { hopping = \"5m\" }",
        "with = \"in\", on = \"user\", within = { session = \"5m\", slide = \"1m\" }",
        "with = \"in\", on = \"user\", within = { before = \"5m\", slide = \"1m\" }",
        "with = \"in\", on = \"user\", within = { rolling = \"5m\" }",
        "with = \"in\", on = \"user\", within = { before = \"5m\" }, key = \"id\"",
        "with = \"in\", on = \"user\", as_of = \"latest\", key = \"id\"",
        "with = \"in\", on = \"user\", key = \"id\", type = \"outer\"",
        "with = \"ni\", on = \"user\", key = \"id\"",
        "with = \"in\", on = 5, as_of = \"latest\"",
        "with = \"in\", on = [], as_of = \"latest\"",
        "with = \"in\", on = { a = 1 }, as_of = \"latest\"",
        "with = \"in\", on = \"user\", as_of = \"latest\", typ = \"left\"",
        "with = \"s\", on = \"user\", as_of = \"latest\"",
    ] {
        let errors = parsed(&with_join(join), &[]).expect_err(join);
        text.push_str(&format!("{join}\n{errors}\n"));
    }
    let beside = with_step(
        "join = { with = \"in\", on = \"a\", as_of = \"latest\" }\nkey = \"k\"\nwindow = { tumbling = \"5m\" }",
    );
    text.push_str(&parsed(&beside, &[]).unwrap_err().to_string());
    expect![[r#"

        p.toml:7:1: steps.s.join.with: missing, expected a text; add `with = ...`
        p.toml:7:1: steps.s.join.on: missing, expected the field or fields that must be equal; add `on = "FIELD"`, or `on = { LEFT = "RIGHT" }` where they have two names
        p.toml:7:1: steps.s.join.within: missing, expected how far apart in time records match, as in `within = { before = "5m", after = "5m" }`; where the other input is a table, write `as_of = "event-time"` instead, and where both are, `key = "FIELD"` with the left one's own key
        with = "in"
        p.toml:7:1: steps.s.join.on: missing, expected the field or fields that must be equal; add `on = "FIELD"`, or `on = { LEFT = "RIGHT" }` where they have two names
        p.toml:7:1: steps.s.join.within: missing, expected how far apart in time records match, as in `within = { before = "5m", after = "5m" }`; where the other input is a table, write `as_of = "event-time"` instead, and where both are, `key = "FIELD"` with the left one's own key
        with = "ni", on = "user", as_of = "latest"
        p.toml:7:17: steps.s.join.with: found "ni", expected the name of a source or step: one of `in`, `s`; did you mean `in`?
        with = "in", on = "user"
        p.toml:7:1: steps.s.join.within: missing, expected how far apart in time records match, as in `within = { before = "5m", after = "5m" }`; where the other input is a table, write `as_of = "event-time"` instead, and where both are, `key = "FIELD"` with the left one's own key
        with = "in", on = "user", as_of = "latest", within = { before = "5m" }
        p.toml:7:44: steps.s.join.as_of: found it beside `within`, expected one of the two: `within` joins two streams, `as_of` a stream with a table
        with = "in", on = "user", as_of = "event-time", type = "outer"
        p.toml:7:65: steps.s.join.type: found "outer", but a table's rows wait for no record; write "inner" or "left"
        with = "in", on = "user", as_of = "eventtime"
        p.toml:7:44: steps.s.join.as_of: found "eventtime", expected one of "event-time", "latest"; did you mean `event-time`?
        with = "in", on = "user", within = { before = "1s", after = "-2s" }
        p.toml:7:45: steps.s.join.within: found nothing between 1000 ms before and -2000 ms after a record, expected `before` and `after` to be at least 0 ms together
        with = "in", on = "user", within = { before = 5 }
        p.toml:7:56: steps.s.join.within.before: found 5, expected a duration with its unit such as "5s" or "-5s"; write "5s" if seconds are meant
        with = "in", on = "user", within = { tumbling = "5m", before = "1s" }
        p.toml:7:73: steps.s.join.within.before: found it beside `tumbling`, expected one of the two: records match that are in the same window, or that are within `before` and `after` of each other
        with = "in", on = "user", within = { tumbling = "5m", session = "1s" }
        p.toml:7:45: steps.s.join.within: found `tumbling`, `session`, expected only one of them
        with = "in", on = "user", within = { hopping = "5m" }
        p.toml:7:36: steps.s.join.within.slide: missing, expected a duration of at most `hopping`; add `slide = ...`, or use `tumbling` for windows end to end
        with = "in", on = "user", within = { session = "5m", slide = "1m" }
        p.toml:7:71: steps.s.join.within.slide: goes with `hopping`, found it beside `session`
        with = "in", on = "user", within = { before = "5m", slide = "1m" }
        p.toml:7:70: steps.s.join.within.slide: goes with a window, which is missing; add `hopping = "5m"` or `tumbling = "5m"`, or drop it
        with = "in", on = "user", within = { rolling = "5m" }
        p.toml:7:47: steps.s.join.within.rolling: unknown key, expected one of `before`, `after`, `tumbling`, `hopping`, `slide`, `session`, `offset`; `rolling` is a key of `window`
        with = "in", on = "user", within = { before = "5m" }, key = "id"
        p.toml:7:70: steps.s.join.key: found it beside `within`, which joins two streams, expected one of the two: with `key` both inputs are tables
        with = "in", on = "user", as_of = "latest", key = "id"
        p.toml:7:60: steps.s.join.key: found it beside `as_of`, which joins a stream with a table, expected one of the two: with `key` both inputs are tables
        with = "in", on = "user", key = "id", type = "outer"
        p.toml:7:55: steps.s.join.type: found "outer", but a table's rows wait for no record; write "inner" or "left"
        with = "ni", on = "user", key = "id"
        p.toml:7:17: steps.s.join.with: found "ni", expected the name of a source or step: one of `in`, `s`; did you mean `in`?
        with = "in", on = 5, as_of = "latest"
        p.toml:7:28: steps.s.join.on: found 5, expected the name of a field
        with = "in", on = [], as_of = "latest"
        p.toml:7:28: steps.s.join.on: found no fields, expected at least one
        with = "in", on = { a = 1 }, as_of = "latest"
        p.toml:7:34: steps.s.join.on: found 1, expected the name of a field
        with = "in", on = "user", as_of = "latest", typ = "left"
        p.toml:7:54: steps.s.join.typ: unknown key, expected one of `with`, `on`, `type`, `within`, `as_of`, `key`; did you mean `type`?
        with = "s", on = "user", as_of = "latest"
        p.toml:6:8: steps.s.from: found a cycle (s reads s), expected a way from a source to each step; let one of them read something else
        p.toml:7:8: steps.s.join: found it beside `window`, expected a step of its own; add one that reads from this one
        p.toml:8:7: steps.s.key: found it beside `join`, whose key is `on`; drop it"#]].assert_eq(&text);
}

#[test]
fn a_join_of_two_tables_is_three_steps_that_read_each_other() {
    let join = "from = \"in\"\njoin = { with = \"other\", on = { user = \"id\" }, key = \"order\" }";
    let text = format!(
        "{GENERATED}[steps.s]\n{join}\n[steps.other]\nfrom = \"in\"\nwhere = \"a = 1\"\n[sinks.out]\nfrom = \"s\"\nconnector = \"stdout\"\n"
    );
    let pipeline = parsed(&text, &[]).unwrap();
    let names: Vec<&str> = pipeline.steps.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["s.changes", "other", "s.matches", "s"]);
    let reads = |step: usize| (&pipeline.steps[step].from, pipeline.steps[step].with());
    assert_eq!(reads(0), (&Input::Source(0), None));
    assert_eq!(reads(2), (&Input::Step(0, None), Some(&Input::Step(1, None))));
    assert_eq!(reads(3), (&Input::Step(2, None), None));
    for (step, part) in [(0, TablesPart::Changes), (2, TablesPart::Matches), (3, TablesPart::Results)] {
        let Operation::Tables(tables) = &pipeline.steps[step].operation else { panic!("a part of the join") };
        assert_eq!((tables.part, &tables.left), (part, &Input::Source(0)));
        assert_eq!(tables.join.key, ["order".into()]);
    }
    let Operation::Tables(last) = &pipeline.steps[3].operation else { panic!("a part of the join") };
    assert_eq!(last.join.with, Input::Step(1, None), "what the right rows are");
    assert_eq!(pipeline.sinks[0].from, Input::Step(3, None));
}

#[test]
fn a_cycle_through_a_join_is_found() {
    check(
        &format!(
            "{GENERATED}[steps.a]\nfrom = \"in\"\njoin = {{ with = \"b\", on = \"k\", as_of = \"latest\" }}\n\
             [steps.b]\nfrom = \"a\"\nselect = {{ k = \"left.k\" }}\n[sinks.out]\nfrom = \"b\"\nconnector = \"stdout\"\n"
        ),
        expect![[r#"
            p.toml:6:8: steps.a.from: found a cycle (a reads b reads a), expected a way from a source to each step; let one of them read something else
        "#]],
    );
}

#[test]
fn a_condition_is_checked_with_the_file() {
    check(
        &with_step("where = \"amount > 100 adn note = null\""),
        expect![[r#"
        p.toml:7:9: steps.s.where: found at character 14 `adn`, expected `and`, `or` or the end; did you mean `and`?
    "#]],
    );
    check(
        &with_step("where = \"amount > 100 and note is not null\""),
        expect![[r#"
        ok
    "#]],
    );
}

#[test]
fn late_records_of_a_join_have_no_output_of_their_own() {
    let join = "join = { with = \"in\", on = \"user\", within = { after = \"5m\" } }\n";
    check(
        &with_step(&format!("{join}late = \"drop\"")),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &with_step(&format!("{join}late = \"side-output\"")),
        expect![[r#"
        p.toml:5:8: steps.s.late: is "side-output", which is for windows: a join's late records are of two inputs; write `late = "drop"` or `late = "dead-letter"`
    "#]],
    );
}
