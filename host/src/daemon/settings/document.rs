//! The file as written, and its check: everything that is wrong is said at once.

use super::{Limits, Overrides, Settings, SettingsError, Tls, UPLOAD_BYTES_MAX, connections};
use crate::config::{duration_ms, size_bytes};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    listen: Option<String>,
    data_dir: Option<PathBuf>,
    files: Option<Vec<PathBuf>>,
    stop_within: Option<String>,
    log: RawLog,
    auth: RawAuth,
    tls: Option<RawTls>,
    limits: RawLimits,
    connections: BTreeMap<String, connections::Raw>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLog {
    format: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawAuth {
    tokens: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    upload_max: Option<String>,
    connections_max: Option<usize>,
    uploads_max: Option<usize>,
    compile_time_max: Option<String>,
    compile_cpu_max: Option<String>,
    compile_memory_max: Option<String>,
    pipelines_max: Option<usize>,
    workers: Option<usize>,
}

/// Parses and checks `text`, which messages call `file`; relative paths are below `base`.
pub(super) fn check(text: &str, base: &Path, file: &str, overrides: &Overrides) -> Result<Settings, SettingsError> {
    let raw: Raw = toml::from_str(text)
        .map_err(|error| SettingsError(vec![format!("{file}: {}", error.to_string().trim_end())]))?;
    let mut errors = Vec::new();
    let listen = match (overrides.listen, raw.listen) {
        (Some(listen), _) => listen,
        (None, None) => SocketAddr::from(([127, 0, 0, 1], 7878)),
        (None, Some(text)) => text.parse().unwrap_or_else(|_| {
            errors.push(format!("listen: found {text:?}, expected an address and a port such as \"127.0.0.1:7878\""));
            SocketAddr::from(([127, 0, 0, 1], 7878))
        }),
    };
    let data_dir = match &overrides.data_dir {
        Some(dir) => dir.clone(),
        None => base.join(raw.data_dir.unwrap_or_else(|| PathBuf::from("wasmill-data"))),
    };
    let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
    let files = match raw.files {
        None => vec![data_dir.join("files")],
        Some(list) => {
            list.into_iter().map(|it| base.join(it)).map(|it| std::path::absolute(&it).unwrap_or(it)).collect()
        }
    };
    let log_json = match raw.log.format.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            errors.push(format!("log.format: found {other:?}, expected \"text\" or \"json\""));
            false
        }
    };
    let stop_within = duration("stop_within", raw.stop_within, 30_000, &mut errors);
    let limits = limits(raw.limits, &mut errors);
    let connections = raw
        .connections
        .into_iter()
        .map(|(name, raw)| {
            let connection = connections::check(&name, raw, base, &mut errors);
            (name, connection)
        })
        .collect();
    let tls = raw.tls.map(|it| Tls { certificate: base.join(it.certificate), key: base.join(it.key) });
    let tokens = raw.auth.tokens.map(|it| base.join(it));
    if !errors.is_empty() {
        return Err(SettingsError(errors.into_iter().map(|it| format!("{file}: {it}")).collect()));
    }
    Ok(Settings { listen, data_dir, files, stop_within, log_json, tokens, tls, limits, connections })
}

fn limits(raw: RawLimits, errors: &mut Vec<String>) -> Limits {
    let upload_bytes_max = size("limits.upload_max", raw.upload_max, UPLOAD_BYTES_MAX, errors);
    if upload_bytes_max > UPLOAD_BYTES_MAX {
        errors.push(format!("limits.upload_max: found {upload_bytes_max} bytes, expected at most 128MiB"));
    }
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let workers = match raw.workers.map(NonZeroUsize::new) {
        None => cores,
        Some(Some(workers)) => workers,
        Some(None) => {
            errors.push("limits.workers: found 0, expected at least 1".to_owned());
            cores
        }
    };
    Limits {
        upload_bytes_max,
        connections_max: count("limits.connections_max", raw.connections_max, 1_024, errors),
        uploads_max: count("limits.uploads_max", raw.uploads_max, 8, errors),
        compile_time_max: duration("limits.compile_time_max", raw.compile_time_max, 120_000, errors),
        compile_cpu_max: duration("limits.compile_cpu_max", raw.compile_cpu_max, 120_000, errors),
        compile_bytes_max: size("limits.compile_memory_max", raw.compile_memory_max, 4 << 30, errors),
        pipelines_max: count("limits.pipelines_max", raw.pipelines_max, 256, errors),
        workers,
    }
}

fn duration(key: &str, text: Option<String>, default_ms: u64, errors: &mut Vec<String>) -> Duration {
    let ms = match text.as_deref().map(|it| (it, duration_ms(it))) {
        None => default_ms,
        Some((_, Ok(ms))) if ms > 0 => ms,
        Some((text, Ok(_))) => {
            errors.push(format!("{key}: found {text:?}, expected more than nothing"));
            default_ms
        }
        Some((text, Err(expected))) => {
            errors.push(format!("{key}: found {text:?}, expected {expected}"));
            default_ms
        }
    };
    Duration::from_millis(ms)
}

fn size(key: &str, text: Option<String>, default: u64, errors: &mut Vec<String>) -> u64 {
    match text.as_deref().map(|it| (it, size_bytes(it))) {
        None => default,
        Some((_, Ok(bytes))) if bytes > 0 => bytes,
        Some((text, Ok(_))) => {
            errors.push(format!("{key}: found {text:?}, expected more than nothing"));
            default
        }
        Some((text, Err(expected))) => {
            errors.push(format!("{key}: found {text:?}, expected {expected}"));
            default
        }
    }
}

fn count(key: &str, found: Option<usize>, default: usize, errors: &mut Vec<String>) -> usize {
    if found == Some(0) {
        errors.push(format!("{key}: found 0, expected at least 1"));
    }
    found.unwrap_or(default)
}
