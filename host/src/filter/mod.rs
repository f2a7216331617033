//! `where`: which rows of a batch a step reads, by a condition over columns.
//!
//! SQL's logic of three values: a comparison with a null is neither true nor false, and a row goes on only where the
//! whole condition is true. A value of another kind than the condition's compares like a null. Texts are compared by
//! their characters' numbers, integers and other numbers by their exact values.
//!
//! Work is done a column at a time. It knows no step, no stream and no JSON beyond a column's values.

mod compare;

use crate::column::{Column, Kind, Values};
use crate::config::{Comparison, Condition, Literal, Operand};
use std::sync::Arc;

/// What a condition is for one row. In this order `and` is the least of two, `or` the greatest, and `not` mirrors.
type Truth = u8;
const FALSE: Truth = 0;
const UNKNOWN: Truth = 1;
const TRUE: Truth = 2;

/// A condition with the columns that it reads.
#[derive(Clone, Debug)]
pub struct Filter {
    root: Node,
    /// The fields and the kinds in which they are read, each pair once.
    reads: Vec<(Arc<str>, Kind)>,
}

#[derive(Clone, Debug)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// A column with a value.
    Literal(usize, Comparison, Literal),
    /// Two columns.
    Fields(usize, Comparison, usize),
    In(usize, Vec<Option<Literal>>),
    IsNull(usize),
    Boolean(usize),
    /// What it is for every row: two values compared, or `true` and `false` themselves.
    Always(Truth),
}

impl Filter {
    /// Plans `condition`. `kind_of` says what a field holds; none where that is not known before it is read.
    ///
    /// # Errors
    /// A comparison that can never be true or false, as of a text with a number.
    pub fn new(condition: &Condition, kind_of: impl Fn(&str) -> Option<Kind>) -> Result<Self, String> {
        let mut planner = Planner { kind_of, reads: Vec::new() };
        let root = planner.node(condition)?;
        Ok(Filter { root, reads: planner.reads })
    }

    /// The fields that it reads, and in which kinds: the columns that [`Filter::kept`] wants, in this order.
    pub fn reads(&self) -> &[(Arc<str>, Kind)] {
        &self.reads
    }

    /// The rows of `rows` for which the condition is true; none where it is for all of them.
    pub fn kept(&self, rows: usize, columns: &[&Column]) -> Option<Vec<u32>> {
        let truths = self.root.truths(rows, columns);
        let kept = truths.iter().filter(|it| **it == TRUE).count();
        if kept == rows {
            return None;
        }
        let mut list = Vec::with_capacity(kept);
        list.extend(truths.iter().enumerate().filter(|it| *it.1 == TRUE).map(|it| it.0 as u32));
        Some(list)
    }
}

struct Planner<F> {
    kind_of: F,
    reads: Vec<(Arc<str>, Kind)>,
}

impl<F: Fn(&str) -> Option<Kind>> Planner<F> {
    fn node(&mut self, condition: &Condition) -> Result<Node, String> {
        Ok(match condition {
            Condition::And(list) => Node::And(list.iter().map(|it| self.node(it)).collect::<Result<_, _>>()?),
            Condition::Or(list) => Node::Or(list.iter().map(|it| self.node(it)).collect::<Result<_, _>>()?),
            Condition::Not(inner) => Node::Not(Box::new(self.node(inner)?)),
            Condition::Compare { left, by, right } => match (left, right) {
                (Operand::Field(field), Operand::Literal(value)) => self.with_literal(field, *by, value)?,
                (Operand::Literal(value), Operand::Field(field)) => self.with_literal(field, mirrored(*by), value)?,
                (Operand::Field(left), Operand::Field(right)) => {
                    let (left_kind, right_kind) = self.kinds_of_two(left, right)?;
                    Node::Fields(self.read(left, left_kind), *by, self.read(right, right_kind))
                }
                (Operand::Literal(left), Operand::Literal(right)) => {
                    Node::Always(truth(compare::literals(left, right), *by))
                }
            },
            Condition::In { field, values } => match values.iter().flatten().next() {
                Some(first) => Node::In(self.read_as(field, first)?, values.clone()),
                None => Node::Always(UNKNOWN),
            },
            Condition::IsNull(field) => {
                let kind = (self.kind_of)(field).unwrap_or(Kind::Json);
                Node::IsNull(self.read(field, kind))
            }
            Condition::Field(field) => Node::Boolean(self.read_as(field, &Literal::Boolean(true))?),
            Condition::Always(value) => Node::Always(if *value { TRUE } else { FALSE }),
        })
    }

    fn with_literal(&mut self, field: &Arc<str>, by: Comparison, value: &Literal) -> Result<Node, String> {
        Ok(Node::Literal(self.read_as(field, value)?, by, value.clone()))
    }

