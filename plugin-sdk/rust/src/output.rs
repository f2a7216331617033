//! What a rule says about a batch: rows for its ports, records passed on, records refused.

use crate::wire::{Body, Column, Port, Produced, Reject as RejectedRow, Table, Values};
use crate::{Emit, Reject, Unchanged};

/// Where a rule's rows go: one type that derives [`Emit`], or an enum that derives `Ports` with a variant for each port.
///
/// The first variant is the default output, which a pipeline names by the step (`rules`); the others are side outputs, named by
/// their variant in snake case (`rules.audit`) or by `#[port("name")]`. A variant without a row is a port of records passed on as they are.
///
/// ```
/// use wasmill_plugin::prelude::*;
///
/// #[derive(Emit)]
/// struct Alert<'a> {
///     customer_id: &'a str,
/// }
///
/// #[derive(Ports)]
/// enum Routed<'a> {
///     Alert(Alert<'a>),
///     Rest,
/// }
///
/// # #[derive(Record)] struct Txn<'a> { customer_id: &'a str, amount: f64 }
/// #[wasmill_plugin::transform]
/// fn route(txn: Txn<'_>, out: &mut Output<Routed<'_>>) {
///     if txn.amount > 10_000.0 {
///         out.emit(Routed::Alert(Alert { customer_id: txn.customer_id }));
///     } else {
///         out.emit(Routed::Rest);
///     }
/// }
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an output",
    label = "not an output",
    note = "derive `Emit` for a row, or `Ports` for an enum with a variant for each port"
)]
pub trait Ports {
    /// A row for one of the ports, borrowing for `'r`.
    #[doc(hidden)]
    type Row<'r>;

    /// The rows so far, one table a port.
    #[doc(hidden)]
    type Tables: Default;

    /// The ports, the default one first.
    #[doc(hidden)]
    fn ports() -> Vec<Port>;

    /// Adds a row made from input row `origin`.
    #[doc(hidden)]
    fn emit(tables: &mut Self::Tables, origin: u32, row: Self::Row<'_>) -> Result<(), Reject>;

    /// Adds input row `origin` as it is to the default port.
    #[doc(hidden)]
    fn pass(tables: &mut Self::Tables, origin: u32);

    /// Takes back what was made from `origin`, which is the last input row that anything was made from.
    #[doc(hidden)]
    fn forget(tables: &mut Self::Tables, origin: u32);

    /// The tables, in the order of the ports.
    #[doc(hidden)]
    fn finish(tables: Self::Tables) -> Vec<Table>;
}

impl Ports for Unchanged {
    type Row<'r> = Unchanged;
    type Tables = PortTable<Unchanged>;

    fn ports() -> Vec<Port> {
        vec![Port { name: "out".into(), fields: Vec::new() }]
    }

    fn emit(tables: &mut Self::Tables, origin: u32, _: Unchanged) -> Result<(), Reject> {
        tables.pass(origin);
        Ok(())
    }

    fn pass(tables: &mut Self::Tables, origin: u32) {
        tables.pass(origin);
    }

    fn forget(tables: &mut Self::Tables, origin: u32) {
        tables.forget(origin);
    }

    fn finish(tables: Self::Tables) -> Vec<Table> {
        let mut finished = Vec::new();
        tables.finish(0, &mut finished);
        finished
    }
}

/// What a rule answers with. `Output` alone is the output of a filter, which only passes records on.
pub struct Output<P: Ports = Unchanged> {
    origin: u32,
    tables: P::Tables,
    rejects: Vec<RejectedRow>,
}

impl<P: Ports> Output<P> {
    pub(crate) fn new() -> Self {
        Output { origin: 0, tables: P::Tables::default(), rejects: Vec::new() }
    }

    /// Emits a row made from this record. It has the record's key and time unless it sets its own.
    #[inline(always)]
    pub fn emit(&mut self, row: P::Row<'_>) {
        if let Err(reject) = P::emit(&mut self.tables, self.origin, row) {
            self.refuse(reject);
        }
    }

