//! Reads every kind, required and optional, and writes what it read.

use wasmill_plugin::NoConfig;
use wasmill_plugin::prelude::*;

#[derive(Record)]
pub(crate) struct Reads<'a> {
    int: i64,
    float: f64,
    flag: bool,
    text: &'a str,
    raw: &'a [u8],
    json: JsonText<'a>,
    #[field("in.ner")]
    inner: i64,
    maybe_int: Option<i64>,
    maybe_float: Option<f64>,
    maybe_flag: Option<bool>,
    maybe_text: Option<&'a str>,
    maybe_raw: Option<&'a [u8]>,
    maybe_json: Option<JsonText<'a>>,
    #[field("in.maybe")]
    maybe_inner: Option<&'a str>,
}

#[derive(Emit)]
pub(crate) struct Writes<'a> {
    int: i64,
    float: f64,
    flag: bool,
    text: &'a str,
    bytes: i64,
    json: JsonText<'a>,
    inner: i64,
    maybe_int: Option<i64>,
    maybe_float: Option<f64>,
    maybe_flag: Option<bool>,
    maybe_text: Option<&'a str>,
    maybe_bytes: Option<i64>,
    maybe_json: Option<JsonText<'a>>,
    maybe_inner: Option<&'a str>,
}

/// Writes what it read; of bytes, how many they are.
#[wasmill_plugin::transform]
pub(crate) fn kinds(row: Reads<'_>, _config: &NoConfig, out: &mut Output<Writes<'_>>) {
    out.emit(Writes {
        int: row.int,
        float: row.float,
        flag: row.flag,
        text: row.text,
        bytes: row.raw.len() as i64,
        json: row.json,
        inner: row.inner,
        maybe_int: row.maybe_int,
        maybe_float: row.maybe_float,
        maybe_flag: row.maybe_flag,
        maybe_text: row.maybe_text,
        maybe_bytes: row.maybe_raw.map(|it| it.len() as i64),
        maybe_json: row.maybe_json,
        maybe_inner: row.maybe_inner,
    });
}
