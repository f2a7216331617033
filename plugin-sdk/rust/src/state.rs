//! A key's state and a window's accumulator as bytes: JSON, which a person can read and a later version of a plugin can migrate,
//! or a form of the plugin's own.

use crate::wire::{Column, Strings, Values};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a key's state or a window's accumulator can be: anything that serde can write, stored as JSON, or a type that says itself
/// which bytes it is stored as, where JSON is too slow or too large.
///
/// JSON has no NaN and no infinity: a state that is stored as JSON must hold none (serde_json writes them as `null`, which is no
/// number when read again).
///
/// A type with a form of its own implements this trait and not serde's. [`Bytes`] is one, for raw bytes.
///
/// ```
/// use wasmill_plugin::State;
///
/// /// Stored in eight bytes.
/// #[derive(Debug, PartialEq)]
/// struct Count(u64);
///
/// impl State for Count {
///     fn load(bytes: &[u8]) -> Result<Self, String> {
///         let bytes = bytes.try_into().map_err(|_| format!("{} bytes, expected 8", bytes.len()))?;
///         Ok(Count(u64::from_le_bytes(bytes)))
///     }
///
///     fn store(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
///         bytes.extend_from_slice(&self.0.to_le_bytes());
///         Ok(())
///     }
/// }
/// # assert_eq!(Count::load(&[3, 0, 0, 0, 0, 0, 0, 0]), Ok(Count(3)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored as a plugin's state",
    note = "derive `serde::Serialize` and `serde::Deserialize` to store it as JSON, or implement `wasmill_plugin::State`"
)]
pub trait State: Sized {
    /// Reads what [`State::store`] wrote.
    ///
    /// # Errors
    /// What is wrong with the bytes: nothing that this version of the plugin writes.
    fn load(bytes: &[u8]) -> Result<Self, String>;

    /// Appends the form in which it is stored.
    ///
    /// # Errors
    /// Why it has none.
    fn store(&self, bytes: &mut Vec<u8>) -> Result<(), String>;
}

impl<S: Serialize + DeserializeOwned> State for S {
    fn load(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    fn store(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        serde_json::to_writer(bytes, self).map_err(|error| format!("a state that JSON cannot hold: {error}"))
    }
}

/// State that is stored as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl State for Bytes {
    fn load(bytes: &[u8]) -> Result<Self, String> {
        Ok(Bytes(bytes.to_vec()))
    }

    fn store(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.extend_from_slice(&self.0);
        Ok(())
    }
}

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
    pub(crate) fn read<S: State>(&self, group: usize) -> Result<Option<S>, String> {
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
pub(crate) fn decode<S: State>(bytes: &[u8]) -> Result<S, String> {
    S::load(bytes).map_err(|error| {
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
    pub(crate) fn write<S: State>(&mut self, state: Option<&S>) -> Result<(), String> {
        let groups = self.strings.offsets.len() - 1;
        match state {
            Some(state) => {
                state.store(&mut self.strings.data)?;
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
