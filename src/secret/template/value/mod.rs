//! What a template computes with: the Go values that templates can tell apart.
//!
//! Texts are bytes, as in Go, so a binary secret goes through unchanged. They are wiped when dropped. Dictionaries are
//! shared and can be changed (`set`, `merge`), as in Sprig; lists never change.

mod collection;

mod text;

use std::rc::Rc;

pub(crate) use collection::{List, ListKind, Map, MapKind};

pub(crate) use text::{Text, decode, encode, runes};

pub(crate) use super::time::Moment;

use super::semver::Version;

/// A value.
#[derive(Clone)]
pub(crate) enum Value {
    /// Nothing: `nil`, or a key that does not exist.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number; Go's functions tell its types apart.
    Int(i64, Width),
    /// A `float64`.
    Float(f64),
    /// A string.
    Text(Text),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A `time.Time`.
    Moment(Moment),
    /// What `semver` returns.
    Version(Rc<Version>),
    /// What `genCA` and its like return.
    Certificate(Rc<Certificate>),
}

/// The type of a whole number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// `int`: literals, lengths, indices.
    Int,
    /// `int64`: Sprig's arithmetic.
    Long,
    /// `uint8`: a byte of a string.
    Byte,
}

/// A certificate with its private key, both PEM.
pub(crate) struct Certificate {
    /// The certificate.
    pub(crate) certificate: Text,
    /// The private key.
    pub(crate) key: Text,
}

impl Value {
    /// A string.
    pub(crate) fn text(bytes: impl Into<Text>) -> Self {
        Self::Text(bytes.into())
    }

    /// An `int`.
    pub(crate) const fn int(number: i64) -> Self {
        Self::Int(number, Width::Int)
    }

    /// An `int64`.
    pub(crate) const fn long(number: i64) -> Self {
        Self::Int(number, Width::Long)
    }

    /// A length or an index.
    pub(crate) fn count(number: usize) -> Self {
        Self::int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A `[]interface {}`.
    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(List::new(items, ListKind::Any))
    }

    /// A `[]string`.
    pub(crate) fn texts<T: Into<Text>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(List::new(items.into_iter().map(Self::text).collect(), ListKind::Text))
    }

    /// A `map[string]interface {}`.
    pub(crate) fn map(entries: impl IntoIterator<Item = (Text, Self)>) -> Self {
        Self::Map(Map::new(entries, MapKind::Any))
    }

    /// Whether `if`, `and` and `not` take it for true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number, _) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Moment(_) | Self::Version(_) | Self::Certificate(_) => true,
        }
    }

    /// The name of its Go type, as `%T` prints it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_, Width::Int) => "int",
            Self::Int(_, Width::Long) => "int64",
            Self::Int(_, Width::Byte) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(list) => match list.kind() {
                ListKind::Any => "[]interface {}",
                ListKind::Text => "[]string",
                ListKind::Int => "[]int",
                ListKind::Lists => "[][]interface {}",
            },
            Self::Map(map) => match map.kind() {
                MapKind::Any => "map[string]interface {}",
                MapKind::Text => "map[string]string",
            },
            Self::Moment(_) => "time.Time",
            Self::Version(_) => "*semver.Version",
            Self::Certificate(_) => "sprig.certificate",
        }
    }

    /// The name of its Go kind.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Moment(_) | Self::Certificate(_) => "struct",
            Self::Version(_) => "ptr",
            Self::Bool(_) | Self::Int(..) | Self::Float(_) | Self::Text(_) => self.type_name(),
        }
    }
}
