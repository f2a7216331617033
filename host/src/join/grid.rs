//! Where the windows of a join lie on the time line: window `k` is `[k * slide + offset, k * slide + offset + size)`. Arithmetic
//! only; right for every `i64`.

use crate::batch::EventTime;

/// Windows of one length at equal distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    size: i128,
    slide: i128,
    offset: i128,
}

impl Grid {
    /// `1 <= slide <= size` and `0 <= offset < slide`, as the checked configuration has it.
    pub(super) fn new(size_ms: i64, slide_ms: i64, offset_ms: i64) -> Self {
        Grid { size: size_ms.into(), slide: slide_ms.into(), offset: offset_ms.into() }
    }

    /// The first window that holds `time`.
    pub(super) fn first(&self, time: EventTime) -> i128 {
        (i128::from(time) - self.offset - self.size).div_euclid(self.slide) + 1
    }

    /// The last window that holds `time`.
    pub(super) fn last(&self, time: EventTime) -> i128 {
        (i128::from(time) - self.offset).div_euclid(self.slide)
    }

    /// First and last millisecond of a window, as far as time goes.
    pub(super) fn bounds(&self, window: i128) -> (EventTime, EventTime) {
        let start = window * self.slide + self.offset;
        let clamp = |it: i128| it.clamp(EventTime::MIN.into(), EventTime::MAX.into()) as EventTime;
        (clamp(start), clamp(start + self.size - 1))
    }

    /// The first window that is open at `watermark`: one closes when the watermark reaches its last millisecond, and the end
    /// of time closes all.
    pub(super) fn open(&self, watermark: EventTime) -> i128 {
        if watermark == EventTime::MAX {
            return i128::MAX;
        }
        (i128::from(watermark) + 1 - self.offset - self.size).div_euclid(self.slide) + 1
    }
}
