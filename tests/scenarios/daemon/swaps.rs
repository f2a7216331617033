//! Versions that take over twice a second while 5,000 records a second pass from Kafka to Kafka: nothing is lost or doubled, each record is of
//! exactly one version, and how long nothing is processed is measured.

use super::upgrades::component;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use wasmill_tests::components::with_note;
use wasmill_tests::daemon::{Daemon, LIMIT};
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{parse, text};
use wasmill_tests::kafka::{self, Isolation};
use wasmill_tests::settings;
use wasmill_tests::topic::{Record, Writer};
use wasmill_tests::wait::{Deadline, pause, until};

const PARTITIONS: i32 = 4;
/// Records a second.
const RATE: u64 = 5_000;
/// Between two upgrades.
const UPGRADE_EVERY: Duration = Duration::from_millis(500);
/// How long nothing may be processed, in 99 of 100 upgrades.
const PAUSE_MS_MAX: u64 = 50;

fn record(id: u64) -> Record {
    let user = id % 50;
    let value = json!({
        "customer_id": format!("u-{user}"), "transaction_id": id.to_string(), "amount": 12_000.5, "timestamp": "2026-01-01T00:00:00Z",
        "txn_count": 5,
    });
    ((user % PARTITIONS as u64) as i32, Some(user.to_string().into_bytes()), Some(value.to_string().into_bytes()))
}

/// One alert or two for each record.
fn alerts(two: bool) -> serde_json::Value {
    json!({"max_amount": 10, "max_count": if two { -1 } else { 5 }})
}

#[test]
fn nothing_is_lost_or_doubled_while_versions_take_over_twice_a_second() {
    let (folder, broker) = (Folder::alone(), kafka::shared());
    let (input, output) = (broker.topic("swaps-in", PARTITIONS), broker.topic("swaps-out", PARTITIONS));
    let name = kafka::unique("swaps");
    let daemon = Daemon::start(&folder);
    let rules = component("fraud-rules");
    // The second version alerts twice for a record, the first once.
    let digests: Vec<String> = [("1.0.0", rules.clone()), ("1.1.0", with_note(&rules, "1.1.0"))]
        .iter()
        .map(|(version, bytes)| {
            text(&daemon.push("fraud-rules", version, bytes).expect(201).json(), "digest").to_owned()
        })
        .collect();
    let brokers = broker.address();
    let definition = format!(
        r#"
name = "{name}"
checkpoint_interval = "100ms"
[sources.in]
connector = "kafka"
brokers = "{brokers}"
topic = "{input}"
[steps.rules]
from = "in"
plugin = "fraud-rules@1.0.0"
config = {config}
[sinks.out]
from = "rules"
connector = "kafka"
brokers = "{brokers}"
topic = "{output}"
lineage = true
"#,
        config = "{ max_amount = 10, max_count = 5 }"
    );
    daemon.apply(&name, &definition).expect(201);
    daemon.wait_for(&name, "running");
    let (time, writer) = (Duration::from_secs(settings::swap_seconds()), Writer::new(broker, &input));
    let finished = AtomicBool::new(false);
    let (mut longest, mut sent) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let (deadline, mut sent) = (Deadline::after(time), 0);
            while !deadline.is_over() {
                let due = deadline.elapsed().as_millis() as u64 * RATE / 1_000;
                writer.send((sent..due).map(record));
                sent = due;
                pause(Duration::from_millis(20));
            }
            finished.store(true, Relaxed);
            sent
        });
        let mut two = false;
        while !finished.load(Relaxed) {
            let turn = Deadline::after(UPGRADE_EVERY);
            two = !two;
            let plugin = if two { "fraud-rules@1.1.0" } else { "fraud-rules@1.0.0" };
            let request = json!({"step": "rules", "plugin": plugin, "config": alerts(two)});
            let (_, done) = daemon.follow(daemon.post_json(&format!("/api/v1/pipelines/{name}/upgrade"), &request));
            assert_eq!(done["state"], "accepted", "{done}");
            longest.push(done["switch_ms"].as_u64().expect("a time"));
            pause(UPGRADE_EVERY.saturating_sub(turn.elapsed()));
        }
        sent = writing.join().expect("the records are written");
    });
    until("all is written", LIMIT, || daemon.show(&name)["figures"]["records_out"].as_u64() >= Some(sent));
    daemon.stop();

    let found = broker.read(&output, Isolation::Committed);
    let (mut ids, mut by_version) = (Vec::new(), BTreeMap::<&str, u64>::new());
    for message in &found {
        let row = parse(message.text());
        ids.push(text(&row, "transaction_id").parse::<u64>().expect("a number"));
        let two = row["alerts"].as_array().is_some_and(|it| it.len() == 2);
        let lineage = message.headers.iter().find(|it| it.0 == "wasmill-lineage").and_then(|it| it.1.clone());
        let expected = format!("rules={}", digests[usize::from(two)]);
        assert_eq!(lineage.as_deref(), Some(expected.as_bytes()), "{row}");
        *by_version.entry(if two { "1.1.0" } else { "1.0.0" }).or_default() += 1;
    }
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(0..sent), "{} records out of {sent}", ids.len());
    assert!(by_version.len() == 2 && by_version.values().all(|it| *it > RATE), "both had their share: {by_version:?}");
    longest.sort_unstable();
    let p99 = longest[(longest.len() * 99 / 100).min(longest.len() - 1)];
    println!(
        "{sent} records, {} upgrades, nothing was processed for {} ms in the median, {p99} ms at p99, {} ms at most",
        longest.len(),
        longest[longest.len() / 2],
        longest[longest.len() - 1]
    );
    assert!(longest.len() as u64 >= time.as_secs(), "only {} upgrades in {time:?}", longest.len());
    assert!(p99 <= PAUSE_MS_MAX, "{longest:?}");
}
