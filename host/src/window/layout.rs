//! Where panes and windows lie on the time line. Arithmetic only; right for every `i64`.
//!
//! A pane is the smallest slice that windows share: with a size of 10 and a slide of 4 it is 2 long, and window `k`
//! consists of the 5 panes from `2k`. Panes and windows are numbered in order of time, a window's number being
//! `(start - offset) / slide`.

/// Sizes of panes and windows, in ms and in panes.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    size: i64,
    slide: i64,
    offset: i64,
    /// Length of a pane.
    pane: i64,
    /// Pane `p` starts at `p * pane + shift`.
    shift: i64,
    /// The first pane of window 0.
    first: i64,
    /// Panes from one window's start to the next one's.
    stride: i64,
    /// Panes in a window.
    span: i64,
    /// True where each window is a pane of its own, and a record is in several.
    overlapping: bool,
}

/// Every number in `i64` is exact, every other one the nearest `i64`.
fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `time` as a multiple of `step` after `offset` and the rest; `0 <= offset < step`. The multiple is rounded down.
fn divide(time: i64, step: i64, offset: i64) -> (i64, i64) {
    let (quotient, rest) = (time.div_euclid(step), time.rem_euclid(step) - offset);
    // A step of 1 has no offset, so the quotient that is made smaller is never `i64::MIN`.
    if rest < 0 { (quotient - 1, rest + step) } else { (quotient, rest) }
}

impl Layout {
    /// Windows of panes that they share: a record is in one pane, whatever `size / slide` is.
    ///
    /// `1 <= slide <= size` and `0 <= offset < slide`, as the checked configuration has it.
    pub(super) fn shared(size: i64, slide: i64, offset: i64) -> Self {
        let pane = gcd(size, slide);
        let (shift, first) = (offset % pane, offset / pane);
        let (stride, span) = (slide / pane, size / pane);
        Layout { size, slide, offset, pane, shift, first, stride, span, overlapping: false }
    }

    /// Windows that share nothing: a record is in each of its windows. For results after every record, which cost one row
    /// for each window anyway, and which panes would have to be merged for each time.
    pub(super) fn apart(size: i64, slide: i64, offset: i64) -> Self {
        let overlapping = slide < size;
        Layout { size, slide, offset, pane: slide, shift: offset, first: 0, stride: 1, span: 1, overlapping }
    }

    /// The panes that a record at `time` is in, first and last.
    pub(super) fn panes(&self, time: i64) -> (i64, i64) {
        let (last, rest) = divide(time, self.pane, self.shift);
        if !self.overlapping {
            return (last, last);
        }
        // Saturates only for a slide of 1 ms at the lower end of time, for windows that start before it.
        (last.saturating_sub((self.size - 1 - rest) / self.slide), last)
    }

    /// First and last millisecond of a pane, where panes do not overlap.
    pub(super) fn pane_times(&self, pane: i64) -> (i64, i64) {
        let start = i128::from(pane) * i128::from(self.pane) + i128::from(self.shift);
        (clamp(start), clamp(start + i128::from(self.pane) - 1))
    }

    /// True where a record is in several panes.
    pub(super) fn overlapping(&self) -> bool {
        self.overlapping
    }

    /// Panes in a window.
    pub(super) fn span(&self) -> i64 {
        self.span
    }

    /// Panes from one window's start to the next one's.
    pub(super) fn stride(&self) -> i64 {
        self.stride
    }

    /// The first pane of `window`.
    pub(super) fn first_pane(&self, window: i64) -> i64 {
        clamp(self.floor(window.into()))
    }

    /// The last pane of `window`.
    pub(super) fn last_pane(&self, window: i64) -> i64 {
        clamp(self.floor(window.into()) + i128::from(self.span) - 1)
    }

    /// The smallest pane that `window` or a later one needs; it may be beyond the last pane.
    pub(super) fn floor(&self, window: i128) -> i128 {
        window * i128::from(self.stride) + i128::from(self.first)
    }

    /// The first window that `pane` is in.
    pub(super) fn first_window(&self, pane: i64) -> i64 {
        let before = i128::from(pane) - i128::from(self.first) - i128::from(self.span);
        clamp(before.div_euclid(i128::from(self.stride)) + 1)
    }

