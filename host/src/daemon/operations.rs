//! What takes longer than a request: the last operations, each with how far it is.

use super::api::{Action, HistoryEntry, Operation, OperationState};
use super::clock;
use super::problem::{Code, Problem};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Operations that are remembered; those under way are never forgotten.
const REMEMBERED_MAX: usize = 256;

/// The operations of this process.
pub(super) struct Operations {
    started: Timestamp,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    last: u64,
    operations: VecDeque<Arc<watch::Sender<Operation>>>,
}

impl Operations {
    /// None yet.
    pub(super) fn new() -> Self {
        Operations { started: clock::now(), all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new operation on the pipeline `name`.
    pub(super) fn begin(&self, name: &str, entry: &HistoryEntry) -> Arc<watch::Sender<Operation>> {
        let mut all = self.all();
        all.last += 1;
        let now = clock::now();
        let operation = Operation {
            // Unlike those of the process before: whoever follows one of its must not meet another.
            id: format!("{:x}-{}", self.started.as_millisecond(), all.last),
            pipeline: name.to_owned(),
            action: entry.action,
            step: entry.step.clone(),
            from: entry.from.clone(),
            to: entry.to.clone(),
            by: entry.by.clone(),
            state: OperationState::Waiting,
            done: false,
            detail: None,
            epoch: None,
            switch_ms: None,
            started_at: now,
            changed_at: now,
        };
        let operation = Arc::new(watch::Sender::new(operation));
        all.operations.push_back(Arc::clone(&operation));
        if all.operations.len() > REMEMBERED_MAX {
            let done = all.operations.iter().position(|it| it.borrow().done);
            done.map(|it| all.operations.remove(it));
        }
        operation
    }

    /// True while an upgrade of the pipeline `name` is under way.
    pub(super) fn is_under_way(&self, name: &str) -> bool {
        self.any(name, |action| action != Action::Replay)
    }

    /// True while dead letters of the pipeline `name` are replayed.
    pub(super) fn is_replaying(&self, name: &str) -> bool {
        self.any(name, |action| action == Action::Replay)
    }

    fn any(&self, name: &str, of: impl Fn(Action) -> bool) -> bool {
        self.all().operations.iter().any(|it| {
            let it = it.borrow();
            !it.done && it.pipeline == name && of(it.action)
        })
    }

    /// The operation `id`, to be followed.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(&self, id: &str) -> Result<watch::Receiver<Operation>, Problem> {
        let found = self.all().operations.iter().find(|it| it.borrow().id == id).map(|it| it.subscribe());
        found.ok_or_else(|| {
            let detail = format!(
                "found the operation `{id}`, which is none of the last ones of this daemon since it started; the history of the pipeline \
                 tells what came of it"
            );
            Problem::new(Code::NoSuchOperation, detail)
        })
    }
}

/// Moves an operation on.
pub(super) fn advance(operation: &watch::Sender<Operation>, change: impl FnOnce(&mut Operation)) {
    operation.send_modify(|it| {
        change(it);
        it.changed_at = clock::now();
    });
}
