//! Puts a component into an adapter that was composed for it beforehand, with a placeholder in its place.
//!
//! Composing takes types to be compared and encoded; all of that was done when the adapter was built. What is left is to swap one section,
//! and the compiler checks the whole as it checks any component.

use super::wasm::{self, Form};

/// In the placeholder's `component-name` section.
const MARK: &[u8] = b"wasmill-placeholder";

/// The section that holds a nested component.
const COMPONENT: u8 = 4;

const HEADER_BYTES: usize = 8;

/// Why a component cannot be put into an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdaptError {
    /// One of the two is no component.
    #[error("the {0} is no WebAssembly component")]
    NoComponent(&'static str),
    /// The adapter has no placeholder, or more than one.
    #[error("the adapter has {0} placeholders, expected 1")]
    Placeholders(usize),
}

/// `adapter` with `component` in the place of its placeholder. Whether the types fit is found when the result is loaded.
///
/// # Errors
/// One of the two is no component, or the adapter has no placeholder.
pub fn adapt(adapter: &[u8], component: &[u8]) -> Result<Vec<u8>, AdaptError> {
    let is_component = |bytes| matches!(wasm::form("", bytes), Ok(Form::Component));
    if !is_component(component) {
        return Err(AdaptError::NoComponent("plugin"));
    }
    if !is_component(adapter) {
        return Err(AdaptError::NoComponent("adapter"));
    }
    let (header, mut rest) = adapter.split_at(HEADER_BYTES);
    let mut out = Vec::with_capacity(adapter.len() + component.len());
    out.extend_from_slice(header);
    let mut placeholders = 0;
    while let Some((id, body)) = wasm::section(&mut rest) {
        let marked = id == COMPONENT && body.windows(MARK.len()).any(|it| it == MARK);
        placeholders += usize::from(marked);
        let body = if marked { component } else { body };
        out.push(id);
        length(body.len(), &mut out);
        out.extend_from_slice(body);
    }
    if placeholders == 1 { Ok(out) } else { Err(AdaptError::Placeholders(placeholders)) }
}

/// Writes a length as LEB128.
fn length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn holding(bodies: &[&[u8]]) -> Vec<u8> {
        let mut out = EMPTY.to_vec();
        for body in bodies {
            out.push(COMPONENT);
            length(body.len(), &mut out);
            out.extend_from_slice(body);
        }
        out
    }

    fn placeholder() -> Vec<u8> {
        [EMPTY, b"\x00\x14\x13", MARK].concat()
    }

    #[test]
    fn the_placeholder_and_nothing_else_is_replaced() {
        let (other, large) = (EMPTY, [EMPTY, b"\x00\xc8\x01\x01x", &[7; 198]].concat());
        let adapter = holding(&[other, &placeholder(), other]);
        assert_eq!(adapt(&adapter, &large).unwrap(), holding(&[other, &large, other]));
    }

    #[test]
    fn what_is_no_component_or_has_no_placeholder_is_refused() {
        let good = holding(&[&placeholder()]);
        assert_eq!(adapt(&good, b"\0asm\x01\0\0\0"), Err(AdaptError::NoComponent("plugin")));
        assert_eq!(adapt(b"nothing", EMPTY), Err(AdaptError::NoComponent("adapter")));
        assert_eq!(adapt(EMPTY, EMPTY), Err(AdaptError::Placeholders(0)));
        assert_eq!(adapt(&holding(&[&placeholder(), &placeholder()]), EMPTY), Err(AdaptError::Placeholders(2)));
    }
}
