//! What the macros write, seen from an author's crate.
#![allow(missing_docs, reason = "a test")]

use expect_test::expect;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wasmill_plugin::prelude::*;
use wasmill_plugin::testing::{KeyedTest, Row, TransformTest};
use wasmill_plugin::{Migrate, Plugin};

mod every_kind {
    use super::*;

    #[derive(Record)]
    pub(super) struct Reads<'a> {
        int: i64,
        float: f64,
        flag: bool,
        text: &'a str,
        #[field("nested.list")]
        list: JsonText<'a>,
        maybe: Option<&'a str>,
        r#type: Option<i64>,
        #[slot(key)]
        key: Option<&'a [u8]>,
        #[slot(time)]
        time: i64,
        #[slot(header("trace"))]
        trace: Option<&'a [u8]>,
        #[slot(topic)]
        topic: &'a str,
        #[slot(partition)]
        partition: i64,
        #[slot(offset)]
        offset: i64,
        #[slot(value)]
        value: Option<&'a [u8]>,
    }

    #[derive(Emit)]
    pub(super) struct Writes<'a> {
        int: i64,
        small: u32,
        float: f64,
        flag: bool,
        text: &'a str,
        owned: String,
        list: Json<Vec<i64>>,
        raw: JsonText<'a>,
        maybe: Option<&'a str>,
        r#type: Option<i64>,
        #[field("from")]
        place: String,
        #[slot(key)]
        key: Option<&'a [u8]>,
        #[slot(time)]
        time: i64,
        #[slot(header("trace"))]
        trace: Option<&'a [u8]>,
    }

    /// Reads and writes
    /// every kind.
    ///
    /// Not in the description.
    #[wasmill_plugin::transform(name = "kinds", version = "2.0.0", config_schema = "{}")]
    pub(super) fn kinds(out: &mut Output<Writes<'_>>, row: Reads<'_>) -> Result<(), Reject> {
        let mut list: Vec<i64> = row.list.parse()?;
        list.reverse();
        out.emit(Writes {
            int: row.int,
            small: row.value.map_or(0, |it| it.len() as u32),
            float: row.float,
            flag: row.flag,
            text: row.text,
            owned: row.text.to_uppercase(),
            list: Json(list),
            raw: row.list,
            maybe: row.maybe,
            r#type: row.r#type,
            place: format!("{}/{}/{}", row.topic, row.partition, row.offset),
            key: row.key,
            time: row.time + 1,
            trace: row.trace,
        });
        Ok(())
    }
}

#[test]
fn every_kind_and_slot_goes_in_and_out() {
    let value = json!({"int": -1, "float": 2, "flag": true, "text": "é", "nested": {"list": [1, 2]}, "type": 7});
    let whole = value.to_string().len();
    let full = Row::new(value).key("k").time(9).header("trace", "t").from("in", 3, 4);
    let bare =
        Row::new(json!({"int": 0, "float": 0.5, "flag": false, "text": "", "nested": {"list": []}, "maybe": "m"}));
    let run = TransformTest::<every_kind::kinds>::new(json!({})).run([full, bare]);
    assert!(run.emitted[0].text.contains(&format!("\"small\":{whole}")));
    expect![[r#"
        out key=k time=10: {"int":-1,"small":77,"float":2.0,"flag":true,"text":"é","owned":"É","list":[2,1],"raw":[1,2],"maybe":null,"type":7,"from":"in/3/4","header trace":"t"}
        out time=1: {"int":0,"small":77,"float":0.5,"flag":false,"text":"","owned":"","list":[],"raw":[],"maybe":"m","type":null,"from":"/0/0","header trace":null}"#]]
    .assert_eq(&run.to_string());
}

#[test]
fn an_error_returned_with_a_question_mark_refuses_the_record() {
    let row = json!({"int": 0, "float": 0, "flag": true, "text": "", "nested": {"list": {"no": "list"}}});
    let run = TransformTest::<every_kind::kinds>::new(json!({})).run([row]);
    assert!(run.emitted.is_empty());
    assert!(run.rejects[0].1.starts_with("expected another JSON value: invalid type: map"), "{run}");
}

#[test]
fn a_plugin_describes_itself_by_its_doc_comment_and_its_options() {
    type Kinds = every_kind::kinds;
    assert_eq!((Kinds::NAME, Kinds::VERSION, Kinds::CONFIG_SCHEMA), ("kinds", "2.0.0", "{}"));
    assert_eq!(Kinds::DESCRIPTION, "Reads and writes every kind.");
    assert_eq!((Kinds::STATE_VERSION, counter::counter::STATE_VERSION), (0, 3));
    assert_eq!(counter::counter::NAME, env!("CARGO_PKG_NAME"));
}

mod routing {
    use super::*;

    #[derive(Record)]
    pub(super) struct Txn<'a> {
        id: &'a str,
        amount: f64,
    }

    #[derive(Emit)]
    pub(super) struct Alert<'a> {
        id: &'a str,
    }

    #[derive(Emit)]
    pub(super) struct Audit {
        amount: f64,
    }

    #[derive(Ports)]
    pub(super) enum Routed<'a> {
        Alert(Alert<'a>),
        AuditTrail(Audit),
        #[port("others")]
        Rest,
    }

    #[wasmill_plugin::transform]
    pub(super) fn route(txn: Txn<'_>, out: &mut Output<Routed<'_>>) -> Result<(), Reject> {
        out.emit(Routed::AuditTrail(Audit { amount: txn.amount }));
        if txn.amount < 0.0 {
            return Err(Reject::new("a negative amount"));
        }
        wasmill_plugin::count("seen", 1);
        if txn.amount > 100.0 {
            wasmill_plugin::warn!("large: {}", txn.id);
            out.emit(Routed::Alert(Alert { id: txn.id }));
        } else {
            out.emit(Routed::Rest);
        }
        Ok(())
    }
}

