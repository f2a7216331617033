//! Tries what a plugin may not, and fails in the ways that Rust can: one for each `try` of a record.

use std::hash::{BuildHasher, RandomState};
use wasmill_plugin::NoConfig;
use wasmill_plugin::prelude::*;

#[derive(Record)]
struct Attempt<'a> {
    #[field("try")]
    what: &'a str,
}

#[derive(Emit)]
struct Answer<'a> {
    #[field("try")]
    what: &'a str,
    answer: &'a str,
}

/// Tries it, and writes what came of it.
#[wasmill_plugin::transform]
fn probe(attempt: Attempt<'_>, _config: &NoConfig, out: &mut Output<Answer<'_>>) -> Result<(), Reject> {
    let what = attempt.what;
    let answer = match what {
        "read" => std::fs::read_to_string("/etc/passwd")?,
        "socket" => format!("{:?}", std::net::TcpStream::connect("127.0.0.1:1")?),
        "environment" => home().unwrap_or_else(|| "none".to_owned()),
        "clock" => format!("{:?}", now()),
        "random" => RandomState::new().hash_one(7).to_string(),
        "error" => what.parse::<i64>()?.to_string(),
        "raise" => panic!("cannot go on with {}", what.len()),
        "divide" => (7 / (what.len() - 6)).to_string(),
        "index" => what.as_bytes().get(..2).map(|it| it[what.len()]).unwrap_or_default().to_string(),
        _ => "nothing".to_owned(),
    };
    out.emit(Answer { what, answer: &answer });
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "that it is not to be had is tested")]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

#[expect(clippy::disallowed_methods, reason = "that there is none is tested")]
fn home() -> Option<String> {
    std::env::var("HOME").ok()
}
