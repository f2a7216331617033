//! Finding a topic: waits for a broker, tells "no broker" from "no topic", and names what is like it.

use super::ffi::{Client, Fault, Topic, TopicInfo, code};
use super::{Deadline, KafkaError};

/// A topic that was just made is not known to every broker at once; so long it may be missing, ms.
const PROPAGATION_MS_MAX: u64 = 1_000;
/// One question to a broker, ms.
const ASK_MS_MAX: u64 = 1_000;
/// Between two questions whose answer was no, ms.
const PAUSE_MS: u64 = 50;

/// The partitions of `topic`, in order.
pub(crate) fn partitions_of(
    client: &Client,
    topic: &Topic,
    name: &str,
    brokers: &str,
    deadline: &Deadline,
) -> Result<Vec<i32>, KafkaError> {
    let propagation = Deadline::after(PROPAGATION_MS_MAX);
    loop {
        let answer = client.metadata(Some(topic), deadline.left_ms(ASK_MS_MAX).max(1));
        client.poll();
        match answer {
            Ok(topics) => match topics.into_iter().find(|it| it.name == name) {
                Some(found) if found.error == code::NONE && !found.partitions.is_empty() => {
                    return Ok(sorted(found.partitions));
                }
                Some(found) if !missing(&found) && !code::PASSING.contains(&found.error) => {
                    let reason = Fault::of(found.error).text;
                    return Err(KafkaError::Other { doing: format!("find topic `{name}`"), reason });
                }
                _ if propagation.passed() || deadline.passed() => {
                    return Err(topic_missing(client, name, brokers));
                }
                _ => {} // Missing so far, or its leader is not elected yet.
            },
            Err(fault) if deadline.passed() => return Err(unreachable(client, fault, brokers, deadline)),
            Err(_) => {}
        }
        std::thread::sleep(std::time::Duration::from_millis(PAUSE_MS.min(deadline.left_ms(PAUSE_MS) as u64)));
    }
}

/// No broker answered: with the reason that says most.
pub(crate) fn unreachable(client: &Client, fault: Fault, brokers: &str, deadline: &Deadline) -> KafkaError {
    client.poll();
    let reason = client.events().take_trouble().unwrap_or(fault.text);
    KafkaError::Unreachable { brokers: brokers.to_owned(), waited_ms: deadline.waited_ms(), reason }
}

fn missing(topic: &TopicInfo) -> bool {
    topic.error == code::UNKNOWN_TOPIC || topic.error == code::UNKNOWN_TOPIC_LOCALLY || topic.error == code::NONE
}

fn sorted(mut partitions: Vec<i32>) -> Vec<i32> {
    partitions.sort_unstable();
    partitions
}

/// The error for a topic that no broker knows.
pub(crate) fn topic_missing(client: &Client, name: &str, brokers: &str) -> KafkaError {
    // Only to help: without an answer there is no suggestion.
    let all = client.metadata(None, ASK_MS_MAX as i32).unwrap_or_default();
    let names = all.into_iter().map(|it| it.name);
    KafkaError::TopicMissing { topic: name.to_owned(), brokers: brokers.to_owned(), similar: similar(name, names) }
}

/// At most 3 of `names` that may have been meant by `wanted`, nearest first.
fn similar(wanted: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let scored = names.filter(|it| !it.starts_with("__")).map(|it| (strsim::jaro_winkler(wanted, &it), it));
    let mut scored: Vec<_> = scored.filter(|it| it.0 >= 0.8).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.into_iter().take(3).map(|it| it.1).collect()
}

#[cfg(test)]
mod tests {
    use super::similar;

    #[test]
    fn a_typing_error_finds_its_topic_and_internal_topics_are_not_offered() {
        let names = ["__transactions", "transactions", "transactions-2", "alerts"].map(String::from);
        assert_eq!(similar("transactoins", names.into_iter()), ["transactions", "transactions-2"]);
    }
}
