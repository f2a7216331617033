//! The check of what a guest answered. Only what passes here becomes a column of the host.

use super::bindings::{columns, output};
use super::guest_host::escape;
use super::produced::{Body, Produced, REASON_BYTES_MAX, Rejected, Table};
use super::spec::describe;
use crate::column::{Column, Kind, Strings, Values};
use crate::schema::{Field, Spec};
use serde::de::IgnoredAny;

/// What an answer is held against. A wrong answer is an error that says what was found and what was expected.
pub(super) struct Check<'a> {
    /// What the plugin declared.
    pub(super) spec: &'a Spec,
    /// The first row of the part that was handed over, in the rows of the call.
    pub(super) first_row: usize,
    /// How many rows were handed over.
    pub(super) rows: usize,
    /// Output rows, at most.
    pub(super) rows_out_max: usize,
    /// Whether rows have records that may be passed on.
    pub(super) has_records: bool,
}

impl Check<'_> {
    /// Checks tables and rejects; rows become those of the call.
    pub(super) fn produced(&self, raw: output::Produced) -> Result<Produced, String> {
        let mut rows_out = 0;
        let mut tables = Vec::with_capacity(raw.tables.len().min(self.spec.ports.len()));
        for table in raw.tables {
            rows_out += table.origins.len();
            if rows_out > self.rows_out_max {
                return Err(format!("more than {} output rows for {} rows", self.rows_out_max, self.rows));
            }
            let table = self.table(table)?;
            if !table.origins.is_empty() {
                tables.push(table);
            }
        }
        Ok(Produced { tables, rejects: self.rejects(raw.rejects)? })
    }

    fn table(&self, raw: output::Table) -> Result<Table, String> {
        let ports = &self.spec.ports;
        let port = raw.port as usize;
        let Some(declared) = ports.get(port) else { return Err(format!("port {port}, there are {}", ports.len())) };
        let mut origins = raw.origins;
        // The largest first: one pass without a branch a row.
        if let Some(origin) = origins.iter().copied().max().filter(|&it| it as usize >= self.rows) {
            return Err(format!(
                "port `{}`: an output row has the origin {origin}, but there are {} rows",
                declared.name, self.rows
            ));
        }
        let first_row = self.first_row as u32;
        if first_row > 0 {
            origins.iter_mut().for_each(|it| *it += first_row);
        }
        let body = match raw.body {
            output::Body::Unchanged if self.has_records => Body::Unchanged,
            output::Body::Unchanged => {
                return Err(format!("port `{}`: rows passed on unchanged, but they have no record", declared.name));
            }
            output::Body::Columns(columns) => {
                if columns.len() != declared.fields.len() {
                    let (found, expected) = (columns.len(), declared.fields.len());
                    return Err(format!("port `{}`: {found} columns, expected {expected}", declared.name));
                }
                let columns = columns.into_iter().zip(&declared.fields).map(|(column, field)| {
                    checked(column, field.kind, origins.len())
                        .map_err(|wrong| format!("port `{}`, {}: {wrong}", declared.name, describe_field(field)))
                });
                Body::Columns(columns.collect::<Result<_, _>>()?)
            }
        };
        Ok(Table { port, origins, body })
    }

    fn rejects(&self, raw: Vec<output::Reject>) -> Result<Vec<Rejected>, String> {
        if raw.is_empty() {
            return Ok(Vec::new());
        }
        if raw.len() > self.rows {
            return Err(format!("{} rows rejected of {}", raw.len(), self.rows));
        }
        let mut seen = vec![false; self.rows];
        let mut rejects = Vec::with_capacity(raw.len());
        for reject in raw {
            match seen.get_mut(reject.row as usize) {
                None => return Err(format!("row {} of {} rejected", reject.row, self.rows)),
                Some(true) => return Err(format!("row {} rejected twice", reject.row)),
                Some(seen) => *seen = true,
            }
            let row = reject.row + self.first_row as u32;
            rejects.push(Rejected { row, reason: escape(&reject.reason, REASON_BYTES_MAX), fault: false });
        }
        rejects.sort_unstable_by_key(|it| it.row);
        Ok(rejects)
    }
}

fn describe_field(field: &Field) -> String {
    describe(&field.slot)
}

/// States or accumulators: `bytes`, `rows` of them.
pub(super) fn states(raw: columns::ColumnResult, rows: usize) -> Result<Column, String> {
    checked(raw, Kind::Bytes, rows).map_err(|wrong| format!("states: {wrong}"))
}