#[test]
fn a_row_goes_to_the_port_of_its_variant_and_a_refused_record_to_none() {
    let rows = [json!({"id": "a", "amount": 1}), json!({"id": "b", "amount": -1}), json!({"id": "c", "amount": 200})];
    let run = TransformTest::<routing::route>::new(json!({})).run(rows);
    expect![[r#"
        alert: {"id":"c"}
        audit_trail: {"amount":1.0}
        audit_trail: {"amount":200.0}
        others: {"amount":1,"id":"a"}
        reject 1: a negative amount
        warn: large: c
        count seen: 2"#]]
    .assert_eq(&run.to_string());
    assert_eq!(run.passed(), [0]);
    #[derive(Debug, PartialEq, Deserialize)]
    struct Alert {
        id: String,
    }
    assert_eq!(run.port::<Alert>("alert"), [Alert { id: "c".into() }]);
}

mod counter {
    use super::*;

    #[derive(Record)]
    pub(super) struct Any {}

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct Count {
        pub(super) seen: u32,
    }

    #[derive(Emit)]
    pub(super) struct Seen {
        seen: u32,
    }

    #[wasmill_plugin::keyed(state_version = 3, on_timer = due, migrate = from_older)]
    pub(super) fn counter(
        _: Any,
        state: &mut Count,
        timers: &mut Timers,
        out: &mut Output<Seen>,
    ) -> Result<(), Reject> {
        state.seen += 1;
        out.emit(Seen { seen: state.seen });
        timers.set(1, 100);
        timers.set(2, 50);
        if state.seen == 3 {
            timers.cancel(1);
            return Err(Reject::new("three is too many"));
        }
        Ok(())
    }

    fn due(timer: Timer<'_>, state: &mut Count, _: &mut Timers, _: &wasmill_plugin::NoConfig, out: &mut Output<Seen>) {
        state.seen += 10 * timer.id;
        out.emit(Seen { seen: state.seen });
    }

    fn from_older(version: u32, state: &[u8]) -> Result<Count, Reject> {
        if version != 2 {
            return Err(Reject::new("only version 2 can be read"));
        }
        Ok(Count { seen: std::str::from_utf8(state)?.parse()? })
    }
}

#[test]
fn a_state_with_a_default_begins_with_it_and_is_kept() {
    let mut test = KeyedTest::<counter::counter>::new(json!({}));
    let run = test.run([Row::default().key("a"), Row::default().key("b"), Row::default().key("a")]);
    assert_eq!(run.to_string(), "out: {\"seen\":1}\nout: {\"seen\":2}\nout: {\"seen\":1}");
    assert_eq!(test.state("a"), Some(counter::Count { seen: 2 }));
}

#[test]
fn a_refused_record_sets_no_timer_but_its_state_stays() {
    let mut test = KeyedTest::<counter::counter>::new(json!({}));
    test.run([Row::default().key("a"), Row::default().key("a")]);
    let run = test.run([Row::default().key("a")]);
    assert_eq!(run.to_string(), "reject 0: three is too many");
    assert_eq!(test.timers(), [("a".into(), 1, 100), ("a".into(), 2, 50)]);
    assert_eq!(test.state("a"), Some(counter::Count { seen: 3 }));
}

#[test]
fn timers_fire_in_the_order_of_their_times() {
    let mut test = KeyedTest::<counter::counter>::new(json!({}));
    test.run([Row::default().key("a")]);
    assert_eq!(test.advance(100).to_string(), "out: {\"seen\":21}\nout: {\"seen\":31}");
    assert!(test.timers().is_empty());
}

#[test]
fn a_state_of_an_older_version_is_migrated() {
    type Counter = counter::counter;
    assert_eq!(Counter::migrate(2, b"41"), Ok(counter::Count { seen: 41 }));
    assert_eq!(Counter::migrate(1, b"41").unwrap_err().reason(), "only version 2 can be read");
}

mod whole_groups {
    use super::*;

    #[derive(Record)]
    pub(super) struct Payment {
        amount: f64,
    }

    #[derive(Emit)]
    pub(super) struct Total {
        records: i64,
        total: f64,
    }

    /// Sums up the records of a key, and writes a row for each key of a batch.
    #[wasmill_plugin::keyed]
    pub(super) fn totals(payments: Group<'_, Payment>, total: &mut f64, out: &mut Output<Total>) -> Result<(), Reject> {
        let sum: f64 = payments.iter().map(|it| it.amount).sum();
        out.emit(Total { records: payments.len() as i64, total: *total + sum });
        if sum < 0.0 {
            return Err(Reject::new("negative"));
        }
        *total += sum;
        Ok(())
    }
}

#[test]
fn a_rule_takes_all_records_of_a_key_at_once_and_refuses_them_together() {
    let mut test = KeyedTest::<whole_groups::totals>::new(json!({})).key("user");
    let pay = |user: &str, amount: f64| json!({"user": user, "amount": amount});
    let run = test.run([pay("ann", 1.0), pay("bob", -2.0), pay("ann", 3.0), pay("bob", 1.0)]);
    expect![[r#"
        out: {"records":2,"total":4.0}
        reject 1: negative
        reject 3: negative"#]]
    .assert_eq(&run.to_string());
    assert_eq!((test.state("ann"), test.state("bob")), (Some(4.0), Some(0.0)));
}
