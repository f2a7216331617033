//! A failed call, narrowed down: halves of the rows, in order, until the rows that fail alone are found.
//!
//! Pure but for the guest that it is handed. Parts are called left to right, so output comes in the order of rows, and
//! later rows of a key see the state that earlier ones left.

use super::error::{Fault, PluginError};
use super::produced::{REASON_BYTES_MAX, Rejected, clip};
use crate::column::{Column, Strings, Values};
use std::ops::Range;

/// Rows that fail one after the other, with no good one between, until the plugin is given up.
pub(super) const FAILED_ROWS_MAX: u32 = 100;

/// Time that a part of a call has at least, ms (or the call's, where that is shorter): a busy machine must not blame rows.
const PART_MS_MIN: u64 = 20;

/// A guest that can be replaced by a fresh one.
pub(super) trait Replace {
    /// Throws the instance away and starts another.
    fn replace(&mut self) -> Result<(), PluginError>;
    /// What messages call it.
    fn label(&self) -> &str;
    /// Rows that failed in a row.
    fn streak(&mut self) -> &mut Streak;
}

/// How many rows failed since one was good.
#[derive(Debug, Default)]
pub(super) struct Streak(u32);

/// A run of rows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The rows.
    pub(super) rows: Range<usize>,
    /// How many the whole call has.
    pub(super) of: usize,
}

impl Part {
    fn split(&self) -> Option<(Part, Part)> {
        let middle = self.rows.start + self.rows.len() / 2;
        let part = |rows| Part { rows, of: self.of };
        (self.rows.len() > 1).then(|| (part(self.rows.start..middle), part(middle..self.rows.end)))
    }

    /// The deadline of this part, ms. The whole call and a single row have `ms_max`; between them it shrinks with the
    /// rows, so that finding one endless row costs some three deadlines and not one for each halving. A part that is cut
    /// short wrongly is only cut further.
    pub(super) fn ms_max(&self, ms_max: u64) -> u64 {
        if self.rows.len() == self.of || self.rows.len() <= 1 {
            return ms_max;
        }
        (ms_max * self.rows.len() as u64 / self.of as u64).max(ms_max / 32).max(ms_max.min(PART_MS_MIN))
    }
}

/// Calls with all `rows`, and with parts of them after a fault. `call` keeps what a good call produced.
///
/// Returns the rows that failed alone, by row.
///
/// # Errors
/// No fresh instance starts, or [`FAILED_ROWS_MAX`] rows failed with none good between (also over several calls).
pub(super) fn by_rows<G: Replace>(
    guest: &mut G,
    rows: usize,
    mut call: impl FnMut(&mut G, &Part) -> Result<(), Fault>,
) -> Result<Vec<Rejected>, PluginError> {
    let mut rejects = Vec::new();
    let mut parts = Vec::new();
    if rows > 0 {
        parts.push(Part { rows: 0..rows, of: rows });
    }
    while let Some(part) = parts.pop() {
        let Err(fault) = call(guest, &part) else {
            guest.streak().0 = 0;
            continue;
        };
        if part.rows.len() == rows {
            tracing::debug!(plugin = guest.label(), rows, %fault, "a call failed; looking for the rows to blame");
        }
        if let Some((left, right)) = part.split() {
            guest.replace()?;
            parts.extend([right, left]);
            continue;
        }
        guest.streak().0 += 1;
        if guest.streak().0 >= FAILED_ROWS_MAX {
            return Err(PluginError::EveryRow { plugin: guest.label().to_owned(), rows: FAILED_ROWS_MAX, fault });
        }
        guest.replace()?;
        let reason = clip(format!("the plugin {fault}"), REASON_BYTES_MAX);
        rejects.push(Rejected { row: part.rows.start as u32, reason, fault: true });
    }
    Ok(rejects)
}

/// A part of a call whose rows are grouped by key.
pub(super) struct GroupPart<'a> {
    /// The rows.
    pub(super) part: &'a Part,
    /// The first group, in the groups of the call.
    pub(super) first_group: usize,
    /// Bounds of the groups within the part.
    pub(super) bounds: &'a [u32],
    /// The groups' states as the rows before this part left them.
    pub(super) states: &'a Column,
}

