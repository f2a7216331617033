//! Reading: what `#[derive(Record)]` implements, and which Rust types a field may have.
//!
//! A record borrows from the batch: to make one costs a few loads and no allocation.

use crate::wire::{Batch, Column, Field, Kind, Strings, Values};

/// The fields that a rule reads of each record. Derive it.
///
/// A field of the struct is the field of that name in the record's value; its type is its kind:
///
/// | type            | kind    | notes                                                            |
/// |-----------------|---------|------------------------------------------------------------------|
/// | `i64`           | s64     |                                                                  |
/// | `f64`           | f64     | an integer is accepted                                           |
/// | `bool`          | boolean |                                                                  |
/// | `&str`          | text    |                                                                  |
/// | `&[u8]`         | bytes   |                                                                  |
/// | [`JsonText`](crate::JsonText) | json | any value: arrays, objects; parsed when the rule asks       |
/// | `Option<T>`     | of `T`  | the record may lack it; any other is dead-lettered without it    |
///
/// `#[field("card.country")]` gives another name, or a path into nested objects. `#[slot(..)]` reads what is not in the value:
/// `key` (`&str`, `&[u8]`), `value` (`&[u8]`), `time` (`i64`, milliseconds since the Unix epoch), `header("name")` (`&[u8]`), `topic` (`&str`),
/// `partition` and `offset` (`i64`).
pub trait Record<'a>: Sized {
    /// The columns of a batch, ready to be read row by row.
    #[doc(hidden)]
    type View: Copy;

    /// The fields read, in the order of the columns.
    #[doc(hidden)]
    fn fields() -> Vec<Field>;

    /// Finds this record's columns: the first of the batch. The error names the column that is not what was asked for.
    #[doc(hidden)]
    fn bind(batch: &'a Batch) -> Result<Self::View, String>;

    /// Row `row`, which is below the batch's `rows`.
    #[doc(hidden)]
    fn row(view: &Self::View, row: usize) -> Self;
}

/// A type that a field of a [`Record`] may have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a record",
    label = "not a type of a record's field",
    note = "use i64, f64, bool, &str, &[u8], JsonText, or an Option of one of them"
)]
pub trait Read<'a>: Sized {
    /// What the host must find there.
    #[doc(hidden)]
    const KIND: Kind;

    /// Whether a record that lacks it is refused before the rule sees it.
    #[doc(hidden)]
    const REQUIRED: bool = true;

    /// The column's values.
    #[doc(hidden)]
    type Column: Copy;

    /// The first `rows` values of a column, or none when it is of another kind or shorter.
    #[doc(hidden)]
    fn column(column: &'a Column, rows: usize) -> Option<Self::Column>;

    /// The value of `row`; a default past the rows that `column` was asked for, where nobody reads.
    ///
    /// It cannot panic, so the compiler may leave it out, or put it off, where a rule does not look at the field.
    #[doc(hidden)]
    fn read(column: Self::Column, row: usize) -> Self;
}

/// Column `index` of a batch as values of `T`; `name` is for the error.
#[doc(hidden)]
pub fn bind_column<'a, T: Read<'a>>(batch: &'a Batch, index: usize, name: &str) -> Result<T::Column, String> {
    let column = batch.columns.get(index);
    column.and_then(|it| T::column(it, batch.rows as usize)).ok_or_else(|| {
        format!("column {index} (`{name}`): the host handed over other than {} rows of {:?}", batch.rows, T::KIND)
    })
}

macro_rules! read_number {
    ($type:ty, $kind:ident) => {
        impl<'a> Read<'a> for $type {
            const KIND: Kind = Kind::$kind;
            type Column = &'a [$type];

            fn column(column: &'a Column, rows: usize) -> Option<Self::Column> {
                let Values::$kind(values) = &column.values else { return None };
                values.get(..rows)
            }

            #[inline(always)]
            fn read(column: Self::Column, row: usize) -> Self {
                column.get(row).copied().unwrap_or_default()
            }
        }
    };
}

