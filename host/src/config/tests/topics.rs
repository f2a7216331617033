//! `topic` and `topics` of a Kafka source.

use super::*;

fn source(lines: &str) -> String {
    format!("name = \"t\"\n[sources.in]\nconnector = \"kafka\"\nbrokers = \"b:9092\"\n{lines}\n{SINK}")
}

#[test]
fn a_source_reads_one_topic_or_several_different_ones() {
    let topics = |lines: &str| match parsed(&source(lines), &[]).unwrap().sources.remove(0).connector {
        SourceConnector::Kafka(options) => options.topics().map(str::to_owned).collect::<Vec<_>>(),
        other => panic!("{other:?} is not Kafka"),
    };
    assert_eq!(topics("topic = \"a\""), ["a"]);
    assert_eq!(topics("topics = [\"b\", \"a\"]"), ["b", "a"]);
    let mut seen = String::new();
    for wrong in [
        "start = \"latest\"",
        "topic = \"a\"\ntopics = [\"b\"]",
        "topics = []",
        "topics = \"a\"",
        "topics = [\"a\", \"b\", \"a\", 5, \"c d\"]",
        "topics = [\"\"]",
    ] {
        let errors = parsed(&source(wrong), &[]).unwrap_err().to_string();
        seen.push_str(&format!("{}\n", errors.trim_end()));
    }
    expect![[r#"
        p.toml:2:10: sources.in.topic: missing, expected a text; add `topic = ...`, or `topics = [...]` for several
        p.toml:5:9: sources.in.topic: found it beside `topics`; drop one of the two
        p.toml:5:10: sources.in.topics: found 0 topics, expected 1 to 256
        p.toml:5:10: sources.in.topics: found "a", expected a list of topics such as ["a", "b"]
        p.toml:5:21: sources.in.topics: found "a" twice, expected each topic once
        p.toml:5:26: sources.in.topics: found 5, expected the name of a topic
        p.toml:5:29: sources.in.topics: found "c d", expected a Kafka topic: at most 249 letters, digits, `.`, `_`, `-`
        p.toml:5:11: sources.in.topics: found "", expected a Kafka topic: at most 249 letters, digits, `.`, `_`, `-`
    "#]]
    .assert_eq(&seen);
}

#[test]
fn a_sink_that_writes_one_of_the_topics_that_are_read_is_warned_of() {
    let text = source("topics = [\"a\", \"t\"]")
        .replace("connector = \"stdout\"", "connector = \"kafka\"\nbrokers = \"b:9092\"\ntopic = \"t\"");
    check(
        &text,
        expect![[r#"
            out: writes the topic t that the source in reads: a loop without end
        "#]],
    );
}
