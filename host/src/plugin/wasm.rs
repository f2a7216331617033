//! What a file is, by its bytes, before any compiler sees it: so that a truncated download is called one.

use super::error::LoadError;

/// What can be made a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A component.
    Component,
    /// A core module that carries the section with its WIT.
    Module,
}

const MAGIC: &[u8] = b"\0asm";
const HEADER_BYTES: usize = 8;

/// Walks the sections of `bytes` without looking into them, except for the names of custom ones.
pub(super) fn form(plugin: &str, bytes: &[u8]) -> Result<Form, LoadError> {
    let plugin = plugin.to_owned();
    if bytes.is_empty() {
        return Err(LoadError::Empty { plugin });
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(LoadError::Precompiled { plugin, found: "an ELF file, as `wasmtime compile` writes" });
    }
    if bytes.starts_with(b"MZ") || bytes.starts_with(b"\xcf\xfa\xed\xfe") {
        return Err(LoadError::Precompiled { plugin, found: "an executable of this or another system" });
    }
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(LoadError::NotWasm { plugin, found: describe(bytes) });
    }
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(LoadError::Truncated {
            plugin,
            found: format!("{} bytes, the header alone has {HEADER_BYTES}", bytes.len()),
        });
    };
    let component = match header[4..] {
        [1, 0, 0, 0] => false,
        [13, 0, 1, 0] => true,
        [a, b, c, d] => {
            let detail = format!("version {a} {b} {c} {d}, expected 1 0 0 0 (module) or 13 0 1 0 (component)");
            return Err(LoadError::Invalid { plugin, detail });
        }
        _ => unreachable!("four bytes of eight"),
    };
    let mut described = false;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let Some((id, body)) = section(&mut rest) else {
            let found = format!("the section at byte {at} goes on past the end of the file, at byte {}", bytes.len());
            return Err(LoadError::Truncated { plugin, found });
        };
        described |= id == 0 && custom_name(body).is_some_and(|it| it.starts_with(b"component-type"));
    }
    match (component, described) {
        (true, _) => Ok(Form::Component),
        (false, true) => Ok(Form::Module),
        (false, false) => Err(LoadError::NoInterface { plugin }),
    }
}

/// Takes the next section: its id and its body.
pub(super) fn section<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&id, mut rest) = bytes.split_first()?;
    let body = prefixed(&mut rest)?;
    *bytes = rest;
    Some((id, body))
}

fn custom_name(mut body: &[u8]) -> Option<&[u8]> {
    prefixed(&mut body)
}

/// Takes bytes with their length before them (LEB128 of 32 bits).
fn prefixed<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut len = 0u64;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        len |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let (head, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
            *bytes = rest;
            return Some(head);
        }
    }
    None
}

fn describe(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(8)];
    if bytes.trim_ascii_start().starts_with(b"(module") || bytes.trim_ascii_start().starts_with(b"(component") {
        return "it is WebAssembly text (assemble it with `wasm-tools parse`)".to_owned();
    }
    if head.starts_with(b"\x1f\x8b") || head.starts_with(b"PK\x03\x04") || head.starts_with(b"\x28\xb5\x2f\xfd") {
        return "it is compressed (unpack it)".to_owned();
    }
    if bytes.iter().take(64).all(|it| it.is_ascii_graphic() || it.is_ascii_whitespace()) {
        let text: String = bytes.iter().take(24).map(|&it| it as char).collect();
        return format!("it is text (`{}`)", text.escape_debug());
    }
    let hex: Vec<_> = head.iter().map(|it| format!("{it:02x}")).collect();
    format!("it begins with `{}`", hex.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(bytes: &[u8], expected: Expect) {
        expected.assert_eq(&match form("p.wasm", bytes) {
            Ok(form) => format!("{form:?}"),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn a_file_is_called_what_it_is() {
        check(b"", expect!["plugin p.wasm: the file is empty; build the plugin again"]);
        check(
            b"\0as",
            expect!["plugin p.wasm: truncated: 3 bytes, the header alone has 8; copy or build the file again"],
        );
        check(
            b"{\"name\": 1}",
            expect![[
                r#"plugin p.wasm: not WebAssembly: it is text (`{\"name\": 1}`), expected `00 61 73 6d`; give the path of a component (`.wasm`)"#
            ]],
        );
        check(
            b"(component)",
            expect![
                "plugin p.wasm: not WebAssembly: it is WebAssembly text (assemble it with `wasm-tools parse`), expected `00 61 73 6d`; give the path of a component (`.wasm`)"
            ],
        );
        check(
            b"\x7fELF\x02\x01",
            expect![
                "plugin p.wasm: precompiled or native code (an ELF file, as `wasmtime compile` writes), which is never run; give the `.wasm` that it was made from"
            ],
        );
        check(
            b"\0asm\x02\0\0\0",
            expect![
                "plugin p.wasm: not valid WebAssembly: version 2 0 0 0, expected 1 0 0 0 (module) or 13 0 1 0 (component); build it again with current tools"
            ],
        );
        check(
            b"\0asm\x01\0\0\0",
            expect![
                "plugin p.wasm: a core module without an interface (no `component-type` section), expected a component; build it with the SDK or with bindings made from wasmill.wit, or embed the WIT with `wasm-tools component embed`"
            ],
        );
        check(
            b"\0asm\x01\0\0\0\x01\x05ab",
            expect![
                "plugin p.wasm: truncated: the section at byte 8 goes on past the end of the file, at byte 12; copy or build the file again"
            ],
        );
        check(b"\0asm\x01\0\0\0\x00\x10\x0fcomponent-type:", expect!["Module"]);
        check(b"\0asm\x0d\0\x01\0", expect!["Component"]);
    }

    #[test]
    fn a_length_of_more_than_32_bits_is_no_length() {
        assert!(matches!(form("p", b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\xff\x01"), Err(LoadError::Truncated { .. })));
    }
}