/// As [`by_rows`], over groups and their states (`bytes`, nullable): `call` returns the new states of its groups.
///
/// The states that come back, and the order of calls within a group, are those of one call with the good rows alone. A
/// group whose rows all failed keeps its state. A group without rows belongs to exactly one part.
///
/// # Errors
/// See [`by_rows`].
pub(super) fn by_groups<G: Replace>(
    guest: &mut G,
    bounds: &[u32],
    states: &Column,
    mut call: impl FnMut(&mut G, &GroupPart<'_>) -> Result<Column, Fault>,
) -> Result<(Column, Vec<Rejected>), PluginError> {
    let rows = bounds.last().map_or(0, |&it| it as usize);
    let mut whole = None;
    let mut current: Option<Vec<Option<Vec<u8>>>> = None; // Only once a call has failed.
    let rejects = by_rows(guest, rows, |guest, part| {
        if part.rows.len() == rows {
            whole = Some(call(guest, &GroupPart { part, first_group: 0, bounds, states })?);
            return Ok(());
        }
        let current = current.get_or_insert_with(|| unpack(states));
        let groups = groups_of(bounds, &part.rows);
        let clip = |it: &u32| (it.clamp(&(part.rows.start as u32), &(part.rows.end as u32))) - part.rows.start as u32;
        let part_bounds: Vec<u32> = bounds[groups.start..=groups.end].iter().map(clip).collect();
        let before = pack(&current[groups.clone()]);
        let part = GroupPart { part, first_group: groups.start, bounds: &part_bounds, states: &before };
        let after = call(guest, &part)?;
        current.splice(groups, unpack(&after)).for_each(drop);
        Ok(())
    })?;
    let states = match (whole, current) {
        (Some(whole), _) => whole,
        (None, Some(current)) => pack(&current),
        (None, None) => states.clone(),
    };
    Ok((states, rejects))
}

/// The groups of a part: those with a row in it, and those without any row that lie at its start or within it (at its
/// end too, where it is the last part).
fn groups_of(bounds: &[u32], rows: &Range<usize>) -> Range<usize> {
    let (start, end) = (rows.start as u32, rows.end as u32);
    let groups = bounds.len() - 1;
    let last = if end == bounds[groups] { groups } else { bounds[..groups].partition_point(|&it| it < end) };
    let straddles_or_starts = bounds[..groups].partition_point(|&it| it < start);
    // The group before the first bound at `start` reaches into the part where that bound lies beyond it.
    let first = if bounds[straddles_or_starts] > start { straddles_or_starts - 1 } else { straddles_or_starts };
    first..last
}

fn unpack(states: &Column) -> Vec<Option<Vec<u8>>> {
    let Values::Bytes(strings) = &states.values else { unreachable!("states are bytes") };
    strings.iter().enumerate().map(|(row, it)| (!states.is_null(row)).then(|| it.to_vec())).collect()
}

fn pack(states: &[Option<Vec<u8>>]) -> Column {
    let bytes = states.iter().flatten().map(Vec::len).sum();
    let mut column = Column::from(Values::Bytes(Strings::with_capacity(states.len(), bytes)));
    for state in states {
        let Some(state) = state else {
            column.push_null();
            continue;
        };
        if let Values::Bytes(strings) = &mut column.values {
            strings.push(state);
        }
        column.pushed();
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::error::FaultKind;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Fake {
        replaced: u32,
        streak: Streak,
    }

    impl Replace for Fake {
        fn replace(&mut self) -> Result<(), PluginError> {
            self.replaced += 1;
            Ok(())
        }
        fn label(&self) -> &str {
            "fake"
        }
        fn streak(&mut self) -> &mut Streak {
            &mut self.streak
        }
    }

    fn boom() -> Fault {
        FaultKind::Trap("boom".to_owned()).into()
    }

    fn rows_of(rejects: &[Rejected]) -> Vec<u32> {
        rejects.iter().map(|it| it.row).collect()
    }

    /// Passes rows on, and fails on `bad` ones.
    fn pass(guest: &mut Fake, rows: usize, bad: &[usize]) -> (Vec<usize>, Result<Vec<Rejected>, PluginError>) {
        let mut passed = Vec::new();
        let rejects = by_rows(guest, rows, |_, part| {
            if bad.iter().any(|it| part.rows.contains(it)) {
                return Err(boom());
            }
            passed.extend(part.rows.clone());
            Ok(())
        });
        (passed, rejects)
    }

    #[test]
    fn a_row_that_fails_is_found_in_some_twenty_calls_and_the_others_pass_in_order() {
        let mut guest = Fake::default();
        let (passed, rejects) = pass(&mut guest, 1_024, &[700]);
        assert_eq!(passed, (0..1_024).filter(|&it| it != 700).collect::<Vec<_>>());
        let rejects = rejects.unwrap();
        let expected = Rejected { row: 700, reason: "the plugin trapped: boom".to_owned(), fault: true };
        assert_eq!(rejects, [expected]);
        assert_eq!(guest.replaced, 11);
    }

    #[test]
    fn no_rows_are_no_call() {
        assert!(by_rows(&mut Fake::default(), 0, |_, _| Err(boom())).unwrap().is_empty());
    }

    #[test]
    fn the_hundredth_failure_in_a_row_is_fatal_also_over_several_calls() {
        let mut guest = Fake::default();
        for _ in 0..99 {
            assert_eq!(rows_of(&pass(&mut guest, 1, &[0]).1.unwrap()), [0]);
        }
        assert!(matches!(pass(&mut guest, 1, &[0]).1, Err(PluginError::EveryRow { rows: 100, .. })));

        let mut guest = Fake::default();
        let bad: Vec<usize> = (0..500).filter(|it| it % 100 != 99).collect();
        assert_eq!(pass(&mut guest, 500, &bad).1.unwrap().len(), 495);
        assert!(matches!(pass(&mut guest, 500, &(0..500).collect::<Vec<_>>()).1, Err(PluginError::EveryRow { .. })));
    }

    #[test]
    fn deadlines_shrink_with_the_part_but_not_for_a_row_alone() {
        let ms = |rows| Part { rows, of: 1_024 }.ms_max(5_000);
        assert_eq!((ms(0..1_024), ms(0..512), ms(0..2), ms(3..4)), (5_000, 2_500, 156, 5_000));
    }

    /// A keyed plugin that appends each row's number to its group's state, and deletes the state at rows of `ends`.
    fn append(
        bounds: &[u32],
        states: &Column,
        bad: &[usize],
        ends: &[usize],
        calls: &mut Vec<(usize, usize)>,
    ) -> (Column, Vec<Rejected>) {
        by_groups(&mut Fake::default(), bounds, states, |_, it| {
            if bad.iter().any(|row| it.part.rows.contains(row)) {
                return Err(boom());
            }
            assert_eq!((it.bounds[0], *it.bounds.last().unwrap()), (0, it.part.rows.len() as u32));
            let mut states = unpack(it.states);
            assert_eq!(states.len() + 1, it.bounds.len());
            for (group, bounds) in it.bounds.windows(2).enumerate() {
                if bounds[0] == bounds[1] {
                    states[group].get_or_insert_default().push(b'e'); // Once a group without rows.
                }
                for row in bounds[0] as usize..bounds[1] as usize {
                    let row = it.part.rows.start + row;
                    calls.push((it.first_group + group, row));
                    states[group].get_or_insert_default().push(b'0' + row as u8);
                    if ends.contains(&row) {
                        states[group] = None;
                    }
                }
            }
            Ok(pack(&states))
        })
        .unwrap()
    }

    #[test]
    fn a_group_keeps_the_state_of_its_good_rows() {
        let states = pack(&[Some(b"a".to_vec()), None, Some(b"c".to_vec())]);
        let (after, rejects) = append(&[0, 3, 6, 7], &states, &[1, 6], &[], &mut Vec::new());
        assert_eq!(unpack(&after), [Some(b"a02".to_vec()), Some(b"345".to_vec()), Some(b"c".to_vec())]);
        assert_eq!(rows_of(&rejects), [1, 6]);
    }

    #[test]
    fn a_call_that_succeeds_hands_its_states_on_as_they_are() {
        let states = pack(&[None]);
        let (after, _) = append(&[0, 2], &states, &[], &[], &mut Vec::new());
        assert_eq!(unpack(&after), [Some(b"01".to_vec())]);
        let (after, _) = append(&[0], &pack(&[]), &[], &[], &mut Vec::new());
        assert!(after.is_empty());
    }

    proptest! {
        #[test]
        fn bisecting_gives_what_one_call_with_the_good_rows_gives(
            sizes in prop::collection::vec(0u32..5, 1..8),
            bad in prop::collection::btree_set(0usize..32, 0..6),
            ends in prop::collection::vec(0usize..32, 0..3),
            nulls in prop::collection::vec(any::<bool>(), 8),
        ) {
            let bounds: Vec<u32> = std::iter::once(0).chain(sizes.iter().scan(0, |sum, it| { *sum += it; Some(*sum) })).collect();
            let rows = *bounds.last().unwrap() as usize;
            let bad: Vec<usize> = bad.into_iter().filter(|&it| it < rows).collect();
            let start: Vec<_> = (0..sizes.len()).map(|it| nulls[it].then(|| b"s".to_vec())).collect();
            let mut calls = Vec::new();
            let (after, rejects) = append(&bounds, &pack(&start), &bad, &ends, &mut calls);

            let mut expected = start.clone();
            let mut expected_calls = Vec::new();
            for (group, it) in bounds.windows(2).enumerate() {
                if rows > 0 && it[0] == it[1] && bad.len() < rows {
                    continue; // Checked below: at most once.
                }
                for row in (it[0] as usize..it[1] as usize).filter(|row| !bad.contains(row)) {
                    expected_calls.push((group, row));
                    expected[group].get_or_insert_default().push(b'0' + row as u8);
                    if ends.contains(&row) {
                        expected[group] = None;
                    }
                }
            }
            prop_assert_eq!(calls, expected_calls);
            prop_assert_eq!(rows_of(&rejects), bad.iter().map(|&it| it as u32).collect::<Vec<_>>());
            for (group, after) in unpack(&after).into_iter().enumerate() {
                if sizes[group] > 0 {
                    prop_assert_eq!(after, expected[group].clone());
                } else {
                    let visits = after.map_or(0, |it| it.iter().filter(|&&it| it == b'e').count());
                    prop_assert!(visits <= 1, "group {group} without rows was handed over {visits} times");
                }
            }
        }
    }
}
