//! Where the quotes of a record are.

use super::super::lanes::{self, BLOCK};

/// How long a record may be that is surveyed, bytes.
const BYTES_MAX: usize = 1 << 14;

/// A bit for each byte of a record, set for its quotes.
#[derive(Debug)]
pub(super) struct Quotes {
    /// Of those behind the record's own the first two are 0, and the others are anything.
    words: Box<[u64; BYTES_MAX / BLOCK + 3]>,
    /// How many are the record's own.
    used: usize,
}

impl Quotes {
    pub(super) fn new() -> Self {
        Quotes { words: Box::new([0; BYTES_MAX / BLOCK + 3]), used: 0 }
    }

    /// Finds the quotes of `record`. False where it is too long, or has a character that a JSON string cannot hold as it is or that
    /// is beyond ASCII: then what is between two quotes has to be looked at.
    #[inline]
    pub(super) fn find(&mut self, record: &[u8]) -> bool {
        if record.len() > BYTES_MAX {
            return false;
        }
        self.used = record.len() / BLOCK + 1;
        self.words[self.used..self.used + 2].fill(0);
        !lanes::survey(record, &mut self.words[..self.used])
    }

    /// Where the first quote from `at` on is.
    #[inline(always)]
    pub(super) fn next(&self, at: usize) -> Option<usize> {
        let (word, bit) = (at / BLOCK, at % BLOCK);
        let [low, middle, high] = self.words.get(word..word + 3)? else { return None };
        // The 128 bits from `at` on, out of three words: no branch has to guess where words end, or how long a text is.
        let near = low >> bit | (middle << 1) << (BLOCK - 1 - bit);
        let far = middle >> bit | (high << 1) << (BLOCK - 1 - bit);
        let window = u128::from(near) | u128::from(far) << BLOCK;
        if window == 0 { self.search(at + 2 * BLOCK) } else { Some(at + window.trailing_zeros() as usize) }
    }

    /// The same, far away.
    #[inline(never)]
    fn search(&self, at: usize) -> Option<usize> {
        let (word, bit) = (at / BLOCK, at % BLOCK);
        let words = self.words.get(..self.used)?;
        let first = words.get(word)? >> bit;
        if first != 0 {
            return Some(at + first.trailing_zeros() as usize);
        }
        let (word, bits) = words.iter().enumerate().skip(word + 1).find(|(_, bits)| **bits != 0)?;
        Some(word * BLOCK + bits.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_quote_is_found_from_wherever_it_is_looked_for(text in "([a-z]{0,80}\"){0,8}[a-z]{0,200}", before in "[a-z\"]{0,400}") {
            let mut quotes = Quotes::new();
            quotes.find(before.as_bytes());
            prop_assert!(quotes.find(text.as_bytes()));
            for at in 0..text.len() {
                prop_assert_eq!(quotes.next(at), text[at..].find('"').map(|it| at + it), "from {}", at);
            }
        }

        #[test]
        fn whatever_is_not_plain_is_told(text in "[a-z\"]{0,200}", odd in "[\\\\\n\u{7f}\u{e9}\u{1f600}]", rest in "[a-z\"]{0,200}") {
            let text = format!("{text}{odd}{rest}");
            prop_assert_eq!(Quotes::new().find(text.as_bytes()), odd == "\u{7f}");
        }
    }

    #[test]
    fn a_record_may_be_as_long_as_there_is_room_and_no_longer() {
        let mut quotes = Quotes::new();
        let mut text = vec![b'a'; BYTES_MAX - 1];
        text.push(b'"');
        assert!(quotes.find(&text));
        assert_eq!(quotes.next(0), Some(BYTES_MAX - 1));
        text.push(b'a');
        assert!(!quotes.find(&text));
    }
}
