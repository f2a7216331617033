//! How often templates are tried and learnt: often where records repeat, hardly ever where they do not.

/// Points to lose before trying stops: one for a miss, or a hit that had to be searched for, won back by any other hit. A
/// miss costs about what a hit gains.
const TRUST_MAX: u32 = 16;
/// Records that are left to the scan at first, and at most, before the next try.
const PAUSE_MIN: u32 = 64;
const PAUSE_MAX: u32 = 4_096;
/// What it costs to learn from a record, in tries: it takes as long as to scan about ten.
const LEARNING: u32 = 128;
/// What can be saved: so many records are learnt from at the start, or after a change.
const SAVINGS_MAX: u32 = 64 * LEARNING;

/// Bounds what is lost on records that do not repeat: at most [`TRUST_MAX`] tries in [`PAUSE_MAX`] records, and one learnt
/// in [`LEARNING`] tries.
#[derive(Debug)]
pub(super) struct Pace {
    trust: u32,
    /// Records until the next try.
    pause: u32,
    /// How long the next pause is.
    next_pause: u32,
    savings: u32,
    /// Set between a miss and what is learnt from it.
    missed: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Pace { trust: TRUST_MAX, pause: 0, next_pause: PAUSE_MIN, savings: SAVINGS_MAX, missed: false }
    }

    /// Whether the next record is worth a try.
    #[inline]
    pub(super) fn tries(&mut self) -> bool {
        if self.pause == 0 {
            return true;
        }
        self.pause -= 1;
        false
    }

    /// Says what became of a try: none for a miss, true for a record whose way was the one that was due.
    #[inline]
    pub(super) fn tried(&mut self, way: Option<bool>) {
        self.savings = SAVINGS_MAX.min(self.savings + 1);
        match way {
            Some(true) => self.trust += u32::from(self.trust < TRUST_MAX),
            Some(false) => self.distrust(),
            None => {
                self.missed = true;
                self.distrust();
            }
        }
    }

    #[cold]
    fn distrust(&mut self) {
        if self.trust == TRUST_MAX {
            self.next_pause = PAUSE_MIN;
        }
        self.trust -= 1;
        if self.trust == 0 {
            self.pause = self.next_pause;
            self.next_pause = PAUSE_MAX.min(self.next_pause * 4);
            self.trust = TRUST_MAX / 2;
        }
    }

    /// Whether the record that was just read without a template is worth learning from.
    pub(super) fn learns(&mut self) -> bool {
        if !std::mem::take(&mut self.missed) || self.savings < LEARNING {
            return false;
        }
        self.savings -= LEARNING;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `records` records, each of which fits where `fits` says so of its number: how many were tried, and learnt from.
    fn run(records: u32, fits: impl Fn(u32) -> bool) -> (u32, u32) {
        let (mut pace, mut tried, mut learnt) = (Pace::new(), 0, 0);
        for number in 0..records {
            if pace.tries() {
                tried += 1;
                pace.tried(fits(number).then_some(true));
                if !fits(number) {
                    learnt += u32::from(pace.learns());
                }
            }
        }
        (tried, learnt)
    }

    #[test]
    fn records_that_fit_are_always_tried_and_those_that_never_do_hardly_ever() {
        assert_eq!(run(100_000, |_| true), (100_000, 0));
        let (tried, learnt) = run(100_000, |_| false);
        assert!(tried < 300 && learnt <= 64 + 300 / LEARNING, "{tried} tries, {learnt} learnt");
    }

    #[test]
    fn one_miss_in_three_does_not_stop_it_and_is_seldom_learnt_from() {
        let (tried, learnt) = run(99_999, |number| number % 3 != 0);
        assert_eq!(tried, 99_999);
        assert!(learnt <= 64 + 99_999 / LEARNING, "{learnt} learnt");
    }

    #[test]
    fn records_that_have_to_be_searched_for_are_hardly_ever_tried_and_never_learnt_from() {
        let mut pace = Pace::new();
        let tries = (0..100_000)
            .filter(|_| {
                pace.tries() && {
                    pace.tried(Some(false));
                    true
                }
            })
            .count();
        assert!(tries < 300 && !pace.learns(), "{tries} tries");
    }

    #[test]
    fn a_source_that_changes_is_tried_again() {
        let (tried, _) = run(100_000, |number| number > 10_000);
        assert!(tried > 85_000, "{tried} tries");
    }
}
