//! Writing: what `#[derive(Emit)]` implements, and which Rust types an output row's field may have.

use crate::wire::{Column, Field, Kind, Strings, Values};
use crate::{Json, JsonText, Reject};
use std::borrow::Cow;

/// A row that a rule emits. Derive it.
///
/// A field of the struct becomes the field of that name in the output, in the order of the struct; its type is its kind:
///
/// | type                                             | kind    |
/// |--------------------------------------------------|---------|
/// | `i64`, `i32`, `i16`, `i8`, `u32`, `u16`, `u8`    | s64     |
/// | `f64`, `f32`                                     | f64     |
/// | `bool`                                           | boolean |
/// | `&str`, `String`, `Cow<str>`                     | text    |
/// | `&[u8]`, `Vec<u8>`                               | bytes   |
/// | [`Json`], [`JsonText`]                           | json    |
/// | `Option<T>`                                      | of `T`, null when none |
///
/// `#[field("name")]` gives another name. `#[slot(key)]`, `#[slot(time)]` (`i64`, milliseconds since the Unix epoch), `#[slot(value)]` and
/// `#[slot(header("name"))]` set what is not in the value; key and time are the origin's where a row sets none.
pub trait Emit {
    /// This row, borrowing for `'r`.
    #[doc(hidden)]
    type Of<'r>;

    /// The rows so far.
    #[doc(hidden)]
    type Columns: Default;

    /// The fields, in order.
    #[doc(hidden)]
    fn fields() -> Vec<Field>;

    /// Adds a row. On an error the columns may be of unequal length until they are truncated.
    #[doc(hidden)]
    fn push(columns: &mut Self::Columns, row: Self::Of<'_>) -> Result<(), Reject>;

    /// Keeps the first `rows` rows.
    #[doc(hidden)]
    fn truncate(columns: &mut Self::Columns, rows: usize);

    /// One column for each field.
    #[doc(hidden)]
    fn finish(columns: Self::Columns) -> Vec<Column>;
}

/// The output of a plugin that only passes records on: `Output` without a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unchanged;

impl Emit for Unchanged {
    type Of<'r> = Unchanged;
    type Columns = ();

    fn fields() -> Vec<Field> {
        Vec::new()
    }

    fn push(_: &mut (), _: Unchanged) -> Result<(), Reject> {
        Ok(())
    }

    fn truncate(_: &mut (), _: usize) {}

    fn finish(_: ()) -> Vec<Column> {
        Vec::new()
    }
}

/// A type that a field of an output row may have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an output row",
    label = "not a type of an output row's field",
    note = "use an integer up to i64 or u32, f64, bool, &str, String, &[u8], Vec<u8>, Json<T>, or an Option of one of them"
)]
pub trait Value {
    /// The kind of the output's field.
    #[doc(hidden)]
    const KIND: Kind;

    /// Whether it can be null.
    #[doc(hidden)]
    const NULLABLE: bool = false;

    /// Where the values go.
    #[doc(hidden)]
    type Store: Store;

    /// Adds the value at the end.
    #[doc(hidden)]
    fn put(self, cells: &mut Cells<Self::Store>) -> Result<(), Reject>;
}

/// The values of one column of output, growing.
#[doc(hidden)]
#[derive(Default)]
pub struct Cells<S> {
    store: S,
    /// Empty until a row is null; from then on one byte a row.
    nulls: Vec<u8>,
}

impl<S: Store> Cells<S> {
    /// Keeps the first `rows` values.
    pub fn truncate(&mut self, rows: usize) {
        self.store.truncate(rows);
        self.nulls.truncate(rows);
    }

    /// The column, of `kind`.
    pub fn finish(self, kind: Kind) -> Column {
        Column { values: self.store.finish(kind), nulls: self.nulls }
    }

    fn push_null(&mut self) {
        self.nulls.resize(self.store.len(), 0);
        self.nulls.push(1);
        self.store.push_null();
    }
}

/// Values without their nulls.
#[doc(hidden)]
pub trait Store: Default {
    fn len(&self) -> usize;
    fn push_null(&mut self);
    fn truncate(&mut self, rows: usize);
    fn finish(self, kind: Kind) -> Values;
}

