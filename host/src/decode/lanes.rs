//! Sixteen bytes of text at once, and blocks of four times as many: of these half at once, where the processor can.

/// How many bytes are looked at together.
pub(in crate::decode) const LANES: usize = 16;
/// How many bytes are surveyed together: as many as a word has bits.
pub(in crate::decode) const BLOCK: usize = 64;

/// What is in a block of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Survey {
    /// One bit a byte, the first in the lowest place: set for the quotes.
    quotes: u64,
    /// Whether there is something else that a JSON string cannot hold as it is, or a character beyond ASCII.
    odd: bool,
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "what the compiler makes of safe code takes a tenth of a record's whole time longer")]
mod vectors {
    use super::{BLOCK, LANES, Survey};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8, _mm_setzero_si128, _mm_subs_epu8, _mm_xor_si128, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8,
        _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8, _mm256_setzero_si256,
    };

    const WIDE: usize = 2 * LANES;

    #[target_feature(enable = "sse2")]
    #[inline]
    fn load(bytes: &[u8; LANES]) -> __m128i {
        let text = u128::from_le_bytes(*bytes);
        _mm_set_epi64x((text >> 64) as i64, text as i64)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn are(text: __m128i, byte: u8) -> __m128i {
        _mm_cmpeq_epi8(text, _mm_set1_epi8(byte as i8))
    }

    /// Control characters, characters beyond ASCII, backslashes.
    #[target_feature(enable = "sse2")]
    #[inline]
    fn are_odd(text: __m128i) -> __m128i {
        _mm_or_si128(_mm_cmplt_epi8(text, _mm_set1_epi8(0x20)), are(text, b'\\'))
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn compared(bytes: &[u8; LANES]) -> i32 {
        let text = load(bytes);
        _mm_movemask_epi8(_mm_or_si128(are_odd(text), are(text, b'"')))
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn survey_block(block: &[u8; BLOCK]) -> Survey {
        let (mut quotes, mut odd) = (0, _mm_setzero_si128());
        for (number, chunk) in block.as_chunks().0.iter().enumerate() {
            let text = load(chunk);
            quotes |= (_mm_movemask_epi8(are(text, b'"')) as u64) << (number * LANES);
            odd = _mm_or_si128(odd, are_odd(text));
        }
        Survey { quotes, odd: _mm_movemask_epi8(odd) != 0 }
    }

    #[target_feature(enable = "sse2")]
    fn survey_narrow(text: &[u8], quotes: &mut [u64]) -> bool {
        super::survey_by(text, quotes, |it| survey_block(it))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load_wide(bytes: &[u8; WIDE]) -> __m256i {
        let halves = bytes.as_chunks().0;
        _mm256_set_m128i(load(&halves[1]), load(&halves[0]))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn are_wide(text: __m256i, byte: u8) -> __m256i {
        _mm256_cmpeq_epi8(text, _mm256_set1_epi8(byte as i8))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn survey_block_wide(block: &[u8; BLOCK]) -> Survey {
        let (mut quotes, mut odd) = (0, _mm256_setzero_si256());
        for (number, chunk) in block.as_chunks().0.iter().enumerate() {
            let text = load_wide(chunk);
            quotes |= u64::from(_mm256_movemask_epi8(are_wide(text, b'"')) as u32) << (number * WIDE);
            let controls = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), text);
            odd = _mm256_or_si256(odd, _mm256_or_si256(controls, are_wide(text, b'\\')));
        }
        Survey { quotes, odd: _mm256_movemask_epi8(odd) != 0 }
    }

    #[target_feature(enable = "avx2")]
    fn survey_wide(text: &[u8], quotes: &mut [u64]) -> bool {
        super::survey_by(text, quotes, |it| survey_block_wide(it))
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn compared_with_digits(bytes: &[u8; LANES]) -> i32 {
        // 0 to 9 for a digit, and more for anything else.
        let values = _mm_xor_si128(load(bytes), _mm_set1_epi8(b'0' as i8));
        _mm_movemask_epi8(are(_mm_subs_epu8(values, _mm_set1_epi8(9)), 0))
    }

    #[inline(always)]
    pub(super) fn digits(bytes: &[u8; LANES]) -> u32 {
        // SAFETY: all that it asks for is SSE2, which every x86-64 processor has.
        unsafe { compared_with_digits(bytes) as u32 }
    }

    #[inline(always)]
    pub(super) fn stops(bytes: &[u8; LANES]) -> u32 {
        // SAFETY: all that it asks for is SSE2, which every x86-64 processor has.
        unsafe { compared(bytes) as u32 }
    }

    #[inline(always)]
    pub(super) fn survey(text: &[u8], quotes: &mut [u64]) -> bool {
        if is_x86_feature_detected!("avx2") {
            // SAFETY: all that it asks for is AVX2, which the processor has.
            unsafe { survey_wide(text, quotes) }
        } else {
            survey_sse2(text, quotes)
        }
    }

    #[inline]
    pub(super) fn survey_sse2(text: &[u8], quotes: &mut [u64]) -> bool {
        // SAFETY: as above.
        unsafe { survey_narrow(text, quotes) }
    }
}

/// The same where there are no vector instructions of ours.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod bytes {
    use super::{BLOCK, LANES, Survey};

    #[inline]
    pub(super) fn stops(bytes: &[u8; LANES]) -> u32 {
        bytes.iter().rev().fold(0, |bits, &byte| bits << 1 | u32::from(super::is_stop(byte)))
    }

    #[inline]
    pub(super) fn digits(bytes: &[u8; LANES]) -> u32 {
        bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u32::from(byte.is_ascii_digit()))
    }

    #[inline]
    fn survey_block(block: &[u8; BLOCK]) -> Survey {
        let quotes = block.iter().rev().fold(0, |bits, &byte| bits << 1 | u64::from(byte == b'"'));
        Survey { quotes, odd: block.iter().any(|&it| super::is_stop(it) && it != b'"') }
    }

    #[inline]
    pub(super) fn survey(text: &[u8], quotes: &mut [u64]) -> bool {
        super::survey_by(text, quotes, survey_block)
    }
}

#[cfg(not(target_arch = "x86_64"))]
use bytes as vectors;

/// One bit a byte, the first in the lowest place: set for what a JSON string cannot hold as it is (a quote, a backslash, a
/// control character) and for every byte of a character beyond ASCII.
#[inline(always)]
fn stops(bytes: &[u8; LANES]) -> u32 {
    vectors::stops(bytes)
}

/// One bit a byte, the first in the lowest place: set for digits.
#[inline(always)]
pub(in crate::decode) fn digits(bytes: &[u8; LANES]) -> u32 {
    vectors::digits(bytes)
}

/// Puts a word for each block of a text into `quotes`, and one for what is left at its end, if anything: one bit a byte, the first in the lowest
/// place, set for its quotes. True where the text has something else that a JSON string cannot hold as it is, or a character beyond ASCII.
///
/// # Panics
/// Where `quotes` has no room for so many words.
#[inline]
pub(in crate::decode) fn survey(text: &[u8], quotes: &mut [u64]) -> bool {
    vectors::survey(text, quotes)
}

#[inline(always)]
fn survey_by(text: &[u8], quotes: &mut [u64], survey: impl Fn(&[u8; BLOCK]) -> Survey) -> bool {
    let (blocks, rest) = text.as_chunks();
    let mut odd = false;
    for (block, word) in blocks.iter().zip(quotes.iter_mut()) {
        let found = survey(block);
        *word = found.quotes;
        odd |= found.odd;
    }
    // The last block once more, without what was looked at already.
    let (last, seen) = match text.last_chunk() {
        Some(block) => (survey(block), BLOCK - rest.len()),
        None => (survey(&padded(rest)), 0),
    };
    quotes[blocks.len()] = last.quotes.unbounded_shr(seen as u32);
    odd | last.odd
}

fn padded(text: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    block.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    block
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
    fn a_block_is_surveyed_byte_by_byte() {
        for lane in 0..BLOCK {
            for byte in 0..=255 {
                let mut block = [b'a'; BLOCK];
                block[lane] = byte;
                block[BLOCK - 1 - lane] = b'"';
                surveyed_alike(&block);
            }
        }
    }

    /// Whatever the processor has.
    fn surveyed_alike(text: &[u8]) {
        let surveyed = |by: fn(&[u8], &mut [u64]) -> bool| {
            let mut quotes = vec![0; text.len() / BLOCK + 1];
            let odd = by(text, &mut quotes);
            (quotes, odd)
        };
        let expected = surveyed(bytes::survey);
        assert_eq!(surveyed(survey), expected, "{text:?}");
        #[cfg(target_arch = "x86_64")]
        assert_eq!(surveyed(vectors::survey_sse2), expected, "{text:?}");
    }

    #[test]
    fn every_byte_is_told_in_every_lane() {
        for lane in 0..LANES {
            for byte in 0..=255 {
                let mut bytes = [b'a'; LANES];
                bytes[lane] = byte;
                let expected = matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..);
                assert_eq!(digits(&bytes), bytes::digits(&bytes), "byte {byte:#x} in lane {lane}");
                assert_eq!(stops(&bytes), bytes::stops(&bytes), "byte {byte:#x} in lane {lane}");
                assert_eq!(first_stop(&bytes, 0), expected.then_some(lane), "byte {byte:#x} in lane {lane}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_is_surveyed_byte_by_byte_to_its_end(text in "([a-z]{0,80}\"){0,5}[\n\u{e9}]?") {
            surveyed_alike(text.as_bytes());
        }

        #[test]
        fn the_first_stop_is_found_at_any_distance(text in "[a-z]{0,40}[a-z\"\\\\\n\u{e9}]{0,3}[a-z]{0,40}", from in 0..50_usize) {
            let bytes = text.as_bytes();
            let from = from.min(bytes.len());
            let expected = bytes[from..].iter().position(|it| matches!(it, b'"' | b'\\' | 0..0x20 | 0x80..)).map(|it| from + it);
            prop_assert_eq!(first_stop(bytes, from), expected);
        }
    }
}
