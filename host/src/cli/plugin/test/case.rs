//! Files of cases: what an author writes, checked. The format is described in `docs/reference/plugin-cases.md`.

use crate::cli::plugin::stop::Stop;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use wasmill::decode::rfc3339_ms;
use wasmill::watermark::WATERMARK_END;

/// A file with its cases.
#[derive(Debug)]
pub(super) struct CaseFile {
    /// As messages call it.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) cases: Vec<Case>,
}

/// One case: a plugin is started with `config`, and handed the rounds one after the other.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// Where it begins in its file, from 1.
    pub(super) line: usize,
    /// A JSON object.
    pub(super) config: String,
    pub(super) key: Vec<String>,
    pub(super) time: Option<String>,
    pub(super) topic: String,
    pub(super) headers: BTreeMap<String, String>,
    /// State that keys have from the start, as bytes.
    pub(super) state: BTreeMap<String, Vec<u8>>,
    /// The version of that state, where it is not the plugin's own.
    pub(super) state_version: Option<u32>,
    /// Start and end of an aggregate plugin's window, ms since the Unix epoch.
    pub(super) window: Option<[i64; 2]>,
    /// At least one.
    pub(super) rounds: Vec<Round>,
}

/// Records, then a watermark.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) input: String,
    /// Where event time is moved to after the records.
    pub(super) watermark: Option<i64>,
    /// The lines that are expected, without white space around them; none where nobody has said.
    pub(super) expected: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default, rename = "case")]
    cases: Vec<Spanned<RawCase>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    config: Option<Spanned<RawConfig>>,
    key: Option<OneOrMany>,
    time: Option<String>,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    state: BTreeMap<String, Spanned<toml::Value>>,
    state_version: Option<u32>,
    window: Option<Spanned<[RawTime; 2]>>,
    #[serde(default)]
    input: String,
    watermark: Option<Spanned<RawTime>>,
    expected: Option<String>,
    #[serde(default)]
    then: Vec<RawRound>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRound {
    #[serde(default)]
    input: String,
    watermark: Option<Spanned<RawTime>>,
    expected: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a table such as { max_amount = 100 }, or a text with a JSON object")]
enum RawConfig {
    Table(toml::Table),
    Json(String),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a field's name, or a list of names")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected milliseconds since 1970, a time such as \"2026-01-31T12:00:00Z\", or \"end\"")]
enum RawTime {
    Ms(i64),
    Text(String),
}

/// Reads the files that `patterns` name, or `tests/*.toml` beside the component.
///
/// # Errors
/// There is none, or one is wrong: with file, line, what was found and what was expected.
pub(super) fn load(subject: &Path, patterns: &[String]) -> Result<Vec<CaseFile>, Stop> {
    let default = if subject.is_dir() { subject.join("tests") } else { PathBuf::from("tests") };
    let default = default.join("*.toml").display().to_string();
    let patterns = if patterns.is_empty() { vec![default] } else { patterns.to_vec() };
    let mut files = Vec::new();
    for pattern in &patterns {
        let mut paths: Vec<PathBuf> = match glob::glob(pattern) {
            Ok(found) => found.filter_map(Result::ok).collect(),
            Err(error) => return Err(Stop::usage(format!("{pattern} is no glob: {error}"))),
        };
        if paths.is_empty() {
            return Err(Stop::wrong(format!(
                "{pattern}: there is no such file; expected a file with [[case]] tables, see `wasmill plugin test --help`"
            )));
        }
        paths.sort();
        files.extend(paths);
    }
    files.iter().map(|it| read(it)).collect()
}

fn read(path: &Path) -> Result<CaseFile, Stop> {
    let shown = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Stop::wrong(format!("{shown} cannot be read: {error}")))?;
    let cases = parse(&text).map_err(|(line, problem)| Stop::wrong(format!("{shown}:{line}: {problem}")))?;
    Ok(CaseFile { path: shown, text, cases })
}

/// The line, from 1, and what is wrong there.
type Problem = (usize, String);

fn parse(text: &str) -> Result<Vec<Case>, Problem> {
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let raw: RawFile = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |it| it.start);
        (line(at), error.message().replace('\n', " "))
    })?;
    if raw.cases.is_empty() {
        return Err((1, "there is no [[case]] in this file".to_owned()));
    }
    let mut cases: Vec<Case> = Vec::new();
    for raw in raw.cases {
        let at = line(raw.span().start);
        let case = case(raw.into_inner(), at).map_err(|(span, problem)| (span.map_or(at, line), problem))?;
        if let Some(other) = cases.iter().find(|it| it.name == case.name) {
            return Err((at, format!("the name \"{}\" is that of the case in line {} too", case.name, other.line)));
        }
        cases.push(case);
    }
    Ok(cases)
}

