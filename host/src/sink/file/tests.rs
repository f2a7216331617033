use super::*;
use crate::batch::{RawRecord, Span};
use std::sync::Arc;

fn rows(values: &[&str]) -> RawRows {
    let arena: String = values.concat();
    let mut start = 0;
    let records = values.iter().map(|it| {
        start += it.len();
        let value = Span { start: (start - it.len()) as u32, len: it.len() as u32 };
        RawRecord { key: Span::NULL, value, headers: Span::NULL }
    });
    RawRows { records: records.collect(), arena: Arc::new(arena.into_bytes()) }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn sink(folder: &Path) -> FileSink {
    FileSink::open(folder, "fraud", 0, Format::Json).unwrap()
}

#[test]
fn lines_are_hidden_until_they_are_published() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/here");
    let mut sink = sink(&folder);
    sink.append(&rows(&["1", "{\"a\":2}"])).unwrap();
    sink.append(&rows(&["3"])).unwrap();
    let staged = sink.seal(7).unwrap().unwrap();
    assert_eq!(names(&folder), [".stage-fraud-0-0"]);
    assert_eq!((staged.published.as_str(), staged.bytes), ("part-000000000007-0.jsonl", 12));
    FileSink::publish(&folder, std::slice::from_ref(&staged)).unwrap();
    assert_eq!(names(&folder), ["part-000000000007-0.jsonl"]);
    let text = std::fs::read(folder.join(&staged.published)).unwrap();
    assert_eq!((text.as_slice(), crc32c::crc32c(&text)), (&b"1\n{\"a\":2}\n3\n"[..], staged.crc));
    FileSink::publish(&folder, &[staged]).unwrap(); // Again, as after a crash.
    assert!(sink.seal(8).unwrap().is_none());
}

#[test]
fn a_start_keeps_what_is_committed_and_discards_the_rest_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = sink(folder.path());
    first.append(&rows(&["1"])).unwrap();
    let committed = first.seal(1).unwrap().unwrap();
    first.append(&rows(&["2"])).unwrap();
    first.seal(2).unwrap().unwrap();
    first.append(&rows(&["3"])).unwrap();
    std::mem::forget(first); // Killed with an epoch open.
    std::fs::write(folder.path().join(".stage-fraud-2-0-0"), "another pipeline's").unwrap();
    let removed = FileSink::discard_unknown(folder.path(), "fraud", std::slice::from_ref(&committed)).unwrap();
    assert_eq!(removed, 2);
    assert_eq!(names(folder.path()), [".stage-fraud-0-0", ".stage-fraud-2-0-0"]);
    let mut second = sink(folder.path());
    second.append(&rows(&["2"])).unwrap();
    let again = second.seal(2).unwrap().unwrap();
    assert_ne!(again.staged, committed.staged);
    FileSink::publish(folder.path(), &[committed, again]).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("part-000000000002-0.jsonl")).unwrap(), "2\n");
    assert_eq!(FileSink::discard_unknown(&folder.path().join("none"), "fraud", &[]).unwrap(), 0);
}

#[test]
fn what_was_committed_and_is_gone_or_changed_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.append(&rows(&["1"])).unwrap();
    let staged = [sink.seal(1).unwrap().unwrap()];
    let path = folder.path().join(&staged[0].published);
    std::fs::write(&path, "theirs\n").unwrap();
    assert!(matches!(FileSink::publish(folder.path(), &staged), Err(FileSinkError::Taken { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs\n");
    std::fs::remove_file(folder.path().join(&staged[0].staged)).unwrap();
    let fault = FileSink::publish(folder.path(), &staged).unwrap_err();
    assert!(fault.to_string().contains("the file is 7 bytes long, expected 2 bytes"), "{fault}");
    std::fs::remove_file(&path).unwrap();
    let fault = FileSink::publish(folder.path(), &staged).unwrap_err();
    assert!(fault.to_string().contains("the file is gone"), "{fault}");
}

#[test]
fn an_aborted_epoch_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.append(&rows(&["1"])).unwrap();
    sink.abort();
    assert!(names(folder.path()).is_empty());
    sink.append(&rows(&["2"])).unwrap();
    drop(sink);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_full_disk_says_so_and_the_epoch_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.append(&rows(&["1"])).unwrap();
    sink.open.as_mut().unwrap().file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let fault = sink.seal(1).unwrap_err();
    assert!(matches!(fault, FileSinkError::DiskFull { .. }));
    assert!(fault.to_string().contains(".stage-fraud-0-0: the disk is full"), "{fault}");
    assert!(matches!(sink.seal(1), Err(FileSinkError::Broken { .. })));
    sink.abort();
    assert!(sink.seal(1).unwrap().is_none());
}

#[test]
fn a_raw_value_of_two_lines_is_refused_and_its_batch_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = FileSink::open(folder.path(), "a/b", 3, Format::Raw).unwrap();
    sink.append(&rows(&["kept"])).unwrap();
    let fault = sink.append(&rows(&["not kept", "two\nlines"])).unwrap_err();
    assert!(matches!(fault, FileSinkError::LineBreak(LineBreak { row: 1 })));
    let staged = sink.seal(1).unwrap().unwrap();
    assert_eq!((staged.staged.as_str(), staged.bytes), (".stage-a_b-3-0", 5));
}

#[test]
fn a_start_after_a_commit_takes_other_names_so_that_the_commit_can_be_published_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = sink(folder.path());
    first.append(&rows(&["1"])).unwrap();
    let committed = [first.seal(1).unwrap().unwrap()];
    FileSink::publish(folder.path(), &committed).unwrap();
    drop(first);
    let mut second = sink(folder.path());
    second.skip_names_of(&committed);
    second.append(&rows(&["2"])).unwrap();
    std::mem::forget(second); // Killed before its commit.
    assert!(FileSink::publish_again(folder.path(), &committed).unwrap().is_empty());
    FileSink::discard_unknown(folder.path(), "fraud", &[]).unwrap();
    assert_eq!(names(folder.path()), ["part-000000000001-0.jsonl"]);
}

#[test]
fn what_a_reader_has_taken_since_its_commit_does_not_stop_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.append(&rows(&["1"])).unwrap();
    let committed = [sink.seal(1).unwrap().unwrap()];
    assert!(FileSink::publish_again(folder.path(), &committed).unwrap().is_empty());
    assert_eq!(names(folder.path()), ["part-000000000001-0.jsonl"]);
    let path = folder.path().join(&committed[0].published);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(FileSink::publish_again(folder.path(), &committed).unwrap(), [path]);
}
