//! The computations that everything else is compared with, on cases that can be checked by eye.

use serde_json::json;
use wasmill_tests::reference::{counts, rolling, sessions, starts, updates, windows};
use wasmill_tests::stream::Event;

fn event(id: i64, user: &str, at: i64, amount: i64) -> Event {
    Event { id, user: user.into(), at, amount, partition: 0 }
}

#[test]
fn a_time_is_in_as_many_windows_as_slides_fit_into_the_size() {
    assert_eq!(starts(10, 10, 10), [10]);
    assert_eq!(starts(9, 10, 10), [0]);
    assert_eq!(starts(10, 10, 5), [5, 10]);
    assert_eq!(starts(-1, 10, 5), [-10, -5]);
}

#[test]
fn a_gap_of_exactly_the_length_splits_a_session() {
    let found = sessions(&[event(1, "ann", 0, 1), event(2, "ann", 9, 1), event(3, "ann", 19, 1)], 10);
    let bounds: Vec<_> = found.iter().map(|it| (it["window_start"].clone(), it["window_end"].clone())).collect();
    assert_eq!(bounds, [(json!(0), json!(19)), (json!(19), json!(29))]);
}

#[test]
fn a_rolling_window_holds_what_was_seen_and_not_what_is_exactly_its_length_ago() {
    let events = [event(1, "ann", 0, 1), event(2, "ann", 10, 2), event(3, "bob", 10, 4), event(4, "ann", 9, 8)];
    let found: Vec<_> = rolling(&events, 10).iter().map(|it| (it["n"].clone(), it["spent"].clone())).collect();
    assert_eq!(found, [(json!(1), json!(1)), (json!(1), json!(2)), (json!(1), json!(4)), (json!(2), json!(9))]);
}

#[test]
fn a_record_is_late_when_each_of_its_windows_had_closed_before_it() {
    let events = [
        event(1, "ann", 3, 1),
        event(2, "ann", 14, 1),
        event(3, "ann", 9, 1),
        event(4, "ann", 15, 1),
        event(5, "ann", 9, 1),
    ];
    let found = updates(&events, 10, 10, 4); // The watermark is 9 after the second record, and 10 after the fourth.
    assert_eq!(found.late, [3, 5]);
    assert_eq!(found.closed, windows(&[events[0].clone(), events[1].clone(), events[3].clone()], 10, 10));
    assert_eq!(found.updates.len(), 3);
}

#[test]
fn counts_go_on_by_user() {
    let events = [event(1, "ann", 0, 1), event(2, "bob", 0, 1), event(3, "ann", 0, 1)];
    assert_eq!(counts(&events), [("ann".into(), 1), ("bob".into(), 1), ("ann".into(), 2)]);
}

#[test]
fn a_time_is_counted_in_milliseconds_since_1970() {
    let times = ["1970-01-01T00:00:00Z", "2026-01-01T00:00:00.250Z", "2024-02-29T23:59:59.999Z"];
    assert_eq!(times.map(wasmill_tests::time::rfc3339_ms), [0, 1_767_225_600_250, 1_709_251_199_999]);
}
