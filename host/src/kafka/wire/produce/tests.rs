//! The producer against brokers that answer by a script, and that check sequence numbers as Kafka does.

mod fake;

use super::*;
use crate::kafka::Outgoing;
use fake::{Cluster, Fault, key};
use std::time::Duration;

const WAIT_MS: u64 = 20_000;
const BATCHES: usize = 40;

fn wait() -> Deadline {
    Deadline::after(WAIT_MS)
}

fn producer(cluster: &Cluster, transactional_id: Option<&str>) -> Producer {
    let producing = Producing {
        brokers: cluster.addresses(),
        topics: vec![("t".to_owned(), vec![0, 1, 2])],
        transactional_id: transactional_id.map(str::to_owned),
        transaction_ms: 60_000,
        request_ms: 1_000,
    };
    let mut producer = Producer::start(producing).unwrap();
    producer.init(&wait()).unwrap();
    producer
}

fn batch(producer: &Producer, values: &[&str]) -> (usize, Writing, Codec) {
    let mut writing = producer.batch(100);
    for it in values {
        let record = Outgoing { partition: 0, key: None, value: Some(it.as_bytes()), headers: &[], timestamp: 1 };
        writing.push(&record, 1);
    }
    (0, writing, Codec::None)
}

fn push(producer: &mut Producer, values: &[&str]) {
    producer.enlist([0].into_iter(), &wait()).unwrap();
    let batch = batch(producer, values);
    producer.push([batch]);
}

/// Numbers that look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn whatever_is_lost_or_refused_on_the_way_everything_is_written_once_and_in_order() {
    for seed in 1..=8u64 {
        println!("seed {seed}");
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let cluster = Cluster::start(2, move |_| match chance.below(12) {
            0 => Fault::CutBefore,
            1 => Fault::CutAfter,
            2 => Fault::Refuse([6, 19, 7, 3, 56, 5][chance.below(6) as usize]),
            3 => Fault::RefuseAfter([20, 7][chance.below(2) as usize]),
            4 => Fault::Move,
            5 => Fault::Slow,
            _ => Fault::None,
        });
        let mut producer = producer(&cluster, (seed % 2 == 0).then_some("mine"));
        let mut expected = Vec::new();
        for number in 0..BATCHES {
            let values: Vec<_> = (0..=number % 4).map(|it| format!("{number}.{it}")).collect();
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            expected.extend(values.iter().map(ToString::to_string));
            push(&mut producer, &values);
            if number % 17 == 16 {
                assert_eq!(producer.drain(&wait()), Ok(true), "{:?}", producer.take_trouble());
                assert_eq!(producer.commit(&wait()), Ok(()));
            }
        }
        assert_eq!(producer.drain(&wait()), Ok(true), "{:?}", producer.take_trouble());
        assert_eq!(cluster.log(), expected);
        assert!(cluster.times(key::PRODUCE) > BATCHES, "nothing went wrong");
        assert_eq!(producer.bytes(), Ok(0));
    }
}

#[test]
fn a_batch_that_is_not_taken_twice_stays_among_those_that_the_broker_knows_again() {
    // The first one is written and refused, those after it are taken, and sent again it meets the same.
    let cluster = Cluster::start(1, |turn| if [0, 5].contains(&turn) { Fault::RefuseAfter(20) } else { Fault::None });
    let mut producer = producer(&cluster, None);
    let expected: Vec<_> = (0..BATCHES).map(|it| it.to_string()).collect();
    for value in &expected {
        push(&mut producer, &[value.as_str()]);
    }
    assert_eq!(producer.drain(&wait()), Ok(true), "{:?}", producer.take_trouble());
    assert_eq!(cluster.log(), expected);
}

#[test]
fn a_batch_out_of_order_for_no_reason_is_never_written_over() {
    for code in [45, 10, 48, 59, 87, 120, -1, 999] {
        let cluster = Cluster::start(1, move |_| Fault::Refuse(code));
        let mut producer = producer(&cluster, Some("mine"));
        push(&mut producer, &["a"]);
        assert!(matches!(producer.drain(&wait()), Err(Refusal::Failed(_))), "{code}");
        push(&mut producer, &["b"]);
        assert!(matches!(producer.drain(&wait()), Err(Refusal::Failed(_))), "{code}: it goes on");
        assert_eq!(cluster.times(key::PRODUCE), 1, "{code}: it was sent again");
    }
}

