//! Conditions against an evaluator that knows nothing of columns.

use super::*;
use crate::batch::{Origin, RawBatch, RawRecord, RawRows, Span};
use crate::config::{EventTimeOptions, Format, Late, TimeFormat};
use crate::decode::{Decoder, Projection};
use proptest::prelude::*;
use serde_json::Value;
use std::cmp::Ordering;

/// The rows of `records` that a filter keeps, decoded as a source's records are.
fn kept(condition: &Condition, records: &[Value]) -> Vec<u32> {
    let filter = Filter::new(condition, |_| None).unwrap();
    let own_time = EventTimeOptions {
        field: None,
        format: TimeFormat::EpochMs,
        delay_ms: 0,
        idle_timeout_ms: None,
        drift_ms_max: None,
        late: Late::Drop,
    };
    let mut arena = Vec::new();
    let records: Vec<RawRecord> = records
        .iter()
        .map(|it| {
            let start = arena.len() as u32;
            arena.extend_from_slice(it.to_string().as_bytes());
            let value = Span { start, len: arena.len() as u32 - start };
            RawRecord { key: Span::NULL, value, headers: Span::NULL }
        })
        .collect();
    let rows = records.len();
    let raw = RawBatch {
        origin: Origin { source: 0, partition: 0 },
        rows: RawRows { arena: Arc::new(arena), records },
        offsets: (0..rows as i64).collect(),
        timestamps: vec![0; rows],
        next_offset: rows as i64,
    };
    let projection = Projection::plan(filter.reads(), &own_time, Format::Json).unwrap();
    let batch = Decoder::new(projection).decode(raw).batch;
    let columns: Vec<&Column> = batch.columns.iter().collect();
    filter.kept(rows, &columns).unwrap_or_else(|| (0..rows as u32).collect())
}

/// Truth by the book: none is unknown.
fn naive(condition: &Condition, record: &Value) -> Option<bool> {
    let field = |name: &str| record.get(name).cloned().unwrap_or(Value::Null);
    let of = |operand: &Operand| match operand {
        Operand::Field(name) => field(name),
        Operand::Literal(it) => literal(it),
    };
    match condition {
        Condition::And(list) => {
            let parts: Vec<_> = list.iter().map(|it| naive(it, record)).collect();
            if parts.contains(&Some(false)) {
                Some(false)
            } else if parts.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Condition::Or(list) => {
            let parts: Vec<_> = list.iter().map(|it| naive(it, record)).collect();
            if parts.contains(&Some(true)) {
                Some(true)
            } else if parts.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Condition::Not(inner) => naive(inner, record).map(|it| !it),
        Condition::Compare { left, by, right } => {
            let order = order(&of(left), &of(right))?;
            Some(match by {
                Comparison::Equal => order == Ordering::Equal,
                Comparison::NotEqual => order != Ordering::Equal,
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
                Comparison::Greater => order == Ordering::Greater,
                Comparison::GreaterOrEqual => order != Ordering::Less,
            })
        }
        Condition::In { field: name, values } => {
            // `x in (a, b)` is `x = a or x = b`.
            let equal = |it: &Option<Literal>| {
                let it = it.as_ref().map_or(Value::Null, literal);
                order(&field(name), &it).map(|it| it == Ordering::Equal)
            };
            let parts: Vec<_> = values.iter().map(equal).collect();
            if parts.contains(&Some(true)) {
                Some(true)
            } else if parts.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Condition::IsNull(name) => Some(field(name).is_null()),
        Condition::Field(name) => field(name).as_bool(),
        Condition::Always(value) => Some(*value),
    }
}

fn literal(literal: &Literal) -> Value {
    match literal {
        Literal::Int(it) => (*it).into(),
        Literal::Float(it) => (*it).into(),
        Literal::Text(it) => it.to_string().into(),
        Literal::Boolean(it) => (*it).into(),
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            // The values of these tests are exact as floats.
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn a_field() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(Arc::from)
}

fn a_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        (-3_i64..4).prop_map(Literal::Int),
        (-3_i64..4).prop_map(|it| Literal::Float(it as f64 / 2.0)),
        prop::sample::select(vec!["", "x", "x\"y", "é"]).prop_map(|it| Literal::Text(it.into())),
        any::<bool>().prop_map(Literal::Boolean),
    ]
}

fn an_operand() -> impl Strategy<Value = Operand> {
    prop_oneof![2 => a_field().prop_map(Operand::Field), 1 => a_literal().prop_map(Operand::Literal)]
}

fn a_comparison() -> impl Strategy<Value = Comparison> {
    prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ])
}

