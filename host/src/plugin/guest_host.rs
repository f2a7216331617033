//! What a guest sees of the host: memory up to a limit, a log, and counters. All that it hands over is hostile.

use super::bindings::{logging, metrics};
use super::error::Fault;
use crate::config::PluginLimits;
use crate::metrics::FAULTS;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Core instances, tables and memories of one instance: a Python component is linked from some twenty.
const CORE_INSTANCES_MAX: usize = 256;
const TABLES_MAX: usize = 256;
const MEMORIES_MAX: usize = 64;

/// Elements of one table: functions, most often.
const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// Error lines kept of a call, for the reason of a dead letter, and bytes of each.
const ERROR_LINES_MAX: usize = 8;
const ERROR_LINE_BYTES_MAX: usize = 512;

/// Length of a log line, in bytes; more is cut off.
const LOG_LINE_BYTES_MAX: usize = 4_096;

/// Names of counters of one plugin, and bytes of each.
const COUNTERS_MAX: usize = 256;
const COUNTER_NAME_BYTES_MAX: usize = 100;

/// The data of one instance's store.
pub(super) struct GuestHost {
    label: String,
    memory_bytes_max: usize,
    log_lines_max: u32,
    memory_bytes: usize,
    /// The last growth, taken back when the system refuses it.
    growth_bytes: usize,
    memory_refused: bool,
    lines: u32,
    lines_dropped: u32,
    errors: VecDeque<String>,
    pub(super) counters: Counters,
}

/// What a plugin counted. Counts of a call that fails are not added.
#[derive(Default)]
pub(super) struct Counters {
    totals: BTreeMap<String, u64>,
    /// Counted by the call that is running.
    pending: BTreeMap<String, u64>,
    /// Log lines dropped, in all.
    pub(super) lines_dropped: u64,
    /// Wall time spent in calls, the check of their answers included.
    pub(super) busy: Duration,
    /// Calls, those that failed included.
    pub(super) calls: u64,
    /// Calls that failed, by the kind's number.
    pub(super) faults: [u64; FAULTS.len()],
}

impl Counters {
    /// A call has ended.
    pub(super) fn called<T>(&mut self, took: Duration, answer: &Result<T, Fault>) {
        self.calls += 1;
        self.busy += took;
        if let Some(count) = answer.as_ref().err().and_then(|it| self.faults.get_mut(it.kind.number())) {
            *count += 1;
        }
    }

    pub(super) fn totals(&self) -> &BTreeMap<String, u64> {
        &self.totals
    }

    fn count(&mut self, name: &str, amount: u64) {
        if let Some(total) = self.pending.get_mut(name) {
            *total = total.saturating_add(amount);
            return;
        }
        let known = self.totals.contains_key(name);
        if known || (self.totals.len() + self.pending.len() < COUNTERS_MAX && is_counter_name(name)) {
            self.pending.insert(name.to_owned(), amount);
        }
    }

    fn commit(&mut self) {
        while let Some((name, amount)) = self.pending.pop_first() {
            let total = self.totals.entry(name).or_default();
            *total = total.saturating_add(amount);
        }
    }
}

/// What Prometheus takes in the middle of a name.
fn is_counter_name(name: &str) -> bool {
    let fits = |it: u8| it == b'_' || it.is_ascii_alphanumeric();
    !name.is_empty() && name.len() <= COUNTER_NAME_BYTES_MAX && name.bytes().all(fits)
}

impl GuestHost {
    pub(super) fn new(label: &str, limits: &PluginLimits, counters: Counters) -> Self {
        GuestHost {
            label: label.to_owned(),
            memory_bytes_max: limits.memory_bytes_max,
            log_lines_max: limits.log_lines_max,
            memory_bytes: 0,
            growth_bytes: 0,
            memory_refused: false,
            lines: 0,
            lines_dropped: 0,
            errors: VecDeque::new(),
            counters,
        }
    }

    /// Linear memory of the instance, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// True when the call asked for memory beyond the limit.
    pub(super) fn memory_refused(&self) -> bool {
        self.memory_refused
    }

    pub(super) fn begin_call(&mut self) {
        self.lines = 0;
        self.lines_dropped = 0;
        self.memory_refused = false;
        self.errors.clear();
        self.counters.pending.clear();
    }

    /// Ends a call; its counts stand when its answer was good. Returns the error lines that it logged.
    pub(super) fn end_call(&mut self, good: bool) -> Vec<String> {
        if self.lines_dropped > 0 {
            self.counters.lines_dropped += u64::from(self.lines_dropped);
            let (plugin, dropped, lines_max) = (&self.label, self.lines_dropped, self.log_lines_max);
            tracing::warn!(target: "plugin", %plugin, dropped, lines_max, "too many log lines in one call");
        }
        if good {
            self.counters.commit();
            return Vec::new();
        }
        self.counters.pending.clear();
        self.errors.drain(..).collect()
    }
}

