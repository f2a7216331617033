//! Which rows of a batch see which state of their key, where state expires: a record that comes too long after the one before it
//! finds none, even where both are in one batch.

use crate::batch::{EventTime, Keys, RowTimes};

/// When the keys of a call are used; both are empty where state does not expire.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// How far event time is at each key's first row.
    pub first_at: Vec<EventTime>,
    /// The latest event time of each key's rows.
    pub last: Vec<EventTime>,
}

/// How far event time is at a row: its own time, or the watermark where that is further.
fn at(row: usize, times: &[EventTime], clock: &RowTimes) -> EventTime {
    let late = clock.stragglers.binary_search_by_key(&(row as u32), |it| it.0);
    late.map_or(times[row], |it| times[row].max(clock.stragglers[it].1))
}

/// When each key of a grouped batch is used; `bounds` has the first row of each and the number of all.
pub(super) fn last_uses(ttl_ms: Option<i64>, bounds: &[u32], times: &[EventTime], clock: &RowTimes) -> Uses {
    let mut uses = Uses::default();
    if ttl_ms.is_none() {
        return uses;
    }
    for key in bounds.windows(2) {
        let rows = key[0] as usize..key[1] as usize;
        uses.first_at.push(at(rows.start, times, clock));
        uses.last.push(times[rows].iter().copied().max().unwrap_or(EventTime::MIN));
    }
    uses
}

/// The rows of a batch in runs within which no key's state expires: mostly one.
pub(super) fn runs(ttl_ms: i64, keys: &Keys, times: &[EventTime], clock: &RowTimes) -> Vec<Vec<u32>> {
    let mut runs = vec![Vec::new()];
    let mut last = hashbrown::HashMap::<&[u8], EventTime, foldhash::fast::FixedState>::default();
    for (row, &time) in times.iter().enumerate() {
        let key = keys.texts.get(row);
        let expired = last.get(key).is_some_and(|it| it.saturating_add(ttl_ms) <= at(row, times, clock));
        if expired {
            runs.push(Vec::new());
            last.clear();
        }
        let latest = last.entry(key).or_insert(time);
        *latest = time.max(*latest);
        if let Some(run) = runs.last_mut() {
            run.push(row as u32);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::hash;

    #[test]
    fn a_batch_is_cut_where_the_state_of_a_key_expires_between_two_of_its_rows() {
        let mut keys = Keys::default();
        for key in ["a", "b", "a", "b", "a", "a"] {
            keys.texts.push(key.as_bytes());
            keys.hashes.push(hash(key.as_bytes()));
        }
        let times = [0, 5, 9, 15, 18, 19];
        let clock = |stragglers| RowTimes { before: 0, stragglers, after: 0 };
        assert_eq!(runs(10, &keys, &times, &clock(vec![])), [vec![0, 1, 2], vec![3, 4, 5]], "b at 15");
        let late = clock(vec![(4, 19), (5, 40)]);
        assert_eq!(runs(10, &keys, &times, &late), [vec![0, 1, 2], vec![3, 4], vec![5]], "the watermark is 40 there");
        assert_eq!(
            last_uses(Some(10), &[0, 2, 6], &times, &late),
            Uses { first_at: vec![0, 9], last: vec![5, 19] },
            "as though there were two keys"
        );
        assert_eq!(last_uses(None, &[0, 2, 6], &times, &late), Uses::default());
    }
}
