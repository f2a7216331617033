//! `dedupe`, `top`, `state_ttl`, `read_first` and `max_drift` as they are written.

use super::*;

#[test]
fn a_dedupe_needs_a_key_and_stands_alone() {
    check(
        &with_step("key = \"id\"\ndedupe = { within = \"1h\" }\nlate = \"side-output\""),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &with_step("dedupe = { within = \"0s\" }"),
        expect![[r#"
        p.toml:5:8: steps.s.key: missing, expected the field or fields that are equal in duplicates; add `key = "FIELD"`
        p.toml:7:21: steps.s.dedupe.within: found "0s", expected at least 1ms
    "#]],
    );
    check(
        &with_step(
            "key = \"id\"\ndedupe = { in = \"1h\" }\nwindow = { tumbling = \"1m\" }\ntop = { k = 1, by = \"n\" }",
        ),
        expect![[r#"
            p.toml:8:1: steps.s.dedupe.within: missing, expected a duration with its unit such as "5s"; add `within = ...`
            p.toml:8:10: steps.s.dedupe: found it beside `window`, expected a step of its own; add one that this one reads from
            p.toml:8:10: steps.s.dedupe: found it beside `top`, expected a step of its own; add one that this one reads from
            p.toml:8:12: steps.s.dedupe.in: unknown key, expected one of `within`
        "#]],
    );
}

#[test]
fn a_top_needs_a_window_that_closes() {
    check(
        &with_step("window = { session = \"1h\" }\ntop = { k = 10, by = \"n\", order = \"asc\" }"),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &with_step("top = { k = 0, by = \"n\" }"),
        expect![[r#"
            p.toml:7:7: steps.s.top: goes with a `window`, which is missing; add `window = { tumbling = "1h" }` or drop it
            p.toml:7:13: steps.s.top.k: found 0, expected an integer from 1 to 10000
        "#]],
    );
    check(
        &with_step("window = { rolling = \"1h\" }\ntop = { k = 1 }"),
        expect![[r#"
        p.toml:8:1: steps.s.top.by: missing, expected a text; add `by = ...`
        p.toml:8:7: steps.s.top: found it with a window of `rolling`, which has no close; use `tumbling` or another
    "#]],
    );
    check(
        &with_step(
            "window = { tumbling = \"1h\" }\ntop = { k = 1, by = \"n\" }\naggregate = { n = \"count()\" }\nemit = \"on-update\"",
        ),
        expect![[r#"
            p.toml:8:7: steps.s.top: found it beside `aggregate`, expected a step of its own; add one that reads from this one
            p.toml:10:8: steps.s.emit: found it beside `top`, whose records are written once, when their window closes; drop it
        "#]],
    );
}

#[test]
fn state_that_expires_is_that_of_a_keyed_plugin() {
    check(
        &with_step("key = \"id\"\nplugin = \"./a.wasm\"\nstate_ttl = \"24h\""),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &with_step("window = { tumbling = \"1h\" }\naggregate = { n = \"count()\" }\nstate_ttl = \"24h\""),
        expect![[r#"
            p.toml:9:13: steps.s.state_ttl: goes with a keyed plugin without `window`: windows end by themselves; drop it
            p.toml:9:13: steps.s.state_ttl: goes with a `plugin`, which is missing; add `plugin = "./NAME.wasm"` or drop it
        "#]],
    );
}

#[test]
fn a_source_that_is_read_first_ends_and_waits_for_no_other() {
    let file = |source: &str, time: &str| {
        format!(
            "name = \"t\"\n[sources.in]\n{source}\nread_first = true\nevent_time = {{ {time} }}\n\
             [sinks.out]\nfrom = \"in\"\nconnector = \"stdout\"\n"
        )
    };
    let generator = "connector = \"generator\"\nkind = \"orders\"";
    check(
        &file(&format!("{generator}\ncount = 9"), "delay = \"1s\""),
        expect![[r#"
        ok
    "#]],
    );
    check(
        &file(generator, "max_drift = \"10m\""),
        expect![[r#"
        p.toml:5:14: sources.in.read_first: found it with records that never end; give the generator a `count`
        p.toml:5:14: sources.in.read_first: found it beside `event_time.max_drift`: the sources that it would wait for wait for it; drop one of the two
    "#]],
    );
}
