//! Scripts, a naive reference that works record by record, and properties that hold the operators against it.

mod long;
mod properties;
mod reference;
mod repeated;
mod scripts;
mod sliding;
mod top;
mod trace;

use super::{Builtin, Fired, Input, Operator, Pane, RowKind};
use crate::batch::{self, Keys, RowTimes};
use crate::column::{Column, Kind, Number, Values};
use crate::config::{Aggregate, Emit, Function, Window};
use crate::state::{Delta, Entries, Entry, TableId};
use std::collections::BTreeMap;

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
    watermark: i64,
    rows: usize,
    lines: Vec<String>,
    /// Late records, counted from the first one.
    late: Vec<usize>,
    /// Lines say which pane they are.
    shows_panes: bool,
}

impl Harness {
    fn new(window: Window, emit: Emit) -> Self {
        let operator = Operator::new(&window, emit, builtin());
        Harness {
            window,
            emit,
            operator,
            snapshot: BTreeMap::new(),
            watermark: i64::MIN,
            rows: 0,
            lines: Vec::new(),
            late: Vec::new(),
            shows_panes: false,
        }
    }

    /// A batch, then the watermark after it.
    fn feed(&mut self, records: &[Record], clock: &RowTimes) {
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
        let times: Vec<i64> = records.iter().map(|it| it.time).collect();
        let input = Input { keys: &keys, times: &times, columns: &[&column; 4], clock, gaps: &[] };
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
        self.advance(clock.after);
    }

    fn advance(&mut self, watermark: i64) {
        // In the smallest parts that there are.
        let mut done = false;
        while !done {
            let (fired, all) = self.operator.advance_some(watermark, 1).unwrap();
            self.write(fired);
            done = all;
        }
        self.watermark = self.watermark.max(watermark);
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
        self.operator.seal(TableId(3), &mut delta);
        let entries: Vec<_> = Entries(delta.bytes())
            .map(|it| (it.key.to_vec(), it.value.map(<[u8]>::to_vec), it.group, it.table))
            .collect();
        for (key, value, group, table) in &entries {
            assert_eq!(*group, batch::key_group(batch::hash(&key[..key.len() - 8])));
            assert_eq!(*table, TableId(3));
            match value {
                Some(value) => self.snapshot.insert(key.clone(), value.clone()),
                None => Some(self.snapshot.remove(key).expect("only what a snapshot holds is deleted")),
            };
        }
        entries.into_iter().map(|it| (it.0, it.1)).collect()
    }

    /// Goes on with an operator restored from the snapshot.
    fn restart(&mut self) {
        self.seal();
        let (keys, bytes) = (self.operator.keys(), self.operator.bytes());
        self.operator = Operator::new(&self.window, self.emit, builtin());
        for (key, value) in &self.snapshot {
            let group = batch::key_group(batch::hash(&key[..key.len() - 8]));
            self.operator.restore(Entry { table: TableId(3), group, key, value: Some(value) }).unwrap();
        }
        self.operator.resume(self.watermark).unwrap();
        assert_eq!(self.operator.keys(), keys);
        assert!(keys == 0 || bytes > 0);
    }
}
