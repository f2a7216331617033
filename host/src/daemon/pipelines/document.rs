//! A pipeline file as it is deployed: TOML, or the same as JSON; its plugins from the catalog, its files below the folders
//! that the daemon gives.

use crate::config::{self, ClientProperties, ConfigErrors, Pipeline, Place, SinkConnector, SourceConnector};
use crate::daemon::api::{Change, Pin};
use crate::daemon::catalog::Catalog;
use crate::daemon::problem::{Code, FieldError, Problem};
use crate::daemon::settings::Settings;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A definition that fits, with what its plugins are.
pub(super) struct Checked {
    pub(super) pipeline: Pipeline,
    pub(super) pins: Vec<Pin>,
}

/// The TOML of a request's body.
pub(in crate::daemon) fn toml_of(content_type: Option<&str>, body: &[u8]) -> Result<String, Problem> {
    let kind = content_type.unwrap_or("application/toml").split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Problem::new(
            Code::BadPipeline,
            format!("found a byte that is not UTF-8 at offset {at}, expected a text in UTF-8"),
        )
    })?;
    match kind.to_ascii_lowercase().as_str() {
        "application/toml" | "text/toml" | "text/plain" => Ok(text.to_owned()),
        "application/json" => {
            let value: serde_json::Value = serde_json::from_str(text)
                .map_err(|error| Problem::new(Code::BadPipeline, format!("not JSON: {error}; send TOML or JSON")))?;
            let serde_json::Value::Object(keys) = value else {
                return Err(Problem::new(
                    Code::BadPipeline,
                    "found JSON that is no object, expected the keys of a pipeline",
                ));
            };
            let lines = keys.iter().map(|(key, value)| Ok(format!("{} = {}\n", quoted(key), inline(key, value)?)));
            lines.collect()
        }
        other => Err(Problem::new(
            Code::BadContentType,
            format!("found the content type {other:?}, expected application/toml or application/json"),
        )),
    }
}

/// A JSON value as TOML writes it on one line.
pub(super) fn inline(path: &str, value: &serde_json::Value) -> Result<String, Problem> {
    use serde_json::Value;
    Ok(match value {
        Value::Null => {
            let detail = format!("{path}: found null, expected a value; leave the key out for its default");
            return Err(Problem::new(Code::BadPipeline, detail));
        }
        Value::String(text) => quoted(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|it| inline(path, it)).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Object(keys) => {
            let pair = |(key, value): (&String, &Value)| {
                Ok(format!("{} = {}", quoted(key), inline(&format!("{path}.{key}"), value)?))
            };
            let pairs: Vec<String> = keys.iter().map(pair).collect::<Result<_, Problem>>()?;
            format!("{{ {} }}", pairs.join(", "))
        }
    })
}

/// A TOML basic string. JSON's is one but for DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Checks a definition and pins its plugins. `pinned` stands for what references meant when it was deployed; where it is none
/// they mean what the catalog says now.
pub(super) fn check(
    name: &str,
    definition: &str,
    catalog: &Catalog,
    settings: &Settings,
    pinned: Option<&[Pin]>,
) -> Result<Checked, Problem> {
    let files = &settings.files;
    let pins: RefCell<Vec<Pin>> = RefCell::default();
    let plugin = |text: &str| {
        let pin = match pinned.and_then(|it| it.iter().find(|pin| pin.reference == text)) {
            Some(pin) => pin.clone(),
            None => catalog.resolve(text)?,
        };
        let file = catalog.file(&pin);
        let mut pins = pins.borrow_mut();
        if !pins.contains(&pin) {
            pins.push(pin);
        }
        Ok(file)
    };
    let connections = |name: &str| connection(settings, name);
    let deployment = config::Deployment { catalog: &plugin, connections: &connections };
    let base = files.first().map_or(Path::new(""), PathBuf::as_path);
    let pipeline = config::parse_deployment(definition, "pipeline", base, &deployment).map_err(|it| wrong(&it))?;
    let mut errors = Vec::new();
    let mut refuse = |key: String, problem: String| errors.push(FieldError { key, line: 0, problem });
    if pipeline.name != name {
        refuse(
            "name".to_owned(),
            format!("found {:?}, expected {name:?} as in the address; change one of the two", pipeline.name),
        );
    }
    check_places(&pipeline, files, &mut refuse);
    if errors.is_empty() { Ok(Checked { pipeline, pins: pins.into_inner() }) } else { Err(refused(errors)) }
}

