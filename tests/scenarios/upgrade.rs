//! Another version of a plugin while records flow: switched to at a barrier, each record by exactly one version, rolled back when it fails.
//!
//! The engine runs in this process, so that a test can ask for an upgrade as the daemon does.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use wasmill::config::{self, Pipeline};
use wasmill::pipeline::{self, Control, Following, PipelineError, Progress, RunOptions, Until, Upgrade};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse, text};
use wasmill_tests::kafka::{self, Broker, Isolation};
use wasmill_tests::settings;
use wasmill_tests::topic::Writer;
use wasmill_tests::wait::{Deadline, pause, until};

/// How long an upgrade may take to be settled on a busy machine.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 4;

/// A pipeline from one topic to another, and the thread that it runs on.
pub(crate) struct Running {
    control: Arc<Control>,
    engine: Option<JoinHandle<Result<(), PipelineError>>>,
    broker: &'static Broker,
    input: String,
    output: String,
}

impl Running {
    pub(crate) fn start(folder: &Folder, step: &str) -> Running {
        Running::start_with(folder, step, "100ms")
    }

    /// With an epoch of `interval`, which is how long a new version is on probation.
    fn start_with(folder: &Folder, step: &str, interval: &str) -> Running {
        let broker = kafka::shared();
        let (input, output) = (broker.topic("upgrade-in", PARTITIONS), broker.topic("upgrade-out", PARTITIONS));
        let address = broker.address();
        let file = folder.write(
            "pipeline.toml",
            format!(
                r#"
name = "{input}"
checkpoint_interval = "{interval}"
[sources.in]
connector = "kafka"
brokers = "{address}"
topic = "{input}"
event_time = {{ field = "at", idle_timeout = "1s" }}
[steps.rule]
from = "in"
{step}
[steps.plain]
from = "in"
select = {{ id = "id" }}
[sinks.out]
from = "rule"
connector = "kafka"
brokers = "{address}"
topic = "{output}"
"#
            ),
        );
        let pipeline = config::load(&file, &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let control = Control::new();
        let engine = run(pipeline, options(folder), &control);
        Running { control, engine: Some(engine), broker, input, output }
    }

    pub(crate) fn writer(&self) -> Writer {
        Writer::new(self.broker, &self.input)
    }

    /// Records `ids`, with a user each, into the partition of the user.
    pub(crate) fn record(id: u64) -> wasmill_tests::topic::Record {
        let user = id % 50;
        let value = json!({
            "id": id as i64 + 1, "at": 1_000_000 + id as i64, "user": format!("u-{user}"), "customer_id": format!("u-{user}"),
            "transaction_id": id.to_string(), "amount": 12_000.5, "timestamp": "2026-01-01T00:00:00Z",
        });
        ((user % PARTITIONS as u64) as i32, Some(user.to_string().into_bytes()), Some(value.to_string().into_bytes()))
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    pub(crate) fn upgrade(&self, plugin: &str, config: &Value) -> Result<Following, PipelineError> {
        let (plugin, config) = (settings::plugin(plugin), Some(config.to_string()));
        self.control.upgrade(&Upgrade { step: "rule".to_owned(), plugin, config })
    }

    /// Upgrades and waits until that is settled: what was told, in order.
    pub(crate) fn settled(&self, plugin: &str, config: &Value) -> Vec<Progress> {
        let following = self.upgrade(plugin, config).unwrap_or_else(|error| panic!("{error}"));
        let mut told = Vec::new();
        loop {
            match following.recv_timeout(SETTLED_LIMIT) {
                Ok(progress @ Progress::Switched { .. }) => told.push(progress),
                Ok(last) => {
                    told.push(last);
                    return told;
                }
                Err(error) => panic!("{error} after {told:?}"),
            }
        }
    }

    pub(crate) fn wait_for(&self, records: u64) {
        until("all records are read", SETTLED_LIMIT, || self.control.progress().records_in >= records);
    }

    /// Stops gracefully, and answers all committed output.
    pub(crate) fn end(mut self) -> Vec<Value> {
        self.control.stop();
        let engine = self.engine.take().expect("it runs");
        engine.join().expect("the engine does not panic").unwrap_or_else(|error| panic!("{error}"));
        self.broker.read(&self.output, Isolation::Committed).iter().map(|it| parse(it.text())).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.abort();
        if let Some(engine) = self.engine.take() {
            let _ = engine.join(); // The test has failed already.
        }
    }
}

fn options(folder: &Folder) -> RunOptions {
    RunOptions {
        until: Until::Forever,
        data_dir: folder.path("data"),
        cache_dir: folder.path("data/cache"),
        workers: 2,
        allow_missing_state: false,
        discard_state: false,
        anew_without_state: false,
        undecided: None,
    }
}

fn run(pipeline: Pipeline, options: RunOptions, control: &Arc<Control>) -> JoinHandle<Result<(), PipelineError>> {
    let control = Arc::clone(control);
    let run = move || pipeline::run(pipeline, options, control).map(|_| ());
    std::thread::Builder::new().name("engine".to_owned()).spawn(run).expect("a thread")
}

fn plugin(name: &str) -> PathBuf {
    settings::plugin(name)
}

/// One alert or two for each record, by configuration.
fn alerts(two: bool) -> Value {
    json!({"max_amount": 10, "max_count": if two { -1 } else { 5 }})
}

#[test]
fn records_flow_through_upgrades_and_each_is_of_exactly_one_version() {
    const RECORDS: u64 = 60_000;
    let folder = Folder::new();
    let step = format!("plugin = {:?}\nconfig = {{ max_amount = 10, max_count = 5 }}", plugin("fraud-rules"));
    let running = Running::start(&folder, &step);
    let writer = running.writer();
    writer.send((0..1_000).map(Running::record));
    running.wait_for(1_000);
    let mut longest = Vec::new();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for first in (1_000..RECORDS).step_by(500) {
                writer.send((first..first + 500).map(Running::record));
                pause(Duration::from_millis(50));
            }
        });
        let mut two = false;
        while !writing.is_finished() {
            two = !two;
            let told = running.settled("fraud-rules", &alerts(two));
            let [Progress::Switched { switch_ms, epoch }, Progress::Accepted { epoch: probation }] = told[..] else {
                panic!("{told:?}");
            };
            assert_eq!(probation, epoch + 1, "the epoch after the barrier is the one on probation");
            longest.push(switch_ms);
        }
    });
    running.wait_for(RECORDS);
    let output = running.end();
    longest.sort_unstable();
    println!("{} upgrades, the barrier took {} ms at most", longest.len(), longest[longest.len() - 1]);
    assert!(longest.len() >= 10, "only {} upgrades", longest.len());

    let mut ids: Vec<u64> = output.iter().map(|it| text(it, "transaction_id").parse().expect("a number")).collect();
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(0..RECORDS), "{} records out of {RECORDS}", ids.len());
    let two = output.iter().filter(|it| it["alerts"].as_array().is_some_and(|it| it.len() == 2)).count();
    assert!(two > 1_000 && output.len() - two > 1_000, "both versions had their share: {two} of {}", output.len());
}

