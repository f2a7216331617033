//! The daemon killed and started again: everything comes back by itself, and every record counts once.

use super::pipelines::{fraud, with_rules};
use std::collections::HashSet;
use std::time::Duration;
use wasmill_tests::compare::same_records;
use wasmill_tests::daemon::{Daemon, LIMIT, pipeline};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::parse;
use wasmill_tests::kafka::{self, Isolation};
use wasmill_tests::process::Signal;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::topic::Writer;
use wasmill_tests::wait::{pause, until};

#[test]
fn after_every_kill_pipelines_come_back_and_each_record_counts_once() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("daemon killed"));
    let daemon = with_rules(&folder);
    let definition = fraud("fraud-rules@latest", 0, 12_000, 4_000);
    daemon.apply("fraud", &definition).expect(201);
    let mut daemon = Some(daemon);
    for _ in 0..5 {
        let lines = folder.lines("daemon/files/alerts").len();
        until("output", LIMIT, || folder.lines("daemon/files/alerts").len() > lines || lines == 12_000);
        pause(Duration::from_millis(random.within(0..200)));
        daemon.take().expect("a daemon").kill();
        daemon = Some(Daemon::start(&folder));
    }
    let daemon = daemon.expect("a daemon");
    daemon.wait_for("fraud", "completed");
    daemon.stop();

    // An undisturbed run of the same records is what must come out.
    let whole = Folder::new();
    let daemon = with_rules(&whole);
    daemon.apply("fraud", &fraud("fraud-rules@latest", 0, 12_000, 1_000_000)).expect(201);
    daemon.wait_for("fraud", "completed");
    daemon.stop();
    let (found, expected) = (folder.records("daemon/files/alerts"), whole.records("daemon/files/alerts"));
    assert_eq!(expected.len(), 12_000);
    same_records("killed and gone on", &found, &expected);
}

#[test]
fn killed_at_any_step_of_a_deployment_the_old_or_the_new_one_runs_and_nothing_between() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    let old = fraud("fraud-rules@1.0.0", 10, 1_000_000, 1_000);
    let new = fraud("fraud-rules@1.0.0", 20, 1_000_000, 1_000);
    daemon.apply("fraud", &old).expect(201);
    daemon.stop();
    for (point, changed) in
        [("deploy.before-record", false), ("deploy.after-record", true), ("deploy.before-start", true)]
    {
        let mut daemon = Daemon::start_with(&folder, &[], Some(point));
        daemon.wait_for("fraud", "running");
        let answer = daemon.try_ask("PUT", &pipeline("fraud"), "application/toml", new.as_bytes());
        assert!(answer.is_none(), "{point}: {answer:?}");
        assert!(daemon.run().wait(LIMIT).was_killed(), "it did not die at {point}");
        let daemon = Daemon::start(&folder);
        let status = daemon.wait_for("fraud", "running");
        let definition = status["definition"].as_str();
        assert_eq!(definition, Some(if changed { new.as_str() } else { old.as_str() }), "{point}");
        daemon.apply("fraud", &old).expect(200);
        daemon.stop();
    }
}

#[test]
fn what_was_paused_or_stopped_stays_so_over_a_restart() {
    let folder = Folder::new();
    let daemon = with_rules(&folder);
    daemon.apply("fraud", &fraud("fraud-rules@1.0.0", 0, 1_000_000, 100)).expect(201);
    daemon.post("/api/v1/pipelines/fraud/pause").expect(200);
    daemon.kill();
    let daemon = Daemon::start(&folder);
    daemon.wait_for("fraud", "paused");
    daemon.post("/api/v1/pipelines/fraud/stop").expect(200);
    daemon.kill();
    let daemon = Daemon::start(&folder);
    assert_eq!(daemon.show("fraud")["state"], "stopped");
    daemon.stop();
}

#[test]
fn from_kafka_to_kafka_each_record_counts_once_whenever_the_daemon_dies() {
    let folder = Folder::new();
    let broker = kafka::shared();
    let mut random = Random::new(settings::seed("daemon and kafka"));
    let (input, output) = (broker.topic("daemon-in", 2), broker.topic("daemon-out", 2));
    let name = kafka::unique("through");
    let definition = format!(
        r#"
name = "{name}"
checkpoint_interval = "50ms"
[sources.in]
connector = "kafka"
connection = "main"
topic = "{input}"
[sinks.out]
from = "in"
connector = "kafka"
connection = "main"
topic = "{output}"
"#
    );
    let settings = format!(
        "[connections.main]\nbrokers = \"{}\"\nproperties = {{ \"socket.keepalive.enable\" = true }}\n",
        broker.address()
    );
    folder.write("wasmill.toml", settings);
    let start = || Daemon::start_with(&folder, &["--config", "wasmill.toml"], None);
    let writer = Writer::new(broker, &input);
    let record = |id: u32| (id as i32 % 2, None, Some(format!("{{\"id\":{id}}}").into_bytes()));
    let daemon = start();
    daemon.apply(&name, &definition).expect(201);
    let mut daemon = Some(daemon);
    let mut sent = 0;
    for kill in 0..4 {
        writer.send((sent..sent + 500).map(record));
        sent += 500;
        pause(Duration::from_millis(random.within(0..600)));
        let mut dying = daemon.take().expect("a daemon");
        if kill % 2 == 0 {
            dying.kill();
        } else {
            dying.run().signal(Signal::Terminate);
            dying.run().wait(LIMIT).expect_code(0);
        }
        daemon = Some(start());
    }
    writer.send((sent..sent + 500).map(record));
    sent += 500;
    let committed = || broker.read(&output, Isolation::Committed).len();
    until("all output", LIMIT, || committed() >= sent as usize);
    daemon.expect("a daemon").stop();
    let found = broker.read(&output, Isolation::Committed);
    let ids: HashSet<_> = found.iter().map(|it| parse(it.text())["id"].as_u64()).collect();
    assert_eq!((found.len(), ids.len()), (sent as usize, sent as usize));
}
