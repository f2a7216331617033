//! Requests to a daemon and its answers.

use super::{Client, Failure, tls};
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;
use ureq::http::{Method, Response};
use ureq::{Agent, Body, SendBody};
use wasmill::daemon::Problem;

/// How long a daemon may take to be reached.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to answer: compiling and last checkpoints take their time.
const ANSWER_WAIT: Duration = Duration::from_secs(300);
/// An answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What a request carries.
pub(super) enum Carries<'a> {
    Nothing,
    Text(&'a str, &'static str),
    /// A reader, its length in bytes and the content type.
    File(&'a mut dyn Read, u64, &'static str),
}

impl Client {
    /// Asks, and reads the answer as JSON.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        carries: Carries<'_>,
    ) -> Result<T, Failure> {
        let text = self.ask_text(method, path, carries)?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::Answer(format!(
                "the answer of {} is not understood ({error}); is the daemon of another version?",
                self.server
            ))
        })
    }

    /// Asks, and answers the text of the answer.
    pub(super) fn ask_text(&self, method: Method, path: &str, carries: Carries<'_>) -> Result<String, Failure> {
        let mut answer = self.send(method, path, carries)?;
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        text.map_err(|error| self.unreachable(&error))
    }

    /// Listens to server-sent events, each by its name and its data, until `hear` answers false or there are no more.
    pub(super) fn listen(
        &self,
        path: &str,
        mut hear: impl FnMut(&str, &str) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut answer = self.send(Method::GET, path, Carries::Nothing)?;
        let mut name = String::new();
        for line in BufReader::new(answer.body_mut().with_config().limit(u64::MAX).reader()).lines() {
            let line = line.map_err(|error| self.unreachable(&ureq::Error::Io(error)))?;
            if let Some(event) = line.strip_prefix("event: ") {
                name.replace_range(.., event);
            } else if let Some(data) = line.strip_prefix("data: ")
                && !hear(&name, data)?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::Unreachable { server: self.server.clone(), reason: error.to_string() }
    }

    /// Asks; the answer is no refusal.
    fn send(&self, method: Method, path: &str, carries: Carries<'_>) -> Result<Response<Body>, Failure> {
        let mut config = Agent::config_builder();
        if self.server.starts_with("https:") {
            config = config.tls_config(tls::config(self.authorities.as_deref())?);
        }
        let agent: Agent = config
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .timeout_recv_response(Some(ANSWER_WAIT))
            .allow_non_standard_methods(true)
            .user_agent(concat!("wasmill/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let url = format!("{}{path}", self.server.trim_end_matches('/'));
        let mut request = ureq::http::Request::builder().method(method).uri(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let wrong = |error: ureq::http::Error| Failure::Input(format!("{url} is no address: {error}"));
        let answer = match carries {
            Carries::Nothing => agent.run(request.body(()).map_err(wrong)?),
            Carries::Text(text, kind) => agent.run(request.header("content-type", kind).body(text).map_err(wrong)?),
            Carries::File(mut reader, bytes, kind) => {
                // A refusal comes before the file is sent.
                request = request
                    .header("content-type", kind)
                    .header("content-length", bytes)
                    .header("expect", "100-continue");
                agent.run(request.body(SendBody::from_reader(&mut reader)).map_err(wrong)?)
            }
        };
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        match serde_json::from_str::<Problem>(&text.map_err(|error| self.unreachable(&error))?) {
            Ok(problem) => Err(Failure::Refused(problem)),
            Err(_) => Err(Failure::Answer(format!("{url} answers {status}, which is no answer of a wasmill daemon"))),
        }
    }
}

/// A name as a part of an address.
pub(super) fn part(name: &str) -> String {
    let keep = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.' | b'~');
    let byte = |it: u8| if keep(&it) { char::from(it).to_string() } else { format!("%{it:02X}") };
    name.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_has_a_meaning_in_an_address_is_written_otherwise() {
        assert_eq!(super::part("a/b?c=1.0-é"), "a%2Fb%3Fc%3D1.0-%C3%A9");
    }
}
