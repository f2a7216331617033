//! Columns as the boundary's borrowed parameters: a guest's memory is written from where the values are.
//!
//! Only where a part of a batch is handed over that does not begin at its first row (while a failure is narrowed down)
//! are the offsets of strings copied, since they begin at 0.

use super::bindings::columns::{ColumnParam, StringsParam, ValuesParam};
use crate::column::{Column, Strings, Values};
use std::ops::Range;

/// Offsets of the strings of each column, from the first of `rows` on; empty where the column's own will do.
pub(super) fn rebase(columns: &[&Column], rows: &Range<usize>) -> Vec<Vec<u32>> {
    if rows.start == 0 {
        return Vec::new();
    }
    columns.iter().map(|it| strings_of(it).map(|it| rebase_strings(it, rows)).unwrap_or_default()).collect()
}

/// As [`rebase`], of one list of strings.
pub(super) fn rebase_strings(strings: &Strings, rows: &Range<usize>) -> Vec<u32> {
    let first = strings.offsets[rows.start];
    if first == 0 { Vec::new() } else { strings.offsets[rows.start..=rows.end].iter().map(|it| it - first).collect() }
}

/// The rows `rows` of every column; `rebased` is what [`rebase`] made of the same.
pub(super) fn columns<'a>(
    columns: &'a [&'a Column],
    rows: &Range<usize>,
    rebased: &'a [Vec<u32>],
) -> Vec<ColumnParam<'a>> {
    let offsets = |at: usize| rebased.get(at).map_or(&[][..], Vec::as_slice);
    columns.iter().enumerate().map(|(at, it)| column(it, rows, offsets(at))).collect()
}

/// The rows `rows` of one column.
pub(super) fn column<'a>(column: &'a Column, rows: &Range<usize>, rebased: &'a [u32]) -> ColumnParam<'a> {
    let values = match &column.values {
        Values::S64(it) => ValuesParam::S64(&it[rows.clone()]),
        Values::F64(it) => ValuesParam::F64(&it[rows.clone()]),
        Values::Boolean(it) => ValuesParam::Boolean(&it[rows.clone()]),
        Values::Text(it) => ValuesParam::Text(strings(it, rows, rebased)),
        Values::Bytes(it) => ValuesParam::Bytes(strings(it, rows, rebased)),
        Values::Json(it) => ValuesParam::Json(strings(it, rows, rebased)),
        Values::Number(_) => unreachable!("a spec never asks for a number of undeclared kind"),
    };
    let nulls = if column.nulls.is_empty() { &[][..] } else { &column.nulls[rows.clone()] };
    ColumnParam { values, nulls }
}

/// The strings `rows`.
pub(super) fn strings<'a>(strings: &'a Strings, rows: &Range<usize>, rebased: &'a [u32]) -> StringsParam<'a> {
    let own = &strings.offsets[rows.start..=rows.end];
    let (first, last) = (own[0] as usize, own[own.len() - 1] as usize);
    StringsParam { offsets: if rebased.is_empty() { own } else { rebased }, data: &strings.data[first..last] }
}

fn strings_of(column: &Column) -> Option<&Strings> {
    match &column.values {
        Values::Text(it) | Values::Bytes(it) | Values::Json(it) => Some(it),
        Values::S64(_) | Values::F64(_) | Values::Boolean(_) | Values::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Kind;

    #[test]
    fn a_part_reads_as_the_same_rows_of_the_whole() {
        let mut text = Column::empty(Kind::Text, 4);
        for word in ["", "ann", "bob", "cäsar"] {
            let Values::Text(strings) = &mut text.values else { unreachable!() };
            strings.push(word.as_bytes());
        }
        text.push_null();
        let all = [text, Column::from(Values::S64(vec![1, 2, 3, 4, 5]))];
        let all = [&all[0], &all[1]];
        for (start, end) in (0..=5).flat_map(|start| (start..=5).map(move |end| (start, end))) {
            let rows = start..end;
            let rebased = rebase(&all, &rows);
            let part = columns(&all, &rows, &rebased);
            let ValuesParam::Text(strings) = &part[0].values else { unreachable!() };
            assert_eq!((strings.offsets.len(), strings.offsets[0]), (rows.len() + 1, 0));
            assert_eq!(*strings.offsets.last().unwrap() as usize, strings.data.len());
            let picked = all[0].gather(&(start as u32..end as u32).collect::<Vec<_>>());
            let Values::Text(expected) = &picked.values else { unreachable!() };
            assert_eq!((strings.offsets, strings.data), (&expected.offsets[..], &expected.data[..]));
            assert_eq!(part[0].nulls.len(), rows.len());
            assert!(matches!(part[1].values, ValuesParam::S64(it) if it.len() == rows.len()));
        }
    }

    #[test]
    fn a_whole_batch_is_handed_over_where_it_is() {
        let column = Column::from(Values::Text(Strings { offsets: vec![0, 2], data: b"ab".to_vec() }));
        let columns_of = [&column];
        let rebased = rebase(&columns_of, &(0..1));
        let part = columns(&columns_of, &(0..1), &rebased);
        let (ValuesParam::Text(part), Values::Text(own)) = (&part[0].values, &columns_of[0].values) else {
            unreachable!()
        };
        assert_eq!((part.offsets.as_ptr(), part.data.as_ptr()), (own.offsets.as_ptr(), own.data.as_ptr()));
    }
}
