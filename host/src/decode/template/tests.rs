use super::super::scan::Scanner;
use super::graph::Graph;
use super::learn::learn;
use super::quotes::Quotes;
use super::way::{Way, Ways};
use crate::column::Kind;
use crate::config::{EventTimeOptions, Format, Late, TimeFormat};
use crate::decode::Projection;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

fn projection(paths: &[&str]) -> Projection {
    let own_time = EventTimeOptions {
        field: None,
        format: TimeFormat::EpochMs,
        delay_ms: 0,
        idle_timeout_ms: None,
        drift_ms_max: None,
        late: Late::Drop,
    };
    let wanted: Vec<_> = paths.iter().map(|&path| (Arc::from(path), Kind::Json)).collect();
    Projection::plan(&wanted, &own_time, Format::Json).unwrap()
}

/// A graph, and the ways through it, beside the scan that they must agree with.
struct Pair {
    projection: Projection,
    graph: Graph,
    ways: Vec<Way>,
    quotes: Quotes,
    /// How many records went along a way.
    along: usize,
}

impl Pair {
    fn new(paths: &[&str]) -> Self {
        Pair { projection: projection(paths), graph: Graph::new(), ways: Vec::new(), quotes: Quotes::new(), along: 0 }
    }

    /// Reads a record both ways and answers whether the graph took it; learns from it otherwise.
    fn read(&mut self, record: &[u8]) -> bool {
        let root = &self.projection.root.clone();
        let (mut scanned, mut found) = (vec![None; self.projection.slots], vec![None; self.projection.slots]);
        let scan = Scanner::new(record).and_then(|mut it| it.document(root, &mut scanned));
        let fits = self.graph.follow(record, &mut found).is_some();
        let walked = self.walk(record, &scanned);
        assert!(!walked || scan == Ok(()), "{}", String::from_utf8_lossy(record));
        if fits {
            assert_eq!(scan, Ok(()), "{}", String::from_utf8_lossy(record));
            assert_eq!(found, scanned, "{}", String::from_utf8_lossy(record));
            self.compare(record, &found);
            if !walked {
                self.learn_way(record);
            }
        } else if scan.is_ok() {
            learn(&mut self.graph, record, root);
        }
        fits
    }

    /// Reads a record along all the ways that it goes and answers whether there are any.
    fn walk(&mut self, record: &[u8], scanned: &[Option<&[u8]>]) -> bool {
        let mut walked = false;
        if !self.quotes.find(record) {
            return false;
        }
        for way in &self.ways {
            let mut found = vec![None; scanned.len()];
            if way.read(record, &self.quotes, &mut found).is_some() {
                assert_eq!(found, scanned, "{}", String::from_utf8_lossy(record));
                walked = true;
            }
        }
        self.along += usize::from(walked);
        walked
    }

    /// Learns the way of a record that the graph just took. If it is plain, it must go that way itself.
    fn learn_way(&mut self, record: &[u8]) {
        let Some(way) = Way::of(&self.graph, record) else { return };
        let mut slots = vec![None; self.projection.slots];
        let goes = !self.quotes.find(record) || way.read(record, &self.quotes, &mut slots).is_some();
        assert!(goes, "{}", String::from_utf8_lossy(record));
        self.ways.insert(0, way);
        self.ways.truncate(20);
    }

    /// Compares what was found with a tree of values that serde_json makes.
    fn compare(&self, record: &[u8], found: &[Option<&[u8]>]) {
        let Ok(tree) = serde_json::from_slice::<Value>(record) else {
            // It may nest a level deeper, or hold numbers that no float does: JSON nevertheless.
            serde_json::from_slice::<&RawValue>(record).unwrap();
            return;
        };
        for wanted in &self.projection.columns {
            let there = wanted.path.split('.').try_fold(&tree, |value, name| value.get(name));
            let text = found[wanted.slot].map(|it| serde_json::from_slice(it).unwrap());
            assert_eq!(text.as_ref(), there, "{} of {}", wanted.path, String::from_utf8_lossy(record));
        }
    }

    /// The records that were taken, by their number.
    fn fitting(&mut self, records: &[&str]) -> Vec<usize> {
        (0..records.len()).filter(|&it| self.read(records[it].as_bytes())).collect()
    }
}