    /// The column of `field` in a kind that compares with `value`.
    fn read_as(&mut self, field: &Arc<str>, value: &Literal) -> Result<usize, String> {
        let wanted = match value {
            Literal::Int(_) | Literal::Float(_) => Kind::Number,
            Literal::Text(_) => Kind::Text,
            Literal::Boolean(_) => Kind::Boolean,
        };
        let kind = match (self.kind_of)(field) {
            None | Some(Kind::Json) => wanted,
            Some(kind) if class(kind) == class(wanted) => kind,
            Some(kind) => {
                let what = value.class();
                return Err(format!("`{field}` is {}, and is compared with {value}, which is {what}", kind.name()));
            }
        };
        Ok(self.read(field, kind))
    }

    /// The kinds in which two fields are read to be compared with each other.
    fn kinds_of_two(&self, left: &str, right: &str) -> Result<(Kind, Kind), String> {
        let known = |field: &str| (self.kind_of)(field).filter(|it| *it != Kind::Json);
        let like = |kind: Kind| if class(kind) == class(Kind::Number) { Kind::Number } else { kind };
        match (known(left), known(right)) {
            (None, None) => Ok((Kind::Json, Kind::Json)),
            (Some(left), None) => Ok((left, like(left))),
            (None, Some(right)) => Ok((like(right), right)),
            (Some(a), Some(b)) if class(a) == class(b) => Ok((a, b)),
            (Some(a), Some(b)) => {
                Err(format!("`{left}` is {}, and is compared with `{right}`, which is {}", a.name(), b.name()))
            }
        }
    }

    fn read(&mut self, field: &Arc<str>, kind: Kind) -> usize {
        let same = |it: &(Arc<str>, Kind)| it.0 == *field && it.1 == kind;
        self.reads.iter().position(same).unwrap_or_else(|| {
            self.reads.push((Arc::clone(field), kind));
            self.reads.len() - 1
        })
    }
}

/// Kinds of one class compare with each other.
fn class(kind: Kind) -> u8 {
    match kind {
        Kind::S64 | Kind::F64 | Kind::Number => 0,
        Kind::Text | Kind::Bytes => 1,
        Kind::Boolean => 2,
        Kind::Json => 3,
    }
}

/// The comparison with its sides exchanged.
fn mirrored(by: Comparison) -> Comparison {
    match by {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same @ (Comparison::Equal | Comparison::NotEqual) => same,
    }
}

/// What a comparison is, from how its sides compare; none where they do not.
fn truth(order: Option<std::cmp::Ordering>, by: Comparison) -> Truth {
    let Some(order) = order else { return UNKNOWN };
    let is = match by {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    };
    if is { TRUE } else { FALSE }
}

impl Node {
    fn truths(&self, rows: usize, columns: &[&Column]) -> Vec<Truth> {
        match self {
            Node::And(list) => fold(list, rows, columns, Truth::min),
            Node::Or(list) => fold(list, rows, columns, Truth::max),
            Node::Not(inner) => {
                let mut truths = inner.truths(rows, columns);
                truths.iter_mut().for_each(|it| *it = TRUE - *it);
                truths
            }
            Node::Literal(column, by, value) => {
                let column = columns[*column];
                let mut truths = compare::with_literal(column, value, |order| truth(order, *by));
                mask(&mut truths, column, UNKNOWN);
                truths
            }
            Node::Fields(left, by, right) => {
                let (left, right) = (columns[*left], columns[*right]);
                (0..rows).map(|row| truth(compare::rows(left, right, row), *by)).collect()
            }
            Node::In(column, values) => {
                let column = columns[*column];
                let mut any = vec![if values.contains(&None) { UNKNOWN } else { FALSE }; rows];
                for value in values.iter().flatten() {
                    let equal = compare::with_literal(column, value, |order| truth(order, Comparison::Equal));
                    any.iter_mut().zip(equal).for_each(|(any, equal)| *any = (*any).max(equal));
                }
                mask(&mut any, column, UNKNOWN);
                any
            }
            Node::IsNull(column) => {
                let mut truths = vec![FALSE; rows];
                mask(&mut truths, columns[*column], TRUE);
                truths
            }
            Node::Boolean(column) => {
                let column = columns[*column];
                let mut truths = match &column.values {
                    Values::Boolean(values) => values.iter().map(|it| if *it == 0 { FALSE } else { TRUE }).collect(),
                    _ => vec![UNKNOWN; rows],
                };
                mask(&mut truths, column, UNKNOWN);
                truths
            }
            Node::Always(truth) => vec![*truth; rows],
        }
    }
}

fn fold(list: &[Node], rows: usize, columns: &[&Column], join: impl Fn(Truth, Truth) -> Truth) -> Vec<Truth> {
    let mut parts = list.iter().map(|it| it.truths(rows, columns));
    let mut joined = parts.next().unwrap_or_default();
    for part in parts {
        joined.iter_mut().zip(part).for_each(|(joined, part)| *joined = join(*joined, part));
    }
    joined
}

/// Sets the rows that are null.
fn mask(truths: &mut [Truth], column: &Column, to: Truth) {
    for (truth, null) in truths.iter_mut().zip(&column.nulls) {
        if *null != 0 {
            *truth = to;
        }
    }
}

#[cfg(test)]
mod tests;
