use super::*;
use std::io::Write;

/// Everything that the source has now, as `partition offset next value`.
fn drain(source: &mut FileSource, rows_max: usize, bytes_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match source.poll(rows_max, bytes_max, 0).unwrap() {
            Polled::Empty => return lines,
            Polled::Ended(partition) => lines.push(format!("{partition} ended")),
            Polled::Batch(batch) => {
                assert!(batch.offsets.len() <= rows_max);
                assert!(batch.timestamps.iter().all(|&it| it == -1));
                let partition = batch.origin.partition;
                for (row, offset) in batch.offsets.iter().enumerate() {
                    let value = String::from_utf8(batch.rows.value(row).unwrap().to_vec()).unwrap();
                    lines.push(format!("{partition} {offset} {value}"));
                }
                lines.push(format!("{partition} next {}", batch.next_offset));
            }
        }
    }
}

fn bounded(files: &Files) -> Vec<Start> {
    files.partitions().iter().map(|it| Start { partition: it.id, offset: it.low, end: it.high }).collect()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_folder_is_read_file_by_file_in_turns_and_each_ends_once() {
    let folder =
        folder(&[("b.jsonl", "1\n2\n3\n"), ("a.json", "4\r\n\n5"), (".hidden.jsonl", "6\n"), ("c.txt", "7\n")]);
    let files = Files::discover(folder.path().to_str().unwrap()).unwrap();
    let names: Vec<_> = files.partitions().into_iter().map(|it| (it.id, it.name, it.high)).collect();
    assert_eq!(names, [(0, "a.json".into(), Some(5)), (1, "b.jsonl".into(), Some(6))]);
    let mut source = FileSource::open(&files, 0, &bounded(&files)).unwrap();
    assert_eq!(
        drain(&mut source, 2, 1 << 20),
        ["0 0 4", "0 4 5", "0 next 5", "1 0 1", "1 2 2", "1 next 4", "0 ended", "1 4 3", "1 next 6", "1 ended"]
    );
    assert!(matches!(source.poll(2, 10, 0), Ok(Polled::Empty)));
}

#[test]
fn a_glob_names_files_under_its_plain_part() {
    let folder = folder(&[("in/x/1.log", "a\n"), ("in/y/2.log", "b\n"), ("in/y/.stage-1.log", "no\n")]);
    let files = Files::discover(&format!("{}/in/*/*.log", folder.path().display())).unwrap();
    let names: Vec<_> = files.partitions().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["x/1.log", "y/2.log"]);
    let file = folder.path().join("in/x/1.log");
    assert_eq!(Files::discover(file.to_str().unwrap()).unwrap().partitions()[0].name, "1.log");
}

#[test]
fn what_is_not_there_is_an_error_that_says_what_was_expected() {
    let folder = folder(&[]);
    let path = folder.path().join("none-*.jsonl");
    let fault = Files::discover(path.to_str().unwrap()).unwrap_err();
    assert!(fault.to_string().contains("no file found"), "{fault}");
    assert!(matches!(Files::discover("/nowhere/***"), Err(SourceError::BadGlob { .. })));
    assert!(matches!(Files::discover(folder.path().to_str().unwrap()), Err(SourceError::NoFiles { .. })));
}

#[test]
fn reading_goes_on_from_any_next_offset() {
    let text: String = (0..50).map(|it| format!("{{\"n\":{it}}}\n{}", if it % 7 == 0 { "\n" } else { "" })).collect();
    let folder = folder(&[("a.jsonl", &text)]);
    let files = Files::discover(folder.path().to_str().unwrap()).unwrap();
    let values = |lines: Vec<String>| -> Vec<String> {
        lines
            .into_iter()
            .filter(|it| it.contains("{"))
            .map(|it| it.split(' ').next_back().unwrap().to_owned())
            .collect()
    };
    let mut source = FileSource::open(&files, 0, &bounded(&files)).unwrap();
    let whole = values(drain(&mut source, 1000, 1 << 20));
    assert_eq!(whole.len(), 50);
    let mut start = bounded(&files)[0];
    let mut pieces = Vec::new();
    while start.offset < start.end.unwrap() {
        let mut source = FileSource::open(&files, 0, &[start]).unwrap();
        let Polled::Batch(batch) = source.poll(1000, 20, 0).unwrap() else { panic!("no batch") };
        pieces.extend(
            (0..batch.offsets.len()).map(|it| String::from_utf8(batch.rows.value(it).unwrap().to_vec()).unwrap()),
        );
        assert!(batch.offsets.len() <= 4);
        start.offset = batch.next_offset;
    }
    assert_eq!(pieces, whole);
    let mut source = FileSource::open(&files, 0, &bounded(&files)).unwrap();
    assert_eq!(values(drain(&mut source, 3, 1 << 20)), whole);
}

#[test]
fn a_line_that_is_still_being_written_waits_for_its_end() {
    let folder = folder(&[("a.jsonl", "1\n2")]);
    let path = folder.path().join("a.jsonl");
    let files = Files::discover(path.to_str().unwrap()).unwrap();
    let mut source = FileSource::open(&files, 0, &[Start { partition: 0, offset: 0, end: None }]).unwrap();
    assert_eq!(drain(&mut source, 10, 100), ["0 0 1", "0 next 2"]);
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"3\n4\n").unwrap();
    assert_eq!(drain(&mut source, 10, 100), ["0 2 23", "0 5 4", "0 next 7"]);
}

#[test]
fn a_file_shorter_than_its_position_is_refused() {
    let folder = folder(&[("a.jsonl", "1\n2\n")]);
    let path = folder.path().join("a.jsonl");
    let files = Files::discover(path.to_str().unwrap()).unwrap();
    let start = Start { partition: 0, offset: 10, end: None };
    let fault = FileSource::open(&files, 0, &[start]).unwrap_err();
    assert!(fault.to_string().contains("4 bytes long, shorter than the position 10"), "{fault}");
    let mut source = FileSource::open(&files, 0, &bounded(&files)).unwrap();
    std::fs::write(&path, "1\n").unwrap();
    assert!(matches!(source.poll(10, 100, 0), Err(SourceError::Truncated { len: 2, position: 4, .. })));
    let missing = Start { partition: 1, offset: 0, end: None };
    assert!(matches!(FileSource::open(&files, 0, &[missing]), Err(SourceError::NoSuchPartition { .. })));
}

#[test]
fn a_line_longer_than_the_limit_is_an_error_with_its_place() {
    let folder = folder(&[("a.jsonl", &format!("1\n{}", "x".repeat(LINE_BYTES_MAX + READ_BYTES)))]);
    let files = Files::discover(folder.path().to_str().unwrap()).unwrap();
    let mut source = FileSource::open(&files, 0, &bounded(&files)).unwrap();
    assert!(matches!(source.poll(1, 100, 0), Ok(Polled::Batch(_))));
    assert!(matches!(source.poll(1, 100, 0), Err(SourceError::LineTooLong { offset: 2, .. })));
}

#[test]
fn long_lines_are_read_whole_across_reads() {
    let line = "y".repeat(3 * READ_BYTES + 17);
    let folder = folder(&[("a.jsonl", &format!("{line}\n{line}\n"))]);
    let files = Files::discover(folder.path().to_str().unwrap()).unwrap();
    let mut source = FileSource::open(&files, 0, &bounded(&files)).unwrap();
    let lines = drain(&mut source, 10, 100);
    assert_eq!(lines[0], format!("0 0 {line}"));
    assert_eq!(lines[2], format!("0 {} {line}", line.len() + 1));
}
