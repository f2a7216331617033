//! The literals of a source's records, and which follows which.

use super::super::projection::Node;
use std::mem::discriminant;
use std::ops::Range;

/// How many literals are kept; there is one a field, mostly.
const EDGES_MAX: usize = 512;
/// How many places are kept; there is one an object.
const PLACES_MAX: usize = 128;
/// How long a literal may be, bytes: it holds whitespace and names, of which a record may have any.
const LITERAL_BYTES_MAX: usize = 1_024;
/// How many literals, or objects, an object may have that nobody wants anything of. One with more is taken whole: its names
/// may be numbers of things.
const NAMES_MAX: usize = 32;

/// The index of a [`Place`].
pub(super) type PlaceId = u16;
/// The index of an [`Edge`].
pub(super) type EdgeId = u16;

/// The place at the start of a record.
pub(super) const START: PlaceId = 0;
/// The place behind a value in the record's own object.
pub(super) const ROOT: PlaceId = 1;
/// No edge: what is before the first one, and what follows where nothing has.
pub(super) const NONE: EdgeId = 0;

/// Somewhere in a record, behind a value: the names of the objects that are open there say all about it. Whatever may follow
/// there is JSON, and means the same, after any value.
#[derive(Debug)]
pub(super) struct Place {
    /// The object around, and the quoted name of this one in it.
    pub(super) around: PlaceId,
    pub(super) name: Box<[u8]>,
    /// Set where something in this object is wanted.
    pub(super) wanted: bool,
    /// Set where this object had too many names.
    pub(super) whole: bool,
    /// What has followed, in the order it was learnt.
    pub(super) edges: Vec<EdgeId>,
}

/// What follows at a place: a literal, mostly up to the next value, and that value.
#[derive(Debug)]
pub(super) struct Edge {
    /// In [`Graph::literals`].
    pub(super) literal: Range<usize>,
    pub(super) then: Then,
    /// The place behind the value.
    pub(super) to: PlaceId,
    /// The edge that came next in the record before: most likely it does again.
    pub(super) next: EdgeId,
    /// Which of its place's edges this is.
    pub(super) rank: u16,
    /// Where the value's text goes.
    pub(super) slot: Option<u32>,
    /// The slots of all that the names in the literal give anew: empty where that is the value's own slot.
    pub(super) clears: Range<u32>,
    /// How many objects the value is in.
    pub(super) depth: u32,
}

/// What follows a literal.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// Any value but an object: the names of that have edges of their own.
    Value,
    /// Any value. An object is scanned as it is, for the wanted field that it is.
    Whole(Option<Box<Node>>),
    /// Nothing: the literal ends with an empty object.
    Empty,
    /// The record ends.
    End,
}

/// An edge to learn.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) literal: &'a [u8],
    pub(super) then: Then,
    /// The place behind the value.
    pub(super) to: PlaceId,
    pub(super) slot: Option<usize>,
    /// The slots of all that the names in the literal give anew.
    pub(super) clears: Range<usize>,
    /// How many objects the value is in.
    pub(super) depth: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) places: Vec<Place>,
    pub(super) edges: Vec<Edge>,
    pub(super) literals: Vec<u8>,
}

impl Graph {
    /// Nothing but the start.
    pub(super) fn new() -> Self {
        let place = || Place { around: START, name: Box::default(), wanted: true, whole: false, edges: Vec::new() };
        let none = Edge {
            literal: 0..0,
            then: Then::Empty,
            to: START,
            next: NONE,
            rank: 0,
            slot: None,
            clears: 0..0,
            depth: 0,
        };
        Graph { places: vec![place(), place()], edges: vec![none], literals: Vec::new() }
    }

    /// True where the object of `place` is to be taken whole.
    pub(super) fn is_whole(&self, place: PlaceId) -> bool {
        self.places[usize::from(place)].whole
    }

    /// The place in the object of that quoted name, in the object of `around`. None where there are too many: then something
    /// was forgotten.
    pub(super) fn place(&mut self, around: PlaceId, name: &[u8], wanted: bool) -> Option<PlaceId> {
        if name.len() > LITERAL_BYTES_MAX {
            return None;
        }
        let inside = |it: &Place| it.around == around && !it.name.is_empty();
        if let Some(found) = self.places.iter().position(|it| inside(it) && *it.name == *name) {
            return Some(found as PlaceId);
        }
        let outer = &self.places[usize::from(around)];
        if !outer.wanted && self.places.iter().filter(|it| inside(it)).count() >= NAMES_MAX {
            self.take_whole(around);
            return None;
        }
        if self.places.len() >= PLACES_MAX {
            *self = Graph::new();
            return None;
        }
        self.places.push(Place { around, name: name.into(), wanted, whole: false, edges: Vec::new() });
        Some((self.places.len() - 1) as PlaceId)
    }

    /// Learns what followed at `place`, behind the edge `before`. None where there is no room: then something was forgotten.
    pub(super) fn add(&mut self, place: PlaceId, before: EdgeId, found: Found<'_>) -> Option<EdgeId> {
        let known = self.places[usize::from(place)].edges.iter().copied().find(|&it| {
            let edge = &self.edges[usize::from(it)];
            // The literal says all the rest.
            discriminant(&edge.then) == discriminant(&found.then)
                && self.literals[edge.literal.clone()] == *found.literal
        });
        let edge = match known {
            Some(known) => known,
            None => self.push(place, found)?,
        };
        self.edges[usize::from(before)].next = edge;
        Some(edge)
    }

    fn push(&mut self, place: PlaceId, found: Found<'_>) -> Option<EdgeId> {
        if found.literal.len() > LITERAL_BYTES_MAX {
            return None;
        }
        let siblings = &self.places[usize::from(place)];
        if !siblings.wanted && siblings.edges.len() >= NAMES_MAX {
            self.take_whole(place);
            return None;
        }
        if self.edges.len() >= EDGES_MAX {
            *self = Graph::new();
            return None;
        }
        let (edge, start) = (self.edges.len() as EdgeId, self.literals.len());
        self.literals.extend_from_slice(found.literal);
        let alone = found.slot.is_some_and(|it| found.clears == (it..it + 1));
        self.edges.push(Edge {
            literal: start..self.literals.len(),
            then: found.then,
            to: found.to,
            next: NONE,
            rank: siblings.edges.len() as u16,
            slot: found.slot.map(|it| it as u32),
            clears: if alone { 0..0 } else { found.clears.start as u32..found.clears.end as u32 },
            depth: found.depth,
        });
        self.places[usize::from(place)].edges.push(edge);
        Some(edge)
    }

    /// What it takes, bytes, without what wanted fields take.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let places =
            self.places.iter().map(|it| size_of::<Place>() + it.name.len() + it.edges.len() * size_of::<EdgeId>());
        places.sum::<usize>() + self.edges.len() * size_of::<Edge>() + self.literals.len()
    }

    /// From now on the object of `place` is one value. Edges lead into it from anywhere, so that all of them are forgotten.
    fn take_whole(&mut self, place: PlaceId) {
        self.places[usize::from(place)].whole = true;
        self.places.iter_mut().for_each(|it| it.edges.clear());
        self.edges.truncate(1);
        self.edges[usize::from(NONE)].next = NONE;
        self.literals.clear();
    }
}
