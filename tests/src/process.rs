//! A run of the real binary as a child process: started, signalled, killed, waited for, always ended.

use crate::wait::{Deadline, pause};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How often a child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Lines of a log that a failure shows.
const TAIL_LINES: usize = 40;

/// A signal to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends it at once: nothing runs in it any more.
    Kill,
    /// Asks it to end.
    Terminate,
    /// What Ctrl-C sends.
    Interrupt,
    /// Asks a daemon to read its configuration again.
    Hangup,
    /// Freezes it.
    Stop,
    /// Lets it go on.
    Continue,
}

/// A child process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Run {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    command: String,
}

/// How a child ended, and what it said.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    command: String,
}

impl Run {
    /// Starts `command` with its output in the files `NAME.out` and `NAME.err` of `logs`.
    pub fn start(command: Command, logs: &Path, name: &str) -> Run {
        Run::reading(Stdio::null(), command, logs, name)
    }

    /// As [`Run::start`], with `write` at the other end of its standard input. What cannot be written any more, because it has ended, is left.
    pub fn fed(command: Command, logs: &Path, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Run {
        let mut run = Run::reading(Stdio::piped(), command, logs, name);
        let mut input = BufWriter::with_capacity(1 << 20, run.child.stdin.take().expect("it is a pipe"));
        let _ = write(&mut input).and_then(|()| input.flush());
        run
    }

    fn reading(input: Stdio, mut command: Command, logs: &Path, name: &str) -> Run {
        let stdout = logs.join(format!("{name}.out"));
        let stderr = logs.join(format!("{name}.err"));
        let create = |path: &Path| File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        command.stdin(input).stdout(create(&stdout)).stderr(create(&stderr)).process_group(0);
        let text = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {text}: {error}"));
        Run { child, stdout, stderr, command: text }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True while it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.status().is_none()
    }

    /// Sends a signal; nothing where it has ended.
    #[expect(unsafe_code, reason = "the standard library sends no signal but SIGKILL")]
    pub fn signal(&mut self, signal: Signal) {
        let number = match signal {
            Signal::Kill => libc::SIGKILL,
            Signal::Terminate => libc::SIGTERM,
            Signal::Interrupt => libc::SIGINT,
            Signal::Hangup => libc::SIGHUP,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        };
        if self.is_running() {
            // SAFETY: no pointers; the child has not been waited for, so its id is still its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, number) };
        }
    }

    /// Kills it and waits for its end. True when it was still running.
    pub fn kill(&mut self) -> bool {
        let running = self.is_running();
        // It may have ended in between, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        running
    }

    /// Waits for its end. Panics after `limit`, showing the end of its log.
    pub fn wait(&mut self, limit: Duration) -> Ended {
        let deadline = Deadline::after(limit);
        loop {
            if let Some(status) = self.status() {
                return self.ended(status);
            }
            if deadline.is_over() {
                self.kill();
                panic!("{} did not end within {limit:?}\n{}", self.command, tail(&self.stderr()));
            }
            pause(LOOK_EVERY);
        }
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until `text` is in standard error. Panics when it ends before, or after `limit`.
    pub fn wait_for_log(&mut self, text: &str, limit: Duration) {
        let deadline = Deadline::after(limit);
        while !self.stderr().contains(text) {
            let gone = !self.is_running() && !self.stderr().contains(text);
            assert!(
                !gone && !deadline.is_over(),
                "{} did not log `{text}` within {limit:?}\n{}",
                self.command,
                tail(&self.stderr())
            );
            pause(LOOK_EVERY);
        }
    }

    /// Its resident memory, bytes; none once it has ended.
    pub fn resident_bytes(&self) -> Option<u64> {
        self.said_by_kernel("VmRSS").map(|it| it * 1024)
    }

    /// True where the kernel may give it huge pages; none once it has ended.
    pub fn may_have_huge_pages(&self) -> Option<bool> {
        self.said_by_kernel("THP_enabled").map(|it| it != 0)
    }

    fn said_by_kernel(&self, what: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|it| it.strip_prefix(what)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.command))
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout(),
            stderr: self.stderr(),
            command: self.command.clone(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ended {
    /// Asserts the exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Ended {
        let Ended { command, signal, .. } = &self;
        assert_eq!(self.code, Some(code), "exit code of {command} (signal {signal:?})\n{}", self.tails());
        self
    }

    /// Asserts that standard error says each of `texts`.
    #[track_caller]
    pub fn expect_error(self, texts: &[&str]) -> Ended {
        for text in texts {
            assert!(self.stderr.contains(text), "{} did not say `{text}`\n{}", self.command, self.tails());
        }
        self
    }

    /// True when SIGKILL ended it.
    pub fn was_killed(&self) -> bool {
        self.signal == Some(libc::SIGKILL)
    }

    /// The ends of both outputs.
    pub fn tails(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", tail(&self.stdout), tail(&self.stderr))
    }
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