    /// Passes this record on as it is, byte for byte, to the default output. Without a record (a timer, a finished window) there is
    /// nothing to pass: the call fails.
    #[inline(always)]
    pub fn pass(&mut self) {
        P::pass(&mut self.tables, self.origin);
    }

    /// Refuses this record, as a rule that returns an error does.
    #[cold]
    pub fn reject(&mut self, reason: impl Into<String>) {
        self.refuse(Reject::new(reason));
    }

    /// The input row that is emitted for, from here on.
    #[inline(always)]
    pub(crate) fn set_origin(&mut self, origin: u32) {
        self.origin = origin;
    }

    /// Refuses the current row, once, and takes back what was emitted for it.
    #[cold]
    pub(crate) fn refuse(&mut self, reject: Reject) {
        P::forget(&mut self.tables, self.origin);
        if self.rejects.last().is_none_or(|last| last.row != self.origin) {
            self.rejects.push(RejectedRow { row: self.origin, reason: reject.into_reason() });
        }
    }

    pub(crate) fn finish(self) -> Produced {
        Produced { tables: P::finish(self.tables), rejects: self.rejects }
    }

    /// As `finish`, for rows that stand for no record.
    pub(crate) fn finish_without_records(self, call: &str) -> Result<Produced, String> {
        let produced = self.finish();
        if produced.tables.iter().any(|it| matches!(it.body, Body::Unchanged)) {
            return Err(format!("{call} passed a record on, but is not called for one: emit a row instead"));
        }
        Ok(produced)
    }
}

/// The rows of one port, in order. Records passed on and rows emitted lie in tables of their own, so a port that mixes the two
/// starts a table at each change.
#[doc(hidden)]
pub struct PortTable<E: Emit> {
    earlier: Vec<(Vec<u32>, Option<Vec<Column>>)>,
    origins: Vec<u32>,
    columns: E::Columns,
    /// Whether the current table's rows are their origins as they are.
    unchanged: bool,
}

impl<E: Emit> Default for PortTable<E> {
    fn default() -> Self {
        PortTable { earlier: Vec::new(), origins: Vec::new(), columns: E::Columns::default(), unchanged: true }
    }
}

impl<E: Emit> PortTable<E> {
    /// Adds a row.
    #[inline(always)]
    pub fn emit(&mut self, origin: u32, row: E::Of<'_>) -> Result<(), Reject> {
        if self.unchanged {
            self.seal();
        }
        let pushed = E::push(&mut self.columns, row);
        if pushed.is_err() {
            E::truncate(&mut self.columns, self.origins.len());
            return pushed;
        }
        self.origins.push(origin);
        Ok(())
    }

    /// Adds an input row as it is.
    #[inline(always)]
    pub fn pass(&mut self, origin: u32) {
        if !self.unchanged {
            self.seal();
        }
        self.origins.push(origin);
    }

    /// Takes back the rows at the end that were made from `origin`.
    #[cold]
    pub fn forget(&mut self, origin: u32) {
        forget_last(&mut self.origins, origin);
        E::truncate(&mut self.columns, self.origins.len());
        // The record may have changed the table: what was made from it before then ends an earlier one.
        while self.origins.is_empty()
            && let Some((origins, columns)) = self.earlier.last_mut()
        {
            forget_last(origins, origin);
            for column in columns.iter_mut().flatten() {
                truncate(column, origins.len());
            }
            if !origins.is_empty() {
                return;
            }
            self.earlier.pop();
        }
    }

    /// Ends the current table; the next one is of the other sort.
    #[cold]
    fn seal(&mut self) {
        let origins = std::mem::take(&mut self.origins);
        let columns = std::mem::take(&mut self.columns);
        if !origins.is_empty() {
            self.earlier.push((origins, (!self.unchanged).then(|| E::finish(columns))));
        }
        self.unchanged = !self.unchanged;
    }

