//! Components that are no plugins, and plugins that differ.

/// A component that exports one empty interface of a world that is not wasmill's.
pub fn of_another_world() -> Vec<u8> {
    let name = b"wasi:cli/run@0.2.0";
    // The component preamble; an instance section with one instance of no exports; an export section that names it.
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend([5, 3, 1, 1, 0]);
    let mut export = vec![1, 0, name.len() as u8];
    export.extend(name);
    export.extend([5, 0, 0]);
    bytes.extend([11, export.len() as u8]);
    bytes.extend(export);
    bytes
}

/// A core module without anything in it, and so without the section that would make it a component.
pub fn core_module() -> Vec<u8> {
    b"\0asm\x01\0\0\0".to_vec()
}

/// The same component with every `from` replaced by a `to` of the same length, in the order given, each place once.
pub fn replaced(component: &[u8], pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let (mut at, mut found) = (0, false);
    while at < bytes.len() {
        match pairs.iter().find(|(from, _)| bytes[at..].starts_with(from)) {
            Some((from, to)) => {
                assert_eq!(from.len(), to.len(), "other lengths make another file");
                bytes[at..at + from.len()].copy_from_slice(to);
                (at, found) = (at + from.len(), true);
            }
            None => at += 1,
        }
    }
    assert!(found, "nothing to replace");
    bytes
}

/// The same component with a note in it: another version, by another digest, that does the same.
pub fn with_note(component: &[u8], note: &str) -> Vec<u8> {
    let mut bytes = component.to_vec();
    // A custom section: its length, the length of its name, the name.
    bytes.extend([0, note.len() as u8 + 1, note.len() as u8]);
    bytes.extend(note.as_bytes());
    bytes
}
