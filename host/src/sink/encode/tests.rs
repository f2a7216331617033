use super::*;
use crate::batch::Origin;
use crate::column::{Number, Strings};
use crate::schema::ShapeColumn;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::Value;

fn raw(values: &[Option<&str>]) -> RawRows {
    let mut arena = b"key".to_vec();
    headers::push(&mut arena, b"trace", Some(b"t1"));
    headers::push(&mut arena, b"h", Some(b"old"));
    let headers = Span { start: 3, len: arena.len() as u32 - 3 };
    let mut records = Vec::new();
    for value in values {
        let value = value.map_or(Span::NULL, |it| {
            arena.extend_from_slice(it.as_bytes());
            Span { start: (arena.len() - it.len()) as u32, len: it.len() as u32 }
        });
        records.push(RawRecord { key: Span { start: 0, len: 3 }, value, headers });
    }
    RawRows { arena: Arc::new(arena), records }
}

fn batch(raw: Option<RawRows>, columns: Vec<Column>) -> Batch {
    let rows = raw.as_ref().map_or_else(|| columns[0].len(), |it| it.records.len());
    Batch {
        rows,
        origin: Some(Origin { source: 0, partition: 0 }),
        offsets: (0..rows as i64).collect(),
        times: (10..10 + rows as i64).collect(),
        raw,
        key: None,
        value: None,
        headers: Vec::new(),
        columns,
    }
}

fn shape(raw: bool, columns: &[(&str, Kind, bool)]) -> Shape {
    let column = |&(name, kind, made): &(&str, Kind, bool)| ShapeColumn { name: Arc::from(name), kind, made };
    Shape { raw, columns: columns.iter().map(column).collect() }
}

fn texts(values: &[Option<&str>]) -> Strings {
    let mut strings = Strings::default();
    values.iter().for_each(|it| strings.push(it.unwrap_or_default().as_bytes()));
    strings
}

fn bytes(values: &[Option<&str>]) -> Column {
    let nulls = values.iter().map(|it| u8::from(it.is_none())).collect();
    Column { values: Values::Bytes(texts(values)), nulls }
}

fn show(encoded: &Encoded) -> String {
    let mut lines = String::new();
    for row in 0..encoded.rows.records.len() {
        let value = encoded.rows.value(row).map_or("(null)".into(), |it| String::from_utf8_lossy(it).into_owned());
        lines += &format!("{} {value}\n", encoded.times[row]);
    }
    for reject in &encoded.rejects {
        lines += &format!("row {}: {}\n", reject.row, reject.reason);
    }
    lines
}

fn check(encoder: &Encoder, batch: &Batch, expected: Expect) -> Encoded {
    let encoded = encoder.encode(batch).unwrap();
    assert_eq!(encoded.rows.records.len(), encoded.times.len());
    expected.assert_eq(&show(&encoded));
    encoded
}

fn pair(name: &str, field: &str) -> (Arc<str>, Arc<str>) {
    (Arc::from(name), Arc::from(field))
}

#[test]
fn what_passes_unchanged_is_the_very_same_bytes() {
    let input = batch(Some(raw(&[Some(" {\"a\" : 1} "), None])), vec![Column::from(Values::S64(vec![1, 0]))]);
    let shape = shape(true, &[("a", Kind::S64, false)]);
    for format in [Format::Json, Format::Raw] {
        let encoded = Encoder::new(&shape, None, format).unwrap().encode(&input).unwrap();
        assert!(Arc::ptr_eq(&encoded.rows.arena, &input.raw.as_ref().unwrap().arena));
        assert_eq!(encoded.rows.records, input.raw.as_ref().unwrap().records);
        assert_eq!(encoded.times, [10, 11]);
    }
}