    /// The last window that `pane` is in.
    pub(super) fn last_window(&self, pane: i64) -> i64 {
        clamp((i128::from(pane) - i128::from(self.first)).div_euclid(i128::from(self.stride)))
    }

    /// Start and end of `window`, the end exclusive, both clamped to `i64`.
    pub(super) fn bounds(&self, window: i64) -> (i64, i64) {
        let start = i128::from(window) * i128::from(self.slide) + i128::from(self.offset);
        (clamp(start), clamp(start + i128::from(self.size)))
    }

    /// The first window that is open at `watermark`: a window closes when the watermark reaches its last millisecond
    /// (Flink's `EventTimeTrigger`: `window.maxTimestamp() <= watermark`). The watermark `i64::MAX` closes every window: the
    /// first that is open then is none that a record can be in.
    pub(super) fn open(&self, watermark: i64) -> i128 {
        if watermark == i64::MAX {
            return i128::from(i64::MAX) + 1;
        }
        let past = i128::from(watermark) + 1 - i128::from(self.offset) - i128::from(self.size);
        past.div_euclid(i128::from(self.slide)) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The windows that hold `time`, by their definition.
    fn windows(size: i64, slide: i64, offset: i64, time: i64) -> Vec<i128> {
        let (size, slide) = (i128::from(size), i128::from(slide));
        let time = i128::from(time) - i128::from(offset);
        let last = time.div_euclid(slide);
        let mut all: Vec<i128> = (0..=size / slide)
            .map(|it| last - it)
            .filter(|it| it * slide <= time && time < it * slide + size)
            .collect();
        all.reverse();
        all
    }

    fn shapes() -> impl Strategy<Value = (i64, i64, i64)> {
        (1..40i64, 1..40i64).prop_flat_map(|(a, b)| (Just(a.max(b)), Just(a.min(b)), 0..a.min(b)))
    }

    fn times() -> impl Strategy<Value = i64> {
        prop_oneof![-200..200i64, i64::MIN..i64::MIN + 200, i64::MAX - 200..=i64::MAX]
    }

    proptest! {
        #[test]
        fn a_record_is_in_the_windows_that_hold_its_time((size, slide, offset) in shapes(), time in times()) {
            let expected = windows(size, slide, offset, time);
            let apart = Layout::apart(size, slide, offset);
            let (first, last) = apart.panes(time);
            let ours: Vec<i128> = (first..=last).map(i128::from).collect();
            let named: Vec<i128> = expected.iter().copied().filter(|it| *it >= i128::from(i64::MIN)).collect();
            prop_assert_eq!(&ours, &named);

            let shared = Layout::shared(size, slide, offset);
            let (pane, same) = shared.panes(time);
            prop_assert_eq!(pane, same);
            if slide > 1 {
                prop_assert_eq!(i128::from(shared.first_window(pane)), expected[0]);
                prop_assert_eq!(i128::from(shared.last_window(pane)), expected[expected.len() - 1]);
                let (from, to) = (shared.first_pane(shared.first_window(pane)), shared.last_pane(shared.first_window(pane)));
                prop_assert!(from <= pane && pane <= to);
            }
            let (from, to) = shared.pane_times(pane);
            prop_assert!(from <= time && time <= to);
        }

        #[test]
        fn a_window_is_open_until_the_watermark_reaches_its_last_millisecond(
            (size, slide, offset) in shapes(), watermark in times(),
        ) {
            let layout = Layout::shared(size, slide, offset);
            let open = layout.open(watermark);
            let last = |window: i128| window * i128::from(slide) + i128::from(offset) + i128::from(size) - 1;
            if watermark == i64::MAX {
                prop_assert!(open > i128::from(i64::MAX));
            } else {
                prop_assert!(last(open) > i128::from(watermark));
                prop_assert!(last(open - 1) <= i128::from(watermark));
            }
        }
    }

    #[test]
    fn bounds_beyond_time_are_clamped_to_it() {
        let layout = Layout::shared(10, 10, 3);
        assert_eq!(layout.bounds(layout.panes(i64::MIN).0), (i64::MIN, -9223372036854775807));
        assert_eq!(layout.bounds(layout.panes(i64::MAX).0), (i64::MAX - 4, i64::MAX));
    }
}
