//! The built-in aggregates over columns: `count sum min max avg first last distinct collect percentile`.
//!
//! Each aggregate keeps one state a slot in a list of its own, so that a batch is folded column by column. Nulls are skipped.
//! An accumulator is encoded as the aggregates' states in order: a count as a signed `varint`, sums and means as [`total`] has it,
//! extremes as [`extreme`] has it, and what keeps values as [`values`] has it; a list is a length and its texts.

pub(super) mod extreme;
mod kept;
mod percentile;
mod total;
mod values;

use super::Input;
use super::accumulators::{Accumulators, Add, Merge, SlotId};
use super::entry::{StateError, put_bytes, put_varint, take_bytes, take_varint, unzigzag, zigzag};
use crate::column::{Column, Kind, Number, Values};
use crate::config::{Aggregate, Function};
use kept::Kept;
use percentile::Sketch;
use std::convert::Infallible;
use total::Total;
use values::{Different, Edge};

/// An aggregate over a field of a kind that it has no meaning for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("aggregate `{name}`: `{function}` takes {expected}, found a field of kind {}", found.name())]
pub struct UnfitField {
    /// The aggregate's output field.
    pub name: String,
    /// Which function.
    pub function: &'static str,
    /// The kinds it takes.
    pub expected: &'static str,
    /// The field's kind.
    pub found: Kind,
}

/// One aggregate's states, one a slot.
#[derive(Debug)]
enum States {
    Count(Vec<i64>),
    /// A sum of the kind given (`S64`, `F64` or `Number`).
    Sum(Kind, Vec<Total>),
    Avg(Vec<Total>),
    /// The largest or the smallest of the kind given.
    Extreme(Kind, bool, Vec<Option<Number>>),
    ExtremeText(bool, Kept<Option<Vec<u8>>>),
    /// The value of the latest record, or of the earliest.
    Edge(bool, Kept<Edge>),
    Distinct(Kept<Different>),
    /// JSON texts with commas between.
    Collect(Kept<Vec<u8>>),
    /// The share of values below, and what is known of all.
    Percentile(f64, Vec<Sketch>),
}

#[derive(Debug)]
struct Store {
    /// Index into the input's columns; none for `count()`.
    column: Option<usize>,
    states: States,
}

/// The built-in aggregates of one step.
#[derive(Debug)]
pub struct Builtin {
    stores: Vec<Store>,
    /// Slots there are, free ones included.
    slots: u32,
    free: Vec<SlotId>,
}

impl Builtin {
    /// `kinds` has the kind of each aggregate's field, for those that have one, in order: the order of the input's columns.
    pub fn new(aggregates: &[Aggregate], kinds: &[Kind]) -> Result<Self, UnfitField> {
        let mut kinds = kinds.iter().copied().enumerate();
        let stores = aggregates.iter().map(|aggregate| {
            let field = aggregate.field.as_ref().and_then(|_| kinds.next());
            Ok(Store { column: field.map(|it| it.0), states: States::new(aggregate, field.map(|it| it.1))? })
        });
        Ok(Builtin { stores: stores.collect::<Result<_, _>>()?, slots: 0, free: Vec::new() })
    }

    /// Slots that are not free.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.slots as usize - self.free.len()
    }

    /// The kinds of the output's columns: a count is an `s64`, a mean an `f64`, all else is of its field's kind.
    pub fn kinds(&self) -> Vec<Kind> {
        self.stores.iter().map(|it| it.states.kind()).collect()
    }
}

impl States {
    fn new(aggregate: &Aggregate, kind: Option<Kind>) -> Result<Self, UnfitField> {
        let refuse = |function, expected| UnfitField {
            name: aggregate.name.to_string(),
            function,
            expected,
            found: kind.unwrap_or(Kind::Json),
        };
        let numeric = kind.filter(|it| matches!(it, Kind::S64 | Kind::F64 | Kind::Number));
        let extreme = |function, largest| match kind {
            Some(Kind::Text) => Ok(States::ExtremeText(largest, Kept::default())),
            _ => match numeric {
                Some(kind) => Ok(States::Extreme(kind, largest, Vec::new())),
                None => Err(refuse(function, "numbers or text")),
            },
        };
        match aggregate.function {
            Function::Count => Ok(States::Count(Vec::new())),
            Function::Sum => Ok(States::Sum(numeric.ok_or_else(|| refuse("sum", "numbers"))?, Vec::new())),
            Function::Avg => numeric.map(|_| States::Avg(Vec::new())).ok_or_else(|| refuse("avg", "numbers")),
            Function::Min => extreme("min", false),
            Function::Max => extreme("max", true),
            Function::First => Ok(States::Edge(false, Kept::default())),
            Function::Last => Ok(States::Edge(true, Kept::default())),
            Function::Distinct => Ok(States::Distinct(Kept::default())),
            Function::Collect => Ok(States::Collect(Kept::default())),
            Function::Percentile { thousandths } => match numeric {
                Some(_) => Ok(States::Percentile(f64::from(thousandths) / 100_000.0, Vec::new())),
                None => Err(refuse("percentile", "numbers")),
            },
        }
    }

