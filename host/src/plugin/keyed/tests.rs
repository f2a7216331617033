use super::*;
use crate::column::Values;
use crate::plugin::{Blame, Body, PluginEngine, testing};
use proptest::prelude::*;

fn start(config: &str) -> KeyedRunner {
    KeyedRunner::start(&testing::plugin("misbehaving-keyed"), config, &PluginLimits::default()).unwrap().0
}

fn s64(values: impl IntoIterator<Item = i64>) -> Column {
    Column::from(Values::S64(values.into_iter().collect()))
}

fn states(states: &[Option<&str>]) -> Column {
    let mut column = Column::empty(Kind::Bytes, states.len());
    for state in states {
        match (state, &mut column.values) {
            (Some(state), Values::Bytes(strings)) => {
                strings.push(state.as_bytes());
                column.pushed();
            }
            _ => column.push_null(),
        }
    }
    column
}

fn texts(states: &Column) -> Vec<Option<String>> {
    let Values::Bytes(strings) = &states.values else { panic!("states are bytes") };
    let text = |row: usize| String::from_utf8(strings.get(row).to_vec()).unwrap();
    (0..strings.len()).map(|row| (!states.is_null(row)).then(|| text(row))).collect()
}

/// Each output row's origin and count.
fn counts(produced: &Produced) -> Vec<(u32, i64)> {
    let rows = produced.tables.iter().flat_map(|table| {
        let Body::Columns(columns) = &table.body else { panic!("columns") };
        let Values::S64(counts) = &columns[0].values else { panic!("counts") };
        table.origins.iter().copied().zip(counts.iter().copied())
    });
    rows.collect()
}