macro_rules! plain_store {
    ($item:ty, $kind:ident) => {
        impl Store for Vec<$item> {
            fn len(&self) -> usize {
                Vec::len(self)
            }

            fn push_null(&mut self) {
                self.push(<$item>::default());
            }

            fn truncate(&mut self, rows: usize) {
                Vec::truncate(self, rows);
            }

            fn finish(self, _: Kind) -> Values {
                Values::$kind(self)
            }
        }
    };
}

plain_store!(i64, S64);
plain_store!(f64, F64);
plain_store!(u8, Boolean);

/// Byte strings end to end, as the boundary has them.
#[doc(hidden)]
pub struct Blobs(Strings);

impl Default for Blobs {
    fn default() -> Self {
        Blobs(Strings { offsets: vec![0], data: Vec::new() })
    }
}

impl Blobs {
    #[inline(always)]
    fn push(&mut self, bytes: &[u8]) {
        self.0.data.extend_from_slice(bytes);
        self.finish_one();
    }

    /// Ends the string whose bytes were just written to the end of the data. A guest's memory is 4 GiB, so an offset fits.
    #[inline(always)]
    fn finish_one(&mut self) {
        self.0.offsets.push(self.0.data.len() as u32);
    }
}

impl Store for Blobs {
    fn len(&self) -> usize {
        self.0.offsets.len() - 1
    }

    fn push_null(&mut self) {
        self.finish_one();
    }

    fn truncate(&mut self, rows: usize) {
        self.0.offsets.truncate(rows + 1);
        self.0.data.truncate(self.0.offsets.last().map_or(0, |&end| end as usize));
    }

    fn finish(self, kind: Kind) -> Values {
        match kind {
            Kind::Text => Values::Text(self.0),
            Kind::Json => Values::Json(self.0),
            _ => Values::Bytes(self.0),
        }
    }
}

macro_rules! value {
    ($type:ty, $kind:ident, $store:ty, |$value:ident| $stored:expr) => {
        impl Value for $type {
            const KIND: Kind = Kind::$kind;
            type Store = $store;

            #[inline(always)]
            fn put(self, cells: &mut Cells<Self::Store>) -> Result<(), Reject> {
                let $value = self;
                cells.store.push($stored);
                Ok(())
            }
        }
    };
}

value!(i64, S64, Vec<i64>, |it| it);
value!(i32, S64, Vec<i64>, |it| i64::from(it));
value!(i16, S64, Vec<i64>, |it| i64::from(it));
value!(i8, S64, Vec<i64>, |it| i64::from(it));
value!(u32, S64, Vec<i64>, |it| i64::from(it));
value!(u16, S64, Vec<i64>, |it| i64::from(it));
value!(u8, S64, Vec<i64>, |it| i64::from(it));
value!(f64, F64, Vec<f64>, |it| it);
value!(f32, F64, Vec<f64>, |it| f64::from(it));
value!(bool, Boolean, Vec<u8>, |it| u8::from(it));
value!(&str, Text, Blobs, |it| it.as_bytes());
value!(String, Text, Blobs, |it| it.as_bytes());
value!(Cow<'_, str>, Text, Blobs, |it| it.as_bytes());
value!(&[u8], Bytes, Blobs, |it| it);
value!(Vec<u8>, Bytes, Blobs, |it| &it);
value!(JsonText<'_>, Json, Blobs, |it| it.0.as_bytes());

impl<T: serde::Serialize> Value for Json<T> {
    const KIND: Kind = Kind::Json;
    type Store = Blobs;

    fn put(self, cells: &mut Cells<Self::Store>) -> Result<(), Reject> {
        serde_json::to_writer(&mut cells.store.0.data, &self.0)
            .map_err(|error| Reject::new(format!("a value that JSON cannot hold was emitted: {error}")))?;
        cells.store.finish_one();
        Ok(())
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;
    type Store = T::Store;

    #[inline(always)]
    fn put(self, cells: &mut Cells<Self::Store>) -> Result<(), Reject> {
        const { assert!(!T::NULLABLE, "an Option of an Option: a field is null or it is not") };
        let Some(value) = self else {
            cells.push_null();
            return Ok(());
        };
        if !cells.nulls.is_empty() {
            cells.nulls.push(0);
        }
        value.put(cells)
    }
}
