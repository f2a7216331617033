//! Event-time timers of a keyed plugin.

use crate::Reject;
use crate::bindings::keyed::exports::wasmill::plugin::keyed::Timer as SetTimer;

/// Sets and cancels the timers of the key at hand. A key holds one timer of each id, which the author numbers.
pub struct Timers {
    group: u32,
    watermark: i64,
    set: Vec<SetTimer>,
}

impl Timers {
    pub(crate) fn new(watermark: i64) -> Self {
        Timers { group: 0, watermark, set: Vec::new() }
    }

    /// Calls `on_timer` for this key once the watermark has passed `at`, in milliseconds since the Unix epoch. Replaces the key's
    /// timer of that id.
    pub fn set(&mut self, id: u32, at: i64) {
        self.set.push(SetTimer { group: self.group, id, at: Some(at) });
    }

    /// Cancels the key's timer of that id, if it has one.
    pub fn cancel(&mut self, id: u32) {
        self.set.push(SetTimer { group: self.group, id, at: None });
    }

    /// No record on time is older than this, in milliseconds since the Unix epoch; none before the first watermark.
    pub fn watermark(&self) -> Option<i64> {
        (self.watermark != i64::MIN).then_some(self.watermark)
    }

    pub(crate) fn set_group(&mut self, group: u32) {
        self.group = group;
    }

    /// How much was set so far, for `forget`.
    pub(crate) fn mark(&self) -> usize {
        self.set.len()
    }

    /// Takes back what was set since `mark`.
    pub(crate) fn forget(&mut self, mark: usize) {
        self.set.truncate(mark);
    }

    pub(crate) fn finish(self) -> Vec<SetTimer> {
        self.set
    }
}

/// A timer that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer<'a> {
    /// Which of the key's timers.
    pub id: u32,
    /// The event time that it was set for, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The key's bytes; empty for the null key.
    pub key: &'a [u8],
}

impl<'a> Timer<'a> {
    /// The key as text.
    pub fn key_text(&self) -> Result<&'a str, Reject> {
        Ok(std::str::from_utf8(self.key)?)
    }
}
