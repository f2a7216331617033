//! How long things take: from `wasmill serve` to the first alert, and a pipeline's latency while the interface is flooded.

use super::pipelines::{fraud, with_rules};
use super::upgrades::component;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use wasmill_tests::components::with_note;
use wasmill_tests::daemon::{Daemon, LIMIT, ask_at, plugin};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse};
use wasmill_tests::kafka;
use wasmill_tests::topic::{Watch, Writer};
use wasmill_tests::wait::{Deadline, now_ms, pause, until};

/// From the start of the process to the first committed alert.
const FIRST_ALERT_MAX: Duration = Duration::from_secs(2);
/// Uploads at once.
const UPLOADS: usize = 100;
/// How many times as long a record may take meanwhile, at p99.
const SLOWER_MAX: u64 = 2;

#[test]
fn from_serve_to_the_first_alert_it_takes_less_than_two_seconds_with_a_warm_cache() {
    let folder = Folder::alone();
    let daemon = with_rules(&folder);
    daemon.apply("fraud", &fraud("fraud-rules@1.0.0", 0, 10_000_000, 1_000)).expect(201);
    let lines = || folder.lines("daemon/files/alerts").len();
    until("an alert", LIMIT, || lines() > 0);
    daemon.stop();
    let before = lines();
    let started = Deadline::after(LIMIT);
    let daemon = Daemon::start(&folder);
    until("an alert", LIMIT, || lines() > before);
    let took = started.elapsed();
    println!("from serve to the first alert: {} ms", took.as_millis());
    daemon.stop();
    assert!(took < FIRST_ALERT_MAX, "{took:?}");
}

/// The latencies of the records that come within `time`, ms, sorted.
fn latencies(watch: &Watch, time: Duration) -> Vec<u64> {
    let deadline = Deadline::after(time);
    let mut found = Vec::new();
    while !deadline.is_over() {
        if let Some(text) = watch.next(Duration::from_millis(100)) {
            found.push(now_ms().saturating_sub(int(&parse(&text), "sent") as u64));
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn a_hundred_uploads_at_once_leave_a_pipelines_latency_alone() {
    let (folder, broker) = (Folder::alone(), kafka::shared());
    let (input, output) = (broker.topic("pace-in", 2), broker.topic("pace-out", 2));
    let name = kafka::unique("pace");
    let daemon = Daemon::start(&folder);
    let rules = component("fraud-rules");
    let brokers = broker.address();
    let definition = format!(
        r#"
name = "{name}"
checkpoint_interval = "100ms"
[sources.in]
connector = "kafka"
brokers = "{brokers}"
topic = "{input}"
[sinks.out]
from = "in"
connector = "kafka"
brokers = "{brokers}"
topic = "{output}"
"#
    );
    daemon.apply(&name, &definition).expect(201);
    daemon.wait_for(&name, "running");
    let watch = Watch::new(broker, &output);
    watch.follow();
    let (writer, done) = (Writer::new(broker, &input), AtomicBool::new(false));
    let p99 = |sorted: &[u64]| sorted[sorted.len() * 99 / 100];
    let (quiet, flooded) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                writer.post((0..20).map(|it| (it % 2, None, Some(json!({"sent": now_ms()}).to_string().into_bytes()))));
                pause(Duration::from_millis(20));
            }
        });
        until("records come", LIMIT, || watch.next(Duration::from_millis(100)).is_some());
        let quiet = latencies(&watch, Duration::from_secs(5));
        for upload in 0..UPLOADS {
            let (url, component) = (daemon.url(), with_note(&rules, &upload.to_string()));
            let path = plugin("flood", &format!("1.0.{upload}"));
            // Whether one is answered before the end is not what is looked at: compiling takes as long as the machine lets it.
            scope.spawn(move || ask_at(&url, "PUT", &path, "application/wasm", &component));
        }
        let flooded = latencies(&watch, Duration::from_secs(5));
        let stored = daemon.get("/metrics").expect(200).text;
        done.store(true, Relaxed);
        daemon.kill();
        assert!(stored.contains("wasmill_plugin_uploads_total{outcome=\"stored\"}"), "{stored}");
        (quiet, flooded)
    });
    let told = format!("{} ms at p99, {} ms while {UPLOADS} components were uploaded", p99(&quiet), p99(&flooded));
    println!("{told}");
    assert!(p99(&flooded) <= SLOWER_MAX * p99(&quiet), "{told}");
}
