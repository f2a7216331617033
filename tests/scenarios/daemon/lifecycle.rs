//! The daemon as a service: starting, one data directory, signals, reloading, and what it tells its supervisor.

use super::pipelines::{fraud, with_rules};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use wasmill_tests::daemon::{Daemon, LIMIT};
use wasmill_tests::folder::Folder;
use wasmill_tests::process::Signal;
use wasmill_tests::wait::until;

#[test]
fn a_second_daemon_on_the_same_data_is_told_who_holds_it() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(&folder);
    let pid = daemon.run().pid();
    let second = folder.wasmill(["serve", "--listen", "127.0.0.1:0", "--data-dir", "daemon"]).end();
    let (who, address) = (format!("process {pid}"), daemon.address().to_owned());
    second.expect_code(70).expect_error(&[&who, &address, "data_dir"]);
    daemon.stop();
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_all_that_is_wrong() {
    let folder = Folder::new();
    folder.write("wasmill.toml", "listen = \"x\"\n[log]\nformat = \"xml\"\n");
    let refused = folder.wasmill(["serve", "--config", "wasmill.toml"]).end().expect_code(78);
    refused.expect_error(&["listen: found \"x\"", "log.format: found \"xml\""]);
    let exposed = folder.wasmill(["serve", "--listen", "0.0.0.0:0"]).end().expect_code(78);
    exposed.expect_error(&["auth.tokens is not set", "--insecure"]);
}

#[test]
fn a_reload_is_checked_first_and_says_what_became_of_it() {
    let folder = Folder::new();
    folder.write("wasmill.toml", "[limits]\nupload_max = \"1MiB\"\n");
    let mut daemon = Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    let large = vec![0; 2 << 20];
    daemon.push("p", "1.0.0", &large).expect_problem(413, "too_large", &["1048576"]);
    folder.write("wasmill.toml", "[limits]\nupload_max = \"nothing\"\n");
    daemon.run().signal(Signal::Hangup);
    daemon.run().wait_for_log("not reloaded, the old configuration stays", LIMIT);
    daemon.push("p", "1.0.0", &large).expect_problem(413, "too_large", &["1048576"]);
    folder.write("wasmill.toml", "stop_within = \"1s\"\nfiles = [\"elsewhere\"]\n[limits]\nconnections_max = 7\n");
    daemon.run().signal(Signal::Hangup);
    daemon.run().wait_for_log("limits.connections_max can change only when the daemon is started again", LIMIT);
    folder.write("wasmill.toml", "[limits]\nupload_max = \"4MiB\"\n");
    daemon.run().signal(Signal::Hangup);
    daemon.run().wait_for_log("reloaded the configuration", LIMIT);
    daemon.push("p", "1.0.0", &large).expect_problem(422, "not_wasm", &[]);
    daemon.stop();
}

#[test]
fn the_supervisor_hears_that_the_daemon_is_ready_lives_reloads_and_stops() {
    let folder = Folder::new();
    let supervisor = UnixDatagram::bind(folder.path("notify")).expect("a socket");
    supervisor.set_read_timeout(Some(LIMIT)).expect("a time limit");
    let socket = folder.path("notify").display().to_string();
    let launch = folder.wasmill(["serve", "--listen", "127.0.0.1:0", "--data-dir", "daemon"]);
    let mut run = launch.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000").start();
    let hear = |what: &str| loop {
        let mut bytes = [0; 1024];
        let length = supervisor.recv(&mut bytes).unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.starts_with(what) {
            break text;
        }
    };
    assert!(hear("READY=1").contains("STATUS=0 plugin versions, 0 pipelines"));
    hear("WATCHDOG=1");
    run.signal(Signal::Hangup);
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    run.signal(Signal::Terminate);
    hear("STOPPING=1");
    run.wait(LIMIT).expect_code(0);
}

#[test]
fn a_graceful_end_commits_and_a_second_signal_aborts() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    daemon.apply("fraud", &fraud("fraud-rules@1.0.0", 0, 1_000_000, 1_000)).expect(201);
    until("output", LIMIT, || !folder.lines("daemon/files/alerts").is_empty());
    daemon.stop().expect_error(&["everything is committed"]);
    let mut daemon = Daemon::start(&folder);
    // Frozen it hears two signals at once.
    daemon.run().signal(Signal::Stop);
    daemon.run().signal(Signal::Interrupt);
    daemon.run().signal(Signal::Terminate);
    daemon.run().signal(Signal::Continue);
    let ended = daemon.run().wait(LIMIT);
    // It may have been done before it looked again.
    assert!(matches!(ended.code, Some(0 | 130)), "{}", ended.tails());
    let daemon = Daemon::start(&folder);
    daemon.wait_for("fraud", "running");
    daemon.stop();
}

#[test]
fn a_client_that_is_slow_or_many_hold_nobody_up() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder);
    let idle: Vec<_> =
        (0..200).map(|_| std::net::TcpStream::connect(daemon.address()).expect("a connection")).collect();
    let started = wasmill_tests::wait::Deadline::after(Duration::from_secs(10));
    daemon.get("/livez").expect(200);
    assert!(!started.is_over());
    drop(idle);
    daemon.stop();
}