#[test]
fn a_record_fits_whose_values_alone_are_others() {
    let mut pair = Pair::new(&["id", "card.country", "note"]);
    let fitting = pair.fitting(&[
        r#"{"id":1,"card":{"country":"FR","limit":1.5},"list":[1,2],"open":true,"note":null}"#,
        r#"{"id":-12345678901,"card":{"country":"","limit":0},"list":[],"open":false,"note":"n\u00e9\"e"}"#,
        r#"{"id":"text","card":{"country":null,"limit":1e5},"list":"none","open":null,"note":[{"a":"Zürich"}]}"#,
        r#"{"id":1,"card":{"country":[["x"]],"limit":-0},"list":1,"open":"a long text, longer than lanes","note":1}"#,
    ]);
    assert_eq!(fitting, [1, 2, 3]);
}

#[test]
fn a_record_goes_the_way_of_one_before_if_its_values_have_the_same_places() {
    let mut pair = Pair::new(&["id", "card.country", "note"]);
    let fields = |id: &str, country: &str, note: &str| {
        format!(r#"{{"id":{id},"card":{{"country":{country},"limit":1.5}},"none":{{}},"note":{note}}}"#)
    };
    let first = fields("1", "\"FR\"", "null");
    assert!(pair.fitting(&[&first, &first]) == [1] && pair.along == 0);
    let far = format!("\"{}\"", "far ".repeat(100));
    for (id, country, note, goes) in [
        ("12345678901234567", "\"\"", "true", true),
        ("-1.5e-7", &far, "false", true),
        ("0", "\"DE\"", "\"a text\"", true),
        ("1", "null", "null", false), // A way of its own, which the next one goes.
        ("1", "-7", "1", true),
        ("1", "\"\u{e9}\"", "null", false),
        ("1", "\"\\n\"", "null", false),
        ("1", "[]", "null", false),
    ] {
        let before = pair.along;
        pair.read(fields(id, country, note).as_bytes());
        assert_eq!(pair.along > before, goes, "{id} {country} {note}");
    }
    let mut ways = Ways::new();
    let mut slots = vec![None; 3];
    assert!(!ways.read(first.as_bytes(), &mut slots));
    assert!(pair.read(first.as_bytes()));
    ways.learn(&pair.graph, first.as_bytes());
    assert!(ways.read(first.as_bytes(), &mut slots));
    assert_eq!(slots, [Some(&b"1"[..]), Some(b"\"FR\""), Some(b"null")]);
}

#[test]
fn the_way_of_many_records_stays_whatever_others_come() {
    let mut pair = Pair::new(&["id"]);
    let mut ways = Ways::new();
    let mut goes = |record: &str| {
        let mut slots = vec![None; 1];
        let goes = ways.read(record.as_bytes(), &mut slots);
        if !goes {
            assert_eq!(slots, [None]);
            pair.read(record.as_bytes());
            assert!(pair.read(record.as_bytes()));
            ways.learn(&pair.graph, record.as_bytes());
        }
        goes
    };
    let rare = |number: usize| format!(r#"{{"of {number}":1,"id":12345678901}}"#);
    let common = r#"{"id":12345678901}"#;
    // All the room is taken.
    assert!((0..20).all(|it| !goes(&rare(it)) && goes(&rare(it))));
    assert!(!goes(common) && goes(common));
    assert!((20..50).all(|it| !goes(&rare(it)) && goes(&rare(it)) && goes(common)));
}

#[test]
fn fields_may_come_and_go_and_change_places_once_they_were_seen() {
    let mut pair = Pair::new(&["a", "c"]);
    let fitting = pair.fitting(&[
        r#"{"a":1,"b":{"x":2},"c":3}"#,
        r#"{"c":3}"#,
        r#"{"a":1,"c":3}"#,
        r#"{"b":{"x":2},"a":1}"#,
        r#"{"b":{"x":2},"a":1,"c":3}"#,
        r#"{"b":{"x":2},"c":3}"#,
        r#"{"c":3,"a":1}"#,
        r#"{}"#,
        r#"{}"#,
    ]);
    assert_eq!(fitting, [4, 5, 8]);
}

#[test]
fn an_object_may_be_null_or_of_another_kind() {
    let mut pair = Pair::new(&["a.b", "a.c", "whole", "whole.in"]);
    let fitting = pair.fitting(&[
        r#"{"a":{"b":1,"c":2},"whole":{"in":1}}"#,
        r#"{"a":null,"whole":null}"#,
        r#"{"a":{"b":1,"c":2},"whole":null}"#,
        r#"{"a":null,"whole":{"in":2,"more":{}}}"#,
        r#"{"a":[{"b":1}],"whole":{"in":{"in":3}}}"#,
        r#"{"a":{},"whole":{}}"#,
        r#"{"a":{},"whole":{}}"#,
        r#"{"a":{"b":1,"c":2},"whole":{}}"#,
    ]);
    assert_eq!(fitting, [2, 3, 4, 6, 7]);
}

#[test]
fn the_last_of_a_repeated_field_wins_here_too() {
    let mut pair = Pair::new(&["a", "o.b", "o.c"]);
    let fitting = pair.fitting(&[
        r#"{"a":1,"a":2,"o":{"b":3,"b":4},"o":{"c":5}}"#,
        r#"{"a":6,"a":7,"o":{"b":8,"b":9},"o":{"c":10}}"#,
        r#"{"a":1,"a":2,"o":{"b":3,"b":4}}"#,
        r#"{"a":1,"a":2,"o":{"b":3,"b":4},"o":7}"#,
        r#"{"a":1,"a":2,"o":{"b":3,"b":4},"o":7}"#,
    ]);
    assert_eq!(fitting, [1, 2, 4]);
}

#[test]
fn whitespace_is_part_of_what_repeats() {
    let mut pair = Pair::new(&["a"]);
    let fitting = pair.fitting(&[
        "{\"a\": 1,\r\n\t\"b\" : {\"c\":2 } }\n",
        "{\"a\": 3,\r\n\t\"b\" : {\"c\":4 } }\n",
        "{\"a\":3,\r\n\t\"b\" : {\"c\":4 } }\n",
        "{\"a\": 5,\r\n\t\"b\" : {\"c\":6 } }\n",
        "{\"a\":7,\r\n\t\"b\" : {\"c\":8 } }\n",
        "{\"a\":7,\r\n\t\"b\" : {\"c\":8 } }",
    ]);
    assert_eq!(fitting, [1, 3, 4]);
}

#[test]
fn what_is_no_json_never_fits() {
    let mut pair = Pair::new(&["a", "s"]);
    let good: &[u8] = br#"{"a":1,"s":"text that is long enough","t":true,"n":[1]}"#;
    assert!(!pair.read(good) && pair.read(good));
    for (what, by) in [
        (r#":1,"#, ":01,"),
        (":1,", ":1.,"),
        (":1,", ":,"),
        (":1,", ":1e,"),
        (":1,", ":-,"),
        (":1,", ":tru,"),
        ("true", "truex"),
        ("true", "nul"),
        ("long", "l\nng"),
        ("long", "l\\xng"),
        ("long", "l\\u00gg"),
        ("[1]", "[1,]"),
        ("[1]", "[1"),
        ("[1]", "[\"\n\"]"),
        ("}", "} "),
        ("}", "}x"),
        ("}", ""),
        ("enough\"", "enough"),
    ] {
        let bad = String::from_utf8(good.to_vec()).unwrap().replacen(what, by, 1);
        assert!(!pair.read(bad.as_bytes()), "{bad}");
    }
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] = 0xff;
        assert!(!pair.read(&bad), "byte {at}");
        assert!(!pair.read(&good[..at]), "up to {at}");
    }
    assert!(pair.read(good));
}

#[test]
fn an_array_is_looked_into_as_deep_as_the_scan_looks() {
    let mut pair = Pair::new(&["a"]);
    let nested = |depth: usize| format!(r#"{{"o":{{"x":{}1{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(!pair.read(nested(1).as_bytes()));
    assert!(pair.read(nested(126).as_bytes()));
    assert!(!pair.read(nested(127).as_bytes()));
}

#[test]
fn an_object_of_which_nobody_wants_anything_is_taken_whole_if_its_names_never_end() {
    for by_id in ["{\"n#\":1,\"n#x\":2}", "{\"n#\":{\"deep\":1}}"] {
        let mut pair = Pair::new(&["a"]);
        let record = |number: usize| format!(r#"{{"by_id":{},"a":1}}"#, by_id.replace('#', &number.to_string()));
        let fitting: Vec<_> = (0..200).filter(|&it| pair.read(record(it).as_bytes())).collect();
        assert!(fitting.len() > 150 && fitting.ends_with(&[197, 198, 199]), "{fitting:?}");
    }
}

#[test]
fn what_is_kept_has_a_bound_whatever_never_ends() {
    let long = "x".repeat(2_000);
    for record in [r#"{"n#":1}"#, r#"{"n#":{"m#":1},"a":1}"#, r#"{"n#":{"long":1}}"#, r#"{"a":1,"long#":1}"#] {
        let mut pair = Pair::new(&["a"]);
        for number in 0..5_000 {
            pair.read(record.replace('#', &number.to_string()).replace("long", &long).as_bytes());
        }
        assert!(pair.graph.size() < 100_000, "{} bytes for {record}", pair.graph.size());
    }
}

/// Choices from a seed (SplitMix64).
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const VALUES: [&str; 24] = [
    "0",
    "-1",
    "12345678",
    "123456789012",
    "1.25",
    "-0.0",
    "1e-7",
    "true",
    "false",
    "null",
    "\"\"",
    "\"short\"",
    "\"sixteen bytes, s\"",
    "\"more than thirty-two bytes of plain text\"",
    "\"caf\u{e9} \u{1f600}\"",
    "\"\\u00e9\\n\\\"\"",
    "\"\\\\\"",
    "[]",
    "[1, \"two\", {\"b\":3}]",
    "[[\"\u{e9}\"]]",
    "{}",
    "{\"b\":1}",
    "{ \"odd\" : [ ] }",
    "{\"b\":{\"c\":{\"a\":1}}}",
];

/// An object whose names and whitespace `form` decides and whose values `values` does; `values` leaves a member out or
/// writes it twice now and then too.
fn object(form: &mut Choices, values: &mut Choices, depth: usize) -> String {
    let space = form.one_of(&["", "", "", " ", "\n  "]);
    let mut members = Vec::new();
    for _ in 0..form.below(6) {
        let name = form.one_of(&["a", "b", "c", "\\u0061", "n\\\"q", "other", "\u{e9}"]);
        let value = match form.below(4) {
            0 if depth < 4 => object(form, values, depth + 1),
            _ => values.one_of(&VALUES).to_owned(),
        };
        let member = format!("{space}\"{name}\":{space}{value}");
        match values.below(16) {
            0 => {}
            1 => members.extend([member.clone(), member]),
            _ => members.push(member),
        }
    }
    format!("{{{}{space}}}", members.join(","))
}

/// A record that may be no JSON any more.
fn damaged(mut record: Vec<u8>, choices: &mut Choices) -> Vec<u8> {
    for _ in 0..choices.below(3) {
        let at = choices.below(record.len());
        match choices.below(3) {
            0 => record[at] = choices.one_of(b"\"\\{}[]:,.-+eE019tn \n\x00\x1f\xc3\xff"),
            1 => record.insert(at, choices.one_of(b"\"\\{}[]:,.-+eE019tn \n\x00\x1f\xc3\xff")),
            _ => drop(record.remove(at)),
        }
        if record.is_empty() {
            break;
        }
    }
    record
}

proptest! {
    #[test]
    fn what_fits_is_what_the_scan_takes_with_the_same_slots(seed: u64) {
        let mut choices = Choices(seed);
        let all: [&[&str]; 4] = [&["a"], &["a", "b", "a.b"], &["a.b.c", "b.a", "c", "n\"q"], &["a.a.a", "a.b", "a.b.c", "b"]];
        let mut pair = Pair::new(choices.one_of(&all));
        let forms: [u64; 3] = std::array::from_fn(|_| choices.below(usize::MAX) as u64);
        for _ in 0..60 {
            let form = choices.one_of(&forms);
            let record = object(&mut Choices(form), &mut choices, 0).into_bytes();
            pair.read(&record);
            pair.read(&damaged(record.clone(), &mut choices));
            // Something may have to be forgotten first; a record of very many objects is never learnt.
            let objects = record.iter().filter(|&&it| it == b'{').count();
            prop_assert!(objects > 30 || (0..40).any(|_| pair.read(&record)), "learnt in vain: {}", String::from_utf8_lossy(&record));
        }
    }
}