/// The counts of each key are 1, 2, 3, ..: no record is lost or counted twice, and state passes from version to version.
pub(crate) fn counts_are_whole(output: &[Value], records: u64) {
    assert_eq!(output.len() as u64, records);
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for row in output {
        *counts.entry(int(row, "count")).or_default() += 1;
    }
    let each = records / 50;
    assert!(counts.iter().map(|(count, keys)| (*count, *keys)).eq((1..=each as i64).map(|it| (it, 50))), "{counts:?}");
}

pub(crate) fn counting() -> String {
    format!("plugin = {:?}\nkey = \"user\"", plugin("misbehaving-keyed"))
}

#[test]
fn state_goes_on_under_the_new_version() {
    let folder = Folder::new();
    let running = Running::start(&folder, &counting());
    let writer = running.writer();
    for round in 0..4_u64 {
        writer.send((round * 5_000..(round + 1) * 5_000).map(Running::record));
        running.wait_for(round * 5_000 + 100);
        let told = running.settled("misbehaving-keyed", &json!({"trap_every": 1_000_000 + round}));
        assert!(matches!(told[..], [Progress::Switched { .. }, Progress::Accepted { .. }]), "{told:?}");
    }
    running.wait_for(20_000);
    counts_are_whole(&running.end(), 20_000);
}

