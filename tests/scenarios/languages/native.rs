//! A Rust rule tested natively gives what it gives in the sandbox, line by line: the same sources are built into this program, and as
//! components.

use serde_json::{Value, json};
use wasmill_plugin::testing::{KeyedTest, TransformTest};
use wasmill_tests::folder::Folder;
use wasmill_tests::settings;

#[path = "../../plugins/rust/counter/src/lib.rs"]
mod counter;
#[path = "../../plugins/rust/kinds/src/lib.rs"]
mod kinds;

/// What a field may hold, whatever its kind.
fn values() -> Vec<Value> {
    let texts =
        ["0", "-7", "9223372036854775807", "9223372036854775808", "1.5", "1.0", "-0.0", "1e3", "true", "false", "null"];
    let mut values: Vec<Value> = texts.iter().map(|it| serde_json::from_str(it).expect("JSON")).collect();
    values.extend([
        json!(""),
        json!("text"),
        json!("é\n\"\u{1f600}"),
        json!("7"),
        json!([1, null, "x"]),
        json!({"b": {"c": 1.5}, "a": []}),
    ]);
    values.push(json!("x".repeat(200)));
    values
}

/// A record in which every field is of its kind.
fn whole() -> Value {
    json!({
        "int": 1, "float": 2.5, "flag": true, "text": "t", "raw": "bytes", "json": {"a": [1]}, "in": {"ner": 3, "maybe": "m"},
        "maybe_int": 4, "maybe_float": 5, "maybe_flag": false, "maybe_text": "u", "maybe_raw": "", "maybe_json": "v",
    })
}

/// [`whole`], and once for each field and value the same with that value in the field, and without the field.
fn rows() -> Vec<Value> {
    let mut rows = vec![whole()];
    let members = whole().as_object().expect("an object").clone();
    for name in members.keys() {
        let mut without = members.clone();
        without.remove(name);
        rows.push(Value::Object(without));
        for value in values() {
            let inner = json!({"ner": value, "maybe": value});
            rows.extend(
                (name == "in")
                    .then(|| Value::Object(members.clone().into_iter().chain([(name.clone(), inner)]).collect())),
            );
            rows.push(Value::Object(members.clone().into_iter().chain([(name.clone(), value)]).collect()));
        }
    }
    rows
}

/// Has the component give these lines for these records.
fn gives(plugin: &str, more: &str, rows: &[Value], lines: &str) {
    let input: String = rows.iter().map(|it| format!("{it}\n")).collect();
    assert!(!input.contains("'''") && !lines.contains("'''"), "they fit into a TOML text");
    let folder = Folder::new();
    folder.write(
        "cases.toml",
        format!("[[case]]\nname = \"native\"\n{more}input = '''\n{input}'''\nexpected = '''\n{lines}\n'''\n"),
    );
    let component = settings::plugin(plugin).display().to_string();
    let tested = folder.wasmill(["plugin", "test", &component, "--cases", "cases.toml"]).end();
    println!("{}", tested.stdout);
    tested.expect_code(0);
}

#[test]
fn every_kind_is_read_as_the_host_reads_it() {
    let rows = rows();
    let run = TransformTest::<kinds::kinds>::new(json!({})).run(rows.clone());
    assert!(run.emitted.len() > 100 && run.rejects.len() > 70, "{} and {}", run.emitted.len(), run.rejects.len());
    gives("kinds", "", &rows, &run.to_string());
}

#[test]
fn keys_come_in_the_order_in_which_the_host_has_them() {
    let names = ["cid", "ann", "bob", "ann", "cid", "", "dan", "bob"];
    let rows: Vec<Value> = names.iter().enumerate().map(|(id, user)| json!({"id": id, "user": user})).collect();
    let mut test = KeyedTest::<counter::counter>::new(json!({})).key("user");
    let mut lines = test.run(rows.clone()).to_string();
    for key in ["", "ann", "bob", "cid", "dan"] {
        lines += &format!("\nstate {key}: {}", test.state::<Value>(key).expect("it has been counted"));
    }
    gives("counter", "key = \"user\"\n", &rows, &lines);
}