    fn kind(&self) -> Kind {
        match self {
            States::Count(_) | States::Distinct(_) => Kind::S64,
            States::Edge(..) | States::Collect(_) => Kind::Json,
            States::Sum(kind, _) | States::Extreme(kind, ..) => *kind,
            States::Avg(_) | States::Percentile(..) => Kind::F64,
            States::ExtremeText(..) => Kind::Text,
        }
    }

    /// One more slot.
    fn grow(&mut self) {
        match self {
            States::Count(states) => states.push(0),
            States::Sum(_, states) | States::Avg(states) => states.push(Total::default()),
            States::Extreme(_, _, states) => states.push(None),
            States::ExtremeText(_, states) => states.grow(),
            States::Edge(_, states) => states.grow(),
            States::Distinct(states) => states.grow(),
            States::Collect(states) => states.grow(),
            States::Percentile(_, states) => states.push(Sketch::default()),
        }
    }

    fn reset(&mut self, slot: usize) {
        match self {
            States::Count(states) => states[slot] = 0,
            States::Sum(_, states) | States::Avg(states) => states[slot] = Total::default(),
            States::Extreme(_, _, states) => states[slot] = None,
            States::ExtremeText(_, states) => states.set(slot, None),
            States::Edge(_, states) => states.set(slot, Edge::default()),
            States::Distinct(states) => states.set(slot, Different::default()),
            States::Collect(states) => states.set(slot, Vec::new()),
            States::Percentile(_, states) => states[slot] = Sketch::default(),
        }
    }

    fn add(&mut self, column: Option<&Column>, times: &[i64], adds: &[Add]) {
        let Some(column) = column else {
            let States::Count(states) = self else { return };
            return adds.iter().for_each(|it| states[it.slot.0 as usize] += 1);
        };
        let nulls = &column.nulls;
        let mut text = Vec::new();
        match (self, &column.values) {
            (States::Count(states), _) => each(nulls, adds, |slot, _| states[slot] += 1),
            (States::Sum(_, states) | States::Avg(states), Values::S64(values)) => {
                each(nulls, adds, |slot, row| states[slot].add_int(values[row]));
            }
            (States::Sum(_, states) | States::Avg(states), Values::F64(values)) => {
                each(nulls, adds, |slot, row| states[slot].add_float(values[row]));
            }
            (States::Sum(_, states) | States::Avg(states), Values::Number(values)) => {
                each(nulls, adds, |slot, row| match values[row] {
                    Number::Int(value) => states[slot].add_int(value),
                    Number::Float(value) => states[slot].add_float(value),
                });
            }
            (States::Extreme(_, largest, states), Values::S64(values)) => {
                each(nulls, adds, |slot, row| extreme::keep(&mut states[slot], Number::Int(values[row]), *largest));
            }
            (States::Extreme(_, largest, states), Values::F64(values)) => {
                each(nulls, adds, |slot, row| extreme::keep(&mut states[slot], Number::Float(values[row]), *largest));
            }
            (States::Extreme(_, largest, states), Values::Number(values)) => {
                each(nulls, adds, |slot, row| extreme::keep(&mut states[slot], values[row], *largest));
            }
            (States::ExtremeText(largest, states), Values::Text(values)) => {
                each(nulls, adds, |slot, row| {
                    states.change(slot, |it| extreme::keep_text(it, values.get(row), *largest));
                });
            }
            (States::Percentile(_, states), Values::S64(values)) => {
                each(nulls, adds, |slot, row| states[slot].add(values[row] as f64));
            }
            (States::Percentile(_, states), Values::F64(values)) => {
                each(nulls, adds, |slot, row| states[slot].add(values[row]));
            }
            (States::Percentile(_, states), Values::Number(values)) => {
                each(nulls, adds, |slot, row| states[slot].add(float(values[row])));
            }
            (States::Edge(latest, states), _) => each(nulls, adds, |slot, row| {
                values::text(column, row, &mut text);
                states.change(slot, |it| it.keep(*latest, times[row], &text));
            }),
            (States::Distinct(states), _) => each(nulls, adds, |slot, row| {
                values::text(column, row, &mut text);
                states.change(slot, |it| it.add(&text));
            }),
            (States::Collect(states), _) => each(nulls, adds, |slot, row| {
                values::text(column, row, &mut text);
                states.change(slot, |it| values::push(it, &text));
            }),
            // `new` was told another kind than the input has: the planner's mistake, and as though every row were null.
            (_, _) => debug_assert!(false, "a column of another kind than planned"),
        }
    }

