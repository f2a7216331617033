//! Memory for bytes that are lent out and come back: what a new megabyte costs is the page faults of its first use.

use std::sync::Arc;

/// How many arenas are remembered, and how large one may be, bytes.
const REMEMBERED_MAX: usize = 8;
const REMEMBERED_BYTES_MAX: usize = 8 << 20;

/// Arenas that were lent, and can be used again when nobody else holds them.
#[derive(Debug, Default)]
pub(crate) struct Arenas {
    lent: Vec<Arc<Vec<u8>>>,
}

impl Arenas {
    /// An empty arena with room for `bytes`: one that has come back where there is one.
    pub(crate) fn take(&mut self, bytes: usize) -> Vec<u8> {
        // The count goes down last of all, so an arena that nobody else holds stays so.
        let free = self.lent.iter().position(|it| Arc::strong_count(it) == 1);
        let back = free.map(|at| self.lent.swap_remove(at)).and_then(|it| Arc::try_unwrap(it).ok());
        let mut arena = back.unwrap_or_default();
        arena.clear();
        arena.reserve(bytes);
        arena
    }

    /// Lends `arena`.
    pub(crate) fn lend(&mut self, arena: Vec<u8>) -> Arc<Vec<u8>> {
        let keep = (1..=REMEMBERED_BYTES_MAX).contains(&arena.capacity());
        let lent = Arc::new(arena);
        if keep {
            if self.lent.len() == REMEMBERED_MAX {
                self.lent.remove(0); // The oldest: most likely somebody keeps it.
            }
            self.lent.push(Arc::clone(&lent));
        }
        lent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_used_again_when_it_was_given_back_and_only_then() {
        let mut arenas = Arenas::default();
        let mut first = arenas.take(100);
        first.extend_from_slice(b"first");
        let address = first.as_ptr();
        let lent = arenas.lend(first);
        let second = arenas.take(100);
        assert_ne!(second.as_ptr(), address, "the first is still held");
        assert_eq!(lent.as_slice(), b"first");
        drop(lent);
        let third = arenas.take(50);
        assert_eq!((third.as_ptr(), third.len()), (address, 0));
    }

    #[test]
    fn as_many_are_remembered_as_the_limit_says() {
        let mut arenas = Arenas::default();
        let lent: Vec<_> = (0..20).map(|_| arenas.lend(Vec::with_capacity(10))).collect();
        assert_eq!(arenas.lent.len(), REMEMBERED_MAX);
        drop(lent);
        drop(arenas.lend(Vec::with_capacity(REMEMBERED_BYTES_MAX + 1)));
        assert_eq!(arenas.lent.len(), REMEMBERED_MAX);
    }
}
