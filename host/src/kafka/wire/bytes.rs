//! Numbers and texts as Kafka's protocol writes them.

use super::Broken;

/// Reads bytes from a place on, and never past their end.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The bytes end too early.
const SHORT: Broken = Broken("it ends too early");

impl<'a> Cursor<'a> {
    /// Reads `bytes` from the index `at` on.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at: at.min(bytes.len()) }
    }

    /// The index of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let found = self.bytes.get(self.at..).and_then(|it| it.first_chunk::<N>()).ok_or(SHORT)?;
        self.at += N;
        Ok(*found)
    }

    /// A signed byte.
    #[inline]
    pub(crate) fn i8(&mut self) -> Result<i8, Broken> {
        self.array().map(i8::from_be_bytes)
    }

    /// Two bytes, big-endian.
    pub(crate) fn i16(&mut self) -> Result<i16, Broken> {
        self.array().map(i16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    pub(crate) fn i32(&mut self) -> Result<i32, Broken> {
        self.array().map(i32::from_be_bytes)
    }

    /// Four bytes, big-endian, without a sign.
    pub(crate) fn u32(&mut self) -> Result<u32, Broken> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    pub(crate) fn i64(&mut self) -> Result<i64, Broken> {
        self.array().map(i64::from_be_bytes)
    }

    /// A number of at most 64 bits, seven in each byte, the lowest first.
    #[inline]
    pub(crate) fn unsigned_varint(&mut self) -> Result<u64, Broken> {
        match self.bytes.get(self.at..) {
            Some(&[byte, ..]) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            Some(&[low, high, ..]) if high < 0x80 => {
                self.at += 2;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for (index, &byte) in self.bytes.get(self.at..).unwrap_or_default().iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    break;
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(Broken("a number is longer than 64 bits or ends too early"))
    }

    /// A number with a sign, the small ones in few bytes whatever their sign.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i64, Broken> {
        let value = self.unsigned_varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The range of the next `len` bytes.
    #[inline]
    pub(crate) fn skip(&mut self, len: u64) -> Result<std::ops::Range<usize>, Broken> {
        if len > self.left() as u64 {
            return Err(SHORT);
        }
        let start = self.at;
        self.at += len as usize;
        Ok(start..self.at)
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], Broken> {
        let range = self.skip(len)?;
        self.bytes.get(range).ok_or(SHORT)
    }

    /// A length of the compact kind, one more than it is; none for null.
    pub(super) fn compact_len(&mut self) -> Result<Option<u64>, Broken> {
        Ok(self.unsigned_varint()?.checked_sub(1))
    }

    /// A compact array: reads as many elements as it says, one after the other. Null is empty.
    pub(super) fn compact_array<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Broken>,
    ) -> Result<Vec<T>, Broken> {
        let count = self.compact_len()?.unwrap_or(0);
        if count > self.left() as u64 {
            return Err(Broken("a list is longer than what holds it"));
        }
        let mut list = Vec::new(); // Grows with what is there, not with what is said.
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    /// A compact text; null is empty.
    pub(super) fn compact_text(&mut self) -> Result<String, Broken> {
        let len = self.compact_len()?.unwrap_or(0);
        let bytes = self.take(len)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Broken("a text is not UTF-8"))
    }

    /// Tagged fields: `field` gets the number and the bytes of each.
    pub(super) fn tags(&mut self, mut field: impl FnMut(u64, Cursor<'a>) -> Result<(), Broken>) -> Result<(), Broken> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()?;
            field(tag, Cursor::new(self.take(len)?, 0))?;
        }
        Ok(())
    }

    /// Tagged fields that do not matter.
    pub(super) fn no_tags(&mut self) -> Result<(), Broken> {
        self.tags(|_, _| Ok(()))
    }
}

/// Writes a number as [`Cursor::unsigned_varint`] reads it.
pub(super) fn put_unsigned_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a number as [`Cursor::varint`] reads it.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let value = ((value << 1) ^ (value >> 63)) as u64;
    if value < 0x80 { out.push(value as u8) } else { put_unsigned_varint(out, value) }
}

/// How many bytes [`put_varint`] writes.
#[inline]
pub(super) fn varint_len(value: i64) -> usize {
    let value = ((value << 1) ^ (value >> 63)) as u64;
    // Seven bits a byte, and one byte for none: 9/64 is 1/7 closely enough for as many bits as there are.
    (64 - (value | 1).leading_zeros() as usize) * 9 / 64 + 1
}

/// Writes the length of compact bytes, which follow.
pub(super) fn put_compact_bytes_len(out: &mut Vec<u8>, len: usize) {
    put_unsigned_varint(out, len as u64 + 1);
}

/// Writes a compact text.
pub(super) fn put_compact_text(out: &mut Vec<u8>, text: &str) {
    put_unsigned_varint(out, text.len() as u64 + 1);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_come_back_and_longer_ones_are_refused() {
        for value in (0..64).map(|it| 1u64 << it).chain([0, 127, 128, u64::MAX]) {
            let mut bytes = Vec::new();
            put_unsigned_varint(&mut bytes, value);
            assert_eq!(Cursor::new(&bytes, 0).unsigned_varint(), Ok(value));
            for cut in 0..bytes.len() {
                assert!(Cursor::new(&bytes[..cut], 0).unsigned_varint().is_err());
            }
        }
        assert!(Cursor::new(&[0xff; 20], 0).unsigned_varint().is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], 0).unsigned_varint().is_err());
        let zigzag = |byte: u8| Cursor::new(&[byte], 0).varint();
        assert_eq!([0, 1, 2, 3].map(zigzag), [Ok(0), Ok(-1), Ok(1), Ok(-2)]);
    }

    #[test]
    fn numbers_with_a_sign_come_back_and_have_the_length_that_was_said() {
        for value in
            (0..63).flat_map(|it| [-(1i64 << it) - 1, -(1 << it), 1 << it, (1 << it) - 1]).chain([i64::MIN, i64::MAX])
        {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(Cursor::new(&bytes, 0).varint(), Ok(value));
            assert_eq!(varint_len(value), bytes.len(), "{value}");
        }
    }

    #[test]
    fn a_list_that_claims_more_than_there_is_is_refused_before_it_takes_memory() {
        let mut bytes = Vec::new();
        put_unsigned_varint(&mut bytes, u64::from(u32::MAX));
        bytes.extend_from_slice(&[0; 100]);
        assert!(Cursor::new(&bytes, 0).compact_array(|it| it.i32()).is_err());
    }
}
