use super::*;
use crate::batch::{Origin, RawRecord, RawRows, Span};
use crate::column::{Kind, Number, Strings, Values};
use crate::config::Format;
use crate::config::{EventTimeOptions, Late, TimeFormat};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::Value;

fn event_time(field: Option<(&str, TimeFormat)>) -> EventTimeOptions {
    EventTimeOptions {
        field: field.map(|(path, _)| Arc::from(path)),
        format: field.map_or(TimeFormat::EpochMs, |(_, format)| format),
        delay_ms: 0,
        idle_timeout_ms: None,
        drift_ms_max: None,
        late: Late::Drop,
    }
}

fn raw(values: &[Option<&[u8]>]) -> RawBatch {
    let mut arena = Vec::new();
    let mut records = Vec::new();
    for value in values {
        let value = value.map_or(Span::NULL, |it| {
            arena.extend_from_slice(it);
            Span { start: (arena.len() - it.len()) as u32, len: it.len() as u32 }
        });
        records.push(RawRecord { key: Span::NULL, value, headers: Span::NULL });
    }
    let rows = values.len() as i64;
    RawBatch {
        origin: Origin { source: 0, partition: 3 },
        rows: RawRows { arena: Arc::new(arena), records },
        offsets: (100..100 + rows).collect(),
        timestamps: (0..rows).map(|it| 1000 + it).collect(),
        next_offset: 100 + rows,
    }
}

fn decoder(columns: &[(&str, Kind)], time: Option<(&str, TimeFormat)>) -> Decoder {
    let columns: Vec<_> = columns.iter().map(|&(path, kind)| (Arc::from(path), kind)).collect();
    Decoder::new(Projection::plan(&columns, &event_time(time), Format::Json).unwrap())
}

/// The cell as JSON, so that results can be compared with what serde_json says.
fn cell(column: &Column, row: usize) -> String {
    if column.is_null(row) {
        return "null".into();
    }
    let text = |it: &Strings| String::from_utf8(it.get(row).to_vec()).unwrap();
    match &column.values {
        Values::S64(values) => values[row].to_string(),
        Values::F64(values) => format!("{:?}", values[row]),
        Values::Boolean(values) => (values[row] == 1).to_string(),
        Values::Text(strings) | Values::Bytes(strings) => serde_json::to_string(&text(strings)).unwrap(),
        Values::Json(strings) => text(strings),
        Values::Number(values) => format!("{:?}", values[row]),
    }
}

fn check(columns: &[(&str, Kind)], time: Option<(&str, TimeFormat)>, values: &[&str], expected: Expect) {
    let values: Vec<_> = values.iter().map(|it| Some(it.as_bytes())).collect();
    check_bytes(columns, time, &values, expected);
}

fn check_bytes(columns: &[(&str, Kind)], time: Option<(&str, TimeFormat)>, values: &[Option<&[u8]>], expected: Expect) {
    let Decoded { batch, rejects, .. } = decoder(columns, time).decode(raw(values));
    let mut lines = String::new();
    for row in 0..batch.rows {
        let cells: Vec<_> = batch.columns.iter().map(|it| cell(it, row)).collect();
        lines += &format!("{} t={} {}\n", batch.offsets[row], batch.times[row], cells.join(" "));
    }
    for reject in &rejects {
        lines += &format!("row {}: {}\n", reject.row, reject.reason);
    }
    assert_eq!(batch.raw.unwrap().records.len(), batch.rows);
    assert!(batch.columns.iter().all(|it| it.len() == batch.rows));
    expected.assert_eq(&lines);
}