#[test]
fn states_go_in_and_come_back_by_group() {
    let mut runner = start(r#"{"timer_ms": 1000}"#);
    let columns = [s64([1, 2, 3]), s64([10, 20, 30])];
    let call = Call { rows: 3, columns: &[&columns[0], &columns[1]], watermark: 5 };
    let answer = runner.process(&call, Groups { bounds: &[0, 2, 3], states: &states(&[Some("41"), None]) }).unwrap();
    assert_eq!(counts(&answer.produced), [(0, 42), (1, 43), (2, 1)]);
    assert_eq!(texts(&answer.states), [Some("43".to_owned()), Some("1".to_owned())]);
    let timer = |group, at| Timer { group, id: 1, at: Some(at) };
    assert_eq!(answer.timers, [timer(0, 1_010), timer(0, 1_020), timer(1, 1_030)]);
}

#[test]
fn a_row_that_fails_leaves_its_key_the_state_of_the_good_rows() {
    let mut runner = start(r#"{"trap_every": 4, "timer_ms": 0}"#);
    let columns = [s64([1, 2, 4, 3, 8, 5]), s64(0..6)];
    let call = Call { rows: 6, columns: &[&columns[0], &columns[1]], watermark: 0 };
    let before = states(&[Some("10"), Some("7"), None]);
    let answer = runner.process(&call, Groups { bounds: &[0, 4, 5, 6], states: &before }).unwrap();
    assert_eq!(counts(&answer.produced), [(0, 11), (1, 12), (3, 13), (5, 1)]);
    assert_eq!(texts(&answer.states), [Some("13".to_owned()), Some("7".to_owned()), Some("1".to_owned())]);
    assert_eq!(
        answer.timers.iter().map(|it| (it.group, it.at)).collect::<Vec<_>>(),
        [(0, Some(0)), (0, Some(1)), (0, Some(3)), (2, Some(5)),]
    );
    let rejects: Vec<_> = answer.produced.rejects.iter().map(|it| (it.row, it.fault)).collect();
    assert_eq!(rejects, [(2, true), (4, true)]);
    assert!(
        answer.produced.rejects[1].reason.contains("cannot count id 8")
            || answer.produced.rejects[1].reason.contains("trapped")
    );
}

#[test]
fn a_timer_reads_the_state_and_may_delete_it() {
    let mut runner = start("{}");
    let columns = [Column::null(Kind::S64, 2), s64([100, 200])];
    let due = Call { rows: 2, columns: &[&columns[0], &columns[1]], watermark: 300 };
    let groups = Groups { bounds: &[0, 1, 2], states: &states(&[Some("5"), Some("6")]) };
    let answer = runner.on_timers(&due, &[1, 1], groups).unwrap();
    assert_eq!(counts(&answer.produced), [(0, 5), (1, 6)]);
    assert_eq!(texts(&answer.states), [None, None]);
}

#[test]
fn a_timer_whose_state_cannot_be_read_is_rejected_alone() {
    let mut runner = start("{}");
    let columns = [Column::null(Kind::S64, 3), s64([1, 2, 3])];
    let due = Call { rows: 3, columns: &[&columns[0], &columns[1]], watermark: 3 };
    let groups = Groups { bounds: &[0, 1, 2, 3], states: &states(&[Some("5"), Some("what"), Some("7")]) };
    let answer = runner.on_timers(&due, &[1, 1, 1], groups).unwrap();
    assert_eq!(counts(&answer.produced), [(0, 5), (2, 7)]);
    assert_eq!(texts(&answer.states), [None, Some("what".to_owned()), None]);
    assert_eq!(answer.produced.rejects[0].reason, "the plugin answered with an error: a state is not a count: what");
}

#[test]
fn a_plugin_is_asked_whether_it_can_migrate_and_exporting_it_is_not_enough() {
    assert_eq!(start("{}").can_migrate(1), Ok(()));
    let why = start("{}").can_migrate(9).unwrap_err();
    assert_eq!(why, "says: there is no way from state version 9");
    let exports_none = Plugin::load(&PluginEngine::new(None).unwrap(), &testing::guest("velocity")).unwrap();
    let (mut runner, _) = KeyedRunner::start(&exports_none, "{}", &PluginLimits::default()).unwrap();
    assert_eq!(runner.can_migrate(1).unwrap_err(), "exports no migration");
}

#[test]
fn old_states_are_migrated_or_the_error_says_why_not() {
    let mut runner = start("{}");
    let mut old = Strings::default();
    old.push(&42i64.to_le_bytes());
    old.push(&7i64.to_le_bytes());
    let new = runner.migrate(1, &old).unwrap();
    assert_eq!(new.iter().collect::<Vec<_>>(), [b"42".as_slice(), b"7"]);
    let error = runner.migrate(9, &old).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("`migrate` failed: it answered with an error: there is no way from state version 9"),
        "{error}"
    );
    assert_eq!(error.blame(), Blame::Plugin);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_batch_with_bad_rows_gives_what_its_good_rows_give(
        groups in prop::collection::vec(prop::collection::vec(1i64..30, 1..6), 1..6),
        known in prop::collection::vec(any::<bool>(), 6),
    ) {
        let ids: Vec<i64> = groups.concat();
        let ends = groups.iter().scan(0, |sum, it| { *sum += it.len() as u32; Some(*sum) });
        let bounds: Vec<u32> = std::iter::once(0).chain(ends).collect();
        let before: Vec<Option<&str>> = (0..groups.len()).map(|it| known[it].then_some("100")).collect();
        let columns = [s64(ids.iter().copied()), s64(ids.iter().copied())];
        let call = Call { rows: ids.len(), columns: &[&columns[0], &columns[1]], watermark: 0 };
        let mut runner = start(r#"{"trap_every": 5}"#);
        let answer = runner.process(&call, Groups { bounds: &bounds, states: &states(&before) }).unwrap();

        let (mut expected, mut after, mut row) = (Vec::new(), Vec::new(), 0);
        for (group, ids) in groups.iter().enumerate() {
            let mut count = known[group].then_some(100);
            for id in ids {
                if id % 5 != 0 {
                    count = Some(count.unwrap_or(0) + 1);
                    expected.push((row, count.unwrap()));
                }
                row += 1;
            }
            after.push(count.map(|it: i64| it.to_string()));
        }
        prop_assert_eq!(counts(&answer.produced), expected);
        prop_assert_eq!(texts(&answer.states), after);
        prop_assert_eq!(answer.produced.rejects.len(), ids.iter().filter(|it| *it % 5 == 0).count());
    }
}