fn connection(settings: &Settings, name: &str) -> Result<(String, ClientProperties), String> {
    let found = settings.connections.get(name).ok_or_else(|| {
        let known: Vec<_> = settings.connections.keys().map(|it| format!("`{it}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!(
            "found {name:?}, but the connections of the daemon's configuration are: {known}; add it there and reload"
        )
    })?;
    let properties = found.properties.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    Ok((found.brokers.clone(), ClientProperties(properties.collect())))
}

/// What is wrong with a pipeline, as a problem.
pub(super) fn refused(errors: Vec<FieldError>) -> Problem {
    let count = if errors.len() == 1 { "one error".to_owned() } else { format!("{} errors", errors.len()) };
    Problem::new(Code::BadPipeline, format!("the pipeline has {count}; correct all of them and send it again"))
        .with_errors(errors)
}

fn wrong(errors: &ConfigErrors) -> Problem {
    let one = |it: &config::ConfigError| FieldError {
        key: it.key.clone(),
        line: if let Place::Line { line, .. } = it.place { line } else { 0 },
        problem: match &it.nearest {
            Some(nearest) => format!("{}; did you mean `{nearest}`?", it.problem),
            None => it.problem.clone(),
        },
    };
    refused(errors.iter().map(one).collect())
}

/// Where the pipeline reads and writes on this machine: below the daemon's folders, and not to the daemon's own output.
fn check_places(pipeline: &Pipeline, files: &[PathBuf], refuse: &mut impl FnMut(String, String)) {
    for source in &pipeline.sources {
        if let SourceConnector::File { path } = &source.connector {
            check_place(Path::new(path), files, format!("sources.{}.path", source.name), refuse);
        }
    }
    for sink in pipeline.sinks.iter().chain(&pipeline.dead_letters) {
        let table = if sink.name == "dead_letters" { sink.name.clone() } else { format!("sinks.{}", sink.name) };
        match &sink.connector {
            SinkConnector::File { path } => check_place(path, files, format!("{table}.path"), refuse),
            SinkConnector::Stdout => refuse(
                format!("{table}.connector"),
                "found \"stdout\", which is for `wasmill run`; expected \"kafka\" or \"file\"".to_owned(),
            ),
            SinkConnector::Kafka(_) => {}
        }
    }
}

fn check_place(path: &Path, files: &[PathBuf], key: String, refuse: &mut impl FnMut(String, String)) {
    let climbs = path.components().any(|it| it == Component::ParentDir);
    if climbs || !files.iter().any(|it| path.starts_with(it)) {
        let folders: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
        let problem = format!(
            "found {}, expected a path below {} without `..`; the key `files` of the daemon's configuration lists the folders \
             that pipelines may use",
            path.display(),
            folders.join(" or ")
        );
        refuse(key, problem);
    }
}

/// The keys in which two definitions differ, and the references that stand for something else.
pub(super) fn changes(before: Option<(&str, &[Pin])>, definition: &str, pins: &[Pin]) -> Vec<Change> {
    let old = before.map(|it| flat(it.0)).unwrap_or_default();
    let new = flat(definition);
    let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let change = |key: &String| {
        let (from, to) = (old.get(key).cloned(), new.get(key).cloned());
        (from != to).then(|| Change { key: key.clone(), from, to })
    };
    let mut changes: Vec<_> = keys.into_iter().filter_map(change).collect();
    for pin in before.iter().flat_map(|it| it.1) {
        let stands_for =
            |it: &Pin| serde_json::Value::from(format!("{}@{} (sha256:{})", it.name, it.version, it.digest));
        match pins.iter().find(|it| it.reference == pin.reference) {
            Some(now) if now != pin => changes.push(Change {
                key: format!("plugins.{}", pin.reference),
                from: Some(stands_for(pin)),
                to: Some(stands_for(now)),
            }),
            _ => {}
        }
    }
    changes
}

/// The values of a definition by the paths of their keys.
fn flat(definition: &str) -> BTreeMap<String, serde_json::Value> {
    fn walk(path: String, value: serde_json::Value, out: &mut BTreeMap<String, serde_json::Value>) {
        match value {
            serde_json::Value::Object(keys) if !keys.is_empty() => {
                for (key, value) in keys {
                    walk(if path.is_empty() { key } else { format!("{path}.{key}") }, value, out);
                }
            }
            value => drop(out.insert(path, value)),
        }
    }
    let mut out = BTreeMap::new();
    let value = toml::from_str::<toml::Table>(definition).ok().and_then(|it| serde_json::to_value(it).ok());
    walk(String::new(), value.unwrap_or_default(), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_toml_say_the_same() {
        let json = br#"{"name": "a\u007f\n", "sources": {"x y": {"rate": 5, "on": true, "part": [1.5, "b"]}}}"#;
        let toml = toml_of(Some("application/json; charset=utf-8"), json).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(json).unwrap();
        assert_eq!(serde_json::to_value(toml::from_str::<toml::Table>(&toml).unwrap()).unwrap(), expected);
        let null = toml_of(Some("application/json"), br#"{"steps": {"a": {"key": null}}}"#).unwrap_err();
        assert!(null.detail.starts_with("steps.a.key: found null"), "{null}");
        assert_eq!(&*toml_of(Some("text/html"), b"").unwrap_err().code, "bad_content_type");
    }

    #[test]
    fn changes_are_told_by_key_and_by_what_a_reference_stands_for() {
        let pin = |version: &str| Pin {
            reference: "a@latest".into(),
            name: "a".into(),
            version: version.into(),
            digest: "00".into(),
        };
        let (old, new) = ("x = 1\n[s]\na = 1\nb = 2", "x = 1\n[s]\na = 2\nc = 3");
        let changes = changes(Some((old, &[pin("1.0.0")])), new, &[pin("1.1.0")]);
        let keys: Vec<_> = changes.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["s.a", "s.b", "s.c", "plugins.a@latest"]);
        assert_eq!(super::changes(Some((old, &[])), old, &[]), []);
    }
}