/// Where it is in the text, if that is known, and what is wrong.
type Wrong = (Option<usize>, String);

fn case(raw: RawCase, line: usize) -> Result<Case, Wrong> {
    let config = raw.config.map_or_else(|| Ok("{}".to_owned()), config)?;
    let mut state = BTreeMap::new();
    for (key, value) in raw.state {
        let at = value.span().start;
        let bytes = bytes(value.into_inner()).map_err(|problem| (Some(at), format!("state.{key}: {problem}")))?;
        state.insert(key, bytes);
    }
    let window = raw.window.map(window).transpose()?;
    let first = RawRound { input: raw.input, watermark: raw.watermark, expected: raw.expected };
    let rounds = std::iter::once(first).chain(raw.then).map(round).collect::<Result<Vec<_>, _>>()?;
    if window.is_some() && rounds.len() > 1 {
        return Err((None, format!("case \"{}\": a window has one round: `then` has no place in it", raw.name)));
    }
    Ok(Case {
        name: raw.name,
        line,
        config,
        key: match raw.key {
            None => Vec::new(),
            Some(OneOrMany::One(name)) => vec![name],
            Some(OneOrMany::Many(names)) => names,
        },
        time: raw.time,
        topic: raw.topic,
        headers: raw.headers,
        state,
        state_version: raw.state_version,
        window,
        rounds,
    })
}

fn config(raw: Spanned<RawConfig>) -> Result<String, Wrong> {
    let at = Some(raw.span().start);
    let json = match raw.into_inner() {
        RawConfig::Table(table) => serde_json::to_value(table).map_err(|error| (at, format!("config: {error}")))?,
        RawConfig::Json(text) => {
            serde_json::from_str(&text).map_err(|error| (at, format!("config: not JSON: {error}")))?
        }
    };
    if json.is_object() { Ok(json.to_string()) } else { Err((at, format!("config: found {json}, expected an object"))) }
}

/// State as it is stored: the JSON of a value, or what `{ json = ".." }` or `{ bytes = "<base64>" }` says.
fn bytes(value: toml::Value) -> Result<Vec<u8>, String> {
    if let toml::Value::Table(table) = &value
        && table.len() == 1
    {
        match (table.get("json"), table.get("bytes")) {
            (Some(toml::Value::String(text)), _) => return Ok(text.clone().into_bytes()),
            (_, Some(toml::Value::String(text))) => {
                return BASE64_STANDARD
                    .decode(text)
                    .map_err(|error| format!("bytes = \"{text}\" is no base64: {error}"));
            }
            _ => {}
        }
    }
    serde_json::to_vec(&value).map_err(|error| error.to_string())
}

fn window(raw: Spanned<[RawTime; 2]>) -> Result<[i64; 2], Wrong> {
    let at = Some(raw.span().start);
    let [start, end] = raw.into_inner();
    let (start, end) = (ms(start).map_err(|it| (at, it))?, ms(end).map_err(|it| (at, it))?);
    if start < end {
        return Ok([start, end]);
    }
    Err((at, format!("window = [{start}, {end}]: expected the start, and an end that is later")))
}

fn round(raw: RawRound) -> Result<Round, Wrong> {
    let watermark = raw.watermark.map(|it| {
        let at = Some(it.span().start);
        ms(it.into_inner()).map_err(|problem| (at, problem))
    });
    let expected = raw.expected.map(|it| tidy(&it));
    Ok(Round { input: raw.input, watermark: watermark.transpose()?, expected })
}

