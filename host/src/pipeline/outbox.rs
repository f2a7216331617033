//! What a worker says to the coordinator: in order, and however much it is, little of it waits in memory.

use super::worker::{Output, Report};
use crate::batch::EventTime;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

/// Messages that are not heard yet, at most, and bytes of the records in them, about.
const MESSAGES_MAX: usize = 64;
const BYTES_MAX: usize = 8 << 20;

impl Output {
    /// Bytes of the records, about.
    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.times.len() * size_of::<EventTime>()
    }
}

impl Report {
    /// Bytes of the records in it, about.
    fn bytes(&self) -> usize {
        match self {
            Report::Output(output) => output.bytes(),
            Report::Sealed(_) | Report::Ended | Report::Failed(_) => 0,
        }
    }
}

/// What was sent and is not heard yet.
#[derive(Debug, Default)]
struct Unheard {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Unheard {
    /// One message goes whatever its size is.
    fn has_room(&self) -> bool {
        self.messages.load(Relaxed) < MESSAGES_MAX && self.bytes.load(Relaxed) < BYTES_MAX
    }
}

/// The coordinator does not listen any more.
#[derive(Debug)]
pub(super) struct Gone;

/// The worker's end.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: Sender<Report>,
    unheard: Arc<Unheard>,
    /// What there was no room for.
    waiting: VecDeque<Report>,
    bounded: bool,
}

/// The coordinator's end.
#[derive(Debug)]
pub(super) struct Hearing {
    receiver: Receiver<Report>,
    unheard: Arc<Unheard>,
}

/// The two ends.
#[expect(clippy::disallowed_methods, reason = "its bound is `Unheard`, which counts bytes too")]
pub(super) fn outbox() -> (Outbox, Hearing) {
    let (sender, receiver) = channel();
    let unheard = Arc::new(Unheard::default());
    let hearing = Hearing { receiver, unheard: Arc::clone(&unheard) };
    (Outbox { sender, unheard, waiting: VecDeque::new(), bounded: true }, hearing)
}

impl Outbox {
    /// There is always room from now on: who listens is the thread that speaks.
    pub(super) fn unbound(&mut self) {
        self.bounded = false;
    }

    /// Adds a message. It goes with the next [`Outbox::flush`] that has room for it.
    pub(super) fn add(&mut self, report: Report) {
        self.waiting.push_back(report);
    }

    /// True when nothing waits to go.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends what there is room for. True when that was something.
    pub(super) fn flush(&mut self) -> Result<bool, Gone> {
        let mut sent = false;
        while !self.bounded || self.unheard.has_room() {
            let Some(report) = self.waiting.pop_front() else { break };
            self.unheard.messages.fetch_add(1, Relaxed);
            self.unheard.bytes.fetch_add(report.bytes(), Relaxed);
            self.sender.send(report).map_err(|_| Gone)?;
            sent = true;
        }
        Ok(sent)
    }
}

impl Hearing {
    /// The next message.
    pub(super) fn hear(&self) -> Result<Report, TryRecvError> {
        let report = self.receiver.try_recv()?;
        self.unheard.messages.fetch_sub(1, Relaxed);
        self.unheard.bytes.fetch_sub(report.bytes(), Relaxed);
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{RawRecord, RawRows, Span};

    fn output(bytes: usize) -> Report {
        let value = Span { start: 0, len: bytes as u32 };
        let record = RawRecord { key: Span::NULL, value, headers: Span::NULL };
        let rows = RawRows { arena: Arc::new(vec![0; bytes]), records: vec![record] };
        Report::Output(Output { epoch: 1, sink: 0, rows, times: vec![0] })
    }

    /// How many go at once, and then with each that is heard.
    fn sent(messages: usize, make: impl Fn() -> Report) -> (usize, usize) {
        let (mut outbox, hearing) = outbox();
        (0..messages).for_each(|_| outbox.add(make()));
        assert!(outbox.flush().expect("somebody listens"));
        let first = messages - outbox.waiting.len();
        hearing.hear().expect("something was sent");
        assert!(outbox.flush().expect("somebody listens"));
        (first, messages - outbox.waiting.len() - first)
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        assert_eq!(sent(200, || Report::Ended), (MESSAGES_MAX, 1));
        assert_eq!(sent(200, || output(BYTES_MAX / 4)), (4, 1));
        assert_eq!(sent(3, || output(BYTES_MAX * 2)), (1, 1), "one goes, whatever its size is");
    }

    #[test]
    fn all_is_heard_in_order_and_what_is_unbound_goes_at_once() {
        let (mut outbox, hearing) = outbox();
        outbox.unbound();
        (0..3 * MESSAGES_MAX).for_each(|it| outbox.add(output(it)));
        assert!(outbox.flush().expect("somebody listens") && outbox.is_empty());
        for wanted in 0..3 * MESSAGES_MAX {
            let Ok(Report::Output(heard)) = hearing.hear() else { panic!("{wanted} is missing") };
            assert_eq!(heard.rows.arena.len(), wanted);
        }
        assert!(matches!(hearing.hear(), Err(TryRecvError::Empty)));
        drop(hearing);
        outbox.add(Report::Ended);
        assert!(matches!(outbox.flush(), Err(Gone)));
    }
}
