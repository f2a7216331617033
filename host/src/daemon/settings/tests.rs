use super::*;
use expect_test::expect;

fn check(text: &str) -> Result<Settings, SettingsError> {
    document::check(text, Path::new("/etc/wasmill"), "wasmill.toml", &Overrides::default())
}

#[test]
fn no_key_is_needed() {
    let settings = check("").unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7878");
    assert_eq!(settings.data_dir, Path::new("/etc/wasmill/wasmill-data"));
    assert_eq!(settings.files, [Path::new("/etc/wasmill/wasmill-data/files")]);
    assert_eq!(settings.limits.upload_bytes_max, 128 << 20);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = r#"
listen = "here"
stop_within = "soon"
[log]
format = "xml"
[limits]
upload_max = "1GiB"
workers = 0
[connections.main]
properties = { "ssl.ca.location" = "/etc/passwd", "sasl.password" = "hunter2", "sasl.username" = "env:NOBODY_SETS_THIS" }
"#;
    expect![[r#"
        wasmill.toml: listen: found "here", expected an address and a port such as "127.0.0.1:7878"
        wasmill.toml: log.format: found "xml", expected "text" or "json"
        wasmill.toml: stop_within: found "soon", expected a duration: a whole number and a unit (ms, s, m, h, d) such as "5s"
        wasmill.toml: limits.upload_max: found 1073741824 bytes, expected at most 128MiB
        wasmill.toml: limits.workers: found 0, expected at least 1
        wasmill.toml: connections.main.brokers: missing, expected host:port, with commas between several
        wasmill.toml: connections.main.properties."sasl.password": found a value that is written out, expected "file:PATH" or "env:NAME", which say where the value is kept
        wasmill.toml: connections.main.properties."sasl.username": the environment has no variable NOBODY_SETS_THIS, or an empty one
        wasmill.toml: connections.main.properties."ssl.ca.location": is not a property that may be set, expected one of broker.address.family, broker.address.ttl, client.rack, connections.max.idle.ms, fetch.max.bytes, fetch.message.max.bytes, message.max.bytes, metadata.max.age.ms, reconnect.backoff.max.ms, reconnect.backoff.ms, sasl.mechanism, sasl.password, sasl.username, security.protocol, socket.connection.setup.timeout.ms, socket.keepalive.enable, socket.receive.buffer.bytes, socket.send.buffer.bytes, socket.timeout.ms"#]]
    .assert_eq(&check(text).unwrap_err().to_string());
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let error = check("listem = \"127.0.0.1:1\"").unwrap_err().to_string();
    assert!(error.contains("unknown field `listem`") && error.contains("line 1"), "{error}");
}

#[test]
fn a_secret_is_read_from_its_file_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("password"), "hunter2\n").unwrap();
    let text = "[connections.main]\nbrokers = \"kafka:9092\"\nproperties = { \"sasl.password\" = \"file:password\" }";
    let settings = document::check(text, dir.path(), "wasmill.toml", &Overrides::default()).unwrap();
    assert_eq!(settings.connections["main"].properties["sasl.password"].reveal(), "hunter2");
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn what_a_running_daemon_cannot_change_is_named() {
    let (old, new) = (check("").unwrap(), check("listen = \"127.0.0.1:1\"\n[limits]\nworkers = 1").unwrap());
    assert_eq!(old.fixed_differences(&new), ["listen"]);
}
