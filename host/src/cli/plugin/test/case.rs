//! Files of cases: what an author writes, checked. The format is described in `docs/reference/plugin-cases.md`.

use super::document::{self, Unread, Wrong};
use crate::cli::plugin::stop::Stop;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
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

/// What a file has beside its cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[expect(dead_code, reason = "read before, and named here for the messages")]
    case: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(default)]
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
    #[expect(dead_code, reason = "read before, and named here for the messages")]
    then: Option<IgnoredAny>,
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
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for path in &files {
        match CaseFile::read(path) {
            Ok(file) => read.push(file),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(Stop::wrong(problems.join("\nerror: "))) }
}

impl CaseFile {
    /// Reads a file, or says all that is wrong with it.
    fn read(path: &Path) -> Result<CaseFile, Vec<String>> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{shown} cannot be read: {error}")])?;
        match parse(&text) {
            Ok(cases) => Ok(CaseFile { path: shown, text, cases }),
            Err(problems) => Err(problems.iter().map(|(line, problem)| format!("{shown}:{line}: {problem}")).collect()),
        }
    }
}

/// The line, from 1, and what is wrong there.
type Problem = (usize, String);

/// The cases, or all that is wrong with them, in the order of lines.
fn parse(text: &str) -> Result<Vec<Case>, Vec<Problem>> {
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let mut wrong = Vec::new();
    let cases = match document::parse(text) {
        Ok(root) => cases(root, line, &mut wrong),
        Err(broken) => {
            wrong = broken;
            Vec::new()
        }
    };
    let mut problems: Vec<Problem> = wrong.into_iter().map(|(at, it)| (at.map_or(1, line), it)).collect();
    problems.sort();
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

fn cases(mut root: Unread<'_>, line: impl Fn(usize) -> usize, wrong: &mut Vec<Wrong>) -> Vec<Case> {
    let tables = document::tables(&mut root, "case", wrong);
    let _: Option<RawFile> = document::read(root, wrong);
    if tables.is_none() {
        wrong.push((None, "there is no [[case]] in this file".to_owned()));
    }
    let mut cases = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for table in tables.unwrap_or_default() {
        let at = table.span().start;
        let Some(case) = case(table, line(at), wrong) else { continue };
        let other = names.insert(case.name.clone(), case.line);
        if let Some(other) = other.filter(|_| !case.name.is_empty()) {
            wrong.push((Some(at), format!("the name \"{}\" is that of the case in line {other} too", case.name)));
        }
        cases.push(case);
    }
    cases
}

/// The case in `table`, which begins in `line`; whatever is wrong with it goes to `wrong`, and then the case is not to be run.
fn case(mut table: Unread<'_>, line: usize, wrong: &mut Vec<Wrong>) -> Option<Case> {
    let at = table.span().start;
    if table.get_ref().get("name").is_none() {
        wrong.push((Some(at), "missing field `name`".to_owned()));
    }
    let then = document::tables(&mut table, "then", wrong).unwrap_or_default();
    let raw: RawCase = document::read(table, wrong)?;
    let mut taken = Taken(wrong);
    let mut state = BTreeMap::new();
    for (key, value) in raw.state {
        let at = value.span().start;
        let bytes = bytes(value.into_inner()).map_err(|problem| (Some(at), format!("state.{key}: {problem}")));
        state.insert(key, taken.of(bytes).unwrap_or_default());
    }
    let config = raw.config.and_then(|it| taken.of(config(it))).unwrap_or_else(|| "{}".to_owned());
    let window = raw.window.and_then(|it| taken.of(window(it)));
    let later = then.into_iter().filter_map(|it| document::read::<RawRound>(it, taken.0)).collect::<Vec<_>>();
    let first = RawRound { input: raw.input, watermark: raw.watermark, expected: raw.expected };
    let rounds: Vec<Round> = std::iter::once(first).chain(later).filter_map(|it| taken.of(round(it))).collect();
    if window.is_some() && rounds.len() > 1 {
        let problem = format!("case \"{}\": a window has one round: `then` has no place in it", raw.name);
        wrong.push((Some(at), problem));
    }
    Some(Case {
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

/// Keeps what is wrong with values that are taken one after the other.
struct Taken<'a>(&'a mut Vec<Wrong>);

impl Taken<'_> {
    fn of<T>(&mut self, value: Result<T, Wrong>) -> Option<T> {
        value.map_err(|wrong| self.0.push(wrong)).ok()
    }
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
        let problems = parse(text).map(|it| panic!("{it:?}")).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|(line, problem)| format!("{line}: {problem}")).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn all_that_is_wrong_with_a_file_is_said_at_once() {
        refused(
            r#"
[[case]]
inptu = ""
watermark = true
config = "[]"
state = { ann = { bytes = "?" }, bob = 1, cid = { bytes = "!" } }
window = [5, 5]

[[case]]
name = 7
topic = 8

[[case]]
name = "twice"
[[case.then]]
watermark = "soon"
expcted = ""

[[case]]
name = "twice"
then = 5

[cases]
"#,
            expect![[r#"
                2: missing field `name`
                3: unknown field `inptu`, expected one of `name`, `config`, `key`, `time`, `topic`, `headers`, `state`, `state_version`, `window`, `input`, `watermark`, `expected`, `then`
                4: expected milliseconds since 1970, a time such as "2026-01-31T12:00:00Z", or "end"
                5: config: found [], expected an object
                6: state.ann: bytes = "?" is no base64: Invalid symbol 63, offset 0.
                6: state.cid: bytes = "!" is no base64: Invalid symbol 33, offset 0.
                7: window = [5, 5]: expected the start, and an end that is later
                10: invalid type: integer `7`, expected a string
                11: invalid type: integer `8`, expected a string
                16: found "soon", expected milliseconds since 1970, a time such as "2026-01-31T12:00:00Z", or "end"
                17: unknown field `expcted`, expected one of `input`, `watermark`, `expected`
                19: the name "twice" is that of the case in line 13 too
                21: then: expected tables, written [[then]]
                23: unknown field `cases`, expected `case`"#]],
        );
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
