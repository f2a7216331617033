//! Reads an answer. The SDK wrote it; where it is out of shape all the same, the call fails and nothing is trusted.

use crate::wire::{Body, Column, Kind, Produced, Reject, Strings, Table, Values};

/// An answer, read front to back.
pub(crate) struct Answer {
    words: std::vec::IntoIter<u32>,
    blobs: std::vec::IntoIter<String>,
}

impl Answer {
    pub(crate) fn new(answer: Vec<String>) -> Result<Self, String> {
        let mut blobs = answer.into_iter();
        let words = numbers(blobs.next().ok_or_else(short)?, u32::from_le_bytes)?.into_iter();
        Ok(Answer { words, blobs })
    }

    fn word(&mut self) -> Result<u32, String> {
        self.words.next().ok_or_else(short)
    }

    fn text(&mut self) -> Result<String, String> {
        self.blobs.next().ok_or_else(short)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        bytes(self.text()?)
    }

    fn words_blob(&mut self) -> Result<Vec<u32>, String> {
        numbers(self.text()?, u32::from_le_bytes)
    }

    /// Output rows and refused ones.
    pub(crate) fn produced(&mut self) -> Result<Produced, String> {
        let (tables, rejects) = (self.word()?, self.word()? as usize);
        let tables = (0..tables).map(|_| self.table()).collect::<Result<_, _>>()?;
        let rows = if rejects > 0 { self.words_blob()? } else { Vec::new() };
        let rejects = rows.into_iter().map(|row| Ok(Reject { row, reason: self.text()? }));
        Ok(Produced { tables, rejects: rejects.collect::<Result<_, String>>()? })
    }

    fn table(&mut self) -> Result<Table, String> {
        let (port, unchanged, columns) = (self.word()?, self.word()?, self.word()?);
        let origins = self.words_blob()?;
        let body = match unchanged {
            0 => Body::Columns((0..columns).map(|_| self.column()).collect::<Result<_, _>>()?),
            _ => Body::Unchanged,
        };
        Ok(Table { port, origins, body })
    }

    /// A column.
    pub(crate) fn column(&mut self) -> Result<Column, String> {
        let (has_nulls, kind) = (self.word()? != 0, self.word()?);
        let values = match kind {
            it if it == Kind::S64 as u32 => Values::S64(numbers(self.text()?, i64::from_le_bytes)?),
            it if it == Kind::F64 as u32 => Values::F64(numbers(self.text()?, f64::from_le_bytes)?),
            it if it == Kind::Boolean as u32 => Values::Boolean(self.bytes()?),
            it if it == Kind::Text as u32 => Values::Text(self.text_strings()?),
            it if it == Kind::Json as u32 => Values::Json(self.text_strings()?),
            it if it == Kind::Bytes as u32 => Values::Bytes(self.strings()?),
            it => return Err(format!("the SDK answered a column of kind {it}")),
        };
        Ok(Column { values, nulls: if has_nulls { self.bytes()? } else { Vec::new() } })
    }

    fn text_strings(&mut self) -> Result<Strings, String> {
        Ok(Strings { data: self.text()?.into_bytes(), offsets: self.words_blob()? })
    }

    /// Byte strings.
    pub(crate) fn strings(&mut self) -> Result<Strings, String> {
        Ok(Strings { data: self.bytes()?, offsets: self.words_blob()? })
    }

    /// Timers: groups, ids, whether they are set, and for when.
    #[cfg(feature = "keyed")]
    pub(crate) fn timers(&mut self) -> Result<Vec<crate::wire::Timer>, String> {
        let (groups, ids, set) = (self.words_blob()?, self.words_blob()?, self.bytes()?);
        let times = numbers(self.text()?, i64::from_le_bytes)?;
        if [ids.len(), set.len(), times.len()] != [groups.len(); 3] {
            return Err(short());
        }
        let rows = groups.into_iter().zip(ids).zip(set).zip(times);
        Ok(rows.map(|(((group, id), set), at)| crate::wire::Timer { group, id, at: (set != 0).then_some(at) }).collect())
    }

    /// Nothing may be left.
    pub(crate) fn end(mut self) -> Result<(), String> {
        if self.words.next().is_some() || self.blobs.next().is_some() { Err(short()) } else { Ok(()) }
    }
}

fn short() -> String {
    "the SDK's answer is out of shape: the SDK and the adapter are of different versions".into()
}

/// One byte for each character, as in Latin-1.
fn bytes(text: String) -> Result<Vec<u8>, String> {
    if text.is_ascii() {
        return Ok(text.into_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        // Two bytes are all that a character below 256 takes: 110000xx 10xxxxxx.
        out.push(match byte {
            0..0x80 => byte,
            0xc2 | 0xc3 => byte << 6 | rest.next().ok_or_else(short)? & 0x3f,
            _ => return Err(short()),
        });
    }
    Ok(out)
}

/// Little-endian numbers of `N` bytes.
fn numbers<const N: usize, T>(text: String, read: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    let bytes = bytes(text)?;
    let (chunks, rest) = bytes.as_chunks::<N>();
    if rest.is_empty() { Ok(chunks.iter().map(|it| read(*it)).collect()) } else { Err(short()) }
}
