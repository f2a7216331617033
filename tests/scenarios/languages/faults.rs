//! What fails in a rule arrives in the dead letter with its message, its type where the language has types for it, and its place in the
//! author's source; the records around it pass.

use super::probe;
use expect_test::{Expect, expect};
use std::fmt::Write;

/// Runs the tries between two that are harmless.
fn check(plugin: &str, tries: &[&str], expected: Expect) {
    let harmless = ["nothing", "nothing at all"];
    let tried = probe::run(plugin, &[&harmless[..1], tries, &harmless[1..]].concat());
    assert_eq!(tried.answers.keys().collect::<Vec<_>>(), harmless, "the others pass");
    let mut text = String::new();
    for it in tries {
        let _ = writeln!(text, "{it}: {}", tried.reasons[*it]);
    }
    expected.assert_eq(&text);
}

#[test]
fn of_rust() {
    check(
        "probe",
        &["error", "raise", "divide", "index"],
        expect![[r#"
        error: invalid digit found in string
        raise: the plugin trapped: wasm `unreachable` instruction executed; it logged: cannot go on with 5 at tests/plugins/rust/probe/src/lib.rs:31:20
        divide: the plugin trapped: wasm `unreachable` instruction executed; it logged: attempt to divide by zero at tests/plugins/rust/probe/src/lib.rs:32:21
        index: the plugin trapped: wasm `unreachable` instruction executed; it logged: index out of bounds: the len is 2 but the index is 5 at tests/plugins/rust/probe/src/lib.rs:33:54
    "#]],
    );
}

#[test]
fn of_python() {
    check(
        "probe-python",
        &["raise", "divide", "index"],
        expect![[r#"
        raise: the plugin answered with an error: ValueError: cannot go on with 5 (rule.py:25, in raised)
        divide: the plugin answered with an error: ZeroDivisionError: division by zero (rule.py:43, in <lambda>)
        index: the plugin answered with an error: IndexError: string index out of range (rule.py:44, in <lambda>)
    "#]],
    );
}

#[test]
fn of_javascript_and_typescript() {
    check(
        "probe-js",
        &["raise", "index", "typed"],
        expect![[r#"
        raise: the plugin answered with an error: TypeError: cannot go on with 5 at rule.js:21
        index: the plugin answered with an error: TypeError: can't access property "length", "ab".at(...) is undefined at rule.js:23
        typed: the plugin answered with an error: Refusal: cannot go on with 5 at typed.ts:6
    "#]],
    );
}

#[test]
fn of_go() {
    check(
        "probe-go",
        &["error", "raise", "divide", "index"],
        expect![[r#"
        error: strconv.Atoi: parsing "error": invalid syntax
        raise: the plugin answered with an error: panic: cannot go on with 5 (*main.Refusal) at probe/rule.go:72
        divide: the plugin answered with an error: panic: runtime error: integer divide by zero (runtime.errorString) at probe/rule.go:74
        index: the plugin answered with an error: panic: runtime error: index out of range [5] with length 2 (runtime.boundsError) at probe/rule.go:76
    "#]],
    );
}

#[test]
fn of_c() {
    check(
        "probe-c",
        &["fail", "wm_assert", "assert", "abort", "exit", "divide", "stack", "memory"],
        expect![[r#"
        fail: the plugin trapped: wasm `unreachable` instruction executed; it logged: rule.c:56: cannot go on with 7
        wm_assert: the plugin trapped: wasm `unreachable` instruction executed; it logged: rule.c:58: 9 is not 1
        assert: the plugin trapped: wasm `unreachable` instruction executed; it logged: rule.c:60: assertion failed: what.len == 2
        abort: the plugin trapped: wasm `unreachable` instruction executed; it logged: rule.c:62: abort() was called
        exit: the plugin trapped: wasm `unreachable` instruction executed; it logged: the plugin ended itself with exit status 3
        divide: the plugin trapped: integer divide by zero
        stack: the plugin trapped: out of bounds memory access
        memory: the plugin trapped: wasm `unreachable` instruction executed; it logged: sdk/src/memory.c:31: out of memory: 3221225472 bytes were asked for
    "#]],
    );
}
