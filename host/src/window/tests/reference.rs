//! Windows by their definitions, one record at a time, every window on its own, in arithmetic that cannot overflow.

use super::{NAMES, Record, canonical, number};
use crate::batch;
use crate::column::Number;
use crate::config::{Emit, Window};

#[derive(Debug)]
struct Open {
    key: String,
    start: i128,
    end: i128,
    values: Vec<Option<Number>>,
    changed: bool,
}

pub(super) struct Reference {
    window: Window,
    emit: Emit,
    watermark: i128,
    open: Vec<Open>,
    seen: Vec<Record>,
    rows: usize,
    pub(super) lines: Vec<String>,
    pub(super) late: Vec<usize>,
}

impl Reference {
    pub(super) fn new(window: Window, emit: Emit) -> Self {
        let (open, seen, lines, late) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Reference { window, emit, watermark: i128::from(i64::MIN), open, seen, rows: 0, lines, late }
    }

    /// A record that arrives when the watermark is as given to [`Reference::advance`] last.
    pub(super) fn record(&mut self, record: &Record) {
        let joined = match self.window {
            Window::Tumbling { size_ms, offset_ms } => self.hop(record, size_ms, size_ms, offset_ms),
            Window::Hopping { size_ms, slide_ms, offset_ms } => self.hop(record, size_ms, slide_ms, offset_ms),
            Window::Session { gap_ms, .. } => self.session(record, i128::from(gap_ms)),
            Window::Rolling { size_ms } => self.roll(record, i128::from(size_ms)),
            Window::Count { records, every } => self.count(record, records as usize, every as usize),
            _ => unreachable!("other windows have tests of their own"),
        };
        if !joined {
            self.late.push(self.rows);
        }
        self.rows += 1;
    }

    fn closed(&self, end: i128) -> bool {
        end - 1 <= self.watermark || self.watermark == i128::from(i64::MAX)
    }

    fn hop(&mut self, record: &Record, size: i64, slide: i64, offset: i64) -> bool {
        let (size, slide, time) = (i128::from(size), i128::from(slide), i128::from(record.time));
        let mut starts = Vec::new();
        let mut start = (time - i128::from(offset)).div_euclid(slide) * slide + i128::from(offset);
        while start + size > time {
            starts.push(start);
            start -= slide;
        }
        starts.reverse();
        starts.retain(|it| !self.closed(it + size));
        for &start in &starts {
            let found = self.open.iter().position(|it| it.key == record.key && it.start == start);
            let at = found.unwrap_or_else(|| {
                let (key, end) = (record.key.clone(), start + size);
                self.open.push(Open { key, start, end, values: Vec::new(), changed: false });
                self.open.len() - 1
            });
            self.touch(at, record);
        }
        !starts.is_empty()
    }

    fn session(&mut self, record: &Record, gap: i128) -> bool {
        let time = i128::from(record.time);
        let mut merged =
            Open { key: record.key.clone(), start: time, end: time + gap, values: Vec::new(), changed: false };
        let mut joined = Vec::new();
        loop {
            let overlaps = |it: &Open| it.key == merged.key && it.start < merged.end && merged.start < it.end;
            let Some(at) = (0..self.open.len()).find(|at| !joined.contains(at) && overlaps(&self.open[*at])) else {
                break;
            };
            merged.start = merged.start.min(self.open[at].start);
            merged.end = merged.end.max(self.open[at].end);
            joined.push(at);
        }
        if self.closed(merged.end) {
            return false;
        }
        joined.sort_unstable();
        for at in joined.into_iter().rev() {
            let old = self.open.remove(at);
            merged.values.extend(old.values);
            merged.changed |= old.changed;
        }
        self.open.push(merged);
        self.touch(self.open.len() - 1, record);
        true
    }

    fn roll(&mut self, record: &Record, size: i128) -> bool {
        let time = i128::from(record.time);
        if time <= self.watermark {
            return false;
        }
        self.seen.push(record.clone());
        let inside =
            |it: &&Record| it.key == record.key && time - size < i128::from(it.time) && i128::from(it.time) <= time;
        let values: Vec<_> = self.seen.iter().filter(inside).map(|it| it.value).collect();
        self.lines.push(format!("{} t={} {}", record.key, record.time, results(&values)));
        true
    }

    fn count(&mut self, record: &Record, records: usize, every: usize) -> bool {
        self.seen.push(record.clone());
        let of_key: Vec<&Record> = self.seen.iter().filter(|it| it.key == record.key).collect();
        if of_key.len().is_multiple_of(every) {
            let last = &of_key[of_key.len().saturating_sub(records)..];
            let times = || last.iter().map(|it| i128::from(it.time));
            let (start, end) = (times().min().unwrap(), times().max().unwrap() + 1);
            let values = last.iter().map(|it| it.value).collect();
            self.lines.push(line(&Open { key: record.key.clone(), start, end, values, changed: true }));
        }
        true
    }

    fn touch(&mut self, at: usize, record: &Record) {
        let open = &mut self.open[at];
        open.values.push(record.value);
        open.changed = true;
        if self.emit == Emit::OnUpdate {
            self.lines.push(line(open));
        }
    }

    pub(super) fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(i128::from(watermark));
        let (mut closed, open): (Vec<_>, _) =
            std::mem::take(&mut self.open).into_iter().partition(|it| self.closed(it.end));
        self.open = open;
        closed.retain(|it| self.emit == Emit::OnClose || (self.emit != Emit::OnUpdate && it.changed));
        self.lines.extend(order(closed.iter()));
    }

    pub(super) fn changed(&mut self) {
        if matches!(self.emit, Emit::Every { .. }) {
            let lines = order(self.open.iter().filter(|it| it.changed));
            self.lines.extend(lines);
            self.open.iter_mut().for_each(|it| it.changed = false);
        }
    }
}

fn order<'a>(windows: impl Iterator<Item = &'a Open>) -> Vec<String> {
    let mut windows: Vec<&Open> = windows.collect();
    windows.sort_by_key(|it| (it.end, batch::hash(canonical(&it.key).as_bytes())));
    windows.into_iter().map(line).collect()
}

fn line(open: &Open) -> String {
    let clamp = |it: i128| it.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    format!("{} [{},{}) {}", open.key, clamp(open.start), clamp(open.end), results(&open.values))
}

/// The aggregates of values whose sums are exact as floats.
pub(super) fn results(values: &[Option<Number>]) -> String {
    let float = |it: Number| match it {
        Number::Int(value) => value as f64,
        Number::Float(value) => value,
    };
    let is_float = |it: Number| matches!(it, Number::Float(_));
    let mut some: Vec<Number> = values.iter().copied().flatten().collect();
    some.sort_by(|a, b| float(*a).total_cmp(&float(*b)).then(is_float(*a).cmp(&is_float(*b))));
    let sum: f64 = some.iter().map(|it| float(*it)).sum();
    let results = [
        values.len().to_string(),
        if some.iter().any(|it| is_float(*it)) { format!("{sum:?}") } else { format!("{}", sum as i64) },
        some.first().map_or("null".into(), |it| number(*it)),
        some.last().map_or("null".into(), |it| number(*it)),
        format!("{:?}", sum / some.len() as f64),
    ];
    let nulls = |at: usize| if some.is_empty() && at > 0 { "null" } else { &results[at] };
    NAMES.iter().enumerate().map(|(at, name)| format!("{name}={}", nulls(at))).collect::<Vec<_>>().join(" ")
}
