use super::*;
use proptest::prelude::*;

/// Runs a script, one step a line, and answers what it printed.
///
/// `observe P T..` prints the watermark and the stragglers; `end P`, `tick NOW`, `add P`, `remove P` print the
/// watermark.
fn run(delay_ms: i64, idle_timeout_ms: Option<u64>, script: &str) -> Vec<String> {
    let mut partitions = Partitions::new(delay_ms, idle_timeout_ms);
    let mut now_ms = 0;
    let mut lines = Vec::new();
    for line in script.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        let mut stragglers = String::new();
        match words[0] {
            "add" => _ = partitions.add(number(1) as i32, now_ms),
            "remove" => partitions.remove(number(1) as i32),
            "end" => _ = partitions.end(number(1) as i32, now_ms),
            "tick" => {
                now_ms = number(1) as u64;
                partitions.tick(now_ms);
            }
            "observe" => {
                let times: Vec<i64> = (2..words.len()).map(number).collect();
                let rows = partitions.observe(number(1) as i32, &times, now_ms);
                assert_eq!(rows.after, partitions.watermark());
                rows.stragglers.iter().for_each(|it| stragglers += &format!(" late {}@{}", it.0, it.1));
            }
            other => panic!("unknown step {other}"),
        }
        let idle = if partitions.idle() { " idle" } else { "" };
        lines.push(match partitions.watermark() {
            WATERMARK_NONE => format!("none{idle}{stragglers}"),
            WATERMARK_END => format!("end{idle}{stragglers}"),
            watermark => format!("{watermark}{idle}{stragglers}"),
        });
    }
    lines
}

/// The facts of Flink's BoundedOutOfOrdernessWatermarks.
#[test]
fn the_watermark_is_the_largest_time_less_the_delay_less_one() {
    for (delay_ms, times, expected) in
        [(0, &[1000][..], 999), (10, &[1000, 2000, 1500], 1989), (10, &[], WATERMARK_NONE), (5000, &[7000, 3000], 1999)]
    {
        let mut partitions = Partitions::new(delay_ms, None);
        assert_eq!(partitions.observe(0, times, 0).after, expected, "{times:?}");
    }
    let mut partitions = Partitions::new(i64::MAX, None);
    assert_eq!(partitions.observe(0, &[-5, i64::MIN], 0).after, WATERMARK_NONE);
}

#[test]
fn a_row_is_a_straggler_by_the_watermark_that_held_when_it_arrived() {
    assert_eq!(
        run(
            2,
            None,
            "observe 0 10 7 8 20 17 18 1
                      observe 0 17 16"
        ),
        ["17 late 1@7 late 4@17 late 6@17", "17 late 0@17 late 1@17"]
    );
}

#[test]
fn the_slowest_active_partition_holds_the_watermark() {
    assert_eq!(
        run(
            0,
            None,
            "add 0
                      add 1
                      observe 0 50 60
                      observe 1 10 30 20
                      observe 1 100
                      observe 1 59"
        ),
        ["none", "none", "none", "29 late 2@29", "59", "59 late 0@59"]
    );
}

/// The cases of Flink's WatermarkOutputMultiplexerTest. Watermark `w` is a record at `w + 1` without delay; going idle
/// is a tick that only the partitions with recent records outlive.
#[test]
fn partitions_join_as_flinks_multiplexer_joins_splits() {
    let last = |script: &str| run(0, Some(10), script).pop().unwrap();
    // multipleImmediateWatermark: c is idle, the minimum of the others holds.
    assert_eq!(last("add 2\n add 0\n add 1\n tick 5\n observe 0 3\n observe 1 6\n tick 10"), "2");
    // whenImmediateOutputBecomesIdleWatermarkAdvances.
    assert_eq!(last("add 0\n add 1\n observe 0 3\n tick 5\n observe 1 6\n tick 10"), "5");
    // whenAllImmediateOutputsBecomeIdleWatermarkAdvances: to the maximum, and idle.
    assert_eq!(last("add 0\n add 1\n observe 0 6\n observe 1 3\n tick 10"), "5 idle");
    // combinedWatermarkDoesNotRegressWhenIdleOutputRegresses.
    assert_eq!(last("add 0\n add 1\n observe 0 3\n tick 5\n observe 1 6\n tick 10\n observe 0 4"), "5 late 0@5");
    // testRemoveUnblocksWatermarks.
    assert_eq!(last("add 0\n add 1\n observe 0 156766\n remove 0\n observe 1 156776"), "156775");
    // testRemoveOfLowestDoesNotImmediatelyAdvanceWatermark; the next tick does.
    let removed = run(0, None, "add 0\n add 1\n observe 0 -4342\n observe 1 -4332\n remove 0\n tick 1");
    assert_eq!(removed[4..], ["-4343", "-4333"]);
    // testRemoveOfHighestDoesNotRetractWatermark.
    assert_eq!(last("add 0\n observe 0 3\n remove 0\n add 1\n observe 1 2"), "2 late 0@2");
    // whenRegisteredOutputReportsNothingNothingIsReported.
    assert_eq!(last("add 0\n tick 1"), "none");
    // testEmittingIdleAfterAllSplitsRemoved.
    assert_eq!(last("add 0\n observe 0 2\n remove 0\n tick 1"), "1 idle");
}

