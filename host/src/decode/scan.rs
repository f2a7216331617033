//! One pass over the bytes of a JSON value: finds the texts of wanted fields and checks everything else on the way.
//!
//! It accepts what RFC 8259 accepts, with three bounds of our own: the value is UTF-8, nests at most [`DEPTH_MAX`]
//! deep, and a field that is repeated counts with its last value. It makes no values: a field's text is a slice of the
//! record.

use super::projection::Node;
use super::text;
use std::ops::Range;

/// How deep arrays and objects may nest: the scanner recurses, and a record must not choose the stack's size.
pub(super) const DEPTH_MAX: u32 = 128;

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// The byte at which it was found.
    at: usize,
    kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultKind {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// Something else was expected here.
    Expected(&'static str),
    /// It is JSON, but not an object.
    NotAnObject(&'static str),
    /// Deeper than [`DEPTH_MAX`].
    TooDeep,
}

impl JsonFault {
    /// The reason in words, with what stands in `value` at that place.
    pub fn reason(&self, value: &[u8]) -> String {
        let at = self.at;
        match self.kind {
            FaultKind::NotUtf8 => format!("value is not UTF-8: byte 0x{:02x} at {at}", value[at]),
            FaultKind::NotAnObject(found) => format!("value is {found}, expected a JSON object"),
            FaultKind::TooDeep => format!("value nests more than {DEPTH_MAX} deep at byte {at}"),
            FaultKind::Expected(what) => match value.get(at..).filter(|it| !it.is_empty()) {
                None => format!("value is not JSON: it ends at byte {at}, expected {what}"),
                Some(rest) => {
                    let found = String::from_utf8_lossy(&rest[..rest.len().min(8)]).chars().next().unwrap_or(' ');
                    format!("value is not JSON: found {found:?} at byte {at}, expected {what}")
                }
            },
        }
    }
}

/// A place in one JSON value.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A member of an object, as [`members`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The quoted name.
    pub name: Range<usize>,
    /// The name, the colon and the value.
    pub whole: Range<usize>,
}

/// The top-level members of a JSON object, in order.
///
/// # Errors
/// Where the value is not a JSON object.
pub fn members(value: &[u8]) -> Result<Vec<Member>, JsonFault> {
    let mut scanner = Scanner::new(value)?;
    let mut found = Vec::new();
    scanner.root_object()?;
    scanner.each_member(|scanner, name, _| {
        scanner.skip(1)?;
        found.push(Member { whole: name.start..scanner.at, name });
        Ok(())
    })?;
    scanner.end()?;
    Ok(found)
}

impl<'a> Scanner<'a> {
    /// At the start of `bytes`.
    ///
    /// # Errors
    /// Where they are not UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, JsonFault> {
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(Scanner { bytes, at: 0 }),
            Err(fault) => Err(JsonFault { at: fault.valid_up_to(), kind: FaultKind::NotUtf8 }),
        }
    }

    /// At byte `at` of `bytes`, where a value starts. What is read from there on is not checked to be UTF-8.
    pub(super) fn within(bytes: &'a [u8], at: usize) -> Self {
        Scanner { bytes, at }
    }

    /// The byte that is looked at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Reads the whole record, an object, and leaves the texts of the fields of `root` in `slots`.
    pub(super) fn document(&mut self, root: &Node, slots: &mut [Option<&'a [u8]>]) -> Result<(), JsonFault> {
        self.root_object()?;
        self.object(root, slots, 1)?;
        self.end()
    }

    /// Goes to the opening brace of the record, or says what is there instead.
    pub(super) fn root_object(&mut self) -> Result<(), JsonFault> {
        let found = match self.peek() {
            b'{' => return Ok(()),
            b'[' => "an array",
            b'"' => "a string",
            b't' | b'f' => "a boolean",
            b'n' => "null",
            _ => "a number",
        };
        let at = self.at;
        self.skip(0)?;
        self.end()?;
        Err(JsonFault { at, kind: FaultKind::NotAnObject(found) })
    }

    /// Checks that nothing follows.
    fn end(&mut self) -> Result<(), JsonFault> {
        self.peek();
        if self.at == self.bytes.len() { Ok(()) } else { self.expected("nothing after the value") }
    }

    fn object(&mut self, node: &Node, slots: &mut [Option<&'a [u8]>], depth: u32) -> Result<(), JsonFault> {
        let mut hint = 0;
        self.each_member(|scanner, name, escaped| {
            let Some(child) = node.find(&scanner.bytes[name], escaped, &mut hint) else {
                return scanner.skip(depth);
            };
            scanner.wanted(child, slots, depth)
        })
    }

    /// Goes past the value that starts here, that of the field `child`, and leaves the texts of what is wanted in `slots`.
    #[inline(always)]
    pub(super) fn wanted(&mut self, child: &Node, slots: &mut [Option<&'a [u8]>], depth: u32) -> Result<(), JsonFault> {
        slots[child.subtree.clone()].fill(None); // The last of a repeated name wins, with all that is in it.
        let start = self.at;
        if child.children.is_empty() || self.bytes.get(start) != Some(&b'{') {
            self.skip(depth)?;
        } else if depth >= DEPTH_MAX {
            return self.too_deep();
        } else {
            self.object(child, slots, depth + 1)?;
        }
        if let Some(slot) = child.slot {
            slots[slot] = Some(&self.bytes[start..self.at]);
        }
        Ok(())
    }

    /// Calls `member` at each value of the object that starts here, with the range of its quoted name and whether that
    /// has an escape in it.
    #[inline]
    pub(super) fn each_member(
        &mut self,
        mut member: impl FnMut(&mut Self, Range<usize>, bool) -> Result<(), JsonFault>,
    ) -> Result<(), JsonFault> {
        self.at += 1;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return self.expected("a field name in quotes");
            }
            let start = self.at;
            let escaped = self.string()?;
            let name = start..self.at;
            if self.peek() != b':' {
                return self.expected("`:`");
            }
            self.at += 1;
            self.peek();
            member(self, name, escaped)?;
            match self.peek() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return self.expected("`,` or `}`"),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Goes past any value, checking it; it lies in `depth` arrays and objects.
    pub(super) fn skip(&mut self, depth: u32) -> Result<(), JsonFault> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'{' | b'[' if depth >= DEPTH_MAX => self.too_deep(),
            b'{' => self.each_member(|scanner, _, _| scanner.skip(depth + 1)),
            b'[' => self.array(depth + 1),
            _ => self.expected("a value"),
        }
    }

    fn array(&mut self, depth: u32) -> Result<(), JsonFault> {
        self.at += 1;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => break,
                _ => return self.expected("`,` or `]`"),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is not whitespace, 0 at the end. A NUL byte in the record is no token either.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    /// Goes past the string that starts here; true where it has an escape in it.
    #[inline]
    pub(super) fn string(&mut self) -> Result<bool, JsonFault> {
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            while let Some(chunk) = self.bytes.get(at..).and_then(|it| it.first_chunk::<8>()) {
                let stops = text::stops(u64::from_le_bytes(*chunk));
                if stops != 0 {
                    at += stops.trailing_zeros() as usize / 8;
                    break;
                }
                at += 8;
            }
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    at = self.escape(at)?;
                    escaped = true;
                }
                Some(0x20..) => at += 1,
                Some(_) => return self.expected_at(at, "no control character in a string"),
                None => return self.expected_at(at, "the end of a string"),
            }
        }
        self.at = at + 1;
        Ok(escaped)
    }

    /// Where the string goes on after the escape at `at`.
    fn escape(&self, at: usize) -> Result<usize, JsonFault> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.bytes.get(at + 2..at + 6) {
                Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
                _ => self.expected_at(at, "four hexadecimal digits after `\\u`"),
            },
            _ => self.expected_at(at, "a known escape"),
        }
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Goes past at least one digit.
    fn digits(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { self.expected("a digit") } else { Ok(()) }
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), JsonFault> {
        if !self.bytes[self.at..].starts_with(literal.as_bytes()) {
            return self.expected("a value");
        }
        self.at += literal.len();
        Ok(())
    }

    #[cold]
    fn expected<T>(&self, what: &'static str) -> Result<T, JsonFault> {
        self.expected_at(self.at, what)
    }

    #[cold]
    fn expected_at<T>(&self, at: usize, what: &'static str) -> Result<T, JsonFault> {
        Err(JsonFault { at, kind: FaultKind::Expected(what) })
    }

    #[cold]
    fn too_deep<T>(&self) -> Result<T, JsonFault> {
        Err(JsonFault { at: self.at, kind: FaultKind::TooDeep })
    }
}