/// Accumulators without nulls, `rows` of them.
pub(super) fn accumulators(raw: columns::StringsResult, rows: usize) -> Result<Strings, String> {
    strings(raw, rows).map_err(|wrong| format!("accumulators: {wrong}"))
}

/// A column of `kind` with `rows` rows.
fn checked(raw: columns::ColumnResult, kind: Kind, rows: usize) -> Result<Column, String> {
    use columns::ValuesResult;
    let found = match &raw.values {
        ValuesResult::S64(_) => Kind::S64,
        ValuesResult::F64(_) => Kind::F64,
        ValuesResult::Boolean(_) => Kind::Boolean,
        ValuesResult::Text(_) => Kind::Text,
        ValuesResult::Bytes(_) => Kind::Bytes,
        ValuesResult::Json(_) => Kind::Json,
    };
    if found != kind {
        return Err(format!("{} values, expected {}", found.name(), kind.name()));
    }
    let nulls = nulls(raw.nulls, rows)?;
    let values = match raw.values {
        ValuesResult::S64(values) => Values::S64(counted(values, rows)?),
        ValuesResult::F64(values) => Values::F64(counted(values, rows)?),
        ValuesResult::Boolean(values) => {
            let values = counted(values, rows)?;
            if let Some(value) = values.iter().copied().max().filter(|&it| it > 1) {
                return Err(format!("the boolean {value}, expected 0 or 1"));
            }
            Values::Boolean(values)
        }
        ValuesResult::Text(values) => {
            let values = strings(values, rows)?;
            utf8(&values)?;
            Values::Text(values)
        }
        ValuesResult::Bytes(values) => Values::Bytes(strings(values, rows)?),
        ValuesResult::Json(values) => {
            let values = strings(values, rows)?;
            json(&values, &nulls)?;
            Values::Json(values)
        }
    };
    Ok(Column { values, nulls })
}

fn counted<T>(values: Vec<T>, rows: usize) -> Result<Vec<T>, String> {
    if values.len() == rows { Ok(values) } else { Err(format!("{} values for {rows} rows", values.len())) }
}

/// A mask that marks nothing becomes an empty one.
fn nulls(mask: Vec<u8>, rows: usize) -> Result<Vec<u8>, String> {
    if mask.is_empty() {
        return Ok(mask);
    }
    if mask.len() != rows {
        return Err(format!("{} null marks for {rows} rows", mask.len()));
    }
    match mask.iter().copied().max() {
        Some(0) | None => Ok(Vec::new()),
        Some(1) => Ok(mask),
        Some(mark) => Err(format!("the null mark {mark}, expected 0 or 1")),
    }
}

fn strings(raw: columns::StringsResult, rows: usize) -> Result<Strings, String> {
    let columns::StringsResult { offsets, data } = raw;
    if offsets.len() != rows + 1 {
        return Err(format!("{} offsets for {rows} rows, expected one more than rows", offsets.len()));
    }
    if offsets[0] != 0 {
        return Err(format!("the first offset is {}, expected 0", offsets[0]));
    }
    if !offsets.is_sorted() {
        return Err("offsets that decrease".to_owned());
    }
    if offsets[rows] as usize != data.len() {
        return Err(format!("the last offset is {}, expected the length of the data, {}", offsets[rows], data.len()));
    }
    Ok(Strings { offsets, data })
}

/// The data is valid as a whole, and cut only between characters.
fn utf8(strings: &Strings) -> Result<(), String> {
    let row_of = |byte: usize| strings.offsets.partition_point(|&it| it as usize <= byte).saturating_sub(1);
    let text = match std::str::from_utf8(&strings.data) {
        Ok(text) => text,
        Err(error) => return Err(format!("output row {} is not UTF-8", row_of(error.valid_up_to()))),
    };
    match strings.offsets.iter().find(|&&it| !text.is_char_boundary(it as usize)) {
        Some(&cut) => Err(format!("output row {} begins inside a character", row_of(cut as usize))),
        None => Ok(()),
    }
}

