//! `dedupe` and `top` of a step.

use super::errors::Errors;
use super::model::Top;
use super::section::Section;

/// Reads `dedupe`: how far apart two records of a key are at least, ms. None where it is absent or wrong.
pub(super) fn dedupe(step: &Section<'_>, errors: &mut Errors) -> Option<i64> {
    let section = step.table("dedupe", errors)?;
    section.check_keys(errors);
    section.duration("within", errors).map(|it| it as i64)
}

/// Reads `top`. None where it is absent or wrong.
pub(super) fn top(step: &Section<'_>, errors: &mut Errors) -> Option<Top> {
    let section = step.table("top", errors)?;
    section.check_keys(errors);
    let k = section.integer("k", errors);
    let by = section.text("by", errors);
    let largest = section.choice("order", &[("desc", true), ("asc", false)], errors);
    Some(Top { k: usize::try_from(k?).ok()?, by: by?.into(), largest: largest? })
}

/// What `dedupe` and `top` cannot be without, and cannot have beside them.
pub(super) fn check_company(step: &Section<'_>, errors: &mut Errors) {
    let has = |name: &str| step.entry(name).is_some();
    if has("dedupe") {
        for name in ["plugin", "window", "join", "top"].into_iter().filter(|it| has(it)) {
            let problem =
                format!("found it beside `{name}`, expected a step of its own; add one that this one reads from");
            step.wrong("dedupe", problem, errors);
        }
        if !has("key") {
            let problem = "missing, expected the field or fields that are equal in duplicates; add `key = \"FIELD\"`";
            step.wrong("key", problem, errors);
        }
    }
    if has("state_ttl") && has("window") {
        let problem = "goes with a keyed plugin without `window`: windows end by themselves; drop it";
        step.wrong("state_ttl", problem, errors);
    }
    if !has("top") {
        return;
    }
    if !has("window") {
        let problem = "goes with a `window`, which is missing; add `window = { tumbling = \"1h\" }` or drop it";
        step.wrong("top", problem, errors);
    }
    for name in ["plugin", "aggregate", "join"].into_iter().filter(|it| has(it)) {
        let problem = format!("found it beside `{name}`, expected a step of its own; add one that reads from this one");
        step.wrong("top", problem, errors);
    }
    for name in ["emit", "output", "allowed_lateness", "accumulate", "panes", "upsert"].into_iter().filter(|it| has(it))
    {
        step.wrong(
            name,
            "found it beside `top`, whose records are written once, when their window closes; drop it",
            errors,
        );
    }
    let window = step.table("window", &mut Errors::default());
    for name in ["rolling", "count"] {
        if window.as_ref().is_some_and(|it| it.entry(name).is_some()) {
            let problem = format!("found it with a window of `{name}`, which has no close; use `tumbling` or another");
            step.wrong("top", problem, errors);
        }
    }
}
