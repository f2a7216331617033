//! Sixteen bytes of text at once.

/// How many bytes are looked at together.
const LANES: usize = 16;

/// One bit a byte, the first in the lowest place: set for what a JSON string cannot hold as it is (a quote, a backslash, a
/// control character) and for every byte of a character beyond ASCII.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "what the compiler makes of safe code takes a tenth of a record's whole time longer")]
#[inline(always)]
fn stops(bytes: &[u8; LANES]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    #[target_feature(enable = "sse2")]
    #[inline]
    fn compared(high: i64, low: i64) -> i32 {
        let text = _mm_set_epi64x(high, low);
        let odd = _mm_cmplt_epi8(text, _mm_set1_epi8(0x20));
        let quote = _mm_cmpeq_epi8(text, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(text, _mm_set1_epi8(b'\\' as i8));
        _mm_movemask_epi8(_mm_or_si128(odd, _mm_or_si128(quote, backslash)))
    }

    let text = u128::from_le_bytes(*bytes);
    // SAFETY: all that it asks for is SSE2, which every x86-64 processor has.
    unsafe { compared((text >> 64) as i64, text as i64) as u32 }
}

/// The same where there are no vector instructions of ours.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn stops(bytes: &[u8; LANES]) -> u32 {
    byte_by_byte(bytes)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn byte_by_byte(bytes: &[u8; LANES]) -> u32 {
    bytes.iter().rev().fold(0, |bits, &byte| bits << 1 | u32::from(is_stop(byte)))
}

/// As signed bytes, control characters and all that is beyond ASCII are less than a space.
#[inline]
fn is_stop(byte: u8) -> bool {
    ((byte as i8) < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Where the text from `at` on has its first byte that [`stops`] marks; none where there is none.
#[inline]
pub(in crate::decode) fn first_stop(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = text.get(at..).and_then(|it| it.first_chunk()) {
        let stops = stops(chunk);
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize);
        }
        at += LANES;
    }
    let rest = text.get(at..).filter(|it| !it.is_empty())?;
    if let Some(chunk) = text.last_chunk() {
        // The last lanes once more, without those that were looked at already.
        let stops = stops(chunk) >> (LANES - rest.len());
        return (stops != 0).then(|| at + stops.trailing_zeros() as usize);
    }
    rest.iter().position(|&it| is_stop(it)).map(|it| at + it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_told_in_every_lane() {
        for lane in 0..LANES {
            for byte in 0..=255 {
                let mut bytes = [b'a'; LANES];
                bytes[lane] = byte;
                let expected = matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..);
                assert_eq!(stops(&bytes), byte_by_byte(&bytes), "byte {byte:#x} in lane {lane}");
                assert_eq!(first_stop(&bytes, 0), expected.then_some(lane), "byte {byte:#x} in lane {lane}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_stop_is_found_at_any_distance(text in "[a-z]{0,40}[a-z\"\\\\\n\u{e9}]{0,3}[a-z]{0,40}", from in 0..50_usize) {
            let bytes = text.as_bytes();
            let from = from.min(bytes.len());
            let expected = bytes[from..].iter().position(|it| matches!(it, b'"' | b'\\' | 0..0x20 | 0x80..)).map(|it| from + it);
            prop_assert_eq!(first_stop(bytes, from), expected);
        }
    }
}
