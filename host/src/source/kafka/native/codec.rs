//! What compressed batches hold, within bounds.

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use std::io::Read;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// Bytes that one batch may become: few bytes can claim to be many.
pub(super) const EXPANDED_BYTES_MAX: usize = 128 << 20;
/// What is made room for at first, as a multiple of the compressed bytes.
const GUESS: usize = 4;
/// The head of snappy data that is cut into blocks, as Java's library writes it, with two numbers behind it.
const XERIAL: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEAD: usize = 16;
/// Three bytes of snappy stand for 64 at most.
const SNAPPY_RATIO_MAX: usize = 22;

/// Why a batch cannot be expanded.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    /// Nobody's number yet.
    #[error("a batch is compressed with codec {0}; known are gzip, snappy, lz4 and zstd (1 to 4)")]
    Unknown(u8),
    /// More than the limit.
    #[error("a batch expands to more than {EXPANDED_BYTES_MAX} bytes")]
    TooLarge,
    /// The codec's word for it.
    #[error("a batch cannot be expanded with {codec}: {reason}")]
    Broken {
        /// Its name.
        codec: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Expands batches; keeps what can be used again.
#[derive(Default)]
pub(super) struct Codecs {
    zstd: Option<Decoder<'static>>,
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Codecs")
    }
}

impl Codecs {
    /// Adds what `input` holds to `out`. On an error `out` may have more than before.
    pub(super) fn expand(&mut self, codec: u8, input: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.expand_within(codec, input, out, EXPANDED_BYTES_MAX)
    }

    /// As [`Codecs::expand`], up to `max` bytes.
    pub(super) fn expand_within(
        &mut self,
        codec: u8,
        input: &[u8],
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), CodecError> {
        match codec {
            0 if input.len() > max => Err(CodecError::TooLarge),
            0 => {
                out.extend_from_slice(input);
                Ok(())
            }
            1 => read("gzip", MultiGzDecoder::new(input), input.len(), out, max),
            2 => snappy(input, out, max),
            3 => read("lz4", FrameDecoder::new(input), input.len(), out, max),
            4 => self.zstd(input, out, max),
            other => Err(CodecError::Unknown(other)),
        }
    }

    fn zstd(&mut self, input: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), CodecError> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new().map_err(|it| broken("zstd", it))?),
        };
        decoder.reinit().map_err(|it| broken("zstd", it))?;
        let start = out.len();
        let mut input = InBuffer::around(input);
        out.reserve(input.src.len().saturating_mul(GUESS).min(max));
        loop {
            let at = out.len();
            if at - start > max {
                return Err(CodecError::TooLarge);
            }
            let mut output = OutBuffer::around_pos(out, at);
            let left = decoder.run(&mut input, &mut output).map_err(|it| broken("zstd", it))?;
            let (moved, full) = (output.pos() > at, output.pos() == output.capacity());
            let all = input.pos() == input.src.len();
            match (left, all) {
                (0, true) if out.len() - start > max => return Err(CodecError::TooLarge),
                (0, true) => return Ok(()),
                _ if full => out.reserve((out.len() - start).clamp(1 << 10, max)),
                _ if moved => {}
                (_, true) => return Err(broken("zstd", "the data end too early")),
                _ => {}
            }
        }
    }
}

fn broken(codec: &'static str, reason: impl ToString) -> CodecError {
    CodecError::Broken { codec, reason: reason.to_string() }
}

fn read(codec: &'static str, reader: impl Read, len: usize, out: &mut Vec<u8>, max: usize) -> Result<(), CodecError> {
    out.reserve(len.saturating_mul(GUESS).min(max));
    let got = reader.take(max as u64 + 1).read_to_end(out).map_err(|it| broken(codec, it))?;
    if got > max { Err(CodecError::TooLarge) } else { Ok(()) }
}

fn snappy(input: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), CodecError> {
    if !input.starts_with(XERIAL) {
        return snappy_block(input, out, max);
    }
    let mut rest = input.get(XERIAL_HEAD..).ok_or(broken("snappy", "the data end too early"))?;
    let start = out.len();
    while !rest.is_empty() {
        let head = rest.split_first_chunk::<4>();
        let block = head.and_then(|(len, rest)| rest.split_at_checked(u32::from_be_bytes(*len) as usize));
        let (block, behind) = block.ok_or(broken("snappy", "the data end too early"))?;
        snappy_block(block, out, max - (out.len() - start))?;
        rest = behind;
    }
    Ok(())
}

fn snappy_block(input: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), CodecError> {
    let len = snap::raw::decompress_len(input).map_err(|it| broken("snappy", it))?;
    if len > max {
        return Err(CodecError::TooLarge);
    }
    if len / SNAPPY_RATIO_MAX > input.len() {
        return Err(broken("snappy", "it claims to be more than it can be"));
    }
    let start = out.len();
    out.resize(start + len, 0);
    let got = snap::raw::Decoder::new().decompress(input, &mut out[start..]).map_err(|it| broken("snappy", it))?;
    out.truncate(start + got);
    Ok(())
}
