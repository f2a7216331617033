//! Who may do what: tokens, scopes, TLS, and the audit log.

use wasmill_tests::daemon::{Daemon, LIMIT};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::parse;
use wasmill_tests::process::{Ended, Signal};
use wasmill_tests::settings;

/// A file with the token `reader` of Ann, `operator` of Bob and `deployer` of CI.
fn tokens() -> String {
    use std::process::{Command, Stdio};
    let hash = |text: &str| {
        let mut child =
            Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), text.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends").stdout;
        String::from_utf8_lossy(&output).split_whitespace().next().unwrap_or_default().to_owned()
    };
    let (ann, bob, ci) = (hash("reader"), hash("operator"), hash("deployer"));
    format!("# who may what\nann read {ann}\nbob operate {bob}\nci deploy {ci}\n")
}

fn ask(folder: &Folder, url: &str, token: Option<&str>, arguments: &[&str]) -> Ended {
    let launch = folder.wasmill(arguments).env("WASMILL_SERVER", url);
    match token {
        Some(token) => launch.env("WASMILL_TOKEN", token).end(),
        None => launch.end(),
    }
}

#[test]
fn a_token_allows_what_its_scope_says_and_every_change_is_written_down() {
    let folder = Folder::new();
    folder.write("tokens", tokens());
    folder.write("wasmill.toml", "[auth]\ntokens = \"tokens\"\n");
    let mut daemon = Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    let url = daemon.url();
    daemon.get("/livez").expect(200);
    daemon.get("/readyz").expect(200);
    daemon.get("/metrics").expect_problem(401, "unauthorized", &["Bearer"]);
    let file = settings::plugin("fraud-rules").display().to_string();
    let push = ["plugin", "push", &file, "--as", "p@1.0.0"];
    ask(&folder, &url, None, &push).expect_code(78).expect_error(&["(unauthorized)", "WASMILL_TOKEN"]);
    ask(&folder, &url, Some("guess"), &push).expect_code(78).expect_error(&["(unauthorized)"]);
    ask(&folder, &url, Some("reader"), &["plugin", "list"]).expect_code(0);
    ask(&folder, &url, Some("reader"), &push).expect_code(78).expect_error(&["`ann`", "`deploy`", "(forbidden)"]);
    ask(&folder, &url, Some("deployer"), &push).expect_code(0);
    let shown = ask(&folder, &url, Some("reader"), &["plugin", "show", "p@1.0.0", "-o", "json"]).expect_code(0);
    assert_eq!(parse(&shown.stdout)["pushed_by"], "ci");
    // What changes which code runs is for who deploys; what only goes on with it is not.
    let rollback = ask(&folder, &url, Some("operator"), &["pipeline", "rollback", "nobody"]).expect_code(78);
    rollback.expect_error(&["`bob`", "`deploy`", "(forbidden)"]);
    let replay = ask(&folder, &url, Some("operator"), &["dead-letters", "replay", "nobody"]).expect_code(78);
    replay.expect_error(&["(no_such_pipeline)"]);

    let audit = std::fs::read_to_string(folder.path("daemon/audit.jsonl")).expect("an audit log");
    let told: Vec<_> = audit.lines().map(parse).map(|it| (it["who"].clone(), it["status"].clone())).collect();
    let expected = [("127.0.0.1", 401), ("127.0.0.1", 401), ("ann", 403), ("ci", 201), ("bob", 403), ("bob", 404)];
    assert_eq!(told, expected.map(|(who, status)| (who.into(), status.into())));
    assert!(!daemon.log().contains("deployer") && !audit.contains("deployer"), "a token was written down");

    // A token that is taken away is taken away at once.
    folder.write("tokens", tokens().lines().filter(|it| !it.starts_with("ci")).collect::<Vec<_>>().join("\n"));
    daemon.run().signal(Signal::Hangup);
    daemon.run().wait_for_log("reloaded the configuration", LIMIT);
    ask(&folder, &url, Some("deployer"), &push).expect_code(78).expect_error(&["(unauthorized)"]);
    daemon.stop();
}

#[test]
fn an_address_of_other_machines_needs_tokens_and_tls() {
    let folder = Folder::new();
    folder.write("tokens", tokens());
    folder.write("wasmill.toml", "listen = \"0.0.0.0:0\"\n[auth]\ntokens = \"tokens\"\n");
    let refused = folder.wasmill(["serve", "--config", "wasmill.toml", "--data-dir", "daemon"]).end();
    refused.expect_code(78).expect_error(&["tls is not set", "--insecure"]);
    folder.write("wasmill.toml", "[tls]\ncertificate = \"nowhere.pem\"\nkey = \"nowhere.pem\"\n");
    let refused = folder.wasmill(["serve", "--config", "wasmill.toml", "--data-dir", "daemon"]).end();
    refused.expect_code(78).expect_error(&["tls: ", "nowhere.pem"]);

    let golden = settings::repository().join("tests/golden/tls");
    let (certificate, key) = (golden.join("certificate.pem"), golden.join("key.pem"));
    let tls = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", certificate.display(), key.display());
    folder.write("wasmill.toml", format!("{tls}[auth]\ntokens = \"tokens\"\n"));
    let daemon = Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    let url = daemon.url().replace("http:", "https:");
    let certificate = certificate.display().to_string();
    ask(&folder, &url, Some("reader"), &["plugin", "list", "--ca", &certificate]).expect_code(0);
    let doubted = ask(&folder, &url, Some("reader"), &["plugin", "list", "--ca", &key.display().to_string()]);
    doubted.expect_code(78).expect_error(&["has no certificate"]);
    assert!(
        !ask(&folder, &daemon.url(), Some("reader"), &["plugin", "list"]).stderr.is_empty(),
        "plain HTTP was answered"
    );
    daemon.stop();
}

#[test]
fn without_tokens_a_page_of_another_site_cannot_ask_through_a_browser() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let own = daemon.address().to_owned();
    let ask = |host: &str, headers: &str| {
        daemon.raw(
            format!("POST /api/v1/pipelines/p/stop HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n")
                .as_bytes(),
        )
    };
    for refused in [ask(&own, "Origin: https://example.com\r\n"), ask("example.com", "")] {
        assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("foreign_origin"), "{refused}");
    }
    for heard in [ask(&own, ""), ask(&own, &format!("Origin: http://{own}\r\n"))] {
        assert!(heard.starts_with("HTTP/1.1 404") && heard.contains("no_such_pipeline"), "{heard}");
    }
    daemon.stop();
}
