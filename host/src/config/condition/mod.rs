//! `where`: a condition in SQL's syntax, as it is written and as it is kept.
//!
//! The parser is our own: the language is a page long, and every error has to say where in the text it is, what was
//! expected and which word is nearest. What a condition means is `filter`'s business.

mod parse;
mod token;

pub(super) use parse::parse;

use std::fmt;
use std::sync::Arc;

/// A condition over the fields of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of them.
    And(Vec<Condition>),
    /// At least one of them.
    Or(Vec<Condition>),
    /// The opposite; unknown stays unknown.
    Not(Box<Condition>),
    /// Two values in order.
    Compare {
        /// The left one.
        left: Operand,
        /// How they are compared.
        by: Comparison,
        /// The right one.
        right: Operand,
    },
    /// `field in (..)`, each value of one class, or null.
    In {
        /// The field.
        field: Arc<str>,
        /// The values; at least one.
        values: Vec<Option<Literal>>,
    },
    /// `field is null`.
    IsNull(Arc<str>),
    /// A field that is true.
    Field(Arc<str>),
    /// `true` or `false`.
    Always(bool),
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A field of the record.
    Field(Arc<str>),
    /// A value.
    Literal(Literal),
}

/// A value that is written in a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// An integer.
    Int(i64),
    /// Any other number; finite.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// `true` or `false`.
    Boolean(bool),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>` or `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Literal {
    /// What a message calls its class.
    pub fn class(&self) -> &'static str {
        match self {
            Literal::Int(_) | Literal::Float(_) => "a number",
            Literal::Text(_) => "a text",
            Literal::Boolean(_) => "true or false",
        }
    }
}

impl fmt::Display for Literal {
    /// As it would be written in a condition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Int(value) => write!(f, "{value}"),
            Literal::Float(value) => write!(f, "{value:?}"),
            Literal::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Literal::Boolean(value) => write!(f, "{value}"),
        }
    }
}