    fn merge(&mut self, merges: &[Merge]) {
        let pairs = merges.iter().map(|it| (it.into.0 as usize, it.from.0 as usize));
        match self {
            States::Count(states) => pairs.for_each(|(into, from)| states[into] += states[from]),
            States::Sum(_, states) | States::Avg(states) => pairs.for_each(|(into, from)| {
                let from = states[from];
                states[into].merge(&from);
            }),
            States::Extreme(_, largest, states) => pairs.for_each(|(into, from)| {
                if let Some(value) = states[from] {
                    extreme::keep(&mut states[into], value, *largest);
                }
            }),
            States::ExtremeText(largest, states) => pairs.for_each(|(into, from)| {
                states.merge(into, from, |into, from| {
                    from.iter().for_each(|it| extreme::keep_text(into, it, *largest));
                });
            }),
            States::Edge(latest, states) => pairs.for_each(|(into, from)| {
                states.merge(into, from, |into, from| {
                    from.parts().into_iter().for_each(|(time, text)| into.keep(*latest, time, text));
                });
            }),
            States::Distinct(states) => pairs.for_each(|(into, from)| states.merge(into, from, Different::merge)),
            States::Collect(states) => {
                pairs.for_each(|(into, from)| states.merge(into, from, |into, from| values::push(into, from)));
            }
            States::Percentile(_, states) => pairs.for_each(|(into, from)| {
                let sketch = std::mem::take(&mut states[from]);
                states[into].merge(&sketch);
                states[from] = sketch;
            }),
        }
    }

    fn collect(&self, slot: usize, out: &mut Column) {
        let wrote = match (self, &mut out.values) {
            (States::Count(states), Values::S64(out)) => put(out, Some(states[slot])),
            (States::Sum(_, states), Values::S64(out)) => put(out, states[slot].integer()),
            (States::Sum(_, states), Values::F64(out)) => put(out, states[slot].any().then(|| states[slot].float())),
            (States::Sum(_, states), Values::Number(out)) => put(out, states[slot].sum()),
            (States::Avg(states), Values::F64(out)) => put(out, states[slot].mean()),
            (States::Extreme(_, _, states), Values::S64(out)) => put(out, states[slot].and_then(integer)),
            (States::Extreme(_, _, states), Values::F64(out)) => put(out, states[slot].map(float)),
            (States::Extreme(_, _, states), Values::Number(out)) => put(out, states[slot]),
            (States::ExtremeText(_, states), Values::Text(out)) => {
                states.get(slot).as_ref().map(|it| out.push(it)).is_some()
            }
            (States::Edge(_, states), Values::Json(out)) => states.get(slot).value().map(|it| out.push(it)).is_some(),
            (States::Distinct(states), Values::S64(out)) => put(out, Some(states.get(slot).count())),
            (States::Percentile(share, states), Values::F64(out)) => put(out, states[slot].at(*share)),
            (States::Collect(states), Values::Json(out)) => {
                out.data.push(b'[');
                out.data.extend_from_slice(states.get(slot));
                out.push(b"]");
                true
            }
            (_, _) => false,
        };
        if wrote { out.pushed() } else { out.push_null() }
    }

    fn encode(&self, slot: usize, out: &mut Vec<u8>) {
        match self {
            States::Count(states) => put_varint(out, zigzag(states[slot].into())),
            States::Sum(_, states) | States::Avg(states) => states[slot].encode(out),
            States::Extreme(_, _, states) => extreme::encode(states[slot], out),
            States::ExtremeText(_, states) => extreme::encode_text(states.get(slot).as_deref(), out),
            States::Edge(_, states) => states.get(slot).encode(out),
            States::Distinct(states) => states.get(slot).encode(out),
            States::Collect(states) => put_bytes(out, states.get(slot)),
            States::Percentile(_, states) => states[slot].encode(out),
        }
    }

