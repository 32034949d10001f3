//! Lists and dictionaries.

use std::{cell::RefCell, collections::BTreeMap, mem, rc::Rc};

use super::{Text, Value};
use crate::secret::template::{
    budget::{Budget, STEP},
    error::Fault,
};

/// A list that never changes.
#[derive(Clone)]
pub(crate) struct List(Rc<ListBody>);

struct ListBody {
    items: Vec<Value>,
    kind: ListKind,
    /// Go's nil slice, which JSON shows as `null`.
    absent: bool,
}

/// The Go types of slices that Sprig returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// `[]interface {}`.
    Any,
    /// `[]string`.
    Text,
    /// `[]int`.
    Int,
    /// `[][]interface {}`.
    Lists,
}

impl List {
    /// A list of `items`.
    pub(crate) fn new(items: Vec<Value>, kind: ListKind) -> Self {
        Self(Rc::new(ListBody { items, kind, absent: false }))
    }

    /// A nil slice.
    pub(crate) fn absent(kind: ListKind) -> Self {
        Self(Rc::new(ListBody { items: Vec::new(), kind, absent: true }))
    }

    /// The elements.
    pub(crate) fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.items.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// Whether it is Go's nil slice.
    pub(crate) fn is_absent(&self) -> bool {
        self.0.absent
    }

    /// The type of its elements.
    pub(crate) fn kind(&self) -> ListKind {
        self.0.kind
    }
}

/// A dictionary; its owners all see a change.
#[derive(Clone)]
pub(crate) struct Map(Rc<MapBody>);

struct MapBody {
    entries: RefCell<BTreeMap<Text, Value>>,
    kind: MapKind,
    /// What it is, for people, where a key that is missing is an error however it is asked for.
    called: Option<Box<str>>,
}

/// The Go types of maps that templates meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapKind {
    /// `map[string]interface {}`.
    Any,
    /// `map[string]string`.
    Text,
}

impl Map {
    /// A dictionary of `entries`.
    pub(crate) fn new(entries: impl IntoIterator<Item = (Text, Value)>, kind: MapKind) -> Self {
        Self(Rc::new(MapBody { entries: RefCell::new(entries.into_iter().collect()), kind, called: None }))
    }

    /// A dictionary that is called something: `index` finds a key there or fails.
    pub(crate) fn strict(entries: impl IntoIterator<Item = (Text, Value)>, kind: MapKind, called: &str) -> Self {
        let entries = RefCell::new(entries.into_iter().collect());
        Self(Rc::new(MapBody { entries, kind, called: Some(called.into()) }))
    }

    /// That a key is missing, if that is an error here in any case.
    pub(crate) fn lacks(&self, key: &[u8]) -> Option<Fault> {
        let called = self.0.called.as_deref()?;
        Some(Fault::MissingIn { called: called.to_owned(), key: String::from_utf8_lossy(key).into_owned() })
    }

    /// The value of a key.
    pub(crate) fn at(&self, key: &[u8]) -> Option<Value> {
        self.0.entries.borrow().get(key).cloned()
    }

    /// All entries in the order of their keys, as they are now.
    pub(crate) fn entries(&self) -> Vec<(Text, Value)> {
        self.0.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.entries.borrow().len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.entries.borrow().is_empty()
    }

    /// The type of its values.
    pub(crate) fn kind(&self) -> MapKind {
        self.0.kind
    }

    /// Whether both are the same dictionary, not only equal ones.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Sets a key. A dictionary that would contain itself is refused: printing it would never end, and it would never
    /// be wiped.
    pub(crate) fn insert(&self, budget: &Budget, key: Text, value: Value) -> Result<(), Fault> {
        self.refuse_inside(budget, &value)?;
        budget.charge(STEP + key.len())?;
        self.0.entries.borrow_mut().insert(key, value);
        Ok(())
    }

    /// Removes a key.
    pub(crate) fn remove(&self, key: &[u8]) {
        self.0.entries.borrow_mut().remove(key);
    }

    fn refuse_inside(&self, budget: &Budget, value: &Value) -> Result<(), Fault> {
        let mut pending = vec![value.clone()];
        while let Some(next) = pending.pop() {
            budget.charge(STEP)?;
            if let Value::List(list) = &next {
                pending.extend(list.items().iter().filter(|item| item.is_collection()).cloned());
            } else if let Value::Map(map) = &next {
                if map.is(self) {
                    return Err(Fault::refused("a dictionary cannot contain itself"));
                }
                let entries = map.0.entries.borrow();
                pending.extend(entries.values().filter(|item| item.is_collection()).cloned());
            }
        }
        Ok(())
    }
}

impl Value {
    const fn is_collection(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }
}

// Values nest as deeply as a template likes; dropping them one inside the other would overflow the stack.

impl Drop for ListBody {
    fn drop(&mut self) {
        dismantle(mem::take(&mut self.items));
    }
}

impl Drop for MapBody {
    fn drop(&mut self) {
        dismantle(mem::take(self.entries.get_mut()).into_values().collect());
    }
}

fn dismantle(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        if let Value::List(List(body)) = value {
            if let Some(mut body) = Rc::into_inner(body) {
                pending.append(&mut body.items);
            }
        } else if let Value::Map(Map(body)) = value
            && let Some(mut body) = Rc::into_inner(body)
        {
            pending.extend(mem::take(body.entries.get_mut()).into_values());
        }
    }
}
