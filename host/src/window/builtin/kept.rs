//! States that hold values of any length, with the memory that these take.

use super::values::{Different, Edge};

/// A state that holds values.
pub(super) trait Holds: Default {
    /// What it takes besides its place in the list, bytes, about.
    fn held(&self) -> usize;
}

impl Holds for Vec<u8> {
    fn held(&self) -> usize {
        self.len()
    }
}

impl Holds for Option<Vec<u8>> {
    fn held(&self) -> usize {
        self.as_ref().map_or(0, Vec::len)
    }
}

impl Holds for Edge {
    fn held(&self) -> usize {
        self.value().map_or(0, <[u8]>::len)
    }
}

impl Holds for Different {
    fn held(&self) -> usize {
        self.count() as usize * Different::VALUE_BYTES
    }
}

/// One state a slot.
#[derive(Debug, Default)]
pub(super) struct Kept<T> {
    states: Vec<T>,
    held: usize,
}

impl<T: Holds> Kept<T> {
    /// Memory in use, bytes, about; that of free slots is left out.
    pub(super) fn bytes(&self, slots: usize) -> usize {
        slots * size_of::<T>() + self.held
    }

    /// One more slot.
    pub(super) fn grow(&mut self) {
        self.states.push(T::default());
    }

    pub(super) fn get(&self, slot: usize) -> &T {
        &self.states[slot]
    }

    pub(super) fn set(&mut self, slot: usize, state: T) {
        self.change(slot, |it| *it = state);
    }

    pub(super) fn change(&mut self, slot: usize, change: impl FnOnce(&mut T)) {
        let state = &mut self.states[slot];
        let before = state.held();
        change(state);
        self.held = self.held + state.held() - before;
    }

    /// Changes `into` by `from`, which stays as it is.
    pub(super) fn merge(&mut self, into: usize, from: usize, merge: impl FnOnce(&mut T, &T)) {
        let read = std::mem::take(&mut self.states[from]);
        self.change(into, |it| merge(it, &read));
        self.states[from] = read;
    }
}