#[test]
fn fields_are_found_wherever_they_are_and_nested_ones_by_dots() {
    let columns = [("amount", Kind::F64), ("card.country", Kind::Text), ("card", Kind::Json)];
    check(
        &columns,
        Some(("at", TimeFormat::EpochMs)),
        &[
            r#"{"at":5,"amount":12.5,"card":{"country":"FR","n":[1,{"country":"no"}]}}"#,
            r#" { "card" : { "x" : 1 , "country" : "D\u0045" } , "skip" : [ { } , [ ] ] , "amount" : 7 , "at" : 6 } "#,
            r#"{"at":7,"card":"none","amount":null}"#,
        ],
        expect![[r#"
            100 t=5 12.5 "FR" {"country":"FR","n":[1,{"country":"no"}]}
            101 t=6 7.0 "DE" {"x":1,"country":"D\u0045"}
            102 t=7 null null "none"
        "#]],
    );
}

#[test]
fn a_field_of_another_kind_is_null() {
    let columns = [
        ("v", Kind::S64),
        ("v", Kind::F64),
        ("v", Kind::Boolean),
        ("v", Kind::Text),
        ("v", Kind::Number),
        ("v", Kind::Json),
    ];
    check(
        &columns,
        None,
        &[
            r#"{"v":1}"#,
            r#"{"v":-0}"#,
            r#"{"v":1.0}"#,
            r#"{"v":1e2}"#,
            r#"{"v":9223372036854775808}"#,
            r#"{"v":1e999}"#,
            r#"{"v":true}"#,
            r#"{"v":"1"}"#,
            r#"{"v":"\ud800"}"#,
            r#"{"v":null}"#,
            r#"{"v":[1, 2]}"#,
            r#"{}"#,
        ],
        expect![[r#"
            100 t=1000 1 1.0 null null Int(1) 1
            101 t=1001 0 -0.0 null null Int(0) 0
            102 t=1002 null 1.0 null null Float(1.0) 1.0
            103 t=1003 null 100.0 null null Float(100.0) 100.0
            104 t=1004 null 9.223372036854776e18 null null Float(9.223372036854776e18) 9.223372036854776e+18
            105 t=1005 null null null null null 1e999
            106 t=1006 null null true null null true
            107 t=1007 null null null "1" null "1"
            108 t=1008 null null null null null "\ud800"
            109 t=1009 null null null null null null
            110 t=1010 null null null null null [1,2]
            111 t=1011 null null null null null null
        "#]],
    );
}

#[test]
fn the_last_of_a_repeated_field_wins_with_all_that_is_in_it() {
    check(
        &[("a.b", Kind::S64), ("a.c", Kind::S64), ("n\"q", Kind::S64)],
        None,
        &[
            r#"{"a":{"b":1},"a":{"c":2}}"#,
            r#"{"a":{"b":1,"b":3}}"#,
            r#"{"a":{"b":1},"a":5}"#,
            r#"{"\u0061":{"\u0062":4},"n\u0022q":6}"#,
        ],
        expect![[r#"
            100 t=1000 null 2 null
            101 t=1001 3 null null
            102 t=1002 null null null
            103 t=1003 4 null 6
        "#]],
    );
}

#[test]
fn a_row_that_cannot_be_read_is_rejected_by_its_row_with_what_was_found() {
    let time = Some(("at", TimeFormat::EpochMs));
    let deep = format!("{{\"at\":1,\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    check_bytes(
        &[("a", Kind::S64)],
        time,
        &[
            Some(b"{\"at\":1,\"a\":1}"),
            Some(b"hello"),
            Some(b"{\"at\":2,\"a\":\xff}"),
            Some(b""),
            Some(b"[1]"),
            Some(b"{\"at\":1} x"),
            Some(b"{\"at\":01}"),
            Some(b"{\"a\":1}"),
            Some(b"{\"at\":\"now\"}"),
            Some(b"{\"at\":9467077920000000000}"),
            Some(deep.as_bytes()),
            Some(b"{\"at\":1,\"s\":\"a\nb\"}"),
            None,
            Some(b"{\"at\":13,\"a\":2}"),
        ],
        expect![[r#"
            100 t=1 1
            112 t=1012 null
            113 t=13 2
            row 1: value is not JSON: found 'h' at byte 0, expected a value
            row 2: value is not UTF-8: byte 0xff at 12
            row 3: value is not JSON: it ends at byte 0, expected a value
            row 4: value is an array, expected a JSON object
            row 5: value is not JSON: found 'x' at byte 9, expected nothing after the value
            row 6: value is not JSON: found '1' at byte 7, expected `,` or `}`
            row 7: event time field `at` is missing, expected a number of milliseconds since 1970 (epoch_ms)
            row 8: event time field `at` is "now", expected a number of milliseconds since 1970 (epoch_ms)
            row 9: event time field `at` is 9467077920000000000, expected a number of milliseconds since 1970 (epoch_ms) in the years 1 to 9999
            row 10: value nests more than 128 deep at byte 139
            row 11: value is not JSON: found '\n' at byte 14, expected no control character in a string
        "#]],
    );
}

#[test]
fn where_nothing_is_wanted_nothing_is_parsed_and_the_same_records_go_on() {
    let mut batch = raw(&[Some(b"not json"), None, Some(b"{}")]);
    batch.timestamps[2] = -1;
    let arena = Arc::clone(&batch.rows.arena);
    let Decoded { batch, rejects, .. } = decoder(&[], None).decode(batch);
    assert_eq!((batch.times, batch.offsets), (vec![1000, 1001], vec![100, 101]));
    assert!(Arc::ptr_eq(&batch.raw.unwrap().arena, &arena));
    assert_eq!(rejects.len(), 1);
    assert!(rejects[0].reason.contains("no timestamp"), "{}", rejects[0].reason);
}

#[test]
fn a_raw_source_has_no_fields() {
    let wanted = [(Arc::from("a"), Kind::S64)];
    let fault = Projection::plan(&wanted, &event_time(None), Format::Raw).unwrap_err();
    assert_eq!(fault, ProjectionError::RawHasNoFields(Arc::from("a")));
    let timed = event_time(Some(("at", TimeFormat::EpochMs)));
    assert!(Projection::plan(&[], &timed, Format::Raw).is_err());
    assert!(!Projection::plan(&[], &event_time(None), Format::Raw).unwrap().parses());
}

#[test]
fn a_null_is_explained_by_what_stands_there() {
    let check = |value: &str, expected: Expect| {
        expected.assert_eq(&explain(Some(value.as_bytes()), "card.amount", Kind::F64));
    };
    check(r#"{"card":{"amount":"abc"}}"#, expect![[r#"field `card.amount` is "abc", expected f64"#]]);
    check(r#"{"card":1}"#, expect!["field `card.amount` is missing"]);
    check(r#"{"card":{"amount":null}}"#, expect!["field `card.amount` is null, expected f64"]);
    let long = format!("{{\"card\":{{\"amount\":[{}]}}}}", "1,".repeat(100) + "1");
    assert!(explain(Some(long.as_bytes()), "card.amount", Kind::F64).len() < 140);
    assert!(explain(None, "a", Kind::Text).contains("tombstone"));
}

/// Any JSON value, with few names so that wanted ones turn up.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-100..100_i64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[abc]|\\PC{0,9}", inner, 0..5)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::hash_map("[abc]", json(), 0..4).prop_map(|it| Value::Object(it.into_iter().collect()))
}

/// What a column of `kind` holds for a value, by serde_json alone.
fn reference(value: Option<&Value>, kind: Kind) -> String {
    let null = || "null".to_owned();
    let Some(value) = value else { return null() };
    match (kind, value) {
        (Kind::S64, Value::Number(it)) => it.as_i64().map_or_else(null, |it| it.to_string()),
        (Kind::F64, Value::Number(it)) => it.as_f64().map_or_else(null, |it| format!("{it:?}")),
        (Kind::Number, Value::Number(it)) => match it.as_i64() {
            Some(it) => format!("{:?}", Number::Int(it)),
            None => it.as_f64().map_or_else(null, |it| format!("{:?}", Number::Float(it))),
        },
        (Kind::Boolean, Value::Bool(it)) => it.to_string(),
        (Kind::Text | Kind::Bytes, Value::String(_)) => value.to_string(),
        (Kind::Json, Value::Number(it)) if it.as_i64().is_none() => {
            serde_json::to_string(&it.as_f64().unwrap()).unwrap()
        }
        (Kind::Json, value) => value.to_string(),
        _ => null(),
    }
}

const KINDS: [Kind; 7] = [Kind::S64, Kind::F64, Kind::Boolean, Kind::Text, Kind::Bytes, Kind::Json, Kind::Number];

proptest! {
    #[test]
    fn decoding_agrees_with_a_tree_of_values(values in prop::collection::vec(object(), 1..6), pretty: bool) {
        let paths = ["a", "b", "c", "a.a", "a.b", "b.c", "a.b.c", "zz"];
        let columns: Vec<_> = paths.iter().flat_map(|&path| KINDS.map(|kind| (path, kind))).collect();
        let texts: Vec<String> = values
            .iter()
            .map(|it| if pretty { serde_json::to_string_pretty(it) } else { serde_json::to_string(it) }.unwrap())
            .collect();
        let raw = raw(&texts.iter().map(|it| Some(it.as_bytes())).collect::<Vec<_>>());
        let mut decoder = decoder(&columns, None);
        decoder.decode(raw.clone()); // So that there are templates.
        let Decoded { batch, rejects, .. } = decoder.decode(raw);
        prop_assert!(rejects.is_empty(), "{rejects:?}");
        for (column, (path, kind)) in batch.columns.iter().zip(&columns) {
            for (row, value) in values.iter().enumerate() {
                let found = path.split('.').try_fold(value, |value, name| value.get(name));
                prop_assert_eq!(cell(column, row), reference(found, *kind), "{} as {:?} of {}", path, kind, value);
            }
        }
    }

    #[test]
    fn what_is_json_is_what_serde_json_says(value in object(), edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"\"\\{}[]:,.-+eE019tfn u\n\x00\x1f\xc3\xff"[..])), 0..3)) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let text = std::str::from_utf8(&bytes);
        let is_json = text.is_ok_and(|it| serde_json::from_str::<&serde_json::value::RawValue>(it).is_ok());
        let is_object = is_json && bytes.trim_ascii().first() == Some(&b'{');
        let mut decoder = decoder(&[("a.b", Kind::Json)], None);
        decoder.decode(raw(&[Some(&serde_json::to_vec(&value).unwrap())])); // So that there is a template.
        let decoded = decoder.decode(raw(&[Some(&bytes)]));
        prop_assert_eq!(decoded.rejects.is_empty(), is_object, "{} {:?}", String::from_utf8_lossy(&bytes), decoded.rejects);
        prop_assert_eq!(members(&bytes).is_ok(), is_object);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let decoded = decoder(&[("a", Kind::Json)], Some(("t", TimeFormat::Rfc3339))).decode(raw(&[Some(&bytes)]));
        prop_assert_eq!(decoded.rejects.len(), 1);
        prop_assert!(!explain(Some(&bytes), "a", Kind::S64).is_empty());
    }
}
