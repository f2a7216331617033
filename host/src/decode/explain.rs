//! Why a field is null: the cold path, which reads the record again.

use super::projection::Projection;
use super::scan::Scanner;
use super::time::shown;
use crate::column::Kind;
use crate::config::{EventTimeOptions, Format, Late, TimeFormat};
use std::sync::Arc;

/// Why the field `path` of a record's value is null where it was read as `kind`, if it is there and not null: then it is
/// of another kind.
pub fn explain_other_kind(value: &[u8], path: &str, kind: Kind) -> Option<String> {
    match read(value, path, kind) {
        Ok(Some(text)) if text != b"null" => Some(other_kind(path, text, kind)),
        _ => None,
    }
}

/// Why the field `path` of a record's value (none for a tombstone) is null where it was read as `kind`.
pub fn explain(value: Option<&[u8]>, path: &str, kind: Kind) -> String {
    let Some(value) = value else {
        return format!("field `{path}` is missing: the record is a tombstone, expected {}", kind.name());
    };
    match read(value, path, kind) {
        Err(reason) => reason,
        Ok(None) => format!("field `{path}` is missing"),
        Ok(Some(b"null")) => format!("field `{path}` is null, expected {}", kind.name()),
        Ok(Some(text)) => other_kind(path, text, kind),
    }
}

fn other_kind(path: &str, text: &[u8], kind: Kind) -> String {
    format!("field `{path}` is {}, expected {}", shown(text), kind.name())
}

/// The text of the field, where it is there.
fn read<'a>(value: &'a [u8], path: &str, kind: Kind) -> Result<Option<&'a [u8]>, String> {
    let own_time = EventTimeOptions {
        field: None,
        format: TimeFormat::EpochMs,
        delay_ms: 0,
        idle_timeout_ms: None,
        drift_ms_max: None,
        late: Late::Drop,
    };
    let projection =
        Projection::plan(&[(Arc::from(path), kind)], &own_time, Format::Json).map_err(|fault| fault.to_string())?;
    let mut slots = [None];
    Scanner::new(value)
        .and_then(|mut it| it.document(&projection.root, &mut slots))
        .map_err(|fault| fault.reason(value))?;
    Ok(slots[0])
}