    fn decode(&mut self, slot: usize, bytes: &mut &[u8]) -> Result<(), StateError> {
        match self {
            States::Count(states) => states[slot] = unzigzag(take_varint(bytes, "a count")?) as i64,
            States::Sum(_, states) | States::Avg(states) => states[slot] = Total::decode(bytes)?,
            States::Extreme(_, _, states) => states[slot] = extreme::decode(bytes)?,
            States::ExtremeText(_, states) => states.set(slot, extreme::decode_text(bytes)?),
            States::Edge(_, states) => states.set(slot, Edge::decode(bytes)?),
            States::Distinct(states) => states.set(slot, Different::decode(bytes)?),
            States::Collect(states) => states.set(slot, take_bytes(bytes, "a list")?.to_vec()),
            States::Percentile(_, states) => states[slot] = Sketch::decode(bytes)?,
        }
        Ok(())
    }

    /// Memory that `slots` slots take, bytes, about.
    fn bytes(&self, slots: usize) -> usize {
        match self {
            States::Count(_) => slots * size_of::<i64>(),
            States::Sum(..) | States::Avg(_) => slots * size_of::<Total>(),
            States::Extreme(..) => slots * size_of::<Option<Number>>(),
            States::ExtremeText(_, states) => states.bytes(slots),
            States::Edge(_, states) => states.bytes(slots),
            States::Distinct(states) => states.bytes(slots),
            States::Collect(states) => states.bytes(slots),
            States::Percentile(..) => slots * percentile::BYTES,
        }
    }
}

/// Calls `fold` with slot and row of each add whose row is not null.
fn each(nulls: &[u8], adds: &[Add], mut fold: impl FnMut(usize, usize)) {
    if nulls.is_empty() {
        return adds.iter().for_each(|it| fold(it.slot.0 as usize, it.row as usize));
    }
    for add in adds.iter().filter(|it| nulls[it.row as usize] == 0) {
        fold(add.slot.0 as usize, add.row as usize);
    }
}

/// True when there was a value to push.
fn put<T>(out: &mut Vec<T>, value: Option<T>) -> bool {
    let wrote = value.is_some();
    out.extend(value);
    wrote
}

fn integer(number: Number) -> Option<i64> {
    match number {
        Number::Int(value) => Some(value),
        Number::Float(_) => None,
    }
}

fn float(number: Number) -> f64 {
    match number {
        Number::Int(value) => value as f64,
        Number::Float(value) => value,
    }
}

impl Accumulators for Builtin {
    type Output = Vec<Column>;
    type Error = Infallible;

    fn output(&self, rows: usize) -> Vec<Column> {
        self.stores.iter().map(|it| Column::empty(it.states.kind(), rows)).collect()
    }

    fn create(&mut self) -> SlotId {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        self.stores.iter_mut().for_each(|it| it.states.grow());
        self.slots += 1;
        SlotId(self.slots - 1)
    }

    fn reset(&mut self, slot: SlotId) {
        self.stores.iter_mut().for_each(|it| it.states.reset(slot.0 as usize));
    }

    fn free(&mut self, slot: SlotId) {
        self.reset(slot);
        self.free.push(slot);
    }

    fn add(&mut self, input: &Input<'_>, adds: &[Add]) -> Result<(), Infallible> {
        for store in &mut self.stores {
            store.states.add(store.column.map(|it| input.columns[it]), input.times, adds);
        }
        Ok(())
    }

    fn merge(&mut self, merges: &[Merge]) -> Result<(), Infallible> {
        self.stores.iter_mut().for_each(|it| it.states.merge(merges));
        Ok(())
    }

    fn collect(&self, slot: SlotId, out: &mut Vec<Column>) {
        for (store, column) in self.stores.iter().zip(out) {
            store.states.collect(slot.0 as usize, column);
        }
    }

    fn encode(&self, slot: SlotId, out: &mut Vec<u8>) {
        self.stores.iter().for_each(|it| it.states.encode(slot.0 as usize, out));
    }

    fn decode(&mut self, mut bytes: &[u8]) -> Result<SlotId, StateError> {
        let slot = self.create();
        for store in &mut self.stores {
            store.states.decode(slot.0 as usize, &mut bytes)?;
        }
        if !bytes.is_empty() {
            let found = bytes.len();
            return Err(StateError {
                what: "rest of an accumulator",
                found,
                expected: "0: were the aggregates changed",
            });
        }
        Ok(slot)
    }

    fn grows(&self) -> bool {
        self.stores.iter().any(|it| matches!(it.states, States::Distinct(_) | States::Collect(_)))
    }

    fn bytes(&self) -> usize {
        let used = self.slots as usize - self.free.len();
        self.stores.iter().map(|it| it.states.bytes(used)).sum()
    }
}

#[cfg(test)]
mod tests;
