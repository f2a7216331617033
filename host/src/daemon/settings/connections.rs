//! `[connections.NAME]`: Kafka clusters that pipelines name, with credentials that stay here.

use super::secret::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A Kafka cluster and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Properties of the client.
    pub properties: BTreeMap<String, Secret>,
}

/// As written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    brokers: Option<String>,
    #[serde(default)]
    properties: BTreeMap<String, toml::Value>,
}

/// What a property may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Property {
    /// A text, number or boolean.
    Plain,
    /// `file:PATH` or `env:NAME`.
    Secret,
}

/// The properties of the client that may be set: none of them loads a library, runs a command or reads a file by its path,
/// and none changes what exactly-once rests on.
const ALLOWED: [(&str, Property); 19] = [
    ("broker.address.family", Property::Plain),
    ("broker.address.ttl", Property::Plain),
    ("client.rack", Property::Plain),
    ("connections.max.idle.ms", Property::Plain),
    ("fetch.max.bytes", Property::Plain),
    ("fetch.message.max.bytes", Property::Plain),
    ("message.max.bytes", Property::Plain),
    ("metadata.max.age.ms", Property::Plain),
    ("reconnect.backoff.max.ms", Property::Plain),
    ("reconnect.backoff.ms", Property::Plain),
    ("sasl.mechanism", Property::Plain),
    ("sasl.password", Property::Secret),
    ("sasl.username", Property::Secret),
    ("security.protocol", Property::Plain),
    ("socket.connection.setup.timeout.ms", Property::Plain),
    ("socket.keepalive.enable", Property::Plain),
    ("socket.receive.buffer.bytes", Property::Plain),
    ("socket.send.buffer.bytes", Property::Plain),
    ("socket.timeout.ms", Property::Plain),
];

/// Checks the connection `name`; what is wrong goes to `errors`.
pub(super) fn check(name: &str, raw: Raw, base: &Path, errors: &mut Vec<String>) -> Connection {
    let key = format!("connections.{name}");
    if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-')) {
        errors.push(format!("{key}: found the name {name:?}, expected letters, digits, `_` and `-`"));
    }
    let brokers = raw.brokers.unwrap_or_default();
    if brokers.trim().is_empty() {
        errors.push(format!("{key}.brokers: missing, expected host:port, with commas between several"));
    }
    let mut properties = BTreeMap::new();
    for (property, value) in raw.properties {
        match read(&property, &value, base) {
            Ok(value) => drop(properties.insert(property, value)),
            Err(problem) => errors.push(format!("{key}.properties.\"{property}\": {problem}")),
        }
    }
    Connection { brokers, properties }
}

fn read(property: &str, value: &toml::Value, base: &Path) -> Result<Secret, String> {
    let Some((_, kind)) = ALLOWED.iter().find(|it| it.0 == property) else {
        let names: Vec<_> = ALLOWED.iter().map(|it| it.0).collect();
        return Err(format!("is not a property that may be set, expected one of {}", names.join(", ")));
    };
    match (kind, value) {
        (Property::Secret, toml::Value::String(reference)) => Secret::read(reference, base),
        (Property::Secret, _) => {
            Err("expected \"file:PATH\" or \"env:NAME\", which say where the value is kept".to_owned())
        }
        (Property::Plain, toml::Value::String(text)) => Ok(Secret::plain(text.clone())),
        (Property::Plain, toml::Value::Integer(it)) => Ok(Secret::plain(it.to_string())),
        (Property::Plain, toml::Value::Boolean(it)) => Ok(Secret::plain(it.to_string())),
        (Property::Plain, _) => Err("expected a text, an integer or a boolean".to_owned()),
    }
}
