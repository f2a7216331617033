//! The few bytes that a commit point carries: which manifest is committed, and what is in it.

use super::{CheckpointError, Epoch};
use std::fmt;
use std::str::FromStr;

/// Names one manifest and the bytes that it must have.
///
/// Written `wasmill/1 epoch=N manifest=NAME sha256=HEX`, at most 256 bytes: it rides in the metadata of Kafka offsets, where
/// a broker allows 4,096. A reader passes over further `key=value` words, so that later versions can add some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The epoch whose end the manifest describes.
    pub epoch: Epoch,
    /// File name of the manifest, without a folder.
    pub manifest: String,
    /// SHA-256 of the manifest's bytes.
    pub sha256: [u8; 32],
}

const VERSION: &str = "wasmill/1";

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION} epoch={} manifest={} sha256={}", self.epoch, self.manifest, hex(&self.sha256))
    }
}

impl FromStr for Pointer {
    type Err = CheckpointError;

    /// Anyone who may commit offsets can write this text: a manifest's name is accepted only in the form that a store gives.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let refuse =
            |found: &str| CheckpointError::Pointer { text: text.chars().take(256).collect(), found: found.to_owned() };
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(VERSION) {
            return Err(refuse("it does not begin with `wasmill/1`"));
        }
        let (mut epoch, mut manifest, mut sha256) = (None, None, None);
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| refuse("a word is not `key=value`"))?;
            match key {
                "epoch" => epoch = value.parse().ok(),
                "manifest" => manifest = Some(value),
                "sha256" => sha256 = unhex(value),
                _ => {}
            }
        }
        let epoch = Epoch(epoch.ok_or_else(|| refuse("`epoch` is missing or not a number"))?);
        let manifest = manifest.ok_or_else(|| refuse("`manifest` is missing"))?;
        if manifest_epoch(manifest) != Some(epoch) || manifest.len() > 100 {
            return Err(refuse("`manifest` is not the name of that epoch's manifest"));
        }
        let sha256 = sha256.ok_or_else(|| refuse("`sha256` is missing or not 64 hexadecimal digits"))?;
        Ok(Pointer { epoch, manifest: manifest.to_owned(), sha256 })
    }
}

/// The epoch in `manifest-EPOCH-RUN-SERIAL.json`; none for any other name.
pub(super) fn manifest_epoch(name: &str) -> Option<Epoch> {
    let stem = name.strip_prefix("manifest-")?.strip_suffix(".json")?;
    let (epoch, rest) = stem.split_once('-')?;
    let plain = rest.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    if plain { epoch.parse().ok().map(Epoch) } else { None }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const TEXT: &str = "wasmill/1 epoch=7 manifest=manifest-000000000007-r1-3.json \
        sha256=abababababababababababababababababababababababababababababababab";

    #[test]
    fn a_pointer_reads_back_and_its_text_never_changes() {
        let pointer =
            Pointer { epoch: Epoch(7), manifest: "manifest-000000000007-r1-3.json".to_owned(), sha256: [0xab; 32] };
        assert_eq!(pointer.to_string(), TEXT);
        assert_eq!(TEXT.parse::<Pointer>().unwrap(), pointer);
        assert_eq!(format!("{TEXT} watermark=12").parse::<Pointer>().unwrap(), pointer);
    }

    #[test]
    fn text_that_is_no_pointer_is_refused_with_what_is_wrong() {
        let check = |text: &str| text.parse::<Pointer>().unwrap_err().to_string();
        let mut seen = String::new();
        for text in [
            "".to_owned(),
            "wasmill/2 epoch=7".to_owned(),
            "wasmill/1 epoch=seven".to_owned(),
            TEXT.replace("manifest-0", "../manifest-0"),
            TEXT.replace("r1-3", "r1/../../3"),
            TEXT.replace("epoch=7", "epoch=8"),
            TEXT.replace("=abab", "=ab"),
            TEXT.replace("=ab", "=é"),
        ] {
            let error = check(&text);
            let start = error.find("checkpoint: ").unwrap();
            seen.push_str(&error[start..error.find(';').unwrap()]);
            seen.push('\n');
        }
        expect![[r#"
            checkpoint: it does not begin with `wasmill/1`
            checkpoint: it does not begin with `wasmill/1`
            checkpoint: `epoch` is missing or not a number
            checkpoint: `manifest` is not the name of that epoch's manifest
            checkpoint: `manifest` is not the name of that epoch's manifest
            checkpoint: `manifest` is not the name of that epoch's manifest
            checkpoint: `sha256` is missing or not 64 hexadecimal digits
            checkpoint: `sha256` is missing or not 64 hexadecimal digits
        "#]]
        .assert_eq(&seen);
    }
}
