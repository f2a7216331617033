//! Scripts, a naive reference that works record by record, and properties that hold the operators against it.

mod cold;
mod long;
mod properties;
mod reference;
mod repeated;
mod scripts;
mod sliding;
mod top;
mod trace;

use super::{Accumulators, Builtin, Fired, Input, Operator, Pane, RowKind};
use crate::batch::{self, Keys, RowTimes};
use crate::column::{Column, Kind, Number, Values};
use crate::config::{Aggregate, Emit, Function, Window};
use crate::spill::{Cold, Scratch, Sizes};
use crate::state::{Delta, Entries, Entry, TableId};
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;

/// One input record; a null value is skipped by all but `count()`.
#[derive(Clone, Debug)]
struct Record {
    key: String,
    time: i64,
    value: Option<Number>,
}

fn canonical(key: &str) -> String {
    format!("\"{key}\"")
}

/// What a source would say of a batch of one partition: the watermark is the largest time so far less the delay and 1.
fn row_times(times: &[i64], delay: i64, before: i64) -> RowTimes {
    let (mut watermark, mut stragglers) = (before, Vec::new());
    for (row, &time) in times.iter().enumerate() {
        if time <= watermark {
            stragglers.push((row as u32, watermark));
        }
        watermark = watermark.max(time.saturating_sub(delay).saturating_sub(1));
    }
    RowTimes { before, stragglers, after: watermark }
}

fn number(value: Number) -> String {
    match value {
        Number::Int(value) => value.to_string(),
        Number::Float(value) => format!("{value:?}"),
    }
}

fn show(name: &str, column: &Column, row: usize) -> String {
    let text = match &column.values {
        _ if column.is_null(row) => "null".to_owned(),
        Values::S64(values) => values[row].to_string(),
        Values::F64(values) => format!("{:?}", values[row]),
        Values::Number(values) => number(values[row]),
        _ => unreachable!("no such aggregate here"),
    };
    format!("{name}={text}")
}

fn pane(pane: &Pane) -> String {
    let kind = match pane.kind {
        RowKind::Result => "",
        RowKind::Retraction => " retraction",
        RowKind::Tombstone => " tombstone",
    };
    format!(" | {}#{}{kind}", pane.timing.name(), pane.index)
}

const NAMES: [&str; 5] = ["n", "sum", "min", "max", "avg"];

fn builtin() -> Builtin {
    let functions = [Function::Count, Function::Sum, Function::Min, Function::Max, Function::Avg];
    let aggregates: Vec<Aggregate> = functions
        .iter()
        .zip(NAMES)
        .map(|(&function, name)| {
            let field = (function != Function::Count).then(|| "v".into());
            Aggregate { name: name.into(), function, field }
        })
        .collect();
    Builtin::new(&aggregates, &[Kind::Number; 4]).unwrap()
}

/// An operator, its snapshot, and what it wrote so far.
struct Harness {
    window: Window,
    emit: Emit,
    operator: Operator<Builtin>,
    snapshot: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The snapshot of the last restart, and what was sealed since: what the next one has.
    base: BTreeMap<Vec<u8>, Vec<u8>>,
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What each restart began with.
    begun: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    watermark: i64,
    rows: usize,
    lines: Vec<String>,
    /// Late records, counted from the first one.
    late: Vec<usize>,
    /// Lines say which pane they are.
    shows_panes: bool,
    /// Where keys go after each batch, as many as do not fit into this many bytes.
    disk: Option<(Disk, usize)>,
}

/// A scratch space with buffers so small that it has several files.
struct Disk {
    scratch: Arc<Scratch>,
    tables: u16,
    _dir: TempDir,
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(dir.path().join("scratch"), Sizes { buffer: 8_000, cache: 10_000 });
        Disk { scratch: Arc::new(scratch), tables: 0, _dir: dir }
    }

    /// Lets the keys of `windows` go here, where they can.
    fn furnish<A: Accumulators>(&mut self, windows: &mut Operator<A>, bytes: usize) {
        self.tables += 1;
        if let Some(windows) = windows.spills_mut() {
            windows.spill_to(Cold::new(Arc::clone(&self.scratch), self.tables), bytes);
        }
    }
}

impl Harness {
    fn new(window: Window, emit: Emit) -> Self {
        let operator = Operator::new(&window, emit, builtin());
        Harness {
            window,
            emit,
            operator,
            snapshot: BTreeMap::new(),
            base: BTreeMap::new(),
            log: Vec::new(),
            begun: Vec::new(),
            watermark: i64::MIN,
            rows: 0,
            lines: Vec::new(),
            late: Vec::new(),
            shows_panes: false,
            disk: None,
        }
    }

    /// From now on keys go to the disk after each batch, as many as do not fit into `bytes`.
    fn spilling(mut self, bytes: usize) -> Self {
        let mut disk = Disk::new();
        disk.furnish(&mut self.operator, bytes);
        self.disk = Some((disk, bytes));
        self
    }

    /// Moves keys to the disk.
    fn shrink(&mut self) {
        if let (Some((_, bytes)), Some(windows)) = (&self.disk, self.operator.spills_mut()) {
            windows.shrink(*bytes).unwrap();
        }
    }