read_number!(i64, S64);
read_number!(f64, F64);

impl<'a> Read<'a> for bool {
    const KIND: Kind = Kind::Boolean;
    type Column = &'a [u8];

    fn column(column: &'a Column, rows: usize) -> Option<Self::Column> {
        let Values::Boolean(values) = &column.values else { return None };
        values.get(..rows)
    }

    #[inline(always)]
    fn read(column: Self::Column, row: usize) -> Self {
        column.get(row).is_some_and(|it| *it != 0)
    }
}

/// Byte strings end to end, of which at least as many as were asked for are there.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Slices<'a> {
    /// One entry more than there are strings.
    offsets: &'a [u32],
    data: &'a [u8],
}

impl<'a> Slices<'a> {
    fn new(strings: &'a Strings, rows: usize) -> Option<Self> {
        Some(Slices { offsets: strings.offsets.get(..rows + 1)?, data: &strings.data })
    }

    #[inline(always)]
    fn get(self, row: usize) -> &'a [u8] {
        let (Some(&start), Some(&end)) = (self.offsets.get(row), self.offsets.get(row + 1)) else { return &[] };
        self.data.get(start as usize..end as usize).unwrap_or_default()
    }

    /// As `get`, of a column that holds text.
    #[inline(always)]
    pub(crate) fn text(self, row: usize) -> &'a str {
        text_of(self.get(row))
    }
}

/// In a guest, the host answers for text being UTF-8, cut at offsets only: it checks what it decodes, and a guest's memory is the
/// host's to write. To check again would cost a filter more than its rule does.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
#[expect(unsafe_code, reason = "the boundary promises UTF-8, as it does for WIT's own strings")]
fn text_of(bytes: &[u8]) -> &str {
    // SAFETY: `values.text` of `wit/wasmill.wit` is valid UTF-8 and so is every string cut from it at its offsets.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// Natively nobody answers for a batch, so text is checked.
#[cfg(not(target_arch = "wasm32"))]
fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("a text column holds UTF-8")
}

impl<'a> Read<'a> for &'a [u8] {
    const KIND: Kind = Kind::Bytes;
    type Column = Slices<'a>;

    fn column(column: &'a Column, rows: usize) -> Option<Self::Column> {
        let Values::Bytes(strings) = &column.values else { return None };
        Slices::new(strings, rows)
    }

    #[inline(always)]
    fn read(column: Self::Column, row: usize) -> Self {
        column.get(row)
    }
}

impl<'a> Read<'a> for &'a str {
    const KIND: Kind = Kind::Text;
    type Column = Slices<'a>;

    fn column(column: &'a Column, rows: usize) -> Option<Self::Column> {
        let Values::Text(strings) = &column.values else { return None };
        Slices::new(strings, rows)
    }

    #[inline(always)]
    fn read(column: Self::Column, row: usize) -> Self {
        column.text(row)
    }
}

impl<'a> Read<'a> for crate::JsonText<'a> {
    const KIND: Kind = Kind::Json;
    type Column = Slices<'a>;

    fn column(column: &'a Column, rows: usize) -> Option<Self::Column> {
        let Values::Json(strings) = &column.values else { return None };
        Slices::new(strings, rows)
    }

    #[inline(always)]
    fn read(column: Self::Column, row: usize) -> Self {
        crate::JsonText(column.text(row))
    }
}

impl<'a, T: Read<'a>> Read<'a> for Option<T> {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = false;
    /// The values, and the nulls: empty when no row is null.
    type Column = (T::Column, &'a [u8]);

    fn column(column: &'a Column, rows: usize) -> Option<Self::Column> {
        if !column.nulls.is_empty() && column.nulls.len() < rows {
            return None;
        }
        Some((T::column(column, rows)?, &column.nulls))
    }

    #[inline(always)]
    fn read((values, nulls): Self::Column, row: usize) -> Self {
        match nulls.get(row) {
            Some(1) => None,
            _ => Some(T::read(values, row)),
        }
    }
}
