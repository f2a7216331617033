//! Why a field is null: the cold path, which reads the record again.

use super::projection::Projection;
use super::scan::Scanner;
use super::time::shown;
use crate::column::Kind;
use crate::config::{EventTimeOptions, Format, Late, TimeFormat};
use std::sync::Arc;

/// Why the field `path` of a record's value (none for a tombstone) is null where it was read as `kind`.
pub fn explain(value: Option<&[u8]>, path: &str, kind: Kind) -> String {
    let Some(value) = value else {
        return format!("field `{path}` is missing: the record is a tombstone, expected {}", kind.name());
    };
    let own_time = EventTimeOptions {
        field: None,
        format: TimeFormat::EpochMs,
        delay_ms: 0,
        idle_timeout_ms: None,
        late: Late::Drop,
    };
    let projection = match Projection::plan(&[(Arc::from(path), kind)], &own_time, Format::Json) {
        Ok(projection) => projection,
        Err(fault) => return fault.to_string(),
    };
    let mut slots = [None];
    let read = Scanner::new(value).and_then(|mut it| it.document(&projection.root, &mut slots));
    match (read, slots[0]) {
        (Err(fault), _) => fault.reason(value),
        (Ok(()), None) => format!("field `{path}` is missing"),
        (Ok(()), Some(b"null")) => format!("field `{path}` is null, expected {}", kind.name()),
        (Ok(()), Some(text)) => format!("field `{path}` is {}, expected {}", shown(text), kind.name()),
    }
}
