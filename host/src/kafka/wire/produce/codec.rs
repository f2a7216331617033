//! Compresses the records of a batch.

use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;
use std::io::Write;
use zstd::bulk::Compressor;

/// How records are compressed, by the number that a batch has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    /// The codec of that name in a pipeline file; none for one that there is not.
    pub(crate) fn named(name: &str) -> Option<Codec> {
        let names = [
            ("none", Codec::None),
            ("gzip", Codec::Gzip),
            ("snappy", Codec::Snappy),
            ("lz4", Codec::Lz4),
            ("zstd", Codec::Zstd),
        ];
        names.into_iter().find(|it| it.0 == name).map(|it| it.1)
    }
}

/// Compresses batches; keeps what can be used again.
#[derive(Default)]
pub(crate) struct Codecs {
    zstd: Option<Compressor<'static>>,
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Codecs")
    }
}

impl Codecs {
    /// What `records` become; none where they are better sent as they are: not compressed, or not smaller for it.
    pub(super) fn compress(&mut self, codec: Codec, records: &[u8]) -> Option<Vec<u8>> {
        let compressed = match codec {
            Codec::None => None,
            Codec::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(records).and_then(|()| encoder.finish()).ok()
            }
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(records).ok(),
            Codec::Lz4 => {
                let mut encoder = FrameEncoder::new(Vec::new());
                encoder.write_all(records).ok().and_then(|()| encoder.finish().ok())
            }
            Codec::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL).ok();
                }
                self.zstd.as_mut().and_then(|it| it.compress(records).ok())
            }
        };
        compressed.filter(|it| it.len() < records.len())
    }
}
