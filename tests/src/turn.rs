//! Who may use the machine: most scenarios share it, one that measures time has it to itself.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

struct State {
    shared: usize,
    alone: bool,
    alone_waiting: usize,
}

static STATE: Mutex<State> = Mutex::new(State { shared: 0, alone: false, alone_waiting: 0 });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// How often this thread holds a turn: it never waits for itself.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// A turn; over when it is dropped, on the thread that took it.
#[derive(Debug)]
pub struct Turn {
    alone: bool,
}

/// A turn together with others.
pub fn shared() -> Turn {
    let mut state = lock();
    while HELD.get() == 0 && (state.alone || state.alone_waiting > 0) {
        state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.shared += 1;
    HELD.set(HELD.get() + 1);
    Turn { alone: false }
}

/// A turn with nobody else. Take it before any other.
pub fn alone() -> Turn {
    assert!(HELD.get() == 0, "a turn alone comes before any other");
    let mut state = lock();
    state.alone_waiting += 1;
    while state.alone || state.shared > 0 {
        state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.alone_waiting -= 1;
    state.alone = true;
    HELD.set(1);
    Turn { alone: true }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = lock();
        if self.alone {
            state.alone = false;
        } else {
            state.shared -= 1;
        }
        HELD.set(HELD.get() - 1);
        CHANGED.notify_all();
    }
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
