//! `where`: which records a tap shows.

use serde_json::Value;
use std::cmp::Ordering;

/// Comparisons that a record must pass, all of them.
#[derive(Debug, PartialEq)]
pub(super) struct Predicate(Vec<Comparison>);

#[derive(Debug, PartialEq)]
struct Comparison {
    /// A field, nested ones joined by dots.
    path: Vec<String>,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Contains,
}

/// The longer ones before those that they begin with.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::More),
    ("~", Operator::Contains),
];

/// Comparisons of one predicate, at most.
const COMPARISONS_MAX: usize = 8;

impl Predicate {
    /// Reads `FIELD OP VALUE`, several joined by ` and `. A value may be in quotes.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(super) fn parse(text: &str) -> Result<Predicate, String> {
        let all: Vec<_> = text.split(" and ").map(Comparison::parse).collect::<Result<_, _>>()?;
        match all.len() {
            1..=COMPARISONS_MAX => Ok(Predicate(all)),
            found => Err(format!("found {found} comparisons, expected at most {COMPARISONS_MAX}")),
        }
    }

    /// Whether a record passes all of them. A field that is not there is null.
    pub(super) fn holds(&self, record: &Value) -> bool {
        self.0.iter().all(|it| it.holds(record))
    }
}

impl Comparison {
    fn parse(text: &str) -> Result<Comparison, String> {
        let at = text.find(['=', '!', '<', '>', '~']);
        let found = at.and_then(|at| {
            let (path, rest) = text.split_at(at);
            let operator = OPERATORS.iter().find(|it| rest.starts_with(it.0))?;
            Some((path.trim(), operator.1, rest.strip_prefix(operator.0)?.trim()))
        });
        match found {
            Some((path, operator, value)) if !path.is_empty() => Ok(Comparison {
                path: path.split('.').map(str::to_owned).collect(),
                operator,
                value: value.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(value).to_owned(),
            }),
            _ => Err(format!("found {text:?}, expected FIELD OP VALUE with = != < <= > >= or ~, such as amount>1000")),
        }
    }

    fn holds(&self, record: &Value) -> bool {
        let found = self.path.iter().try_fold(record, |it, name| it.get(name)).unwrap_or(&Value::Null);
        let text = match found {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let order = match (found.as_f64(), self.value.parse::<f64>()) {
            (Some(number), Ok(value)) => number.partial_cmp(&value),
            _ if found.is_string() => Some(text.as_str().cmp(&self.value)),
            _ => None,
        };
        let same = order == Some(Ordering::Equal) || text == self.value;
        match self.operator {
            Operator::Equal => same,
            Operator::Unequal => !same,
            Operator::Less => order == Some(Ordering::Less),
            Operator::AtMost => same || order == Some(Ordering::Less),
            Operator::More => order == Some(Ordering::Greater),
            Operator::AtLeast => same || order == Some(Ordering::Greater),
            Operator::Contains => text.contains(&self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_are_told_apart_by_numbers_texts_and_what_is_not_there() {
        let record = json!({"amount": 12.5, "user": {"name": "ann"}, "on": true, "tags": ["a", "b"], "id": "7"});
        for (text, holds) in [
            ("amount>12", true),
            ("amount > 12.5", false),
            ("amount>=12.5 and user.name=ann", true),
            ("amount<=12 and user.name=ann", false),
            ("user.name != \"bob\"", true),
            ("user.name<b", true),
            ("on=true", true),
            ("tags~\"b\"", true),
            ("id=7", true),
            ("nothing=null", true),
            ("nothing>0", false),
            ("user.name~nn", true),
        ] {
            assert_eq!(Predicate::parse(text).unwrap().holds(&record), holds, "{text}");
        }
    }

    #[test]
    fn what_is_no_comparison_is_refused() {
        for text in ["", "amount", "=1", "a=1 and b", "a!1"] {
            assert!(Predicate::parse(text).unwrap_err().starts_with("found "), "{text:?}");
        }
        assert!(Predicate::parse(&["a=1"; 9].join(" and ")).is_err());
    }
}