#[test]
fn made_fields_are_spliced_into_the_original_object() {
    let values = [
        Some("{\"a\": 1, \"b\":{} }\n"),
        Some("{ }"),
        Some("{\"n\":0,\"a\":1,\"sum\":[1]}"),
        Some("{\"a\":{\"n\":5},\"b\":\"sum\\n\"}"),
        Some("{\"\\u006e\":1,\"z\":2}"),
        None,
        Some("7"),
        Some("{\"n\":1"),
        Some("{\"n\":1,}"),
    ];
    let rows = values.len() as i64;
    let sum = Column::from(Values::Number((0..rows).map(|it| Number::Float(it as f64 / 2.0)).collect()));
    let columns = vec![Column::from(Values::S64((0..rows).collect())), sum];
    let shape = shape(true, &[("n", Kind::S64, true), ("sum", Kind::Number, true)]);
    check(
        &Encoder::new(&shape, None, Format::Json).unwrap(),
        &batch(Some(raw(&values)), columns),
        expect![[r#"
            10 {"a": 1, "b":{},"n":0,"sum":0.0}
            11 {"n":1,"sum":0.5}
            12 {"a":1,"n":2,"sum":1.0}
            13 {"a":{"n":5},"b":"sum\n","n":3,"sum":1.5}
            14 {"z":2,"n":4,"sum":2.0}
            15 (null)
            row 6: value is a number, expected a JSON object
            row 7: value is not JSON: it ends at byte 6, expected `,` or `}`
            row 8: value is not JSON: found '}' at byte 7, expected a field name in quotes
        "#]],
    );
}

#[test]
fn rows_that_a_step_made_are_objects_of_their_columns_in_order() {
    let mut text = Column::from(Values::Text(texts(&[Some("a\"\n\u{1}é")])));
    text.push_null();
    let columns = vec![
        text,
        Column::from(Values::F64(vec![1.0, f64::NAN])),
        Column::from(Values::Boolean(vec![1, 0])),
        Column::from(Values::Json(texts(&[Some("[1,{}]"), Some("\"x\"")]))),
        Column::from(Values::S64(vec![i64::MIN, 7])),
    ];
    let shape = shape(
        false,
        &[
            ("card.name", Kind::Text, true),
            ("f", Kind::F64, true),
            ("card.ok", Kind::Boolean, true),
            ("j", Kind::Json, true),
            ("n", Kind::S64, true),
        ],
    );
    let encoded = check(
        &Encoder::new(&shape, None, Format::Json).unwrap(),
        &batch(None, columns.clone()),
        expect![[r#"
            10 {"card":{"name":"a\"\n\u0001é","ok":true},"f":1.0,"j":[1,{}],"n":-9223372036854775808}
            11 {"card":{"name":null,"ok":false},"f":null,"j":"x","n":7}
        "#]],
    );
    assert_eq!((encoded.rows.key(0), encoded.rows.headers(0)), (None, &b""[..]));
    let select = [pair("b", "n"), pair("a.x", "j"), pair("a.y", "n")];
    check(
        &Encoder::new(&shape, Some(&select), Format::Json).unwrap(),
        &batch(None, columns),
        expect![[r#"
            10 {"b":-9223372036854775808,"a":{"x":[1,{}],"y":-9223372036854775808}}
            11 {"b":7,"a":{"x":"x","y":7}}
        "#]],
    );
}

#[test]
fn select_takes_the_kind_that_keeps_most_and_leaves_the_original_out() {
    let shape = shape(true, &[("v", Kind::F64, false), ("v", Kind::Json, false), ("w", Kind::S64, false)]);
    let columns = vec![
        Column::from(Values::F64(vec![5.0])),
        Column::from(Values::Json(texts(&[Some("5")]))),
        Column::null(Kind::S64, 1),
    ];
    check(
        &Encoder::new(&shape, Some(&[pair("w", "w"), pair("value", "v")]), Format::Json).unwrap(),
        &batch(Some(raw(&[Some("{\"v\":5,\"x\":1}")])), columns),
        expect![[r#"
            10 {"w":null,"value":5}
        "#]],
    );
}

#[test]
fn a_tombstone_stays_one_whatever_is_selected() {
    let shape = shape(false, &[("v", Kind::S64, true)]);
    let mut ended = batch(None, vec![Column::from(Values::S64(vec![5]))]);
    ended.value = Some(bytes(&[None]));
    for select in [None, Some(&[pair("value", "v")][..])] {
        let encoder = Encoder::new(&shape, select, Format::Json).unwrap();
        check(
            &encoder,
            &ended,
            expect![[r#"
                10 (null)
            "#]],
        );
    }
}

#[test]
fn keys_values_and_headers_that_a_plugin_set_replace_the_originals() {
    let mut input = batch(Some(raw(&[Some("{}"), Some("{}")])), Vec::new());
    let passed = Encoder::new(&shape(true, &[]), None, Format::Json).unwrap();
    input.key = Some(Column { values: Values::Text(texts(&[Some("k"), None])), nulls: vec![0, 1] });
    input.value = Some(bytes(&[None, Some("new")]));
    input.headers = vec![(Arc::from("h"), bytes(&[Some("new"), None])), (Arc::from("i"), bytes(&[Some(""), None]))];
    let encoded = passed.encode(&input).unwrap();
    let headers = |row| -> Vec<(String, String)> {
        let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        headers::iter(encoded.rows.headers(row)).map(|it| (text(it.0), text(it.1.unwrap()))).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!((encoded.rows.key(0), encoded.rows.key(1)), (Some(&b"k"[..]), None));
    assert_eq!((encoded.rows.value(0), encoded.rows.value(1)), (None, Some(&b"new"[..])));
    assert_eq!(headers(0), [pair("trace", "t1"), pair("h", "new"), pair("i", "")]);
    assert_eq!(headers(1), [pair("trace", "t1")]);
    // Alone, without an original: what a raw sink writes of a plugin's values.
    input.raw = None;
    let raw = Encoder::new(&shape(false, &[]), None, Format::Raw).unwrap();
    assert_eq!(raw.encode(&input).unwrap().rows.value(1), Some(&b"new"[..]));
    input.value = None;
    assert_eq!(raw.encode(&input).unwrap_err(), EncodeError::NoValue);
    input.key = Some(Column::from(Values::S64(vec![1, 2])));
    assert!(matches!(raw.encode(&input), Err(EncodeError::SlotKind { kind: Kind::S64, .. })));
}

#[test]
fn what_cannot_be_written_is_refused_when_it_is_planned() {
    let check = |shape: &Shape, select: Option<&[(Arc<str>, Arc<str>)]>, format, expected: Expect| {
        expected.assert_eq(&Encoder::new(shape, select, format).unwrap_err().to_string());
    };
    let made = shape(true, &[("a", Kind::S64, false), ("card.n", Kind::S64, true), ("b", Kind::Bytes, false)]);
    check(
        &made,
        Some(&[pair("x", "amuont")]),
        Format::Json,
        expect!["select: field `amuont` is not in the stream; it has `a`, `card.n`, `b`"],
    );
    check(
        &made,
        Some(&[pair("x", "b")]),
        Format::Json,
        expect!["field `x` is bytes, which JSON cannot hold; make it text, or leave it out with select"],
    );
    for twice in [["x", "x"], ["x", "x.y"], ["x.y", "x"]] {
        let select = twice.map(|it| pair(it, "a"));
        assert!(matches!(Encoder::new(&made, Some(&select), Format::Json), Err(EncodeError::Conflict { .. })));
    }
    assert!(matches!(Encoder::new(&made, None, Format::Json), Err(EncodeError::Nested { .. })));
    assert!(matches!(Encoder::new(&made, None, Format::Raw), Err(EncodeError::RawHasNoFields { .. })));
}

#[test]
fn a_dead_letter_without_headers_is_an_object_around_the_record() {
    let mut input = raw(&[Some("not \"json\""), None]);
    Arc::get_mut(&mut input.arena).unwrap().push(0xff);
    let odd = Span { start: input.arena.len() as u32 - 1, len: 1 };
    input.records.push(RawRecord { key: Span::NULL, value: odd, headers: Span::NULL });
    let refusal = Refusal { reason: "no", step: "rules", plugin: Some("sha256:ab"), origin: Some(("in.jsonl", 3, 42)) };
    let mut letters = DeadLetters::new(LetterForm::Object);
    (0..3).for_each(|row| letters.push_raw(&input, row, &refusal));
    let rows = letters.take();
    let line = |row| format!("{}\n", std::str::from_utf8(rows.value(row).unwrap()).unwrap());
    expect![[r#"
        {"reason":"no","step":"rules","plugin":"sha256:ab","topic":"in.jsonl","partition":3,"offset":42,"key":"key","value":"not \"json\""}
        {"reason":"no","step":"rules","plugin":"sha256:ab","topic":"in.jsonl","partition":3,"offset":42,"key":"key","value":null}
        {"reason":"no","step":"rules","plugin":"sha256:ab","topic":"in.jsonl","partition":3,"offset":42,"key":null,"value_hex":"ff"}
    "#]].assert_eq(&(0..3).map(line).collect::<String>());
    let bare = Refusal { plugin: None, origin: None, ..refusal };
    letters.push_raw(&input, 1, &bare);
    assert_eq!(letters.take().value(0), Some(&br#"{"reason":"no","step":"rules","key":"key","value":null}"#[..]));
}

#[test]
fn a_dead_letter_is_the_original_with_why_in_its_headers() {
    let input = batch(Some(raw(&[Some("not json\0"), None])), Vec::new());
    let refusal =
        Refusal { reason: "no", step: "rules", plugin: Some("sha256:ab"), origin: Some(("transactions", 3, 42)) };
    let made = shape(false, &[("n", Kind::S64, true), ("n", Kind::Json, true), ("b", Kind::Bytes, true)]);
    let columns =
        vec![Column::from(Values::S64(vec![7])), Column::from(Values::Json(texts(&[Some("7")]))), bytes(&[Some("x")])];
    let mut letters = DeadLetters::new(LetterForm::Headers);
    letters.push_row(&input, &Shape::default(), 0, &refusal);
    letters.push_raw(input.raw.as_ref().unwrap(), 1, &Refusal { plugin: None, origin: None, ..refusal });
    letters.push_row(&batch(None, columns), &made, 0, &refusal);
    assert_eq!(letters.len(), 3);
    let rows = letters.take();
    assert!(letters.is_empty());
    let names = |row| -> Vec<_> {
        headers::iter(rows.headers(row))
            .map(|(name, value)| {
                format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value.unwrap()))
            })
            .collect()
    };
    assert_eq!((rows.key(0), rows.value(0)), (Some(&b"key"[..]), Some(&b"not json\0"[..])));
    assert_eq!((rows.key(1), rows.value(1)), (Some(&b"key"[..]), None));
    assert_eq!((rows.key(2), rows.value(2)), (None, Some(&b"{\"n\":7,\"b\":\"x\"}"[..])));
    assert_eq!(
        names(0),
        [
            "trace=t1",
            "h=old",
            "wasmill-reason=no",
            "wasmill-step=rules",
            "wasmill-plugin=sha256:ab",
            "wasmill-topic=transactions",
            "wasmill-partition=3",
            "wasmill-offset=42"
        ]
    );
    assert_eq!(names(1), ["trace=t1", "h=old", "wasmill-reason=no", "wasmill-step=rules"]);
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<i8>(), 0..3).prop_map(Value::from),
    ]
}

fn object() -> impl Strategy<Value = serde_json::Map<String, Value>> {
    prop::collection::hash_map("[abn\"\\\\]|sum", scalar(), 0..5).prop_map(|it| it.into_iter().collect())
}

proptest! {
    #[test]
    fn splicing_is_what_inserting_into_a_tree_of_values_is(object in object(), pretty: bool, n: i64, sum: String) {
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        let columns =
            vec![Column::from(Values::S64(vec![n])), Column::from(Values::Text(texts(&[Some(&sum)])))];
        let shape = shape(true, &[("n", Kind::S64, true), ("sum", Kind::Text, true)]);
        let encoder = Encoder::new(&shape, None, Format::Json).unwrap();
        let encoded = encoder.encode(&batch(Some(raw(&[Some(&text)])), columns)).unwrap();
        let written = encoded.rows.value(0).unwrap();
        let mut expected = object;
        expected.insert("n".into(), n.into());
        expected.insert("sum".into(), sum.into());
        prop_assert_eq!(members(written).unwrap().len(), expected.len()); // No name twice.
        prop_assert_eq!(serde_json::from_slice::<Value>(written).unwrap(), Value::Object(expected));
    }

    #[test]
    fn what_is_decoded_and_encoded_is_the_same_object(object in object()) {
        use crate::config::{EventTimeOptions, Late, TimeFormat};
        use crate::decode::{Decoder, Projection};
        let own = EventTimeOptions {
            field: None,
            format: TimeFormat::EpochMs,
            delay_ms: 0,
            idle_timeout_ms: None,
            drift_ms_max: None,
            late: Late::Drop,
        };
        let wanted: Vec<_> = object.keys().map(|it| (Arc::from(it.as_str()), Kind::Json)).collect();
        let columns: Vec<_> = object.keys().map(|it| (it.as_str(), Kind::Json, true)).collect();
        let shape = shape(false, &columns);
        let text = serde_json::to_string(&object).unwrap();
        let read = crate::batch::RawBatch {
            origin: Origin { source: 0, partition: 0 },
            rows: raw(&[Some(&text)]),
            offsets: vec![0],
            timestamps: vec![0],
            next_offset: 1,
        };
        let mut decoded = Decoder::new(Projection::plan(&wanted, &own, Format::Json).unwrap()).decode(read).batch;
        decoded.raw = None;
        let encoded = Encoder::new(&shape, None, Format::Json).unwrap().encode(&decoded).unwrap();
        prop_assert_eq!(std::str::from_utf8(encoded.rows.value(0).unwrap()).unwrap(), text);
    }
}

#[test]
fn the_lineage_is_the_last_header_and_replaces_one_that_was_there() {
    let mut encoder = Encoder::new(&shape(true, &[]), None, Format::Json).unwrap();
    let input = batch(Some(raw(&[Some("{}")])), vec![]);
    let headers_of = |encoder: &Encoder, input: &Batch| {
        let rows = encoder.encode(input).unwrap().rows;
        let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        let pair =
            |(name, value): (&[u8], Option<&[u8]>)| format!("{}={}", text(name), text(value.unwrap_or_default()));
        headers::iter(rows.headers(0)).map(pair).collect::<Vec<_>>()
    };
    encoder.set_lineage("rules=00");
    let first = encoder.encode(&input).unwrap();
    let own = headers_of(&encoder, &input);
    assert_eq!(own.last().map(String::as_str), Some("wasmill-lineage=rules=00"));
    encoder.set_lineage("rules=01");
    let again = headers_of(&encoder, &Batch { raw: Some(first.rows), ..input });
    assert_eq!(again.len(), own.len());
    assert_eq!(again.last().map(String::as_str), Some("wasmill-lineage=rules=01"));
}
