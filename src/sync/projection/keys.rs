//! What is done to the names of keys: conversion and validation.
//!
//! Both take the letters and numbers of all scripts for legal, as External Secrets does: such a key may be used up by a
//! template. Whether a key can be one of a Secret is asked again when the target is put together.

use std::{collections::btree_map::Entry, sync::LazyLock};

use regex::Regex;

use super::ProjectionError;
use crate::secret::Values;

/// What becomes of characters that a key cannot have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// Each becomes an underscore.
    #[default]
    Default,
    /// Each becomes its code, as in `_U002f_`.
    Unicode,
}

/// Longest key that a Secret can have, in bytes.
const LONGEST: usize = 253;

/// Letters and numbers as Go sees them. `char::is_alphabetic` takes in marks too.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}]$").ok());

fn is_legal(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
    }
    WORD.as_ref().is_some_and(|word| word.is_match(character.encode_utf8(&mut [0; 4])))
}

/// Replaces the characters that a key cannot have.
#[must_use]
pub fn convert_key(strategy: Conversion, key: &str) -> String {
    let mut converted = String::with_capacity(key.len());
    for character in key.chars() {
        match strategy {
            _ if is_legal(character) => converted.push(character),
            Conversion::Default => converted.push('_'),
            Conversion::Unicode => converted.push_str(&format!("_U{:04x}_", u32::from(character))),
        }
    }
    converted
}

/// Converts every key.
///
/// # Errors
///
/// [`ProjectionError::Collision`] if two keys become the same.
pub fn convert_keys(strategy: Conversion, values: Values) -> Result<Values, ProjectionError> {
    let mut converted = Values::new();
    for (key, value) in values {
        match converted.entry(convert_key(strategy, &key)) {
            Entry::Vacant(vacant) => vacant.insert(value),
            Entry::Occupied(occupied) => return Err(ProjectionError::Collision(occupied.key().clone())),
        };
    }
    Ok(converted)
}

/// Checks that every key can be used further. An empty key is dropped.
///
/// # Errors
///
/// [`ProjectionError::LongKey`] or [`ProjectionError::BadKey`] for the first one that cannot.
pub fn validate_keys(mut values: Values) -> Result<Values, ProjectionError> {
    values.remove("");
    for key in values.keys() {
        if key.len() > LONGEST {
            let beginning = (0..=LONGEST).rev().find_map(|end| key.get(..end)).unwrap_or_default();
            return Err(ProjectionError::LongKey { key: beginning.to_owned(), length: key.len() });
        }
        if let Some(character) = key.chars().find(|character| !is_legal(*character)) {
            return Err(ProjectionError::BadKey { key: key.clone(), character });
        }
    }
    Ok(values)
}