#[test]
fn who_was_replaced_is_told_so_whatever_it_asks() {
    for code in [47, 90] {
        let cluster = Cluster::start(1, move |_| Fault::Refuse(code));
        let mut producer = producer(&cluster, Some("mine"));
        push(&mut producer, &["a"]);
        assert_eq!(producer.drain(&wait()), Err(Refusal::Fenced));
        for api in [key::ADD_OFFSETS, key::COMMIT_OFFSETS, key::END] {
            cluster.answer(api, &[code]);
        }
        for _ in 0..2 {
            assert_eq!(producer.send_positions("g", &[], &wait()), Err(Trouble::Fenced));
        }
        assert_eq!(producer.commit(&wait()).map_err(|it| it.0), Err(Trouble::Fenced));
        cluster.answer(key::END, &[code]);
        assert_eq!(producer.begin_anew(&wait()), Err(Trouble::Fenced), "it must not fence who replaced it");
        assert_eq!(cluster.times(key::INIT), 1);
    }
}

#[test]
fn a_coordinator_that_is_busy_or_somewhere_else_is_asked_again() {
    let cluster = Cluster::start(2, |_| Fault::None);
    let mut producer = producer(&cluster, Some("mine"));
    cluster.answer(key::ADD_PARTITIONS, &[51, 51, 14, 15, 16]);
    cluster.answer(key::ADD_OFFSETS, &[51, 14]);
    cluster.answer(key::COMMIT_OFFSETS, &[14, 16]);
    cluster.answer(key::END, &[51, 14, 16]);
    let found = cluster.times(key::FIND);
    push(&mut producer, &["a"]);
    assert_eq!(producer.drain(&wait()), Ok(true));
    let position = Position { topic: "in", partition: 0, offset: 1, metadata: "" };
    assert_eq!(producer.send_positions("g", &[position], &wait()), Ok(()));
    assert_eq!(producer.commit(&wait()), Ok(()));
    assert_eq!(cluster.times(key::ADD_PARTITIONS), 6);
    // After 15, 16 and 16 of the transactions' coordinator, and before and after the group's 16.
    assert_eq!(cluster.times(key::FIND), found + 5);
    assert_eq!(cluster.log(), ["a"]);
    assert_eq!(cluster.times(key::INIT), 1, "no doubt");
}

#[test]
fn a_transaction_begins_with_the_partitions_that_the_one_before_wrote_to() {
    let cluster = Cluster::start(1, |_| Fault::None);
    let mut producer = producer(&cluster, Some("mine"));
    for written in [&[0, 1][..], &[2], &[], &[1], &[1]] {
        let may_begin = |producer: &Producer| [0, 1, 2].map(|it| producer.may_begin(it));
        assert_eq!(may_begin(&producer), [true; 3], "nothing is open");
        for &partition in written {
            producer.enlist([partition].into_iter(), &wait()).unwrap();
            assert!(producer.may_begin(partition) && producer.is_enlisted(partition));
            let (_, writing, codec) = batch(&producer, &["a"]);
            producer.push([(partition, writing, codec)]);
            assert!(!producer.may_begin(partition), "it has begun");
        }
        if written == [2] {
            assert_eq!(may_begin(&producer), [true, true, false], "those before may begin too");
        }
        assert_eq!((producer.drain(&wait()), producer.commit(&wait())), (Ok(true), Ok(())));
    }
    // The third one wrote nothing; and the last has forgotten what only earlier ones wrote to.
    assert_eq!(cluster.enlisted(), [vec![0], vec![1], vec![0, 1, 2], vec![1, 2], vec![1]]);
}

#[test]
fn without_transactions_any_batch_may_begin() {
    let cluster = Cluster::start(1, |_| Fault::None);
    let mut producer = producer(&cluster, None);
    for _ in 0..2 {
        assert!(producer.may_begin(0));
        push(&mut producer, &["a"]);
    }
    assert_eq!((producer.drain(&wait()), cluster.log().len()), (Ok(true), 2));
}

#[test]
fn a_commit_whose_answer_was_lost_is_asked_for_again_and_the_next_transaction_has_another_epoch() {
    let cluster = Cluster::start(1, |_| Fault::None);
    let mut producer = producer(&cluster, Some("mine"));
    push(&mut producer, &["a"]);
    assert_eq!(producer.drain(&wait()), Ok(true));
    cluster.answer(key::END, &[fake::CUT]);
    assert_eq!(producer.commit(&wait()), Ok(()));
    assert_eq!((cluster.times(key::END), cluster.times(key::INIT)), (2, 1));
    push(&mut producer, &["b"]);
    assert_eq!(producer.drain(&wait()), Ok(true));
    assert_eq!(cluster.times(key::INIT), 2);
    assert_eq!(cluster.init_epochs(), [-1, 0], "the second goes on from the first");
    assert_eq!(producer.commit(&wait()), Ok(()));
    push(&mut producer, &["c"]);
    assert_eq!((producer.drain(&wait()), cluster.times(key::INIT)), (Ok(true), 2), "no doubt, no new epoch");
    assert_eq!(cluster.log(), ["a", "b", "c"]);
}