fn json(strings: &Strings, nulls: &[u8]) -> Result<(), String> {
    utf8(strings)?;
    for (row, text) in strings.iter().enumerate() {
        if nulls.get(row) == Some(&1) {
            continue;
        }
        if let Err(error) = serde_json::from_slice::<IgnoredAny>(text) {
            return Err(format!("output row {row} is not JSON: {error}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Port, Slot};
    use columns::{ColumnResult, StringsResult, ValuesResult};
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn spec(kind: Kind) -> Spec {
        let field = Field { slot: Slot::Field("f".into()), kind, required: false };
        let ports = vec![Port { name: "out".to_owned(), fields: vec![field] }];
        Spec { reads: Vec::new(), ports, state_version: 0 }
    }

    fn produced(kind: Kind, tables: Vec<output::Table>, rejects: Vec<output::Reject>) -> Result<Produced, String> {
        let spec = spec(kind);
        let check = Check { spec: &spec, first_row: 10, rows: 3, rows_out_max: 4, has_records: true };
        check.produced(output::Produced { tables, rejects })
    }

    fn table(origins: &[u32], values: ValuesResult, nulls: &[u8]) -> Vec<output::Table> {
        let body = output::Body::Columns(vec![ColumnResult { values, nulls: nulls.to_vec() }]);
        vec![output::Table { port: 0, origins: origins.to_vec(), body }]
    }

    fn texts(offsets: &[u32], data: &[u8]) -> StringsResult {
        StringsResult { offsets: offsets.to_vec(), data: data.to_vec() }
    }

    fn refuse(kind: Kind, tables: Vec<output::Table>, expected: Expect) {
        expected.assert_eq(&produced(kind, tables, vec![]).unwrap_err());
    }

    #[test]
    fn rows_of_a_good_answer_become_rows_of_the_call() {
        let rejects = [2, 0].map(|row| output::Reject { row, reason: format!("row {row}\n") });
        let answer =
            produced(Kind::S64, table(&[0, 2], ValuesResult::S64(vec![7, 8]), &[0, 0]), rejects.into()).unwrap();
        assert_eq!(answer.tables[0].origins, [10, 12]);
        assert_eq!(answer.tables[0].body, Body::Columns(vec![Column::from(Values::S64(vec![7, 8]))]));
        assert_eq!(
            answer.rejects.iter().map(|it| (it.row, it.reason.as_str())).collect::<Vec<_>>(),
            [(10, "row 0"), (12, "row 2")]
        );
    }

    #[test]
    fn tables_without_rows_are_dropped() {
        let empty = output::Table { port: 0, origins: vec![], body: output::Body::Unchanged };
        assert_eq!(produced(Kind::S64, vec![empty; 1_000], vec![]).unwrap(), Produced::default());
    }

    #[test]
    fn ports_origins_and_rows_are_bounded() {
        let unchanged = |port, origins: &[u32]| {
            vec![output::Table { port, origins: origins.to_vec(), body: output::Body::Unchanged }]
        };
        refuse(Kind::S64, unchanged(1, &[0]), expect!["port 1, there are 1"]);
        refuse(
            Kind::S64,
            unchanged(0, &[0, 3]),
            expect!["port `out`: an output row has the origin 3, but there are 3 rows"],
        );
        refuse(Kind::S64, unchanged(0, &[0; 5]), expect!["more than 4 output rows for 3 rows"]);
        let none = output::Table { port: 0, origins: vec![0], body: output::Body::Columns(vec![]) };
        refuse(Kind::S64, vec![none], expect!["port `out`: 0 columns, expected 1"]);
        let spec = spec(Kind::S64);
        let check = Check { spec: &spec, first_row: 0, rows: 3, rows_out_max: 4, has_records: false };
        let wrong = check.produced(output::Produced { tables: unchanged(0, &[0]), rejects: vec![] }).unwrap_err();
        assert_eq!(wrong, "port `out`: rows passed on unchanged, but they have no record");
    }

    #[test]
    fn kinds_lengths_and_marks_are_checked() {
        let s64 = || ValuesResult::S64(vec![1]);
        refuse(Kind::F64, table(&[0], s64(), &[]), expect!["port `out`, the field `f`: s64 values, expected f64"]);
        refuse(Kind::S64, table(&[0, 1], s64(), &[]), expect!["port `out`, the field `f`: 1 values for 2 rows"]);
        refuse(Kind::S64, table(&[0], s64(), &[0, 1]), expect!["port `out`, the field `f`: 2 null marks for 1 rows"]);
        refuse(
            Kind::S64,
            table(&[0], s64(), &[2]),
            expect!["port `out`, the field `f`: the null mark 2, expected 0 or 1"],
        );
        let two = ValuesResult::Boolean(vec![2]);
        refuse(
            Kind::Boolean,
            table(&[0], two, &[]),
            expect!["port `out`, the field `f`: the boolean 2, expected 0 or 1"],
        );
    }

    #[test]
    fn offsets_are_checked() {
        let check = |offsets: &[u32], expected| {
            refuse(Kind::Bytes, table(&[0, 1], ValuesResult::Bytes(texts(offsets, b"abc")), &[]), expected)
        };
        check(&[0, 3], expect!["port `out`, the field `f`: 2 offsets for 2 rows, expected one more than rows"]);
        check(&[], expect!["port `out`, the field `f`: 0 offsets for 2 rows, expected one more than rows"]);
        check(&[1, 2, 3], expect!["port `out`, the field `f`: the first offset is 1, expected 0"]);
        check(&[0, 4, 3], expect!["port `out`, the field `f`: offsets that decrease"]);
        check(
            &[0, 1, 2],
            expect!["port `out`, the field `f`: the last offset is 2, expected the length of the data, 3"],
        );
    }

    #[test]
    fn text_is_utf8_also_where_it_is_cut() {
        let text = |offsets: &[u32], data: &[u8]| table(&[0, 1], ValuesResult::Text(texts(offsets, data)), &[]);
        refuse(
            Kind::Text,
            text(&[0, 2, 4], b"ab\xffc"),
            expect!["port `out`, the field `f`: output row 1 is not UTF-8"],
        );
        refuse(
            Kind::Text,
            text(&[0, 1, 2], "é".as_bytes()),
            expect!["port `out`, the field `f`: output row 1 begins inside a character"],
        );
        assert!(produced(Kind::Text, text(&[0, 2, 2], "é".as_bytes()), vec![]).is_ok());
    }

    #[test]
    fn json_is_parsed_except_in_null_rows() {
        let json = |data: &[u8], nulls: &[u8]| {
            table(&[0, 1], ValuesResult::Json(texts(&[0, 0, data.len() as u32], data)), nulls)
        };
        assert!(produced(Kind::Json, json(b"{\"a\": [1e5]}", &[1, 0]), vec![]).is_ok());
        refuse(
            Kind::Json,
            json(b"{}", &[]),
            expect![
                "port `out`, the field `f`: output row 0 is not JSON: EOF while parsing a value at line 1 column 0"
            ],
        );
        refuse(
            Kind::Json,
            json(b"1 2", &[1, 0]),
            expect!["port `out`, the field `f`: output row 1 is not JSON: trailing characters at line 1 column 3"],
        );
    }

    #[test]
    fn a_row_is_rejected_once_and_exists() {
        let reject = |rows: &[u32]| {
            let rejects = rows.iter().map(|&row| output::Reject { row, reason: String::new() }).collect();
            produced(Kind::S64, vec![], rejects).unwrap_err()
        };
        assert_eq!(reject(&[1, 1]), "row 1 rejected twice");
        assert_eq!(reject(&[3]), "row 3 of 3 rejected");
        assert_eq!(reject(&[0; 4]), "4 rows rejected of 3");
    }

    proptest! {
        #[test]
        fn no_answer_panics_and_every_accepted_string_can_be_read(
            offsets in prop::collection::vec(0u32..8, 0..6),
            data in prop::collection::vec(any::<u8>(), 0..8),
            nulls in prop::collection::vec(0u8..3, 0..6),
            rows in 0usize..5,
        ) {
            for kind in [Kind::Text, Kind::Bytes, Kind::Json] {
                let strings = StringsResult { offsets: offsets.clone(), data: data.clone() };
                let values = match kind {
                    Kind::Text => ValuesResult::Text(strings),
                    Kind::Bytes => ValuesResult::Bytes(strings),
                    _ => ValuesResult::Json(strings),
                };
                let Ok(column) = checked(ColumnResult { values, nulls: nulls.clone() }, kind, rows) else { continue };
                prop_assert_eq!(column.len(), rows);
                let strings = match &column.values {
                    Values::Text(strings) | Values::Bytes(strings) | Values::Json(strings) => strings,
                    _ => unreachable!(),
                };
                for row in 0..rows {
                    column.is_null(row);
                    prop_assert!(kind == Kind::Bytes || std::str::from_utf8(strings.get(row)).is_ok());
                }
            }
        }
    }
}
