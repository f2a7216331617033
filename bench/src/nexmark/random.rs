//! ShuffleBench's records: random bytes, the same wherever they are made.

/// Bytes of a record, as ShuffleBench has them.
const RECORD_BYTES: usize = 1_024;

/// Appends record `index`.
pub fn append(index: u64, value: &mut Vec<u8>) {
    for word in 0..(RECORD_BYTES / 8) as u64 {
        value.extend_from_slice(&mix(index * (RECORD_BYTES / 8) as u64 + word).to_be_bytes());
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn mix(number: u64) -> u64 {
    let mut mixed = (number ^ 0x5851_F42D_4C95_7F2D).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