#[test]
fn only_the_first_answer_says_for_certain_that_a_commit_did_not_happen() {
    let cluster = Cluster::start(1, |_| Fault::None);
    let mut producer = producer(&cluster, Some("mine"));
    for (answers, expected) in [(&[48][..], true), (&[fake::CUT, 48], false), (&[51, 48], false)] {
        push(&mut producer, &["a"]);
        cluster.answer(key::END, answers);
        match producer.commit(&wait()) {
            Err((Trouble::Refused(reason), certain)) => {
                assert_eq!(certain, expected, "{answers:?}");
                assert!(reason.contains("INVALID_TXN_STATE"), "{reason}");
            }
            other => panic!("{answers:?}: {other:?}"),
        }
        producer.begin_anew(&wait()).unwrap();
    }
    cluster.stop_answering();
    push_unasked(&mut producer);
    match producer.commit(&Deadline::after(300)) {
        Err((Trouble::Silence(_), false)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_was_stopped_until_its_time_was_up_still_hears_that_it_was_replaced() {
    let cluster = Cluster::start(1, |_| Fault::None);
    let mut producer = producer(&cluster, Some("mine"));
    push(&mut producer, &["a"]);
    assert_eq!(producer.drain(&wait()), Ok(true));
    cluster.be_late(Duration::from_millis(20));
    cluster.answer(key::END, &[90]);
    assert_eq!(producer.commit(&Deadline::after(0)), Err((Trouble::Fenced, true)));
    assert_eq!(cluster.times(key::INIT), 1);
}

/// Something to commit, without a broker that answers.
fn push_unasked(producer: &mut Producer) {
    producer.begun = true;
}

#[test]
fn who_begins_anew_gives_up_what_was_not_written_and_aborts_in_its_own_epoch() {
    let cluster = Cluster::start(1, |turn| if turn == 0 { Fault::Refuse(10) } else { Fault::None });
    let mut producer = producer(&cluster, Some("mine"));
    push(&mut producer, &["lost"]);
    push(&mut producer, &["lost too"]);
    assert!(producer.drain(&wait()).is_err());
    producer.begin_anew(&wait()).unwrap();
    assert_eq!((cluster.times(key::END), cluster.init_epochs()), (1, vec![-1, 0]));
    assert_eq!(producer.bytes(), Ok(0));
    push(&mut producer, &["kept"]);
    assert_eq!(producer.drain(&wait()), Ok(true));
    assert_eq!(cluster.log().last().map(String::as_str), Some("kept"));
}

#[test]
fn a_broker_that_throttles_is_given_the_time() {
    let cluster = Cluster::start(1, |turn| if turn == 0 { Fault::Throttle(200) } else { Fault::None });
    let mut producer = producer(&cluster, None);
    push(&mut producer, &["a"]);
    assert_eq!(producer.drain(&wait()), Ok(true));
    let started = Deadline::after(0);
    push(&mut producer, &["b"]);
    assert_eq!(producer.drain(&wait()), Ok(true));
    assert!(started.waited_ms() >= 150, "{} ms", started.waited_ms());
}

#[test]
fn an_old_broker_is_for_another_client() {
    let cluster = Cluster::start_speaking(1, 8, |_| Fault::None);
    let producing = Producing {
        brokers: cluster.addresses(),
        topics: vec![("t".to_owned(), vec![0])],
        transactional_id: None,
        transaction_ms: 1_000,
        request_ms: 1_000,
    };
    match Producer::start(producing).unwrap().init(&wait()) {
        Err(Trouble::Unsupported(reason)) => assert!(reason.contains("Produce version 9"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broker_that_takes_its_time_holds_up_its_owner_no_longer_than_asked() {
    let cluster = Cluster::start(1, |_| Fault::Silence);
    let mut producer = producer(&cluster, None);
    push(&mut producer, &["a"]);
    assert_eq!(producer.drain(&Deadline::after(100)), Ok(false));
    assert!(producer.oldest_ms() >= 100 && producer.bytes().unwrap() > 0);
    let started = Deadline::after(0);
    drop(producer);
    assert!(Duration::from_millis(started.waited_ms()) < Duration::from_secs(5), "it waits for the answer");
}
