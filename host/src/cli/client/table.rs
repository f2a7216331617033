//! Columns for people.

/// Rows under headings, each column as wide as its longest cell.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows);
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(widths) {
            row.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Names with their values, for one thing.
pub(super) fn list(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().filter(|it| !it.1.is_empty()).map(|it| it.0.len()).max().unwrap_or(0);
    let shown = pairs.iter().filter(|it| !it.1.is_empty());
    shown.fold(String::new(), |text, (name, value)| {
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        text + &format!("{name:width$}  {value}\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = [["fraud-rules", "1.0.0"], ["a", "10.20.30"]].map(|it| it.map(str::to_owned));
        expect![[r#"
            NAME         VERSION
            fraud-rules  1.0.0
            a            10.20.30
        "#]]
        .assert_eq(&table(["NAME", "VERSION"], rows));
        expect![[r#"
            state   running
            reason  two
                    lines
        "#]]
        .assert_eq(&list(&[("state", "running".into()), ("advice", String::new()), ("reason", "two\nlines".into())]));
    }
}
