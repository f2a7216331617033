use super::*;
use crate::batch::{Keys, RowTimes};
use crate::column::Strings;
use proptest::prelude::*;

const FUNCTIONS: [Function; 5] = [Function::Count, Function::Sum, Function::Min, Function::Max, Function::Avg];

fn over(functions: &[Function], kind: Kind) -> Result<Builtin, UnfitField> {
    let aggregates: Vec<Aggregate> =
        functions.iter().map(|&function| Aggregate { name: "a".into(), function, field: Some("v".into()) }).collect();
    Builtin::new(&aggregates, &vec![kind; functions.len()])
}

/// What `functions` make of a column: all rows into one slot.
fn fold(functions: &[Function], column: &Column) -> Vec<Column> {
    let mut folds = over(functions, column.kind()).unwrap();
    let slot = folds.create();
    add(&mut folds, column, slot, 0..column.len() as u32);
    let mut out = folds.output(1);
    folds.collect(slot, &mut out);
    assert_eq!(out.iter().map(Column::kind).collect::<Vec<_>>(), folds.kinds());
    out
}

fn add(folds: &mut Builtin, column: &Column, slot: SlotId, rows: std::ops::Range<u32>) {
    let columns = vec![column; folds.stores.len()];
    let clock = RowTimes { before: 0, stragglers: Vec::new(), after: 0 };
    let input = Input { keys: &Keys::default(), times: &[], columns: &columns, clock: &clock, gaps: &[] };
    let adds: Vec<Add> = rows.map(|row| Add { slot, row }).collect();
    let Ok(()) = folds.add(&input, &adds);
}

fn with_null(mut column: Column) -> Column {
    column.push_null();
    column
}

#[test]
fn integers_stay_integers_and_nulls_are_skipped() {
    let out = fold(&FUNCTIONS, &with_null(Column::from(Values::S64(vec![3, -4, 6]))));
    let values: Vec<Values> = out.into_iter().map(|it| it.values).collect();
    let expected = [
        Values::S64(vec![3]),
        Values::S64(vec![5]),
        Values::S64(vec![-4]),
        Values::S64(vec![6]),
        Values::F64(vec![5.0 / 3.0]),
    ];
    assert_eq!(values, expected);
}

#[test]
fn one_float_among_integers_makes_a_float_of_the_sum_but_not_of_the_minimum() {
    let column = Column::from(Values::Number(vec![Number::Int(3), Number::Float(4.5)]));
    let out = fold(&[Function::Sum, Function::Min, Function::Max], &column);
    assert_eq!(out[0].values, Values::Number(vec![Number::Float(7.5)]));
    assert_eq!(out[1].values, Values::Number(vec![Number::Int(3)]));
    assert_eq!(out[2].values, Values::Number(vec![Number::Float(4.5)]));
}

#[test]
fn a_sum_beyond_64_bits_is_a_float_and_one_that_comes_back_is_an_integer() {
    let over = Column::from(Values::Number(vec![Number::Int(i64::MAX), Number::Int(1)]));
    assert_eq!(
        fold(&[Function::Sum], &over)[0].values,
        Values::Number(vec![Number::Float(9_223_372_036_854_775_808.0)])
    );
    let back = Column::from(Values::Number(vec![Number::Int(i64::MAX), Number::Int(1), Number::Int(-2)]));
    assert_eq!(fold(&[Function::Sum], &back)[0].values, Values::Number(vec![Number::Int(i64::MAX - 1)]));
    let declared = Column::from(Values::S64(vec![i64::MAX, 1]));
    assert_eq!(fold(&[Function::Sum], &declared)[0].values, Values::S64(vec![i64::MAX]), "a declared s64 stays one");
}

#[test]
fn over_no_values_all_but_the_count_are_null() {
    for kind in [Kind::S64, Kind::F64, Kind::Number] {
        let out = fold(&FUNCTIONS, &Column::null(kind, 2));
        assert_eq!(out[0].values, Values::S64(vec![0]));
        assert!(out[1..].iter().all(|it| it.is_null(0)), "{kind:?}");
    }
}

#[test]
fn extremes_of_texts_are_by_bytes() {
    let mut texts = Strings::default();
    ["bob", "ann", "bobby"].iter().for_each(|it| texts.push(it.as_bytes()));
    let out = fold(&[Function::Min, Function::Max], &with_null(Column::from(Values::Text(texts))));
    let Values::Text(min) = &out[0].values else { panic!("{out:?}") };
    let Values::Text(max) = &out[1].values else { panic!("{out:?}") };
    assert_eq!((min.get(0), max.get(0)), (&b"ann"[..], &b"bobby"[..]));
}

