//! One row of some columns as bytes: what a join keeps of a record.
//!
//! For each column in order: 0 for a null, else 1 and the value. Integers and floats are 8 bytes, little-endian; a boolean is one
//! byte; texts, bytes and JSON have their length before them (u32); a number of undeclared kind has 0 before an integer and 1
//! before a float. Which columns there are is not in it: that is part of the step's signature.

use crate::column::{Column, Number, Values};

/// Writes row `row` of `columns` to the end of `out`.
pub fn encode(columns: &[&Column], row: usize, out: &mut Vec<u8>) {
    for column in columns {
        if column.is_null(row) {
            out.push(0);
            continue;
        }
        out.push(1);
        match &column.values {
            Values::S64(values) => out.extend_from_slice(&values[row].to_le_bytes()),
            Values::F64(values) => out.extend_from_slice(&values[row].to_le_bytes()),
            Values::Boolean(values) => out.push(values[row]),
            Values::Text(strings) | Values::Bytes(strings) | Values::Json(strings) => {
                let bytes = strings.get(row);
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
            Values::Number(values) => match values[row] {
                Number::Int(value) => {
                    out.push(0);
                    out.extend_from_slice(&value.to_le_bytes());
                }
                Number::Float(value) => {
                    out.push(1);
                    out.extend_from_slice(&value.to_le_bytes());
                }
            },
        }
    }
}

/// Adds the row that `bytes` hold to `columns`. None where they do not hold one of these columns; some columns may have got a row
/// more than others then.
#[must_use]
pub fn decode(mut bytes: &[u8], columns: &mut [Column]) -> Option<()> {
    for column in columns {
        match take(&mut bytes)? {
            [0] => {
                column.push_null();
                continue;
            }
            [1] => {}
            [_] => return None,
        }
        match &mut column.values {
            Values::S64(values) => values.push(i64::from_le_bytes(take(&mut bytes)?)),
            Values::F64(values) => values.push(f64::from_le_bytes(take(&mut bytes)?)),
            Values::Boolean(values) => match take(&mut bytes)? {
                [it @ (0 | 1)] => values.push(it),
                [_] => return None,
            },
            Values::Bytes(strings) => strings.push(string(&mut bytes)?),
            Values::Text(strings) | Values::Json(strings) => {
                let text = string(&mut bytes)?;
                std::str::from_utf8(text).ok()?;
                strings.push(text);
            }
            Values::Number(values) => values.push(match take(&mut bytes)? {
                [0] => Number::Int(i64::from_le_bytes(take(&mut bytes)?)),
                [1] => Number::Float(f64::from_le_bytes(take(&mut bytes)?)),
                [_] => return None,
            }),
        }
        column.pushed();
    }
    bytes.is_empty().then_some(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u32::from_le_bytes(take(bytes)?);
    let (head, rest) = bytes.split_at_checked(len as usize)?;
    *bytes = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Kind, Strings};

    fn strings(texts: &[&str]) -> Strings {
        let mut strings = Strings::default();
        texts.iter().for_each(|it| strings.push(it.as_bytes()));
        strings
    }

    fn columns() -> Vec<Column> {
        let mut columns: Vec<Column> = vec![
            Values::S64(vec![-2]).into(),
            Values::F64(vec![0.5]).into(),
            Values::Boolean(vec![1]).into(),
            Values::Text(strings(&["é"])).into(),
            Values::Bytes(strings(&["ab"])).into(),
            Values::Json(strings(&["[1]"])).into(),
            Values::Number(vec![Number::Float(1.5)]).into(),
        ];
        columns.iter_mut().for_each(Column::push_null);
        columns
    }

    #[test]
    fn a_row_comes_back_as_it_was_and_its_bytes_never_change() {
        let columns = columns();
        let borrowed: Vec<&Column> = columns.iter().collect();
        let mut back: Vec<Column> = columns.iter().map(|it| Column::empty(it.kind(), 2)).collect();
        let mut shown = String::new();
        for row in 0..2 {
            let mut bytes = Vec::new();
            encode(&borrowed, row, &mut bytes);
            bytes.iter().for_each(|it| shown.push_str(&format!("{it:02x}")));
            shown.push('\n');
            decode(&bytes, &mut back).unwrap();
        }
        assert_eq!(back, columns);
        expect_test::expect![[r#"
            01feffffffffffffff01000000000000e03f01010102000000c3a90102000000616201030000005b315d0101000000000000f83f
            00000000000000
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn bytes_that_are_no_row_are_refused() {
        let columns = columns();
        let borrowed: Vec<&Column> = columns.iter().collect();
        let mut bytes = Vec::new();
        encode(&borrowed, 0, &mut bytes);
        let fresh = || columns.iter().map(|it| Column::empty(it.kind(), 1)).collect::<Vec<_>>();
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len], &mut fresh()), None, "cut at {len}");
        }
        bytes.push(0);
        assert_eq!(decode(&bytes, &mut fresh()), None, "a byte too many");
        assert_eq!(decode(&[2], &mut [Column::empty(Kind::S64, 1)]), None);
        assert_eq!(decode(&[1, 1, 0, 0, 0, 0xff], &mut [Column::empty(Kind::Text, 1)]), None);
    }
}
