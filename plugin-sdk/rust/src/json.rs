//! Fields of kind `json`: how arrays and objects travel.

use crate::Reject;
use serde::Deserialize;

/// Any value that serde can write, as an output row's field of kind `json`.
///
/// ```
/// use wasmill_plugin::prelude::*;
///
/// #[derive(Emit)]
/// struct Alert {
///     alerts: Json<Vec<String>>,
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A field of kind `json`, read: the value's text, parsed when the rule asks for it. Emitted, it goes out as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonText<'a>(pub &'a str);

impl<'a> JsonText<'a> {
    /// The value as `T`, which may borrow from the batch. The error rejects the record when a rule returns it with `?`.
    pub fn parse<T: Deserialize<'a>>(self) -> Result<T, Reject> {
        serde_json::from_str(self.0).map_err(|error| Reject::new(format!("expected another JSON value: {error}")))
    }
}