impl ResourceLimiter for GuestHost {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let fits = self.memory_bytes.checked_add(growth).is_some_and(|it| it <= self.memory_bytes_max);
        if fits {
            self.memory_bytes += growth;
            self.growth_bytes = growth;
        } else {
            self.memory_refused = true;
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.growth_bytes).min(self.memory_bytes);
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

impl logging::Host for GuestHost {
    fn log(&mut self, level: logging::Level, context: String, message: String) {
        use logging::Level;
        let bad = matches!(level, Level::Error | Level::Critical);
        let shown = self.lines < self.log_lines_max;
        if !shown && !bad {
            self.lines_dropped += 1;
            return;
        }
        if bad {
            if self.errors.len() == ERROR_LINES_MAX {
                self.errors.pop_front();
            }
            // A panic's place and message are two lines; in a header they read better as one.
            let head = &message[..message.floor_char_boundary(2 * ERROR_LINE_BYTES_MAX)];
            self.errors.push_back(escape(&head.replace('\n', " "), ERROR_LINE_BYTES_MAX));
        }
        if !shown {
            self.lines_dropped += 1;
            return;
        }
        self.lines += 1;
        let message = escape(&message, LOG_LINE_BYTES_MAX);
        let (plugin, context) = (&self.label, escape(&context, COUNTER_NAME_BYTES_MAX));
        match level {
            Level::Trace => tracing::trace!(target: "plugin", %plugin, %context, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", %plugin, %context, "{message}"),
            Level::Info => tracing::info!(target: "plugin", %plugin, %context, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", %plugin, %context, "{message}"),
            Level::Error | Level::Critical => tracing::error!(target: "plugin", %plugin, %context, "{message}"),
        }
    }
}

impl metrics::Host for GuestHost {
    fn count(&mut self, name: String, amount: u64) {
        self.counters.count(&name, amount);
    }
}

/// A guest's text on one line of at most `bytes_max` bytes, without anything that a terminal would obey.
pub(super) fn escape(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for letter in text.trim_end().chars() {
        if out.len() >= bytes_max {
            out.push('…');
            break;
        }
        if letter.is_control() || is_bidi(letter) { out.extend(letter.escape_default()) } else { out.push(letter) }
    }
    out
}

/// Marks that reorder what a terminal shows.
fn is_bidi(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use super::{logging::Host as _, metrics::Host as _};

    fn host(limits: &PluginLimits) -> GuestHost {
        GuestHost::new("p.wasm", limits, Counters::default())
    }

    #[test]
    fn memory_counts_all_memories_of_an_instance_and_stops_at_the_limit() {
        let mut host = host(&PluginLimits { memory_bytes_max: 300, ..PluginLimits::default() });
        assert!(host.memory_growing(0, 100, None).unwrap());
        assert!(host.memory_growing(0, 200, None).unwrap());
        assert!(!host.memory_growing(200, 201, None).unwrap());
        assert!(host.memory_refused());
        assert!(!host.memory_growing(0, usize::MAX, None).unwrap());
        assert_eq!(host.memory_bytes(), 300);
        host.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert_eq!(host.memory_bytes(), 100);
    }

    #[test]
    fn the_last_error_lines_of_a_failed_call_are_kept_even_past_the_line_limit() {
        let mut host = host(&PluginLimits { log_lines_max: 2, ..PluginLimits::default() });
        host.begin_call();
        for line in 0..20 {
            host.log(logging::Level::Info, String::new(), format!("line {line}"));
        }
        host.log(logging::Level::Error, String::new(), "panicked\n\u{1b}[31mred".to_owned());
        assert_eq!(host.end_call(false), ["panicked \\u{1b}[31mred"]);
        assert_eq!(host.counters.lines_dropped, 19);
        host.begin_call();
        assert!(host.end_call(false).is_empty());
    }

    #[test]
    fn counts_of_a_failed_call_are_dropped_and_names_are_bounded() {
        let mut host = host(&PluginLimits::default());
        host.begin_call();
        host.count("seen".to_owned(), 2);
        host.count("seen".to_owned(), 3);
        host.count("not a name".to_owned(), 1);
        host.end_call(true);
        host.begin_call();
        host.count("seen".to_owned(), 7);
        host.end_call(false);
        assert_eq!(host.counters.totals().iter().collect::<Vec<_>>(), [(&"seen".to_owned(), &5)]);
        host.begin_call();
        for name in 0..1_000 {
            host.count(format!("name_{name}"), 1);
        }
        host.count("seen".to_owned(), u64::MAX);
        host.end_call(true);
        assert_eq!(host.counters.totals().len(), COUNTERS_MAX);
        assert_eq!(host.counters.totals()["seen"], u64::MAX);
    }

    #[test]
    fn a_long_line_is_cut_and_reordering_marks_are_shown() {
        assert_eq!(escape("ab\u{202e}cd", 100), "ab\\u{202e}cd");
        assert_eq!(escape("éééé", 3), "éé…");
    }
}
