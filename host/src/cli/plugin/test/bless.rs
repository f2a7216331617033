//! Writes what came out of cases into their file: nothing else of it changes, comments and order included.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

/// `text` with new lines expected of the cases in `changes`: the case's place in the file, and for each round the lines, or
/// none where they stay.
///
/// # Errors
/// The text is not what the cases were read from.
pub(super) fn bless(text: &str, changes: &[(usize, Vec<Option<String>>)]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let cases = tables(document.as_table_mut(), "case").ok_or("[[case]] is written in another way")?;
    for (index, rounds) in changes {
        let case = cases.get_mut(*index).ok_or("a case is not there any more")?;
        for (round, lines) in rounds.iter().enumerate() {
            let Some(lines) = lines else { continue };
            let table = match round {
                0 => &mut *case,
                later => tables(case, "then")
                    .and_then(|it| it.get_mut(later - 1))
                    .ok_or("[[case.then]] is written in another way")?,
            };
            set(table, lines);
        }
    }
    Ok(document.to_string())
}

fn tables<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut ArrayOfTables> {
    table.get_mut(key)?.as_array_of_tables_mut()
}

fn set(table: &mut Table, lines: &str) {
    let mut value = written(lines);
    if let Some(Item::Value(old)) = table.get("expected") {
        *value.decor_mut() = old.decor().clone(); // A comment behind it stays.
    }
    table.insert("expected", Item::Value(value));
}

/// The lines between `'''`, as a person writes them, or in another form where that cannot hold them.
fn written(lines: &str) -> Value {
    let ended = if lines.is_empty() { String::new() } else { format!("{lines}\n") };
    match format!("'''\n{ended}'''").parse::<Value>() {
        Ok(value) if value.as_str() == Some(&*ended) => value,
        _ => Value::from(ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const FILE: &str = r#"# All cases.

[[case]]
name = "one"  # the first
expected = '''
out: 1
''' # behind it
input = '''
{"a":1}
'''

[[case.then]]
# a later round
watermark = 5

[[case]]
name = "two"
expected = "out: 2"
"#;

    #[test]
    fn only_what_is_expected_changes_and_comments_and_order_stay() {
        let changes = [(0, vec![Some("out: 3\nout: 4".to_owned()), Some(String::new())])];
        expect![[r##"
            # All cases.

            [[case]]
            name = "one"  # the first
            expected = '''
            out: 3
            out: 4
            ''' # behind it
            input = '''
            {"a":1}
            '''

            [[case.then]]
            # a later round
            watermark = 5
            expected = '''
            '''

            [[case]]
            name = "two"
            expected = "out: 2"
        "##]]
        .assert_eq(&bless(FILE, &changes).unwrap());
        assert_eq!(bless(FILE, &[(1, vec![None])]).unwrap(), FILE);
    }

    #[test]
    fn lines_that_quotes_cannot_hold_are_written_so_that_they_read_the_same() {
        let odd = "out: '''x'''\nreject 0: tab\there\u{1}";
        let blessed = bless(FILE, &[(1, vec![Some(odd.to_owned())])]).unwrap();
        let read: DocumentMut = blessed.parse().unwrap();
        let cases = read["case"].as_array_of_tables().unwrap();
        assert_eq!(cases.get(1).unwrap()["expected"].as_str(), Some(&*format!("{odd}\n")));
    }
}
