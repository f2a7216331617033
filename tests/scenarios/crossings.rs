//! Exactly once where one end or both are files.

use crate::purchases::{Input, Output, Purchases};
use std::time::Duration;
use wasmill_tests::folder::RUN_LIMIT;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause};

/// Runs at most: the last of them is never disturbed.
const LIVES_MAX: u64 = 40;
/// Lives that must have been cut short for the test to mean something.
const KILLS_MIN: u64 = 8;

/// Where processes die when input and output are these; the manifest is the commit point where no sink is Kafka.
fn failpoints(output: Output) -> Vec<&'static str> {
    let mut names = vec![
        "persist.before-files",
        "persist.in-file",
        "persist.after-files",
        "persist.before-manifest-rename",
        "persist.after-manifest-rename",
        "persist.done",
        "commit.after-commit",
        "publish.done",
        "forget.after-manifests",
    ];
    names.extend(match output {
        Output::Kafka | Output::Librdkafka => ["commit.before-offsets", "commit.before-commit"],
        Output::Files => ["current.before-rename", "current.after-rename"],
    });
    names
}

fn every_record_counts_once(name: &str, input: Input, output: Output) {
    let mut random = Random::new(settings::seed(name));
    // Files are fast: there must be enough for many epochs.
    let share = if output == Output::Files { 2 } else { 4 };
    let mut purchases = Purchases::new(&mut random, input, output, settings::records() / share);
    purchases.send(usize::MAX);
    let failpoints = failpoints(output);
    let mut kills = 0;
    for life in 0..LIVES_MAX {
        // A small batch makes a run of many epochs.
        let launch = purchases.run().args(["--until-end"]).set("batch_rows_max", 4);
        let ended = if life % 2 == 0 {
            let name = failpoints[random.within(0..failpoints.len() as u64) as usize];
            let spec = format!("{name}:{}", random.within(1..6));
            println!("to die at {spec}");
            launch.dying_at(&spec).end()
        } else {
            let before = purchases.written();
            let mut run = launch.start();
            let limit = Deadline::after(RUN_LIMIT);
            while run.is_running() && purchases.written() <= before && !limit.is_over() {
                pause(Duration::from_millis(5));
            }
            pause(Duration::from_millis(random.within(0..100)));
            run.kill();
            run.wait(Duration::ZERO)
        };
        if !ended.was_killed() {
            ended.expect_code(0);
            break;
        }
        kills += 1;
    }
    println!("{kills} processes were killed");
    assert!(kills >= KILLS_MIN, "the input is too small: only {kills} processes were killed");
    purchases.run().until_end();
    purchases.check();
}

#[test]
fn from_kafka_to_files_every_record_counts_once_whenever_the_process_is_killed() {
    every_record_counts_once("kafka to files", Input::Kafka, Output::Files);
}

#[test]
fn from_files_to_kafka_every_record_counts_once_whenever_the_process_is_killed() {
    every_record_counts_once("files to kafka", Input::Files, Output::Kafka);
}

#[test]
fn from_files_to_files_every_record_counts_once_whenever_the_process_is_killed() {
    every_record_counts_once("files to files", Input::Files, Output::Files);
}