    /// Adds the tables to `tables`, as those of `port`.
    pub fn finish(mut self, port: u32, tables: &mut Vec<Table>) {
        self.seal();
        tables.extend(self.earlier.into_iter().map(|(origins, columns)| Table {
            port,
            origins,
            body: columns.map_or(Body::Unchanged, Body::Columns),
        }));
    }
}

/// Drops `origin` from the end of `origins`, as often as it is there.
fn forget_last(origins: &mut Vec<u32>, origin: u32) {
    let kept = origins.iter().rposition(|&it| it != origin).map_or(0, |last| last + 1);
    origins.truncate(kept);
}

/// Keeps the first `rows` rows of a finished column.
fn truncate(column: &mut Column, rows: usize) {
    column.nulls.truncate(rows);
    match &mut column.values {
        Values::S64(values) => values.truncate(rows),
        Values::F64(values) => values.truncate(rows),
        Values::Boolean(values) => values.truncate(rows),
        Values::Text(strings) | Values::Bytes(strings) | Values::Json(strings) => {
            strings.offsets.truncate(rows + 1);
            strings.data.truncate(strings.offsets.last().map_or(0, |&end| end as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(wasmill_plugin_macros::Emit)]
    struct Row<'a> {
        name: &'a str,
        n: Option<i64>,
    }

    /// Runs a script for one row after another: `p` passes, `e` emits, `n` emits a null, `x` rejects.
    #[track_caller]
    fn check(rows: &[&str], expected: &str) {
        let mut out = Output::<Row<'_>>::new();
        for (row, script) in rows.iter().enumerate() {
            out.set_origin(row as u32);
            for step in script.chars() {
                match step {
                    'p' => out.pass(),
                    'e' => out.emit(Row { name: &format!("row {row}"), n: Some(row as i64) }),
                    'n' => out.emit(Row { name: "", n: None }),
                    _ => out.reject("x"),
                }
            }
        }
        let produced = out.finish();
        let tables = produced.tables.iter().map(|it| match &it.body {
            Body::Unchanged => format!("{:?} unchanged", it.origins),
            Body::Columns(columns) => {
                let [Column { values: Values::Text(names), .. }, Column { values: Values::S64(n), nulls }] =
                    &columns[..]
                else {
                    panic!("two columns: {columns:?}")
                };
                assert_eq!(names.offsets.len(), it.origins.len() + 1);
                assert_eq!(names.offsets.last(), Some(&(names.data.len() as u32)));
                format!("{:?} {n:?} nulls {nulls:?} {:?}", it.origins, String::from_utf8_lossy(&names.data))
            }
        });
        let rejects = produced.rejects.iter().map(|it| format!("rejects {}", it.row));
        assert_eq!(tables.chain(rejects).collect::<Vec<_>>().join("\n"), expected);
    }

    #[test]
    fn a_port_that_passes_and_emits_keeps_the_order_of_its_rows() {
        check(&["p", "p", "e", "p"], "[0, 1] unchanged\n[2] [2] nulls [] \"row 2\"\n[3] unchanged");
    }

    #[test]
    fn nulls_are_marked_from_the_first_one_on() {
        check(&["e", "n", "e"], "[0, 1, 2] [0, 0, 2] nulls [0, 1, 0] \"row 0row 2\"");
    }

    #[test]
    fn what_was_emitted_for_a_refused_record_is_taken_back() {
        check(&["e", "nex", "e"], "[0, 2] [0, 2] nulls [0, 0] \"row 0row 2\"\nrejects 1");
        check(&["pe", "pepx", "p"], "[0] unchanged\n[0] [0] nulls [] \"row 0\"\n[2] unchanged\nrejects 1");
        check(&["eex"], "rejects 0");
    }

    #[test]
    fn a_record_is_refused_once() {
        check(&["xx", "x"], "rejects 0\nrejects 1");
    }
}
