//! The reference page of the pipeline file, from the list of keys that reads it.

use super::keys::{ALL, Absent, Expects, Key};
use std::fmt::Write;

/// The page `docs/reference/pipeline.md`: every key with its type, default and meaning.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for table in ALL {
        let _ = write!(page, "\n## {}\n\n{}\n", table.title, table.about);
        let keys: Vec<&Key> = table.keys.iter().filter(|it| !matches!(it.expects, Expects::NotYet(_))).collect();
        if !keys.is_empty() {
            page.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        }
        for key in keys {
            let row =
                [expects(&key.expects), absent(&key.absent), key.meaning.to_owned()].map(|it| it.replace('|', "\\|"));
            let _ = writeln!(page, "| `{}` | {} | {} | {} |", key.name, row[0], row[1], row[2]);
        }
    }
    page.push_str("\n## Not in this version\n\nThese are known and refused, with what to do instead.\n\n");
    for table in ALL {
        for key in table.keys {
            match &key.expects {
                Expects::NotYet(instead) => {
                    let _ = writeln!(page, "- `{}` of {}: {instead}", key.name, table.name);
                }
                Expects::Choice { later, .. } if !later.is_empty() => {
                    for value in *later {
                        let _ = writeln!(page, "- `{} = \"{value}\"` of {}", key.name, table.name);
                    }
                }
                _ => {}
            }
        }
    }
    page
}

const HEAD: &str = "\
# The pipeline file

<!-- Generated from host/src/config/keys.rs. To change it, change that file and run its tests with UPDATE_EXPECT=1. -->

A pipeline is one TOML file. `wasmill check FILE` reports all that is wrong with it at once; `wasmill run FILE` runs it. Any
key can be overridden on the command line: `--set sources.orders.brokers=localhost:9092`.

A *duration* is a whole number with its unit: `250ms`, `5s`, `30m`, `1h`, `1d`. A *size* is one with `B`, `KB`, `MB`, `GB`,
`KiB`, `MiB` or `GiB`. A *field* is the name of a field of the record's JSON object; nested ones are joined by dots
(`card.country`). Paths are relative to the pipeline file.
";

fn either(names: &[&str]) -> String {
    names.iter().map(|it| format!("`\"{it}\"`")).collect::<Vec<_>>().join(" or ")
}

fn expects(expects: &Expects) -> String {
    match expects {
        Expects::Text => "text".to_owned(),
        Expects::Choice { now, .. } => either(now),
        Expects::Duration { min_ms, never } => {
            let least = if *min_ms > 0 { format!(" of at least `{min_ms}ms`") } else { String::new() };
            format!("duration{least}{}", if *never { " or `\"never\"`" } else { "" })
        }
        Expects::DurationOr(word) => format!("duration or `\"{word}\"`"),
        Expects::Boolean => "`true` or `false`".to_owned(),
        Expects::SignedDuration => "duration, may be negative: `-5s`".to_owned(),
        Expects::Size { min } => format!("size of at least `{min}B`"),
        Expects::Integer { min, max: i64::MAX } => format!("integer from {min}"),
        Expects::Integer { min, max } => format!("integer from {min} to {max}"),
        Expects::Texts => "list of texts".to_owned(),
        Expects::Fields => "field, or list of fields".to_owned(),
        Expects::FieldPairs => "field, list of fields, or table of fields".to_owned(),
        Expects::Table(keys) => format!("table, see {}", keys.title),
        Expects::Map(holds) => (*holds).to_owned(),
        Expects::ChoiceOr { now, table } => format!("{}, or a table, see {}", either(now), table.title),
        Expects::NotYet(_) => String::new(),
    }
}

fn absent(absent: &Absent) -> String {
    match absent {
        Absent::Required => "**required**".to_owned(),
        Absent::Text(text) => format!("`\"{text}\"`"),
        Absent::Integer(it) => format!("`{it}`"),
        Absent::Means(words) => (*words).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_what_the_code_says() {
        expect_test::expect_file!["../../../docs/reference/pipeline.md"].assert_eq(&reference());
    }
}