#[test]
fn a_version_that_fails_is_rolled_back_with_its_reason_and_costs_nothing() {
    let folder = Folder::new();
    // Long enough for the records to come in the epoch on probation, however slow the machine is.
    let running = Running::start_with(&folder, &counting(), "5s");
    let writer = running.writer();
    writer.send((0..5_000).map(Running::record));
    running.wait_for(5_000);
    let following = running.upgrade("misbehaving-keyed", &json!({"trap_every": 1})).unwrap();
    // The pipeline is idle: the switch needs no record, the fault does.
    let switched = following.recv_timeout(SETTLED_LIMIT);
    assert!(matches!(switched, Ok(Progress::Switched { .. })), "{switched:?}");
    writer.send((5_000..10_000).map(Running::record));
    match following.recv_timeout(SETTLED_LIMIT) {
        Ok(Progress::RolledBack { reason }) => {
            assert!(reason.starts_with("step `rule`: ") && reason.contains("trapped"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let told = running.settled("misbehaving-keyed", &json!({}));
    assert!(matches!(told[..], [Progress::Switched { .. }, Progress::Accepted { .. }]), "{told:?}");
    until("all is written", SETTLED_LIMIT, || running.control.progress().records_out >= 10_000);
    counts_are_whole(&running.end(), 10_000);
}

#[test]
fn a_version_with_other_fields_changes_the_pipeline_around_it() {
    let folder = Folder::new();
    let step = format!("plugin = {:?}\nconfig = {{ max_amount = 10, max_count = 5 }}", plugin("fraud-rules"));
    let running = Running::start(&folder, &step);
    let writer = running.writer();
    writer.send((0..1_000).map(Running::record));
    running.wait_for(1_000);
    let told = running.settled("echo", &json!({}));
    assert!(matches!(told[..], [Progress::Switched { .. }, Progress::Accepted { .. }]), "{told:?}");
    writer.send((1_000..2_000).map(Running::record));
    until("all is written", SETTLED_LIMIT, || running.control.progress().records_out >= 2_000);
    let output = running.end();
    let alerts = output.iter().filter(|it| it.get("alerts").is_some()).count();
    assert_eq!((output.len(), alerts), (2_000, 1_000));
}

/// A pipeline of made-up transactions through the fraud rule, which ends by itself.
fn bounded(folder: &Folder, count: u64) -> Pipeline {
    let file = folder.write(
        "bounded.toml",
        format!(
            r#"
name = "bounded"
checkpoint_interval = "100ms"
[sources.in]
connector = "generator"
kind = "transactions"
count = {count}
[steps.rule]
from = "in"
plugin = {:?}
config = {{ max_amount = 10, max_count = 5 }}
[sinks.out]
from = "rule"
connector = "file"
path = "out"
"#,
            plugin("fraud-rules")
        ),
    );
    config::load(&file, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn of_two_alerts() -> Upgrade {
    Upgrade { step: "rule".to_owned(), plugin: plugin("fraud-rules"), config: Some(alerts(true).to_string()) }
}

#[test]
fn an_upgrade_is_settled_though_the_pipeline_that_decided_on_it_has_ended() {
    let folder = Folder::new();
    let control = Control::new();
    let options = RunOptions { undecided: Some(of_two_alerts()), ..options(&folder) };
    let pipeline = bounded(&folder, 10);
    assert!(control.settled_pipeline().is_none());
    run(pipeline.clone(), options, &control).join().expect("no panic").unwrap_or_else(|error| panic!("{error}"));
    // Nothing was committed by the new version, so that the one before it ran.
    assert_eq!(control.settled_pipeline().expect("it is settled").steps, pipeline.steps);
}

#[test]
fn an_upgrade_that_the_end_of_the_pipeline_overtakes_is_rolled_back() {
    let folder = Folder::new();
    let control = Control::new();
    control.pause();
    let pipeline = bounded(&folder, 10);
    let engine = run(pipeline.clone(), options(&folder), &control);
    until("the pipeline runs", SETTLED_LIMIT, || control.settled_pipeline().is_some());
    let (prepared, following) = control.prepare_upgrade(&of_two_alerts()).unwrap_or_else(|error| panic!("{error}"));
    // The engine does not begin an upgrade once it is to end.
    control.stop();
    let begun = control.begin_upgrade(prepared);
    engine.join().expect("no panic").unwrap_or_else(|error| panic!("{error}"));
    let told: Vec<Progress> = following.iter().collect();
    match begun {
        Ok(()) => {
            let reason = "the pipeline ended before the version took over".to_owned();
            assert_eq!(told, [Progress::RolledBack { reason }]);
        }
        Err(error) => assert!(error.to_string().contains("another upgrade is under way"), "{error}: {told:?}"),
    }
    assert_eq!(control.settled_pipeline().expect("it is settled").steps, pipeline.steps);
    // It was paused from the start.
    assert_eq!(control.progress().records_in, 0);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_changes() {
    let folder = Folder::new();
    let running = Running::start(&folder, &counting());
    let deadline = Deadline::after(SETTLED_LIMIT);
    let refused = |step: &str, plugin: PathBuf, config: &str| loop {
        let upgrade = Upgrade { step: step.to_owned(), plugin: plugin.clone(), config: Some(config.to_owned()) };
        match running.control.upgrade(&upgrade) {
            // Only until the pipeline has begun.
            Err(error) if error.to_string().contains("does not run yet") && !deadline.is_over() => {
                pause(Duration::from_millis(10));
            }
            Err(error) => return error.to_string(),
            Ok(_) => panic!("{step} {} was taken", plugin.display()),
        }
    };
    let error = refused("rules", plugin("echo"), "{}");
    assert_eq!(error, "step `rules`: there is no such step: the pipeline has `rule`, `plain`");
    let error = refused("plain", plugin("echo"), "{}");
    assert_eq!(error, "step `plain`: it runs no plugin, so there is none to replace");
    let error = refused("rule", plugin("echo"), "{}");
    assert_eq!(error, "step `rule`: it runs a keyed plugin, and the new one is of the kind transform");
    let error = refused("rule", plugin("velocity"), "{}");
    assert!(
        error.contains("its state is of version 2, the new plugin's is 1: the new plugin exports no migration"),
        "{error}"
    );
    let error = refused("rule", folder.path("none.wasm"), "{}");
    assert!(error.contains("none.wasm"), "{error}");
    let error = refused("rule", plugin("misbehaving-keyed"), "{\"trap\":1}");
    assert!(error.contains("unknown field `trap`"), "{error}");

    running.writer().send((0..500).map(Running::record));
    until("all is written", SETTLED_LIMIT, || running.control.progress().records_out >= 500);
    counts_are_whole(&running.end(), 500);
}
