//! Brings the rows of one key together, in the order in which keys and rows came.

use crate::batch::Keys;
use hashbrown::HashTable;

/// Rows ordered by key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grouped {
    /// The rows in their new order; none where they already stand in it.
    pub order: Option<Vec<u32>>,
    /// Group `i` is the rows `bounds[i]..bounds[i + 1]` of the new order.
    pub bounds: Vec<u32>,
}

/// Groups the rows of a batch: a stable counting sort over the keys in the order of their first row.
pub(super) fn group(keys: &Keys) -> Grouped {
    let rows = keys.hashes.len();
    // For each group: its first row, and how many rows it has.
    let mut groups: Vec<(u32, u32)> = Vec::new();
    let mut table: HashTable<u32> = HashTable::with_capacity(rows);
    let mut group_of = Vec::with_capacity(rows);
    for (row, &hash) in keys.hashes.iter().enumerate() {
        let text = keys.texts.get(row);
        let same = |group: &u32| keys.texts.get(groups[*group as usize].0 as usize) == text;
        let group = match table.find(hash, same) {
            Some(group) => *group,
            None => {
                let group = groups.len() as u32;
                groups.push((row as u32, 0));
                table.insert_unique(hash, group, |group| keys.hashes[groups[*group as usize].0 as usize]);
                group
            }
        };
        groups[group as usize].1 += 1;
        group_of.push(group);
    }
    let mut bounds = Vec::with_capacity(groups.len() + 1);
    bounds.push(0);
    for (_, count) in &groups {
        bounds.push(bounds[bounds.len() - 1] + count);
    }
    if group_of.is_sorted() {
        return Grouped { order: None, bounds };
    }
    let mut next = bounds.clone();
    let mut order = vec![0; rows];
    for (row, &group) in group_of.iter().enumerate() {
        order[next[group as usize] as usize] = row as u32;
        next[group as usize] += 1;
    }
    Grouped { order: Some(order), bounds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::hash;

    fn keys(names: &[&str]) -> Keys {
        let mut keys = Keys::default();
        for name in names {
            keys.texts.push(name.as_bytes());
            keys.hashes.push(hash(name.as_bytes()));
        }
        keys
    }

    #[test]
    fn rows_of_a_key_come_together_in_their_order() {
        let grouped = group(&keys(&["b", "a", "b", "c", "a"]));
        assert_eq!(grouped, Grouped { order: Some(vec![0, 2, 1, 4, 3]), bounds: vec![0, 2, 4, 5] });
    }

    #[test]
    fn rows_that_are_together_stay_where_they_are() {
        assert_eq!(group(&keys(&["a", "a", "b"])), Grouped { order: None, bounds: vec![0, 2, 3] });
        assert_eq!(group(&keys(&[])), Grouped { order: None, bounds: vec![0] });
    }

    #[test]
    fn keys_with_one_hash_stay_apart() {
        let mut keys = keys(&["a", "b", "a"]);
        keys.hashes = vec![7; 3];
        assert_eq!(group(&keys), Grouped { order: Some(vec![0, 2, 1]), bounds: vec![0, 2, 3] });
    }
}