fn a_condition() -> impl Strategy<Value = Condition> {
    let same_class = |first: Literal, more: Vec<Option<i64>>| {
        let rest = more.into_iter().map(move |it| {
            it.map(|it| match &first {
                Literal::Text(_) => Literal::Text(if it % 2 == 0 { "x" } else { "" }.into()),
                Literal::Boolean(_) => Literal::Boolean(it % 2 == 0),
                Literal::Int(_) | Literal::Float(_) => Literal::Int(it),
            })
        });
        rest.collect::<Vec<_>>()
    };
    let leaf = prop_oneof![
        4 => (an_operand(), a_comparison(), an_operand())
            .prop_map(|(left, by, right)| Condition::Compare { left, by, right }),
        2 => (a_field(), a_literal(), prop::collection::vec(prop::option::weighted(0.8, -3_i64..4), 1..4))
            .prop_map(move |(field, first, more)| Condition::In { field, values: same_class(first, more) }),
        1 => a_field().prop_map(Condition::IsNull),
        1 => a_field().prop_map(Condition::Field),
        1 => any::<bool>().prop_map(Condition::Always),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Or),
            inner.prop_map(|it| Condition::Not(Box::new(it))),
        ]
    })
}

fn a_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        3 => (-3_i64..4).prop_map(Value::from),
        2 => (-3_i64..4).prop_map(|it| Value::from(it as f64 / 2.0)),
        3 => prop::sample::select(vec!["", "x", "x\"y", "é", "true", "1"]).prop_map(Value::from),
        2 => any::<bool>().prop_map(Value::from),
        1 => Just(serde_json::json!([1])),
    ]
}

/// Records with some of the fields.
fn a_record() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), a_value(), 0..4)
        .prop_map(|it| it.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>())
        .prop_map(Value::Object)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_that_are_kept_are_those_that_sql_keeps(
        condition in a_condition(),
        records in prop::collection::vec(a_record(), 1..20),
    ) {
        let expected: Vec<u32> =
            (0..records.len() as u32).filter(|it| naive(&condition, &records[*it as usize]) == Some(true)).collect();
        prop_assert_eq!(kept(&condition, &records), expected);
    }
}

#[test]
fn a_comparison_that_can_never_be_true_is_refused() {
    let kind_of = |field: &str| match field {
        "name" => Some(Kind::Text),
        "amount" => Some(Kind::F64),
        _ => None,
    };
    let field = |name: &str| Operand::Field(name.into());
    let compare = |left, right| Condition::Compare { left, by: Comparison::Equal, right };
    let refused = |condition: &Condition| Filter::new(condition, kind_of).map(|_| ()).unwrap_err();
    assert_eq!(
        refused(&compare(field("name"), Operand::Literal(Literal::Int(1)))),
        "`name` is text, and is compared with 1, which is a number"
    );
    assert_eq!(
        refused(&compare(field("name"), field("amount"))),
        "`name` is text, and is compared with `amount`, which is f64"
    );
    assert_eq!(
        refused(&Condition::Field("amount".into())),
        "`amount` is f64, and is compared with true, which is true or false"
    );
    let read = Filter::new(&compare(field("other"), field("amount")), kind_of).unwrap();
    assert_eq!(read.reads(), [("other".into(), Kind::Number), ("amount".into(), Kind::F64)]);
}
