//! A step's `config`, read into the author's type.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The configuration of a plugin that has none: any key is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// `text`, a JSON object, as `C`. The error names the key, as a path from `config`.
pub(crate) fn parse<C: DeserializeOwned>(text: &str) -> Result<C, String> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // serde_json knows the place but not the key, and a line of a config that the host wrote says nothing to its author.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        format!("{}: {message}", path_at(text, error.line(), error.column()))
    })
}

/// The path of the value that holds the byte before `line` and `column`, both from 1.
fn path_at(text: &str, line: usize, column: usize) -> String {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let text = text.as_bytes().get(..before + column).unwrap_or(text.as_bytes());
    let mut path: Vec<String> = Vec::new();
    let mut rest = text.iter().copied().enumerate();
    let mut last_text = String::new();
    while let Some((start, byte)) = rest.next() {
        match byte {
            b'"' => {
                let mut end = text.len();
                while let Some((at, byte)) = rest.next() {
                    match byte {
                        b'\\' => drop(rest.next()),
                        b'"' => {
                            end = at;
                            break;
                        }
                        _ => {}
                    }
                }
                last_text = String::from_utf8_lossy(text.get(start + 1..end).unwrap_or_default()).into_owned();
            }
            b'{' | b'[' => path.push(String::new()),
            b':' => {
                if let Some(key) = path.last_mut() {
                    *key = std::mem::take(&mut last_text);
                }
            }
            // The last byte may be the one that ends the value at fault.
            b',' if start + 1 < text.len() => drop(path.last_mut().map(String::clear)),
            b'}' | b']' if start + 1 < text.len() => drop(path.pop()),
            _ => {}
        }
    }
    path.iter().filter(|it| !it.is_empty()).fold("config".to_string(), |path, key| path + "." + key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Config {
        max_amount: f64,
        #[serde(default)]
        nested: Option<Nested>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read into")]
    struct Nested {
        days: Vec<u8>,
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse::<Config>(text).unwrap_err(), expected);
    }

    #[test]
    fn the_error_names_the_key_at_fault() {
        check(r#"{"max_amount":"ten"}"#, "config.max_amount: invalid type: string \"ten\", expected f64");
        check(r#"{"nested":null,"max_amount":true}"#, "config.max_amount: invalid type: boolean `true`, expected f64");
        check(
            r#"{"max_amount":1,"nested":{"days":[1, 300]}}"#,
            "config.nested.days: invalid value: integer `300`, expected u8",
        );
        check(
            "{\n \"nested\": null,\n \"max_amount\": []\n}",
            "config.max_amount: invalid type: sequence, expected f64",
        );
    }

    #[test]
    fn a_missing_or_unknown_key_is_named_by_the_message() {
        check("{}", "config: missing field `max_amount`");
        check(r#"{"max_amount":1,"nested":{}}"#, "config.nested: missing field `days`");
        let error = parse::<Config>(r#"{"max_amont":1}"#).unwrap_err();
        assert!(error.ends_with("unknown field `max_amont`, expected `max_amount` or `nested`"), "{error}");
    }

    #[test]
    fn a_plugin_without_config_refuses_any() {
        let error = parse::<NoConfig>(r#"{"a":1}"#).unwrap_err();
        assert!(error.contains("unknown field `a`"), "{error}");
    }
}
