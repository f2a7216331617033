//! Reads a condition: `or` binds least, then `and`, then `not`, then comparisons.

use super::super::errors::nearest;
use super::token::{Token, tokens};
use super::{Comparison, Condition, Literal, Operand};
use std::sync::Arc;

/// Brackets and `not`s within each other, at most.
const DEPTH_MAX: usize = 64;

/// Keywords; a field of such a name is written in double quotes.
const KEYWORDS: [&str; 9] = ["and", "or", "not", "in", "is", "null", "between", "true", "false"];

/// What is wrong with a condition, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Fault {
    /// For the end of a message.
    pub(in crate::config) problem: String,
    /// The word that was probably meant.
    pub(in crate::config) nearest: Option<&'static str>,
}

impl Fault {
    /// A fault at a character, from 1.
    pub(super) fn at(character: usize, problem: impl std::fmt::Display, nearest: Option<&'static str>) -> Self {
        Fault { problem: format!("found at character {character} {problem}"), nearest }
    }
}

/// Reads `text`.
///
/// # Errors
/// The first thing that is wrong with it.
pub(in crate::config) fn parse(text: &str) -> Result<Condition, Fault> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let condition = parser.or()?;
    match parser.peek() {
        Token::End => Ok(condition),
        Token::Word(word) => {
            let near = nearest(word, ["and", "or"]).and_then(|it| KEYWORDS.iter().find(|word| **word == it).copied());
            Err(parser.unexpected_near("`and`, `or` or the end", near))
        }
        _ => Err(parser.unexpected("`and`, `or` or the end")),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser {
    /// The end stays the next token for ever.
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |it| &it.0)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |it| it.1)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes the next token if it is that keyword.
    fn keyword(&mut self, keyword: &str) -> bool {
        let is = self.is_keyword(keyword);
        self.at += usize::from(is);
        is
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Token::Sign(it) if *it == sign);
        self.at += usize::from(is);
        is
    }

    fn unexpected(&self, expected: &str) -> Fault {
        self.unexpected_near(expected, None)
    }

    fn unexpected_near(&self, expected: &str, nearest: Option<&'static str>) -> Fault {
        Fault::at(self.place(), format_args!("{}, expected {expected}", self.peek().shown()), nearest)
    }

    fn or(&mut self) -> Result<Condition, Fault> {
        let mut any = vec![self.and()?];
        while self.keyword("or") {
            any.push(self.and()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Condition::Or(any) })
    }

    fn and(&mut self) -> Result<Condition, Fault> {
        let mut all = vec![self.not()?];
        while self.keyword("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::And(all) })
    }

    fn not(&mut self) -> Result<Condition, Fault> {
        if self.depth == DEPTH_MAX {
            let problem = format!("more than {DEPTH_MAX} brackets and `not`s within each other");
            return Err(Fault::at(self.place(), problem, None));
        }
        self.depth += 1;
        let condition = if self.keyword("not") {
            Condition::Not(Box::new(self.not()?))
        } else if self.sign("(") {
            let inner = self.or()?;
            if !self.sign(")") {
                return Err(self.unexpected("`)`"));
            }
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn predicate(&mut self) -> Result<Condition, Fault> {
        let start = self.place();
        let left = self.operand()?;
        if let Some(by) = self.comparison()? {
            let right = self.operand()?;
            return Ok(Condition::Compare { left, by, right });
        }
        let field = match left {
            Operand::Field(field) => field,
            Operand::Literal(Literal::Boolean(value)) => return Ok(Condition::Always(value)),
            Operand::Literal(it) => {
                let problem = format!("{it} alone, expected a comparison such as `{it} < amount`");
                return Err(Fault::at(start, problem, None));
            }
        };
        if self.keyword("is") {
            let negated = self.keyword("not");
            return if self.keyword("null") {
                Ok(negate(negated, Condition::IsNull(field)))
            } else {
                Err(self.unexpected("`null` or `not null`"))
            };
        }
        let negated = self.keyword("not");
        if self.keyword("in") {
            return Ok(negate(negated, Condition::In { field, values: self.list()? }));
        }
        if self.keyword("between") {
            let field = Operand::Field(field);
            let low = self.operand()?;
            if !self.keyword("and") {
                return Err(self.unexpected("`and` and the upper bound of `between`"));
            }
            let high = self.operand()?;
            let least = Condition::Compare { left: field.clone(), by: Comparison::GreaterOrEqual, right: low };
            let most = Condition::Compare { left: field, by: Comparison::LessOrEqual, right: high };
            return Ok(negate(negated, Condition::And(vec![least, most])));
        }
        if negated {
            return Err(self.unexpected("`in` or `between` after `not`"));
        }
        match self.peek() {
            // A field that is true; whether it can be is seen when its kind is known.
            Token::End | Token::Sign(")") => Ok(Condition::Field(field)),
            Token::Word(word) if word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or") => {
                Ok(Condition::Field(field))
            }
            _ => Err(self.after_field()),
        }
    }

    /// What follows a field is nothing that can: a comparison was probably meant.
    fn after_field(&self) -> Fault {
        let near = match self.peek() {
            Token::Word(word) => nearest(word, KEYWORDS),
            _ => None,
        };
        let near = near.and_then(|it| KEYWORDS.iter().find(|word| **word == it).copied());
        self.unexpected_near(
            "a comparison (`=`, `<>`, `<`, `<=`, `>`, `>=`), `in`, `between`, `is`, `and` or `or`",
            near,
        )
    }

    fn comparison(&mut self) -> Result<Option<Comparison>, Fault> {
        let by = match self.peek() {
            Token::Sign("=") => Comparison::Equal,
            Token::Sign("<>" | "!=") => Comparison::NotEqual,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessOrEqual,
            Token::Sign(">") => Comparison::Greater,
            Token::Sign(">=") => Comparison::GreaterOrEqual,
            Token::Sign("==") => return Err(self.unexpected("`=`, as in SQL")),
            _ => return Ok(None),
        };
        self.at += 1;
        if self.is_keyword("null") {
            return Err(self.unexpected("a field or a value: nothing equals null; write `is null` or `is not null`"));
        }
        Ok(Some(by))
    }

    fn operand(&mut self) -> Result<Operand, Fault> {
        match self.peek() {
            Token::Word(word) if !KEYWORDS.iter().any(|it| word.eq_ignore_ascii_case(it)) => {
                if word.ends_with('.') || word.contains("..") {
                    return Err(self.unexpected("the name of a field, nested ones joined by single dots"));
                }
                let field = Arc::from(word.as_str());
                self.at += 1;
                Ok(Operand::Field(field))
            }
            Token::Quoted(name) if !name.is_empty() => {
                let field = Arc::from(name.as_str());
                self.at += 1;
                Ok(Operand::Field(field))
            }
            _ => match self.literal("a field, a number, a text in single quotes, `true` or `false`")? {
                Some(literal) => Ok(Operand::Literal(literal)),
                None => {
                    self.at -= 1;
                    Err(self.unexpected("a field or a value; write `is null` to look for nulls"))
                }
            },
        }
    }

    /// A value, or none for `null`.
    fn literal(&mut self, expected: &str) -> Result<Option<Literal>, Fault> {
        let fault = self.unexpected(expected);
        match self.next() {
            Token::Number(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(value), _) => Ok(Some(Literal::Int(value))),
                (_, Ok(value)) if value.is_finite() => Ok(Some(Literal::Float(value))),
                _ => {
                    self.at -= 1;
                    Err(self.unexpected("a number such as 100, -2.5 or 1e6"))
                }
            },
            Token::Text(text) => Ok(Some(Literal::Text(text.into()))),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Ok(Some(Literal::Boolean(true))),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Ok(Some(Literal::Boolean(false))),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Ok(None),
            _ => Err(fault),
        }
    }

    /// `(1, 2, null)`, all of one class.
    fn list(&mut self) -> Result<Vec<Option<Literal>>, Fault> {
        if !self.sign("(") {
            return Err(self.unexpected("`(` and values with commas between them"));
        }
        let mut values: Vec<Option<Literal>> = Vec::new();
        loop {
            let at = self.place();
            let value = self.literal("a number, a text in single quotes, `true`, `false` or `null`")?;
            let class = values.iter().flatten().next().map(Literal::class);
            if let (Some(class), Some(value)) = (class, value.as_ref())
                && value.class() != class
            {
                return Err(Fault::at(at, format_args!("{value}, expected {class} as before it"), None));
            }
            values.push(value);
            if self.sign(")") {
                return Ok(values);
            }
            if !self.sign(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }
}

fn negate(negated: bool, condition: Condition) -> Condition {
    if negated { Condition::Not(Box::new(condition)) } else { condition }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// The condition with all its brackets.
    fn shown(condition: &Condition) -> String {
        fn operand(it: &Operand) -> String {
            match it {
                Operand::Field(field) => field.to_string(),
                Operand::Literal(literal) => literal.to_string(),
            }
        }
        let all = |list: &[Condition], word: &str| {
            let parts: Vec<_> = list.iter().map(shown).collect();
            format!("({})", parts.join(word))
        };
        match condition {
            Condition::And(list) => all(list, " and "),
            Condition::Or(list) => all(list, " or "),
            Condition::Not(inner) => format!("not {}", shown(inner)),
            Condition::Compare { left, by, right } => format!("{} {by:?} {}", operand(left), operand(right)),
            Condition::In { field, values } => {
                let values = values.iter().map(|it| it.as_ref().map_or("null".to_owned(), Literal::to_string));
                format!("{field} in [{}]", values.collect::<Vec<_>>().join(" "))
            }
            Condition::IsNull(field) => format!("{field} is null"),
            Condition::Field(field) => format!("{field} is true"),
            Condition::Always(value) => value.to_string(),
        }
    }

    #[test]
    fn a_condition_is_read_as_sql_reads_it() {
        let mut out = String::new();
        for text in [
            "amount > 100 and country in ('FR','DE') and note is not null",
            "a = 1 or b = 2 and not c <> -3.5",
            "(a = 1 OR b = 2) AND NOT NOT active",
            "card.country = 'O''Brien' and \"select\" <= 1e3",
            "a not in (1, NULL, 2.5) or b not between 1 and 2 and c",
            "total >= paid and true",
            "between_it = 1 and \"and\" is null",
        ] {
            let _ = writeln!(out, "{}", shown(&parse(text).unwrap_or_else(|it| panic!("{text}: {}", it.problem))));
        }
        expect_test::expect![[r#"
            (amount Greater 100 and country in ['FR' 'DE'] and not note is null)
            (a Equal 1 or (b Equal 2 and not c NotEqual -3.5))
            ((a Equal 1 or b Equal 2) and not not active is true)
            (card.country Equal 'O''Brien' and select LessOrEqual 1000.0)
            (not a in [1 null 2.5] or (not (b GreaterOrEqual 1 and b LessOrEqual 2) and c is true))
            (total GreaterOrEqual paid and true)
            (between_it Equal 1 and and is null)
        "#]]
        .assert_eq(&out);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let mut out = String::new();
        for text in [
            "",
            "amount >",
            "amount == 1",
            "amount > 100 adn b = 1",
            "country inn ('FR')",
            "note = null",
            "null is null",
            "a in ('FR', 1)",
            "a in ()",
            "a in 1",
            "a like 'x%'",
            "a = 'FR",
            "a + 1 > 2",
            "100",
            "(a = 1",
            "a = 1)",
            "a is 3",
            "a between 1 or 2",
            "a. = 1",
            "a = 1x",
        ] {
            let fault = parse(text).map(|it| shown(&it)).expect_err(text);
            let near = fault.nearest.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
            let _ = writeln!(out, "{text}: {}{near}", fault.problem);
        }
        expect_test::expect![[r#"
            : found at character 1 the end, expected a field, a number, a text in single quotes, `true` or `false`
            amount >: found at character 9 the end, expected a field, a number, a text in single quotes, `true` or `false`
            amount == 1: found at character 8 `==`, expected `=`, as in SQL
            amount > 100 adn b = 1: found at character 14 `adn`, expected `and`, `or` or the end; did you mean `and`?
            country inn ('FR'): found at character 9 `inn`, expected a comparison (`=`, `<>`, `<`, `<=`, `>`, `>=`), `in`, `between`, `is`, `and` or `or`; did you mean `in`?
            note = null: found at character 8 `null`, expected a field or a value: nothing equals null; write `is null` or `is not null`
            null is null: found at character 1 `null`, expected a field or a value; write `is null` to look for nulls
            a in ('FR', 1): found at character 13 1, expected a text as before it
            a in (): found at character 7 `)`, expected a number, a text in single quotes, `true`, `false` or `null`
            a in 1: found at character 6 `1`, expected `(` and values with commas between them
            a like 'x%': found at character 3 `like`, expected a comparison (`=`, `<>`, `<`, `<=`, `>`, `>=`), `in`, `between`, `is`, `and` or `or`
            a = 'FR: found at character 5 a text that does not end, expected another '
            a + 1 > 2: found at character 3 `+`, expected a field, a value, a comparison or a bracket
            100: found at character 1 100 alone, expected a comparison such as `100 < amount`
            (a = 1: found at character 7 the end, expected `)`
            a = 1): found at character 6 `)`, expected `and`, `or` or the end
            a is 3: found at character 6 `3`, expected `null` or `not null`
            a between 1 or 2: found at character 13 `or`, expected `and` and the upper bound of `between`
            a. = 1: found at character 1 `a.`, expected the name of a field, nested ones joined by single dots
            a = 1x: found at character 5 `1x`, expected a number such as 100, -2.5 or 1e6
        "#]].assert_eq(&out);
    }

    #[test]
    fn brackets_without_end_are_refused_and_not_followed() {
        let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&deep).is_err_and(|it| it.problem.contains("more than 64")));
        let wide = vec!["a = 1"; 10_000].join(" and ");
        assert!(parse(&wide).is_ok());
    }
}