#[test]
fn an_ended_partition_holds_nothing_back_and_closes_nothing_early() {
    assert_eq!(
        run(
            0,
            Some(10),
            "add 0
                          add 1
                          observe 0 50
                          observe 1 20
                          end 0
                          tick 10
                          observe 1 60 45
                          end 1"
        ),
        ["none", "none", "none", "19", "19", "49 idle", "59 late 1@59", "end"]
    );
}

#[test]
fn a_partition_that_wakes_counts_from_its_first_row() {
    assert_eq!(
        run(
            0,
            Some(10),
            "add 0
                          add 1
                          tick 1
                          observe 0 100
                          tick 10
                          observe 1 40 41 200
                          observe 0 300"
        ),
        ["none", "none", "none", "none", "99", "99 late 0@99 late 1@99", "199"]
    );
}

#[test]
fn a_restart_makes_the_same_late_decisions() {
    let mut partitions = Partitions::new(5, Some(10));
    partitions.observe(0, &[100, 90], 0);
    partitions.observe(1, &[50], 5);
    partitions.tick(11);
    assert_eq!(partitions.watermark(), 94); // Partition 0 is idle, so is the rest of time: see the restored one below.
    let mut restored = Partitions::new(5, Some(10));
    restored.restore(&partitions.snapshot(), partitions.watermark(), 11);
    assert_eq!(restored.snapshot(), partitions.snapshot());
    for times in [&[93, 95, 200][..], &[1]] {
        assert_eq!(restored.observe(1, times, 12), partitions.observe(1, times, 12));
    }
}

fn naive(delay_ms: i64, batches: &[(i32, Vec<i64>)]) -> Vec<(i64, bool)> {
    let mut max: [Option<i64>; 3] = [None; 3];
    let mut watermark = WATERMARK_NONE;
    let mut out = Vec::new();
    for (partition, time) in batches.iter().flat_map(|(partition, times)| times.iter().map(|it| (*partition, *it))) {
        out.push((watermark, time <= watermark));
        let max_time = &mut max[partition as usize];
        *max_time = Some(max_time.map_or(time, |it| it.max(time)));
        let low = max.iter().map(|it| it.map_or(WATERMARK_NONE, |it| it - delay_ms - 1)).min().unwrap();
        watermark = watermark.max(low);
    }
    out
}

proptest! {
    #[test]
    fn sparse_stragglers_say_what_a_watermark_for_every_record_says(
        delay_ms in 0..20_i64,
        batches in prop::collection::vec((0..3_i32, prop::collection::vec(0..100_i64, 0..6)), 0..12),
    ) {
        let mut partitions = Partitions::new(delay_ms, None);
        for partition in 0..3 {
            partitions.add(partition, 0);
        }
        let mut expected = naive(delay_ms, &batches).into_iter();
        for (partition, times) in &batches {
            let rows = partitions.observe(*partition, times, 0);
            let mut stragglers = rows.stragglers.into_iter().peekable();
            for row in 0..times.len() as u32 {
                let (watermark, late) = expected.next().unwrap();
                let straggler = stragglers.next_if(|it| it.0 == row);
                prop_assert_eq!(straggler, late.then_some((row, watermark)));
            }
        }
    }

    #[test]
    fn where_a_batch_ends_changes_nothing(times in prop::collection::vec(0..100_i64, 0..30), cut in 0..30_usize) {
        let mut whole = Partitions::new(3, None);
        let all = whole.observe(0, &times, 0);
        let cut = cut.min(times.len());
        let mut parts = Partitions::new(3, None);
        let mut stragglers = parts.observe(0, &times[..cut], 0).stragglers;
        let second = parts.observe(0, &times[cut..], 0).stragglers;
        stragglers.extend(second.into_iter().map(|(row, watermark)| (row + cut as u32, watermark)));
        prop_assert_eq!(stragglers, all.stragglers);
        prop_assert_eq!(parts.watermark(), all.after);
    }
}

/// Steps of the cases of Flink's StatusWatermarkValveTest.
enum Step {
    At(usize, i64),
    Idle(usize),
    Active(usize),
}
use Step::{Active, At, Idle};

/// Runs the steps and answers what moved the joined watermark: after which step, to what.
fn valve(inputs: usize, steps: &[Step]) -> (Vec<(usize, i64)>, Valve) {
    let mut valve = Valve::new(inputs, WATERMARK_NONE);
    let mut moves = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let moved = match *step {
            At(input, watermark) => valve.advance(input, watermark),
            Idle(input) => valve.idle(input),
            Active(input) => {
                valve.active(input);
                None
            }
        };
        moves.extend(moved.map(|it| (index, it)));
    }
    (moves, valve)
}

