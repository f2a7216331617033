//! A daemon as a child process, and requests to it.

use crate::folder::Folder;
use crate::process::{Ended, Run, Signal};
use crate::wait::until;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;

/// How long a daemon may take for anything.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A running daemon with its data in the folder `daemon`.
#[derive(Debug)]
pub struct Daemon<'a> {
    folder: &'a Folder,
    run: Run,
    address: String,
}

/// What a daemon answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Asserts the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts that it is a problem with this code that says each of `texts`.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str, texts: &[&str]) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.content_type, "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}", self.text);
        assert_eq!(problem["type"], format!("urn:wasmill:problem:{code}"), "{}", self.text);
        for text in texts {
            assert!(self.text.contains(text), "`{text}` is not said: {}", self.text);
        }
        self
    }
}

impl<'a> Daemon<'a> {
    /// Starts a daemon on a free port, and waits until it answers.
    pub fn start(folder: &'a Folder) -> Self {
        Self::start_with(folder, &[], None)
    }

    /// As [`Self::start`], with further arguments and a failpoint to die at.
    pub fn start_with(folder: &'a Folder, arguments: &[&str], failpoint: Option<&str>) -> Self {
        let _ = std::fs::remove_file(folder.path("address"));
        let common = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "daemon", "--address-file", "address"];
        let mut launch = folder.wasmill(common).args(arguments);
        if let Some(failpoint) = failpoint {
            launch = launch.dying_at(failpoint);
        }
        let mut run = launch.start();
        let read = || std::fs::read_to_string(folder.path("address")).unwrap_or_default();
        until("the daemon listens", LIMIT, || {
            assert!(run.is_running(), "the daemon ended: {}", run.stderr());
            read().ends_with('\n')
        });
        let address = read().trim().to_owned();
        Daemon { folder, run, address }
    }

    /// Its address as `http://` and [`Self::address`].
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process.
    pub fn run(&mut self) -> &mut Run {
        &mut self.run
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.run.stderr()
    }

    /// Kills it (-9).
    pub fn kill(mut self) {
        self.run.kill();
    }

    /// Ends it in good order.
    #[track_caller]
    pub fn stop(mut self) -> Ended {
        self.run.signal(Signal::Terminate);
        self.run.wait(LIMIT).expect_code(0)
    }

    /// Asks; none where no answer came.
    pub fn try_ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<Answer> {
        ask_at(&self.url(), method, path, kind, body)
    }

    /// Asks, and there is an answer.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let answer = self.try_ask(method, path, kind, body);
        answer.unwrap_or_else(|| panic!("no answer to {method} {path}\n{}", self.log()))
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    /// `POST`.
    #[track_caller]
    pub fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, "", b"")
    }

    /// `DELETE`.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, "", b"")
    }

    /// Uploads a component.
    #[track_caller]
    pub fn push(&self, name: &str, version: &str, component: &[u8]) -> Answer {
        self.ask("PUT", &plugin(name, version), "application/wasm", component)
    }

    /// Deploys a pipeline.
    #[track_caller]
    pub fn apply(&self, name: &str, definition: &str) -> Answer {
        self.ask("PUT", &pipeline(name), "application/toml", definition.as_bytes())
    }

    /// How a pipeline is.
    #[track_caller]
    pub fn show(&self, name: &str) -> Value {
        self.get(&pipeline(name)).expect(200).json()
    }

    /// Sends JSON.
    #[track_caller]
    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "application/json", body.to_string().as_bytes())
    }

    /// Follows an operation that was begun: its states in order, and how it was at its end.
    #[track_caller]
    pub fn follow(&self, begun: Answer) -> (Vec<String>, Value) {
        let begun = begun.expect(202).json();
        let id = begun["id"].as_str().expect("an id");
        let events = self.get(&format!("/api/v1/operations/{id}/events")).expect(200);
        assert_eq!(events.content_type, "text/event-stream");
        let data = events.text.lines().filter_map(|it| it.strip_prefix("data: "));
        let told: Vec<Value> = data.map(|it| serde_json::from_str(it).expect("JSON")).collect();
        let mut states: Vec<String> = told.iter().map(|it| it["state"].as_str().expect("a state").to_owned()).collect();
        states.dedup();
        let last = told.last().cloned().expect("an event");
        assert_eq!(last["done"], true, "{last}");
        (states, last)
    }

    /// Waits until a pipeline is in a state.
    #[track_caller]
    pub fn wait_for(&self, name: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let mut there = || {
            last = self.show(name);
            last["state"] == state
        };
        until(&format!("{name} is {state}"), LIMIT, &mut there);
        last
    }

    /// `wasmill` with arguments, talking to this daemon.
    pub fn command(&self, arguments: &[&str]) -> Ended {
        self.folder.wasmill(arguments).env("WASMILL_SERVER", &self.url()).end()
    }

    /// Sends bytes over a connection of their own and answers what comes back until it ends.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.write_all(bytes).expect("the request is taken");
        let mut answer = String::new();
        // A reset is an end too.
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

/// Asks whoever listens at `url`, from any thread; none where no answer came.
pub fn ask_at(url: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<Answer> {
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(LIMIT));
    let agent: Agent = config.allow_non_standard_methods(true).build().into();
    let mut request = Request::builder().method(method).uri(format!("{url}{path}")).header("content-type", kind);
    if !body.is_empty() {
        request = request.header("expect", "100-continue"); // A refusal may come before the body.
    }
    let mut answer = agent.run(request.body(body).expect("a request")).ok()?;
    let content_type =
        answer.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().ok()?;
    Some(Answer { status, content_type, text })
}

/// The address of a version.
pub fn plugin(name: &str, version: &str) -> String {
    format!("/api/v1/plugins/{name}/versions/{version}")
}

/// The address of a pipeline.
pub fn pipeline(name: &str) -> String {
    format!("/api/v1/pipelines/{name}")
}