    /// A batch, then the watermark after it. Where keys are on the disk that windows need which close in it, it is cut there.
    fn feed(&mut self, mut records: &[Record], clock: &RowTimes) {
        let mut clock = clock.clone();
        while let Some(&(row, watermark)) = clock.stragglers.iter().find(|it| self.operator.waits_for(it.1)) {
            let (head, tail) = records.split_at(row as usize);
            let (before, after): (Vec<_>, Vec<_>) = clock.stragglers.iter().copied().partition(|it| it.0 < row);
            self.feed_part(head, &RowTimes { stragglers: before, ..clock });
            self.shrink();
            self.close(watermark);
            (records, clock.stragglers) = (tail, after.iter().map(|it| (it.0 - row, it.1)).collect());
        }
        self.feed_part(records, &clock);
        self.shrink();
        self.advance(clock.after);
        self.shrink();
    }

    fn feed_part(&mut self, records: &[Record], clock: &RowTimes) {
        let (mut keys, mut column) = (Keys::default(), Column::empty(Kind::Number, 0));
        for record in records {
            let text = canonical(&record.key);
            keys.texts.push(text.as_bytes());
            keys.hashes.push(batch::hash(text.as_bytes()));
            match record.value {
                None => column.push_null(),
                Some(value) => {
                    let Values::Number(values) = &mut column.values else { unreachable!() };
                    values.push(value);
                    column.pushed();
                }
            }
        }
        if let Some(windows) = self.operator.spills_mut() {
            windows.warm(&keys).unwrap();
        }
        let times: Vec<i64> = records.iter().map(|it| it.time).collect();
        let gaps = match &self.window {
            // Of its own for eight of nine.
            Window::Session { gap_field: Some(_), .. } => times.iter().map(|it| it.rem_euclid(9)).collect(),
            _ => Vec::new(),
        };
        let input = Input { keys: &keys, times: &times, columns: &[&column; 4], clock, gaps: &gaps };
        let Ok(out) = self.operator.process(&input);
        self.write(out.fired);
        let mut late = out.late.iter().map(|it| *it as usize).peekable();
        if let Some(answers) = out.answers {
            for (row, record) in records.iter().enumerate() {
                if late.clone().all(|it| it != row) {
                    let values: Vec<String> =
                        NAMES.iter().zip(&answers).map(|(name, it)| show(name, it, row)).collect();
                    self.lines.push(format!("{} t={} {}", record.key, record.time, values.join(" ")));
                }
            }
        }
        self.late.extend(late.by_ref().map(|it| self.rows + it));
        self.rows += records.len();
    }

    fn advance(&mut self, watermark: i64) {
        self.close(watermark);
        self.watermark = self.watermark.max(watermark);
    }

    fn close(&mut self, watermark: i64) {
        // In the smallest parts that there are.
        let mut done = false;
        while !done {
            self.operator.warm_due(watermark).unwrap();
            let (fired, all) = self.operator.advance_some(watermark, 1).unwrap();
            self.write(fired);
            done = all;
        }
    }

    fn changed(&mut self) {
        let Ok(fired) = self.operator.changed();
        self.write(fired);
    }

    fn write(&mut self, fired: Fired<Vec<Column>>) {
        for row in 0..fired.len() {
            let key = String::from_utf8(fired.keys.get(row).to_vec()).unwrap();
            let values: Vec<String> = NAMES.iter().zip(&fired.values).map(|(name, it)| show(name, it, row)).collect();
            let (start, end) = (fired.starts[row], fired.ends[row]);
            let pane = fired.panes.get(row).filter(|_| self.shows_panes).map(pane).unwrap_or_default();
            self.lines.push(format!("{} [{start},{end}) {}{pane}", key.trim_matches('"'), values.join(" ")));
        }
    }

    fn seal(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut delta = Delta::default();
        // Each operator has a table of its own on the disk.
        let operator_table = self.operator.spills().and_then(|it| it.chest()).map_or(TableId(3), |it| it.table());
        self.operator.seal(operator_table, &mut delta);
        let entries: Vec<_> = Entries(delta.bytes())
            .map(|it| (it.key.to_vec(), it.value.map(<[u8]>::to_vec), it.group, it.table))
            .collect();
        for (key, value, group, table) in &entries {
            assert_eq!(*group, batch::key_group(batch::hash(&key[..key.len() - 8])));
            assert_eq!(*table, operator_table);
            match value {
                Some(value) => self.snapshot.insert(key.clone(), value.clone()),
                None => Some(self.snapshot.remove(key).expect("only what a snapshot holds is deleted")),
            };
        }
        let entries: Vec<_> = entries.into_iter().map(|it| (it.0, it.1)).collect();
        self.log.extend_from_slice(&entries);
        entries
    }

    /// Goes on with an operator restored from the snapshot.
    fn restart(&mut self) {
        self.seal();
        self.begun.push(self.snapshot.clone());
        let (keys, bytes) = (self.operator.keys(), self.operator.bytes());
        self.operator = Operator::new(&self.window, self.emit, builtin());
        if let Some((disk, bytes)) = &mut self.disk {
            disk.furnish(&mut self.operator, *bytes);
        }
        self.operator.begin(self.watermark);
        let base = std::mem::replace(&mut self.base, self.snapshot.clone()).into_iter().map(|it| (it.0, Some(it.1)));
        for (key, value) in base.chain(self.log.drain(..)) {
            let group = batch::key_group(batch::hash(&key[..key.len() - 8]));
            let entry = Entry { table: TableId(3), group, key: &key, value: value.as_deref() };
            self.operator.make_room(entry).unwrap();
            self.operator.restore(entry).unwrap();
        }
        self.operator.resume(self.watermark);
        assert_eq!(self.operator.keys(), keys);
        assert!(keys == 0 || bytes > 0 || self.disk.is_some());
    }
}