#[test]
fn the_valve_answers_the_minimum_over_its_inputs() {
    let steps = [At(0, 0), At(1, 0), At(2, 0), At(0, 12), At(2, 8), At(2, 10), At(1, 15), At(2, 17), At(0, 20)];
    assert_eq!(valve(3, &steps).0, [(2, 0), (6, 10), (7, 12), (8, 15)]);
}

#[test]
fn an_input_that_goes_back_is_ignored() {
    assert_eq!(valve(1, &[At(0, 25), At(0, 18), At(0, 42)]).0, [(0, 25), (2, 42)]);
}

#[test]
fn an_input_without_a_watermark_holds_the_valve_until_it_is_idle() {
    let steps = [At(0, 15), At(1, 10), Idle(2), At(1, 18), At(0, 20)];
    assert_eq!(valve(3, &steps).0, [(2, 10), (3, 15), (4, 18)]);
    let steps = [At(0, 25), At(1, 10), At(2, 17), Idle(1), Idle(2)];
    assert_eq!(valve(3, &steps).0, [(2, 10), (3, 17), (4, 25)]);
}

#[test]
fn when_all_inputs_are_idle_the_largest_watermark_holds() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let steps = [At(0, 10), At(1, 5), At(2, 3), Idle(order[0]), Idle(order[1]), Idle(order[2])];
        let (moves, valve) = valve(3, &steps);
        assert_eq!((moves[0], moves.last().unwrap().1, valve.is_idle()), ((2, 3), 10, true), "{order:?}");
    }
}

#[test]
fn the_valve_is_idle_only_while_all_its_inputs_are() {
    let idle = |steps: &[Step]| valve(2, steps).1.is_idle();
    assert!(!idle(&[Active(0), Active(1), Idle(1)]));
    assert!(idle(&[Active(0), Active(1), Idle(1), Idle(0), Idle(0), Idle(1)]));
    assert!(!idle(&[Idle(1), Idle(0), Active(1), Active(0)]));
}

#[test]
fn an_input_that_wakes_behind_neither_brings_the_watermark_back_nor_holds_it() {
    let steps = [At(0, 3), At(1, 10), Idle(0), Active(0), At(1, 20), At(0, 15), At(0, 20), At(1, 30), At(0, 25)];
    assert_eq!(valve(2, &steps).0, [(1, 3), (2, 10), (4, 20), (8, 25)]);
    let steps = [At(0, 3), At(1, 10), Idle(0), Active(0), At(0, 5), At(1, 20)];
    assert_eq!(valve(2, &steps).0, [(1, 3), (2, 10), (5, 20)]);
}

#[test]
fn ended_inputs_close_windows_only_when_all_have_ended() {
    let steps = [At(0, 10), At(1, 5), At(0, WATERMARK_END), Idle(1), Active(1), At(1, 30), At(1, WATERMARK_END)];
    assert_eq!(valve(2, &steps).0, [(1, 5), (3, 10), (5, 30), (6, WATERMARK_END)]);
}

#[test]
fn a_worker_without_partitions_ends_where_none_will_come() {
    let mut none = Partitions::new(0, None);
    assert!(none.idle() && !none.ended());
    assert_eq!(none.complete(), Some(WATERMARK_END));
    assert!(none.ended() && !none.idle());
    let mut one = Partitions::new(0, None);
    one.add(3, 0);
    assert_eq!(one.complete(), None);
    assert_eq!(one.end(3, 0), Some(WATERMARK_END));
}

#[test]
fn time_in_which_nobody_reads_makes_no_partition_idle() {
    let mut partitions = Partitions::new(0, Some(100));
    partitions.add(0, 0);
    partitions.reading(0);
    partitions.observe(0, &[10], 0);
    partitions.reading(60);
    partitions.tick(60);
    // Something downstream was full until 10,060.
    partitions.pause(5_000);
    partitions.pause(10_060);
    partitions.reading(10_090);
    partitions.tick(10_090);
    assert!(!partitions.idle(), "90 ms of reading found nothing");
    partitions.tick(10_100);
    assert!(partitions.idle());
}

#[test]
fn a_partition_is_held_while_it_is_too_far_ahead_and_does_not_become_idle_by_that() {
    let mut partitions = Partitions::new(0, Some(100));
    assert_eq!(partitions.low(), WATERMARK_END);
    for partition in [0, 1, 2] {
        partitions.add(partition, 0);
    }
    partitions.observe(0, &[10, 5], 0);
    partitions.observe(1, &[1_000], 0);
    assert_eq!(partitions.low(), 10, "partition 2 has had no record");
    let held = |it: &Partitions| [0, 1, 2].map(|partition| it.is_held(partition));
    partitions.hold(partitions.low() + 500, 90);
    assert_eq!(held(&partitions), [false, true, false]);
    partitions.tick(150);
    assert_eq!(partitions.low(), 1_000, "only the one that was held is not idle");
    partitions.hold(partitions.low() + 500, 160);
    assert_eq!(held(&partitions), [false; 3]);
    partitions.tick(190);
    assert!(partitions.idle(), "100 ms after it was last held");
}
