//! A TOML document read piece by piece: what is wrong with one key hides nothing of what is wrong with the others.

use serde::de::{DeserializeOwned, IntoDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where it is in the text, if that is known, and what is wrong.
pub(super) type Wrong = (Option<usize>, String);

/// A table that has not been read yet.
pub(super) type Unread<'a> = Spanned<DeTable<'a>>;

/// The document, where its syntax is sound.
pub(super) fn parse(text: &str) -> Result<Unread<'_>, Vec<Wrong>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() { Ok(root) } else { Err(errors.iter().map(said).collect()) }
}

/// Takes the list of tables `key` out of `table`; none where there is no such key. What is no table goes to `wrong`.
pub(super) fn tables<'a>(table: &mut Unread<'a>, key: &str, wrong: &mut Vec<Wrong>) -> Option<Vec<Unread<'a>>> {
    let value = table.get_mut().remove(key)?;
    let span = value.span();
    let DeValue::Array(values) = value.into_inner() else {
        wrong.push((Some(span.start), format!("{key}: expected tables, written [[{key}]]")));
        return Some(Vec::new());
    };
    let mut tables = Vec::new();
    for value in values {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => tables.push(Spanned::new(span, table)),
            other => wrong.push((Some(span.start), format!("{key}: found {}, expected a table", other.type_str()))),
        }
    }
    Some(tables)
}

/// The table as a `T`, whose keys may all be missing. Each key that is wrong goes to `wrong` and is left out.
pub(super) fn read<T: DeserializeOwned>(mut table: Unread<'_>, wrong: &mut Vec<Wrong>) -> Option<T> {
    loop {
        let error = match T::deserialize(table.clone().into_deserializer()) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let (at, problem) = said(&error);
        let culprit = at.and_then(|at| key_at(table.get_ref(), at));
        wrong.push((at, problem));
        table.get_mut().remove(&*culprit?);
    }
}

/// The key that is at `at`, or whose value is.
fn key_at(table: &DeTable<'_>, at: usize) -> Option<String> {
    let found = table.iter().find(|(key, value)| key.span().contains(&at) || value.span().contains(&at));
    found.map(|(key, _)| key.get_ref().to_string())
}

fn said(error: &toml::de::Error) -> Wrong {
    (error.span().map(|it| it.start), error.message().replace('\n', " "))
}
