//! Sums and means.

use crate::column::Number;
use crate::window::StateError;
use crate::window::entry::{put_varint, take, take_varint, unzigzag, zigzag};

/// A sum of integers and floats, and how many there were.
///
/// Integers are summed exactly, so their order does not matter and 64 bits may overflow on the way. Floats are summed in
/// the order in which they come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Total {
    ints: i128,
    floats: f64,
    /// Twice the number of values, plus one when one of them was a float: keeps this at 32 bytes.
    seen: u64,
}

impl Total {
    pub(super) fn add_int(&mut self, value: i64) {
        self.ints += i128::from(value); // 2^64 values fit.
        self.seen += 2;
    }

    pub(super) fn add_float(&mut self, value: f64) {
        self.floats += value;
        self.seen = (self.seen + 2) | 1;
    }

    pub(super) fn merge(&mut self, from: &Total) {
        self.ints += from.ints;
        self.floats += from.floats;
        self.seen = ((self.seen & !1) + (from.seen & !1)) | ((self.seen | from.seen) & 1);
    }

    fn has_float(&self) -> bool {
        self.seen & 1 == 1
    }

    /// The sum: an integer where all values are and it fits 64 bits; none over no values.
    pub(super) fn sum(&self) -> Option<Number> {
        if self.seen == 0 {
            return None;
        }
        match i64::try_from(self.ints) {
            Ok(sum) if !self.has_float() => Some(Number::Int(sum)),
            _ => Some(Number::Float(self.float())),
        }
    }

    /// The sum of values that are all integers, as the nearest `i64`.
    pub(super) fn integer(&self) -> Option<i64> {
        let nearest = self.ints.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        (self.seen != 0).then_some(nearest)
    }

    /// The sum as a float.
    pub(super) fn float(&self) -> f64 {
        self.ints as f64 + self.floats
    }

    /// The mean; none over no values.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.seen != 0).then(|| self.float() / (self.seen >> 1) as f64)
    }

    /// True when there was a value.
    pub(super) fn any(&self) -> bool {
        self.seen != 0
    }

    /// `seen` as a `varint`, then the integers' sum as a signed one where there was a value, then the floats' as `f64` where
    /// there was one.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.seen.into());
        if self.any() {
            put_varint(out, zigzag(self.ints));
        }
        if self.has_float() {
            out.extend_from_slice(&self.floats.to_le_bytes());
        }
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, StateError> {
        let mut total = Total { seen: take_varint(bytes, "count of a sum")? as u64, ..Total::default() };
        if total.any() {
            total.ints = unzigzag(take_varint(bytes, "integers of a sum")?);
        }
        if total.has_float() {
            total.floats = f64::from_le_bytes(take(bytes, "floats of a sum")?);
        }
        Ok(total)
    }
}
