//! Exactly once, whatever happens: killed at random moments and at every named step of the commit, a pipeline with
//! windows, state in plugins and dead letters ends with the output that one undisturbed run would have made.

use crate::purchases::{Input, Output, Purchases};
use std::time::Duration;
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::kafka::Broker;
use wasmill_tests::process::Run;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause, until};

/// Random kills of the largest scenario.
const KILLS: u64 = 20;
/// How long a run may take to come to where it is to die.
const LIFE_LIMIT: Duration = Duration::from_secs(60);
/// Between two portions of input.
const PORTION_EVERY: Duration = Duration::from_millis(20);
/// Records of a portion, once a life has had its share.
const TRICKLE: usize = 4;
/// How long after its first output a run is killed, at most, ms: several checkpoints.
const KILL_WITHIN_MS: u64 = 500;

/// Every `failpoint("...")` in the host's code that a run can pass, in order of name.
fn failpoints() -> Vec<String> {
    fn visit(folder: &std::path::Path, names: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("the host's code is there") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                visit(&path, names);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).expect("code is text");
                let calls = text.split("failpoint(\"").skip(1);
                names.extend(calls.filter_map(|it| it.split_once('"')).map(|(name, _)| name.to_owned()));
            }
        }
    }
    let mut names = Default::default();
    visit(&settings::repository().join("host/src"), &mut names);
    // These are passed by a daemon, when something is uploaded, deployed or upgraded.
    let of_daemon = |it: &String| ["catalog.", "deploy.", "upgrade."].iter().any(|prefix| it.starts_with(prefix));
    names.into_iter().filter(|it| !of_daemon(it)).collect()
}

/// Sends a share of the input while `run` lives, until it ends, `over` says so, or the limit.
fn feed(purchases: &mut Purchases<'_>, run: &mut Run, share: usize, mut over: impl FnMut(&Purchases<'_>) -> bool) {
    let deadline = Deadline::after(LIFE_LIMIT);
    let portion = (share / 40).max(TRICKLE);
    let mut sent = 0;
    while run.is_running() && !over(purchases) && !deadline.is_over() {
        let size = if sent < share { portion } else { TRICKLE };
        purchases.send(size);
        sent += size;
        pause(PORTION_EVERY);
    }
}

/// A run that dies at a named step of the commit.
fn die_at(purchases: &mut Purchases<'_>, spec: &str, share: usize) {
    let mut run = purchases.run().dying_at(spec).start();
    feed(purchases, &mut run, share, |_| false);
    let ended = run.wait(Duration::ZERO);
    assert!(ended.was_killed(), "the process did not die at {spec}\n{}", ended.tails());
    purchases.look_for_spilled_state();
    println!("died at {spec}");
}

#[test]
fn from_kafka_to_kafka_every_record_counts_once_whenever_the_process_is_killed() {
    count_once("kafka to kafka", (Input::Kafka, Output::Kafka), settings::records(), KILLS);
}

#[test]
fn by_librdkafka_too_every_record_counts_once_whenever_the_process_is_killed() {
    let ways = (Input::Kafka, Output::Librdkafka);
    count_once("kafka to kafka by librdkafka", ways, settings::records() / 4, KILLS / 4);
}

#[test]
fn on_a_broker_with_the_first_transactions_every_record_counts_once_whenever_the_process_is_killed() {
    // As a broker of a release before 4.0 has them, and a later one until its operator raises the level.
    let broker = Broker::start_with(&["transaction.version=1"]);
    let mut random = Random::new(settings::seed("kafka to kafka with the first transactions"));
    let records = settings::records() / 4;
    let purchases = Purchases::on(&broker, &mut random, Input::Kafka, Output::Kafka, records);
    killed_over_and_over(purchases, random, records, KILLS / 4);
}

#[test]
fn from_several_topics_every_record_counts_once_whenever_the_process_is_killed() {
    count_once("topics to kafka", (Input::Topics, Output::Kafka), settings::records() / 4, KILLS / 4);
}

fn count_once(name: &str, (input, output): (Input, Output), records: u64, kills: u64) {
    let seed = settings::seed(name);
    let mut random = Random::new(seed);
    let purchases = Purchases::new(&mut random, input, output, records);
    killed_over_and_over(purchases, random, records, kills);
}

#[test]
fn with_most_of_its_state_on_the_disk_every_record_counts_once_whenever_the_process_is_killed() {
    let mut random = Random::new(settings::seed("kafka to kafka with little memory"));
    let records = settings::records() / 4;
    let purchases = Purchases::spilling(&mut random, records, "256KiB");
    let purchases = killed_over_and_over(purchases, random, records, KILLS / 4);
    assert!(purchases.spilled.get(), "no life had state on the disk");
}