fn ms(time: RawTime) -> Result<i64, String> {
    match time {
        RawTime::Ms(ms) => Ok(ms),
        RawTime::Text(text) if text == "end" => Ok(WATERMARK_END),
        RawTime::Text(text) => rfc3339_ms(text.as_bytes()).ok_or_else(|| {
            format!("found \"{text}\", expected milliseconds since 1970, a time such as \"2026-01-31T12:00:00Z\", or \"end\"")
        }),
    }
}

/// The lines of `text` without white space around them, and without empty ones.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn refused(text: &str, expected: Expect) {
        let (line, problem) = parse(text).map(|it| panic!("{it:?}")).unwrap_err();
        expected.assert_eq(&format!("{line}: {problem}"));
    }

    #[test]
    fn a_case_has_its_rounds_and_times_in_either_form() {
        let cases = parse(
            r#"
[[case]]
name = "one"
config = { b = 1, a = [true] }
key = "user"
state = { ann = { count = 1 }, bob = { bytes = "AQID" }, cid = { json = '{"z":1,"a":2.0}' }, dan = 7 }
input = '''
{"user":"ann"}
'''
watermark = "1970-01-01T00:00:01Z"
expected = '''
  out: 1

'''
[[case.then]]
watermark = "end"

[[case]]
name = "two"
config = '{"a":null}'
key = ["a", "b"]
window = [0, 10]
"#,
        )
        .unwrap();
        let [one, two] = &cases[..] else { panic!("{cases:?}") };
        assert_eq!((one.line, two.line, two.rounds.len()), (2, 18, 1));
        assert_eq!((one.config.as_str(), two.config.as_str()), (r#"{"a":[true],"b":1}"#, r#"{"a":null}"#));
        assert_eq!(one.rounds[0].expected.as_deref(), Some("out: 1"));
        assert_eq!((one.rounds[0].watermark, one.rounds[1].watermark), (Some(1_000), Some(WATERMARK_END)));
        let state: Vec<_> = one.state.values().map(Vec::as_slice).collect();
        assert_eq!(state, [&br#"{"count":1}"#[..], &[1, 2, 3], br#"{"z":1,"a":2.0}"#, b"7"]);
        assert_eq!(two.window, Some([0, 10]));
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_line_and_what_was_expected() {
        refused("", expect!["1: there is no [[case]] in this file"]);
        refused(
            "[[case]]\nname = \"a\"\ninptu = ''\n",
            expect![
                "3: unknown field `inptu`, expected one of `name`, `config`, `key`, `time`, `topic`, `headers`, `state`, `state_version`, `window`, `input`, `watermark`, `expected`, `then`"
            ],
        );
        refused("[[case]]\ninput = ''\n", expect!["1: missing field `name`"]);
        refused(
            "[[case]]\nname = \"a\"\nwatermark = \"soon\"\n",
            expect![[
                r#"3: found "soon", expected milliseconds since 1970, a time such as "2026-01-31T12:00:00Z", or "end""#
            ]],
        );
        refused(
            "[[case]]\nname = \"a\"\nwatermark = true\n",
            expect![[r#"3: expected milliseconds since 1970, a time such as "2026-01-31T12:00:00Z", or "end""#]],
        );
        refused(
            "[[case]]\nname = \"a\"\nwindow = [5, 5]\n",
            expect!["3: window = [5, 5]: expected the start, and an end that is later"],
        );
        refused("[[case]]\nname = \"a\"\nconfig = '[]'\n", expect!["3: config: found [], expected an object"]);
        refused(
            "[[case]]\nname = \"a\"\nstate = { ann = { bytes = \"?\" } }\n",
            expect![[r#"3: state.ann: bytes = "?" is no base64: Invalid symbol 63, offset 0."#]],
        );
        refused(
            "[[case]]\nname = \"a\"\n[[case]]\nname = \"a\"\n",
            expect![[r#"3: the name "a" is that of the case in line 1 too"#]],
        );
        refused("[[case]]\nname = \"a\n", expect![[r#"2: invalid basic string, expected `"`"#]]);
    }
}