#[test]
fn a_field_that_a_function_has_no_meaning_for_is_refused() {
    let error = over(&[Function::Sum], Kind::Text).unwrap_err();
    assert_eq!(error.to_string(), "aggregate `a`: `sum` takes numbers, found a field of kind text");
    assert!(over(&[Function::Max], Kind::Boolean).is_err());
    assert!(over(&[Function::Count], Kind::Json).is_ok());
}

#[test]
fn a_freed_slot_comes_back_empty() {
    let mut folds = over(&FUNCTIONS, Kind::S64).unwrap();
    let slot = folds.create();
    add(&mut folds, &Column::from(Values::S64(vec![1])), slot, 0..1);
    folds.free(slot);
    assert_eq!(folds.create(), slot);
    let mut out = folds.output(1);
    folds.collect(slot, &mut out);
    assert_eq!(out[0].values, Values::S64(vec![0]));
}

#[test]
fn an_accumulator_of_other_aggregates_is_refused() {
    let mut two = over(&[Function::Count, Function::Count], Kind::S64).unwrap();
    let mut bytes = Vec::new();
    let slot = two.create();
    two.encode(slot, &mut bytes);
    let mut one = over(&[Function::Count], Kind::S64).unwrap();
    assert_eq!(one.decode(&bytes).unwrap_err().found, 1);
    assert!(two.decode(&bytes[..1]).is_err());
}

fn numbers() -> impl Strategy<Value = Vec<Option<Number>>> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::Int),
        any::<f64>().prop_map(Number::Float),
        (-3..3i64).prop_map(Number::Int),
        (-3..3i64).prop_map(|it| Number::Float(it as f64)),
    ];
    prop::collection::vec(prop::option::weighted(0.9, number), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn a_slot_encoded_and_decoded_goes_on_as_it_was(before in numbers(), after in numbers()) {
        let mut column = Column::empty(Kind::Number, 0);
        for value in before.iter().chain(&after) {
            match (value, &mut column.values) {
                (Some(value), Values::Number(values)) => {
                    values.push(*value);
                    column.pushed();
                }
                _ => column.push_null(),
            }
        }
        let (cut, end) = (before.len() as u32, column.len() as u32);
        let mut folds = over(&FUNCTIONS, Kind::Number).unwrap();
        let straight = folds.create();
        add(&mut folds, &column, straight, 0..cut);
        let mut bytes = Vec::new();
        folds.encode(straight, &mut bytes);
        let copy = folds.decode(&bytes).unwrap();
        let mut merged = folds.create();
        for slot in [straight, copy] {
            add(&mut folds, &column, slot, cut..end);
        }
        let empty = folds.create();
        let Ok(()) = folds.merge(&[Merge { into: merged, from: empty }, Merge { into: merged, from: copy }]);
        let encode = |folds: &Builtin, slot| {
            let mut bytes = Vec::new();
            folds.encode(slot, &mut bytes);
            bytes
        };
        prop_assert_eq!(encode(&folds, straight), encode(&folds, copy));
        prop_assert_eq!(encode(&folds, straight), encode(&folds, merged), "merging into an empty slot copies");
        folds.reset(merged);
        merged = folds.create();
        prop_assert_eq!(encode(&folds, empty), encode(&folds, merged));
    }
}

#[test]
fn what_values_take_is_counted_and_given_back() {
    let mut folds = over(&[Function::Collect, Function::Distinct, Function::Max], Kind::Text).unwrap();
    let (mut texts, slots) = (Strings::default(), [folds.create(), folds.create()]);
    (0..50).for_each(|it| texts.push(format!("{it:0>100}").as_bytes()));
    let column = Column::from(Values::Text(texts));
    let empty = folds.bytes();
    add(&mut folds, &column, slots[0], 0..50);
    let one = folds.bytes() - empty;
    assert!((6_000..9_000).contains(&one), "50 quoted texts, 50 hashes and a text are {one} bytes");
    let Ok(()) = folds.merge(&[Merge { into: slots[1], from: slots[0] }]);
    assert_eq!(folds.bytes(), empty + 2 * one);
    let mut bytes = Vec::new();
    folds.encode(slots[1], &mut bytes);
    let decoded = folds.decode(&bytes).unwrap();
    folds.reset(slots[1]);
    folds.free(slots[0]);
    assert_eq!(folds.bytes(), empty + one, "two slots are in use, one of them empty");
    folds.free(decoded);
    folds.free(slots[1]);
    assert_eq!(folds.bytes(), 0);
}
