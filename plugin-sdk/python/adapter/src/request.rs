//! Writes a request: numbers as words, everything long as a blob.

#[cfg(any(feature = "keyed", feature = "aggregate"))]
use crate::wire::Strings;
use crate::wire::{Batch, Column, Kind, Values};

/// A request under way. Every word comes before every blob.
#[derive(Default)]
pub(crate) struct Request {
    words: Vec<u32>,
    blobs: Vec<Blob>,
}

/// A list of the boundary, not yet bytes.
enum Blob {
    Bytes(Vec<u8>),
    U32(Vec<u32>),
    S64(Vec<i64>),
    F64(Vec<f64>),
}

impl Blob {
    fn bytes(&self) -> usize {
        match self {
            Blob::Bytes(it) => it.len(),
            Blob::U32(it) => it.len() * 4,
            Blob::S64(it) => it.len() * 8,
            Blob::F64(it) => it.len() * 8,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Blob::Bytes(it) => out.extend_from_slice(it),
            Blob::U32(it) => it.iter().for_each(|it| out.extend_from_slice(&it.to_le_bytes())),
            Blob::S64(it) => it.iter().for_each(|it| out.extend_from_slice(&it.to_le_bytes())),
            Blob::F64(it) => it.iter().for_each(|it| out.extend_from_slice(&it.to_le_bytes())),
        }
    }
}

impl Request {
    /// A number.
    #[cfg(any(feature = "keyed", feature = "aggregate"))]
    pub(crate) fn word(mut self, word: u32) -> Self {
        self.words.push(word);
        self
    }

    fn blob(&mut self, blob: Blob) {
        self.words.push(blob.bytes() as u32);
        self.blobs.push(blob);
    }

    /// Bounds of groups, or ids of timers.
    #[cfg(any(feature = "keyed", feature = "aggregate"))]
    pub(crate) fn numbers(mut self, numbers: Vec<u32>) -> Self {
        self.blob(Blob::U32(numbers));
        self
    }

    /// A batch.
    pub(crate) fn batch(mut self, batch: Batch) -> Self {
        self.words.extend([batch.rows, batch.columns.len() as u32]);
        self.blobs.push(Blob::S64(vec![batch.watermark]));
        batch.columns.into_iter().fold(self, Request::column)
    }

    /// A column.
    pub(crate) fn column(mut self, column: Column) -> Self {
        let none = || Blob::Bytes(Vec::new());
        let (kind, values, offsets) = match column.values {
            Values::S64(it) => (Kind::S64, Blob::S64(it), none()),
            Values::F64(it) => (Kind::F64, Blob::F64(it), none()),
            Values::Boolean(it) => (Kind::Boolean, Blob::Bytes(it), none()),
            Values::Text(it) => (Kind::Text, Blob::Bytes(it.data), Blob::U32(it.offsets)),
            Values::Bytes(it) => (Kind::Bytes, Blob::Bytes(it.data), Blob::U32(it.offsets)),
            Values::Json(it) => (Kind::Json, Blob::Bytes(it.data), Blob::U32(it.offsets)),
        };
        self.words.push(kind as u32);
        self.blob(values);
        self.blob(offsets);
        self.blob(Blob::Bytes(column.nulls));
        self
    }

    /// Accumulators or states that are all there.
    #[cfg(any(feature = "keyed", feature = "aggregate"))]
    pub(crate) fn strings(mut self, strings: Strings) -> Self {
        self.blob(Blob::U32(strings.offsets));
        self.blob(Blob::Bytes(strings.data));
        self
    }

    /// The request as it is sent.
    pub(crate) fn finish(self) -> Vec<u8> {
        let bytes = 4 + self.words.len() * 4 + self.blobs.iter().map(Blob::bytes).sum::<usize>();
        let mut out = Vec::with_capacity(bytes);
        Blob::U32(vec![self.words.len() as u32]).write(&mut out);
        Blob::U32(self.words).write(&mut out);
        self.blobs.iter().for_each(|it| it.write(&mut out));
        out
    }
}
