//! What a pipeline that is deployed to a daemon may name beside its own file: plugins of a catalog, and connections.

use super::document::{Entry, Node, Table, Value};
use super::errors::Errors;
use super::model::{ClientProperties, KafkaOptions, Pipeline, SinkConnector, SourceConnector};
use std::path::PathBuf;

/// The file of a plugin that a reference names, or what is wrong with the reference.
pub type Catalog<'a> = dyn Fn(&str) -> Result<PathBuf, String> + 'a;

/// The brokers of a connection and the properties of its clients, or what is wrong with its name.
pub type Connections<'a> = dyn Fn(&str) -> Result<(String, ClientProperties), String> + 'a;

/// What a daemon knows.
pub struct Deployment<'a> {
    /// Plugins. Files are not known.
    pub catalog: &'a Catalog<'a>,
    /// Kafka clusters.
    pub connections: &'a Connections<'a>,
}

/// The connections of a file, by the table that names one.
pub(super) struct Connected(Vec<((String, String), ClientProperties)>);

/// Puts brokers in the place of every `connection` of the file.
pub(super) fn connect(root: &mut Table, connections: &Connections<'_>, errors: &mut Errors) -> Connected {
    let mut connected = Vec::new();
    for entry in &mut root.entries {
        let (group, Value::Table(table)) = (entry.name.clone(), &mut entry.node.value) else { continue };
        match group.as_str() {
            "dead_letters" => {
                let properties = connect_one(table, &group, connections, errors);
                connected.extend(properties.map(|it| ((group, String::new()), it)));
            }
            "sources" | "sinks" => {
                for inner in &mut table.entries {
                    let Value::Table(table) = &mut inner.node.value else { continue };
                    let properties = connect_one(table, &format!("{group}.{}", inner.name), connections, errors);
                    connected.extend(properties.map(|it| ((group.clone(), inner.name.clone()), it)));
                }
            }
            _ => {}
        }
    }
    Connected(connected)
}

fn connect_one(
    table: &mut Table,
    path: &str,
    connections: &Connections<'_>,
    errors: &mut Errors,
) -> Option<ClientProperties> {
    let both = table.get("brokers").is_some();
    let Entry { name, at, node } = table.entries.iter_mut().find(|it| it.name == "connection")?;
    let key = format!("{path}.connection");
    // Whatever is wrong with it is said here, and not once more as missing brokers.
    name.replace_range(.., "brokers");
    let found = match &node.value {
        Value::Text(_) if both => Err("found it beside `brokers`, expected one of the two; drop one".to_owned()),
        Value::Text(name) => connections(name),
        _ => Err(format!("found {}, expected the name of a connection of the daemon", node.shown())),
    };
    let (brokers, properties) = match found {
        Ok(found) => found,
        Err(problem) => {
            errors.push(at, key, problem);
            ("localhost".to_owned(), ClientProperties::default())
        }
    };
    *node = Node { value: Value::Text(brokers), at: node.at.clone() };
    Some(properties)
}

impl Connected {
    /// Gives the connectors of `pipeline` the properties of their connections.
    pub(super) fn apply(self, pipeline: &mut Pipeline) {
        for ((group, name), properties) in self.0 {
            let options: Option<&mut KafkaOptions> = if group == "sources" {
                let source = pipeline.sources.iter_mut().find(|it| it.name == name);
                source.and_then(|it| match &mut it.connector {
                    SourceConnector::Kafka(options) => Some(options),
                    SourceConnector::File { .. } | SourceConnector::Generator { .. } => None,
                })
            } else {
                let letters = group == "dead_letters";
                let sinks = pipeline.sinks.iter_mut().filter(|it| !letters && it.name == name);
                let mut all = sinks.chain(pipeline.dead_letters.iter_mut().filter(|_| letters));
                all.next().and_then(|it| match &mut it.connector {
                    SinkConnector::Kafka(options) => Some(options),
                    SinkConnector::File { .. } | SinkConnector::Stdout => None,
                })
            };
            if let Some(options) = options {
                options.properties = properties;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<Pipeline, String> {
        let connections = |name: &str| match name {
            "main" => Ok(("kafka:9092".to_owned(), ClientProperties(vec![("sasl.password".into(), "hunter2".into())]))),
            _ => Err(format!("found {name:?}, expected `main`")),
        };
        let deployment = Deployment { catalog: &|_| Ok(PathBuf::new()), connections: &connections };
        crate::config::parse_deployment(text, "p", Path::new(""), &deployment).map_err(|it| it.to_string())
    }

    #[test]
    fn a_connection_stands_for_its_brokers_and_its_properties_are_not_shown() {
        let text = "name = \"p\"\n[sources.in]\nconnector = \"kafka\"\ntopic = \"a\"\nconnection = \"main\"\n[sinks.out]\nfrom = \"in\"\n\
                    connector = \"kafka\"\ntopic = \"b\"\nconnection = \"main\"\n";
        let pipeline = parse(text).unwrap();
        let (SourceConnector::Kafka(source), SinkConnector::Kafka(sink)) =
            (&pipeline.sources[0].connector, &pipeline.sinks[0].connector)
        else {
            panic!("{pipeline:?}")
        };
        assert_eq!((source.brokers.as_str(), &source.properties), ("kafka:9092", &sink.properties));
        assert_eq!(sink.properties.0[0].1, "hunter2");
        assert!(!format!("{pipeline:?}").contains("hunter2"));
    }

    #[test]
    fn a_connection_that_is_not_known_or_not_alone_is_refused_once() {
        let text = "name = \"p\"\n[sources.in]\nconnector = \"kafka\"\ntopic = \"a\"\nconnection = \"other\"\n[sinks.out]\nfrom = \"in\"\n\
                    connector = \"kafka\"\ntopic = \"b\"\nbrokers = \"b\"\nconnection = \"main\"\n";
        expect_test::expect![[r#"
            p:5:1: sources.in.connection: found "other", expected `main`
            p:11:1: sinks.out.connection: found it beside `brokers`, expected one of the two; drop one"#]]
        .assert_eq(&parse(text).unwrap_err());
    }
}
