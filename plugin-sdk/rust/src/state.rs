//! A key's state and a window's accumulator as bytes: JSON, which a person can read and a later version of a plugin can migrate.
//!
//! JSON has no NaN and no infinity: a state must hold none (serde_json writes them as `null`, which is no number when read again).

use crate::wire::{Column, Strings, Values};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The byte strings of a column, one a group, null where a group has none.
pub(crate) struct Stored<'a> {
    strings: &'a Strings,
    nulls: &'a [u8],
}

impl<'a> Stored<'a> {
    /// `column`, which must be of kind `bytes`; `what` is for the error.
    pub(crate) fn of(column: &'a Column, what: &str) -> Result<Self, String> {
        let Values::Bytes(strings) = &column.values else { return Err(format!("the {what} are not bytes")) };
        Ok(Stored { strings, nulls: &column.nulls })
    }

    /// All of `strings`, none of them null.
    pub(crate) fn present(strings: &'a Strings) -> Self {
        Stored { strings, nulls: &[] }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.strings.offsets.len().saturating_sub(1)
    }

    /// The value of `group`, or none where it is null.
    pub(crate) fn read<S: DeserializeOwned>(&self, group: usize) -> Result<Option<S>, String> {
        if self.nulls.get(group) == Some(&1) {
            return Ok(None);
        }
        decode(self.bytes(group)?).map(Some)
    }

    /// The bytes of `group`.
    pub(crate) fn bytes(&self, group: usize) -> Result<&'a [u8], String> {
        let bound = |at: usize| self.strings.offsets.get(at).map(|&it| it as usize);
        let bytes = bound(group).zip(bound(group + 1)).and_then(|(start, end)| self.strings.data.get(start..end));
        bytes.ok_or_else(|| format!("the host handed over no bytes for group {group}"))
    }
}

/// Reads a state or an accumulator.
pub(crate) fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        format!("the stored state is not what this version of the plugin writes ({error}): raise `state_version` and migrate it")
    })
}

/// Byte strings to hand back, one a group.
pub(crate) struct Store {
    strings: Strings,
    nulls: Vec<u8>,
}

impl Store {
    /// None yet, with room for `groups`.
    pub(crate) fn with_capacity(groups: usize) -> Self {
        let mut offsets = Vec::with_capacity(groups + 1);
        offsets.push(0);
        Store { strings: Strings { offsets, data: Vec::with_capacity(groups * 32) }, nulls: Vec::new() }
    }

    /// Adds the next group's value; none is null.
    pub(crate) fn write<S: Serialize>(&mut self, state: Option<&S>) -> Result<(), String> {
        let groups = self.strings.offsets.len() - 1;
        match state {
            Some(state) => {
                serde_json::to_writer(&mut self.strings.data, state)
                    .map_err(|error| format!("a state that JSON cannot hold: {error}"))?;
                if !self.nulls.is_empty() {
                    self.nulls.push(0);
                }
            }
            None => {
                self.nulls.resize(groups, 0);
                self.nulls.push(1);
            }
        }
        self.strings.offsets.push(self.strings.data.len() as u32);
        Ok(())
    }

    /// The column, of kind `bytes`.
    pub(crate) fn into_column(self) -> Column {
        Column { values: Values::Bytes(self.strings), nulls: self.nulls }
    }

    /// The strings, when none is null.
    pub(crate) fn into_strings(self) -> Strings {
        self.strings
    }
}
