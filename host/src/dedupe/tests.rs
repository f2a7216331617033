//! Scripts, and any stream against a list of all that went on.

use super::*;
use crate::batch;
use crate::state::Entries;
use proptest::prelude::*;

const WITHIN_MS: i64 = 10;

fn keys(of: &[&str]) -> Keys {
    let mut keys = Keys::default();
    for key in of {
        keys.texts.push(key.as_bytes());
        keys.hashes.push(batch::hash(key.as_bytes()));
    }
    keys
}

/// A clock that is at the largest time so far less `delay_ms` less 1 ms.
struct Clock {
    delay_ms: i64,
    watermark: EventTime,
}

impl Clock {
    fn over(&mut self, times: &[EventTime]) -> RowTimes {
        let before = self.watermark;
        let mut stragglers = Vec::new();
        for (row, &time) in times.iter().enumerate() {
            if time <= self.watermark {
                stragglers.push((row as u32, self.watermark));
            }
            self.watermark = self.watermark.max(time - self.delay_ms - 1);
        }
        RowTimes { before, stragglers, after: self.watermark }
    }
}

fn feed(dedupe: &mut Dedupe, clock: &mut Clock, records: &[(&str, EventTime)]) -> Firsts {
    let times: Vec<EventTime> = records.iter().map(|it| it.1).collect();
    let at = clock.over(&times);
    let firsts = dedupe.process(&keys(&records.iter().map(|it| it.0).collect::<Vec<_>>()), &times, &at).unwrap();
    dedupe.advance(at.after).unwrap();
    firsts
}

/// A new one from all that was ever sealed.
fn restarted(dedupe: &mut Dedupe, sealed: &mut Delta) -> Dedupe {
    dedupe.seal(sealed);
    let mut new = Dedupe::new(dedupe.within_ms, TableId(3));
    Entries(sealed.bytes()).for_each(|it| new.restore(it).unwrap());
    new.resume(dedupe.watermark);
    new
}

#[test]
fn a_record_is_a_duplicate_of_one_that_went_on_less_than_the_span_away() {
    let (mut dedupe, mut clock) = (Dedupe::new(WITHIN_MS, TableId(3)), Clock { delay_ms: 40, watermark: -100 });
    let records = [("a", 0), ("a", 9), ("b", 9), ("a", 10), ("a", 19), ("a", -9), ("a", -10), ("a", 20)];
    assert_eq!(feed(&mut dedupe, &mut clock, &records).rows, [0, 2, 3, 6, 7]);
}

#[test]
fn a_record_that_may_be_forgotten_is_late() {
    let (mut dedupe, mut clock) = (Dedupe::new(WITHIN_MS, TableId(3)), Clock { delay_ms: 0, watermark: -100 });
    let records = [("a", 0), ("b", 30), ("a", 29), ("a", 30)];
    assert_eq!(feed(&mut dedupe, &mut clock, &records), Firsts { rows: vec![0, 1, 3], late: vec![2] });
}

#[test]
fn what_no_record_on_time_can_repeat_is_forgotten_but_at_the_end_of_the_input() {
    let (mut dedupe, mut clock) = (Dedupe::new(WITHIN_MS, TableId(3)), Clock { delay_ms: 0, watermark: -100 });
    feed(&mut dedupe, &mut clock, &[("a", 0), ("b", 5), ("a", 12)]);
    dedupe.advance(EventTime::MAX).unwrap();
    dedupe.advance(15).unwrap();
    assert_eq!(dedupe.keys(), 1, "b's 5 is over at 15, a's 12 is not");
    dedupe.advance(22).unwrap();
    assert_eq!(dedupe.keys(), 0);
    let mut delta = Delta::default();
    dedupe.seal(&mut delta);
    assert!(delta.is_empty(), "nothing was stored: {:?}", Entries(delta.bytes()).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn any_batches_and_restarts_give_what_a_list_of_all_gives(
        records in prop::collection::vec((0..4_usize, 0..60_i64), 1..120),
        cuts in prop::collection::vec((1..9_usize, any::<bool>()), 1..40),
        delay_ms in 0..20_i64,
    ) {
        let names = ["a", "b", "c", "d"];
        // Times rise slowly, with what is out of order.
        let records: Vec<(&str, EventTime)> =
            records.iter().enumerate().map(|(at, (key, time))| (names[*key], at as i64 / 2 + time / 3)).collect();
        let (mut went_on, mut late): (Vec<usize>, Vec<usize>) = Default::default();
        let mut watermark = -100;
        for (at, &(key, time)) in records.iter().enumerate() {
            let near = |it: &usize| records[*it].0 == key && (records[*it].1 - time).abs() < WITHIN_MS;
            if time <= watermark {
                late.push(at);
            } else if !went_on.iter().any(near) {
                went_on.push(at);
            }
            watermark = watermark.max(time - delay_ms - 1);
        }
        let (mut dedupe, mut clock) = (Dedupe::new(WITHIN_MS, TableId(3)), Clock { delay_ms, watermark: -100 });
        let (mut found, mut found_late, mut from) = (Vec::new(), Vec::new(), 0);
        let mut sealed = Delta::default();
        for (rows, restart) in cuts.into_iter().cycle() {
            let to = (from + rows).min(records.len());
            let firsts = feed(&mut dedupe, &mut clock, &records[from..to]);
            found.extend(firsts.rows.iter().map(|it| from + *it as usize));
            found_late.extend(firsts.late.iter().map(|it| from + *it as usize));
            if restart {
                dedupe = restarted(&mut dedupe, &mut sealed);
            }
            from = to;
            if from == records.len() {
                break;
            }
        }
        prop_assert_eq!((found, found_late), (went_on, late));
    }
}
