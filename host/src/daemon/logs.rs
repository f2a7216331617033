//! The lines that each pipeline and its plugins log: the last ones are kept, and whoever listens gets each as it comes.
//!
//! A line belongs to the pipeline whose span it is in ([`span`]). A plugin can log as fast as it likes: so many lines a second are kept, the rest is
//! counted and said.

use super::api::LogLine;
use super::clock;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The name of the span that a pipeline's lines are in.
const SPAN: &str = "pipeline";
/// What plugins' own lines are told by.
const GUEST_TARGET: &str = "plugin";
/// Lines a second of one pipeline that are kept.
const LINES_A_SECOND_MAX: u64 = 200;
/// A line's text, in bytes; what is longer is cut.
const LINE_BYTES_MAX: usize = 4_096;
/// The last lines of one pipeline, in bytes together.
const KEPT_BYTES_MAX: usize = 256 << 10;
/// Lines that a slow listener may be behind.
const BEHIND_MAX: usize = 256;

/// The lines of all pipelines.
#[derive(Debug, Default)]
pub struct Logs(Mutex<BTreeMap<String, Lines>>);

#[derive(Debug)]
struct Lines {
    kept: VecDeque<Arc<LogLine>>,
    bytes: usize,
    listeners: broadcast::Sender<Arc<LogLine>>,
    second: i64,
    in_second: u64,
    dropped: u64,
}

impl Lines {
    fn new() -> Self {
        let (listeners, _) = broadcast::channel(BEHIND_MAX);
        Lines { kept: VecDeque::new(), bytes: 0, listeners, second: 0, in_second: 0, dropped: 0 }
    }

    fn push(&mut self, line: LogLine) {
        let second = line.at.as_second();
        if second != self.second {
            (self.second, self.in_second) = (second, 0);
            let dropped = std::mem::take(&mut self.dropped);
            if dropped > 0 {
                let message = format!("{dropped} lines came too fast and were dropped");
                let source = "host".to_owned();
                let level = "warn".to_owned();
                self.keep(LogLine { level, source, message, dropped, ..line.clone() });
            }
        }
        self.in_second += 1;
        if self.in_second > LINES_A_SECOND_MAX {
            self.dropped += 1;
        } else {
            self.keep(line);
        }
    }

    fn keep(&mut self, line: LogLine) {
        let line = Arc::new(line);
        self.bytes += line.message.len();
        self.kept.push_back(Arc::clone(&line));
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.message.len();
        }
        let _ = self.listeners.send(line); // Nobody may listen.
    }
}

impl Logs {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Lines>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What catches the lines, for a subscriber.
    pub fn layer(self: &Arc<Self>) -> LogLayer {
        LogLayer(Arc::clone(self))
    }

    /// The lines of a pipeline that are kept, the oldest first, and those to come.
    pub(super) fn listen(&self, pipeline: &str) -> (Vec<Arc<LogLine>>, broadcast::Receiver<Arc<LogLine>>) {
        let mut all = self.all();
        let lines = all.entry(pipeline.to_owned()).or_insert_with(Lines::new);
        (lines.kept.iter().cloned().collect(), lines.listeners.subscribe())
    }

    /// Forgets a pipeline's lines.
    pub(super) fn forget(&self, pipeline: &str) {
        self.all().remove(pipeline);
    }
}

/// The span of a pipeline: lines that are written within are the pipeline's.
pub(super) fn span(pipeline: &str) -> Span {
    tracing::error_span!(SPAN, name = pipeline)
}

/// Catches the lines of pipelines.
#[derive(Clone, Debug)]
pub struct LogLayer(Arc<Logs>);

/// What a span says of its pipeline.
struct Pipeline(String);

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
    name: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        match name {
            "message" => self.message.push_str(value),
            "name" => self.name = Some(value.to_owned()),
            _ => {
                let _ = write!(self.others, " {name}={value}"); // A text takes all.
            }
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != SPAN {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(span), Some(name)) = (context.span(id), fields.name) {
            span.extensions_mut().insert(Pipeline(name));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let scope = context.event_scope(event);
        let name = scope.into_iter().flatten().find_map(|it| it.extensions().get::<Pipeline>().map(|it| it.0.clone()));
        let Some(name) = name else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let source = if metadata.target() == GUEST_TARGET { "guest" } else { "host" };
        let message = one_line(&format!("{}{}", fields.message, fields.others));
        let line =
            LogLine { at: clock::now(), level: level.to_owned(), source: source.to_owned(), message, dropped: 0 };
        self.0.all().entry(name).or_insert_with(Lines::new).push(line);
    }
}

/// A text on one line, of at most so many bytes, without anything that a terminal would obey.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LINE_BYTES_MAX));
    for letter in text.chars() {
        if line.len() >= LINE_BYTES_MAX {
            line.push_str("..");
            break;
        }
        if letter.is_control() { line.extend(letter.escape_default()) } else { line.push(letter) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn logged(work: impl FnOnce()) -> Arc<Logs> {
        let logs = Arc::new(Logs::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs.layer()), work);
        logs
    }

    #[test]
    fn lines_are_of_the_pipeline_in_whose_span_they_are_and_on_one_line() {
        let logs = logged(|| {
            tracing::info!("of nobody");
            span("a").in_scope(|| {
                tracing::warn!(rows = 3, "two\nlines \u{1b}[31m");
                tracing::info!(target: "plugin", plugin = "p", "hello");
            });
            span("b").in_scope(|| tracing::info!("{}", "x".repeat(10_000)));
        });
        let lines = logs.listen("a").0;
        let short: Vec<_> = lines.iter().map(|it| [&it.level, &it.source, &it.message].map(String::as_str)).collect();
        assert_eq!(short, [["warn", "host", "two\\nlines \\u{1b}[31m rows=3"], ["info", "guest", "hello plugin=p"]]);
        assert_eq!(logs.listen("b").0[0].message.len(), LINE_BYTES_MAX + 2);
        logs.forget("a");
        assert!(logs.listen("a").0.is_empty());
    }

    #[test]
    fn what_comes_too_fast_is_counted_and_said_and_what_is_kept_has_a_bound() {
        let mut lines = Lines::new();
        let line = |second: i64, bytes: usize| LogLine {
            at: jiff::Timestamp::from_second(second).unwrap(),
            level: "info".into(),
            source: "guest".into(),
            message: "x".repeat(bytes),
            dropped: 0,
        };
        (0..LINES_A_SECOND_MAX + 7).for_each(|_| lines.push(line(1, 1)));
        assert_eq!(lines.kept.len() as u64, LINES_A_SECOND_MAX);
        lines.push(line(2, 1));
        let told: Vec<u64> = lines.kept.iter().map(|it| it.dropped).filter(|it| *it > 0).collect();
        assert_eq!(told, [7]);
        (3..200).for_each(|second| lines.push(line(second, 4_096)));
        assert!(lines.bytes <= KEPT_BYTES_MAX && lines.kept.len() == KEPT_BYTES_MAX / 4_096, "{}", lines.kept.len());
    }
}
