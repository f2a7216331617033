//! Exactly once while two processes run the same pipeline, and while the broker goes away.

use crate::purchases::{Input, Output, Purchases};
use std::time::Duration;
use wasmill_tests::folder::{Launch, RUN_LIMIT};
use wasmill_tests::kafka::Broker;
use wasmill_tests::process::{Run, Signal};
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause};

/// How long a run may take to write its first output.
const FIRST_LIMIT: Duration = Duration::from_secs(60);
/// The transactions' timeout: what a broker waits before it aborts one by itself.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(4);
/// Records of a scenario.
const RECORDS: u64 = 20_000;

fn with_timeout<'a>(purchases: &'a Purchases<'_>) -> Launch<'a> {
    let timeout = format!("{}s", TRANSACTION_TIMEOUT.as_secs());
    ["sinks.rolling", "sinks.tumbling", "sinks.counted", "dead_letters"]
        .iter()
        .fold(purchases.run().set("checkpoint_interval", "300ms"), |launch, sink| {
            launch.set(&format!("{sink}.transaction_timeout"), &timeout)
        })
}

/// Sends portions until the run has written something, and a few more.
fn feed_until_it_writes(purchases: &mut Purchases<'_>, run: &mut Run) {
    let before = purchases.written();
    let limit = Deadline::after(FIRST_LIMIT);
    while purchases.written() <= before {
        assert!(run.is_running() && !limit.is_over(), "no output\n{}", run.stderr());
        purchases.send(50);
        pause(Duration::from_millis(20));
    }
    for _ in 0..20 {
        purchases.send(50);
        pause(Duration::from_millis(10));
    }
}

/// Freezes a run for `frozen`, lets a second one take over, and thaws the first.
fn a_zombie(name: &str, frozen: Duration, output: Output, successor: &str) {
    let mut random = Random::new(settings::seed(name));
    let mut purchases = Purchases::new(&mut random, Input::Kafka, output, RECORDS);
    let mut zombie = with_timeout(&purchases).start();
    feed_until_it_writes(&mut purchases, &mut zombie);
    zombie.signal(Signal::Stop);
    // The first one holds the lock of its data directory: the second has a copy, as on another machine.
    purchases.folder.copy("data", "data-2");
    pause(frozen);
    purchases.send(3_000);
    let takeover = ["sinks.rolling", "sinks.tumbling", "sinks.counted", "dead_letters"].iter().fold(
        purchases.folder.run_in("pipeline.toml", "data-2"),
        |launch, sink| {
            launch
                .set(&format!("{sink}.transaction_timeout"), format!("{}s", TRANSACTION_TIMEOUT.as_secs()))
                .set(&format!("{sink}.produce"), successor)
        },
    );
    let mut second = takeover.start();
    feed_until_it_writes(&mut purchases, &mut second);
    zombie.signal(Signal::Continue);
    let ended = zombie.wait(RUN_LIMIT);
    assert!(ended.code.is_some_and(|it| it != 0), "the zombie ended well\n{}", ended.tails());
    let ended = ended.expect_error(&["another instance", "took over"]);
    println!("the zombie exited with {:?}", ended.code);
    purchases.send(usize::MAX);
    assert!(second.is_running(), "the zombie took the second down\n{}", second.stderr());
    second.signal(Signal::Terminate);
    second.wait(RUN_LIMIT).expect_code(0);
    purchases.folder.run_in("pipeline.toml", "data-2").until_end();
    purchases.check();
}

#[test]
fn a_zombie_whose_transaction_timed_out_is_told_that_another_took_over() {
    let frozen = TRANSACTION_TIMEOUT + Duration::from_secs(2);
    a_zombie("zombie past its timeout", frozen, Output::Kafka, "native");
    a_zombie("zombie of librdkafka past its timeout", frozen, Output::Librdkafka, "librdkafka");
}

#[test]
fn a_zombie_whose_transaction_is_still_open_is_told_that_another_took_over() {
    a_zombie("zombie within its timeout", Duration::ZERO, Output::Kafka, "native");
    a_zombie("zombie of librdkafka within its timeout", Duration::ZERO, Output::Librdkafka, "librdkafka");
    // Whoever it is that takes over from whom.
    a_zombie("zombie before librdkafka", Duration::ZERO, Output::Kafka, "librdkafka");
    a_zombie("zombie of librdkafka before ours", Duration::ZERO, Output::Librdkafka, "native");
}

#[test]
fn a_process_frozen_for_longer_than_its_transaction_may_stay_open_loses_nothing() {
    for output in [Output::Kafka, Output::Librdkafka] {
        let mut random = Random::new(settings::seed("frozen"));
        let mut purchases = Purchases::new(&mut random, Input::Kafka, output, RECORDS);
        let mut run = with_timeout(&purchases).start();
        feed_until_it_writes(&mut purchases, &mut run);
        run.signal(Signal::Stop);
        pause(TRANSACTION_TIMEOUT + Duration::from_secs(2));
        run.signal(Signal::Continue);
        purchases.send(usize::MAX);
        // It may end, saying why, or go on from its last commit; either way the next run completes the output.
        pause(Duration::from_secs(2));
        run.signal(Signal::Terminate);
        let ended = run.wait(RUN_LIMIT);
        println!("the frozen process exited with {:?}", ended.code);
        purchases.run().until_end();
        purchases.check();
    }
}

#[test]
fn a_broker_that_dies_amid_a_transaction_costs_and_doubles_nothing() {
    for output in [Output::Kafka, Output::Librdkafka] {
        let broker = Broker::start();
        let mut random = Random::new(settings::seed("broker"));
        let mut purchases = Purchases::on(&broker, &mut random, Input::Kafka, output, RECORDS);
        for round in 1..=3 {
            let mut run = with_timeout(&purchases).start();
            feed_until_it_writes(&mut purchases, &mut run);
            broker.kill();
            pause(Duration::from_millis(random.within(0..2_000)));
            broker.restart();
            purchases.send(2_000);
            if round < 3 {
                // It may have ended, saying why, or waited for the broker.
                feed_while_it_lives(&mut purchases, &mut run);
                run.kill();
                println!("round {round}: {:?}", run.wait(Duration::ZERO).code);
            } else {
                run.signal(Signal::Terminate);
                println!("round {round}: {:?}", run.wait(RUN_LIMIT).code);
            }
        }
        purchases.send(usize::MAX);
        purchases.run().until_end();
        purchases.check();
    }
}

fn feed_while_it_lives(purchases: &mut Purchases<'_>, run: &mut Run) {
    let limit = Deadline::after(Duration::from_secs(3));
    while run.is_running() && !limit.is_over() {
        purchases.send(20);
        pause(Duration::from_millis(20));
    }
}
