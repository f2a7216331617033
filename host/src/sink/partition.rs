//! Which partition a record goes to: what Java's default partitioner would choose, so that joins by partition work.

/// Java's `Utils.murmur2` (Kafka's, seed 0x9747b28c): the hash that a key's partition is made of. It never changes.
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    for (index, &byte) in rest.iter().enumerate() {
        hash ^= u32::from(byte) << (8 * index);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// Chooses partitions of one topic.
#[derive(Clone, Debug)]
pub struct Partitioner {
    partitions: u32,
    keyless: u32,
}

impl Partitioner {
    /// For a topic of `partitions` partitions, at least 1.
    pub fn new(partitions: u32) -> Self {
        Partitioner { partitions: partitions.max(1), keyless: 0 }
    }

    /// The partition of a key, as Java's default partitioner has it: `toPositive(murmur2(key)) % partitions`.
    pub fn of_key(&self, key: &[u8]) -> i32 {
        ((murmur2(key) & 0x7fff_ffff) % self.partitions) as i32
    }

    /// The partition of the records without a key of one batch: each batch the next one, so that a partition gets few
    /// large pieces.
    pub fn of_next_batch(&mut self) -> i32 {
        let partition = self.keyless;
        self.keyless = (self.keyless + 1) % self.partitions;
        partition as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_gives_the_values_of_kafkas_own_test() {
        let golden: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, expected) in golden {
            assert_eq!(murmur2(key) as i32, expected, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_negative_hash_is_made_positive_by_dropping_its_sign_bit() {
        assert_eq!(Partitioner::new(10).of_key(b"21"), ((-973_932_308_i32 & 0x7fff_ffff) % 10));
        assert_eq!(Partitioner::new(1).of_key(b"anything"), 0);
    }

    #[test]
    fn batches_without_keys_take_turns() {
        let mut partitioner = Partitioner::new(3);
        assert_eq!([(); 4].map(|()| partitioner.of_next_batch()), [0, 1, 2, 0]);
    }
}