fn killed_over_and_over<'a>(
    mut purchases: Purchases<'a>,
    mut random: Random,
    records: u64,
    kills: u64,
) -> Purchases<'a> {
    let failpoints = failpoints();
    assert!(failpoints.len() >= 10, "the host names its failpoints: {failpoints:?}");
    let share = records as usize / (kills as usize + failpoints.len() + 1);
    // `CURRENT` is written once where a transaction is the commit point: by the first commit that finds none.
    let (first, others): (Vec<_>, Vec<_>) = failpoints.iter().partition(|it| it.starts_with("current."));
    for name in first.into_iter().rev() {
        die_at(&mut purchases, &format!("{name}:1"), share);
    }
    for kill in 1..=kills {
        let before = purchases.written();
        let mut run = purchases.run().start();
        if random.one_in(4) {
            let life = Deadline::after(Duration::from_millis(random.within(0..1_500)));
            feed(&mut purchases, &mut run, share, |_| life.is_over());
        } else {
            feed(&mut purchases, &mut run, share, |it| it.written() > before);
            let life = Deadline::after(Duration::from_millis(random.within(0..KILL_WITHIN_MS)));
            feed(&mut purchases, &mut run, share, |_| life.is_over());
        }
        assert!(run.kill(), "run {kill} ended by itself\n{}", run.wait(Duration::ZERO).tails());
        purchases.look_for_spilled_state();
    }
    for name in others {
        die_at(&mut purchases, &format!("{name}:{}", random.within(1..4)), share);
    }
    purchases.send(usize::MAX);
    purchases.run().until_end();
    purchases.check();
    let (committed, all) = purchases.counts();
    println!("{committed} records of output are committed, of {all} written");
    assert!(all > committed, "no kill left aborted output");
    purchases
}

/// A broker asks the transaction's coordinator about partitions and positions, and refuses what another question overtakes (KIP-890): each would
/// hold up a commit for 50 ms.
#[test]
fn no_commit_waits_for_a_question_that_another_overtook() {
    const COMMITS: usize = 200;
    let folder = Folder::new();
    let broker = Broker::start();
    let [from, to] = ["from", "to"].map(|it| broker.topic(it, 4));
    let kafka =
        |topic: &str| format!("connector = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{topic}\"\n", broker.address());
    let made = "name = \"feed\"\ndelivery = \"at-least-once\"\n\
                [sources.in]\nconnector = \"generator\"\nkind = \"transactions\"\nrate = 2000\n";
    folder.write("feed.toml", format!("{made}[sinks.out]\nfrom = \"in\"\n{}", kafka(&from)));
    let counted = "[steps.count]\nfrom = \"in\"\nkey = \"customer_id\"\nwindow = { tumbling = \"1s\" }\naggregate = { n = \"count()\" }\n";
    let text = format!(
        "name = \"count\"\ncheckpoint_interval = \"20ms\"\n[sources.in]\n{}{counted}[sinks.out]\nfrom = \"count\"\n{}",
        kafka(&from),
        kafka(&to)
    );
    folder.write("count.toml", text);
    let _feed = folder.run("feed.toml").start();
    let run = folder.run("count.toml").env("WASMILL_LOG", "wasmill=debug").start();
    let committed = |stderr: &str| stderr.matches(": committed epoch=").count();
    until("it has committed often", RUN_LIMIT, || committed(&run.stderr()) >= COMMITS);
    let stderr = run.stderr();
    let overtaken = stderr.lines().filter(|it| it.contains("Unable to verify")).count();
    assert_eq!(overtaken, 0, "of {} commits\n{stderr}", committed(&stderr));
}

/// Of a pipeline that was just started something is to be seen before a long interval is over (`pipeline/pace.rs`).
#[test]
fn something_is_committed_long_before_the_interval_is_over_at_each_start() {
    const INTERVAL_S: u64 = 32;
    let folder = Folder::new();
    let text = format!(
        "name = \"soon\"\ncheckpoint_interval = \"{INTERVAL_S}s\"\n\
         [sources.in]\nconnector = \"generator\"\nkind = \"transactions\"\nrate = 100\n\
         [sinks.out]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n"
    );
    folder.write("pipeline.toml", text);
    for start in 1..=2 {
        let mut run = folder.run("pipeline.toml").env("WASMILL_LOG", "wasmill=debug").start();
        let soon = Duration::from_secs(INTERVAL_S / 2);
        until(&format!("a commit of start {start}"), soon, || run.stderr().contains(": committed epoch="));
        assert!(run.kill(), "{}", run.wait(Duration::ZERO).tails());
    }
}
