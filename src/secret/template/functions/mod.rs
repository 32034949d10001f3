//! The functions: Go's own, Sprig's generic ones, and those that External Secrets adds, by family.
//!
//! Names, order of arguments and results are those of Sprig 3.3. A function reads its arguments through [`Call`], which
//! also enforces Go's types, and fails with a [`Fault`], which cannot carry an argument.

mod base;
mod builtin;
mod certificates;
mod chains;
mod collections;
mod compare;
mod crypto;
mod dates;
mod decimal;
mod defaults;
mod der;
mod dictionaries;
mod encoding;
mod json;
mod jwk;
mod keys;
mod merge;
mod numbers;
mod passwords;
mod paths;
mod pattern;
mod pem;
mod pkcs12;
mod pkcs8;
mod random;
mod reflection;
mod regex;
mod semver;
mod strings;
mod url;
mod words;
mod wrap;
mod yaml;

pub(super) use self::regex::replaced;
pub(super) use pattern::compile as compile_pattern;

use std::{collections::HashMap, sync::LazyLock};

use super::{
    Environment,
    budget::{Budget, STEP},
    error::{Fault, Reason},
    print,
    value::{List, Map, MapKind, Value, Width},
};

/// What a function returns.
type Outcome = Result<Value, Fault>;

/// A function that templates can call.
pub(super) struct Function {
    name: &'static str,
    least: usize,
    most: usize,
    run: fn(&Call<'_>) -> Outcome,
}

/// For functions that take any number of arguments.
const MANY: usize = usize::MAX;

/// One entry of a family's list.
const fn function(name: &'static str, least: usize, most: usize, run: fn(&Call<'_>) -> Outcome) -> Function {
    Function { name, least, most, run }
}

impl Function {
    /// Checks the number of arguments, runs the function, and charges for what it made.
    pub(super) fn call(&self, call: &Call<'_>) -> Outcome {
        let found = call.arguments.len();
        if found < self.least || found > self.most {
            let expected = match (self.least, self.most) {
                (0, 0) => "none are wanted",
                (1, 1) => "one is wanted",
                (2, 2) => "two are wanted",
                (3, 3) => "three are wanted",
                (least, MANY) if found < least => "more are wanted",
                _ => "another number is wanted",
            };
            return Err(Fault::Because(Reason::Arguments { expected, found }));
        }
        let value = (self.run)(call)?;
        call.budget.charge(match &value {
            Value::Text(text) => STEP + text.len(),
            Value::List(list) => STEP.saturating_mul(list.len() + 1),
            Value::Map(map) => STEP.saturating_mul(map.len() + 1),
            Value::Nil
            | Value::Bool(_)
            | Value::Int(..)
            | Value::Float(_)
            | Value::Moment(_)
            | Value::Version(_)
            | Value::Certificate(_) => STEP,
        })?;
        Ok(value)
    }
}

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    static REGISTRY: LazyLock<HashMap<&'static str, &'static Function>> =
        LazyLock::new(|| FAMILIES.iter().copied().flatten().map(|function| (function.name, function)).collect());
    REGISTRY.get(name).copied()
}

/// Why a function of Sprig is not offered.
pub(super) fn withheld(name: &str) -> Option<&'static str> {
    match name {
        "env" | "expandenv" => Some("a template must not read the environment of the process that renders it"),
        "getHostByName" => Some("a template must not use the network"),
        _ => None,
    }
}

const FAMILIES: &[&[Function]] = &[
    builtin::FUNCTIONS,
    certificates::FUNCTIONS,
    chains::FUNCTIONS,
    collections::FUNCTIONS,
    compare::FUNCTIONS,
    crypto::FUNCTIONS,
    dates::FUNCTIONS,
    defaults::FUNCTIONS,
    dictionaries::FUNCTIONS,
    encoding::FUNCTIONS,
    json::FUNCTIONS,
    jwk::FUNCTIONS,
    keys::FUNCTIONS,
    merge::FUNCTIONS,
    numbers::FUNCTIONS,
    passwords::FUNCTIONS,
    paths::FUNCTIONS,
    pkcs12::FUNCTIONS,
    random::FUNCTIONS,
    reflection::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    strings::FUNCTIONS,
    url::FUNCTIONS,
    words::FUNCTIONS,
    wrap::FUNCTIONS,
    yaml::FUNCTIONS,
];

/// The names of all functions.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    FAMILIES.iter().copied().flatten().map(|function| function.name).collect()
}

/// A call with its evaluated arguments. Indices count from 0; messages count from 1.
pub(super) struct Call<'a> {
    pub(super) environment: &'a Environment<'a>,
    pub(super) budget: &'a Budget,
    pub(super) arguments: &'a [Value],
}

impl<'a> Call<'a> {
    /// An argument of any type.
    fn any(&self, index: usize) -> Result<&'a Value, Fault> {
        self.arguments
            .get(index)
            .ok_or(Fault::Because(Reason::Arguments { expected: "more are wanted", found: self.arguments.len() }))
    }

    /// All arguments from one on.
    fn rest(&self, from: usize) -> &'a [Value] {
        self.arguments.get(from..).unwrap_or_default()
    }

    /// A string.
    fn text(&self, index: usize) -> Result<&'a [u8], Fault> {
        match self.any(index)? {
            Value::Text(text) => Ok(text.bytes()),
            other => Err(wrong_type(index, "string", other)),
        }
    }

    /// A string that has to be UTF-8 to mean anything.
    fn utf8(&self, index: usize) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.text(index)?).map_err(|_| Fault::refused("the text is not UTF-8"))
    }

    /// An `int`. As in Go, the `int64` of Sprig's arithmetic is something else.
    fn int(&self, index: usize) -> Result<i64, Fault> {
        match self.any(index)? {
            Value::Int(number, Width::Int) => Ok(*number),
            other => Err(wrong_type(index, "int", other)),
        }
    }

    /// A `bool`.
    fn bool(&self, index: usize) -> Result<bool, Fault> {
        match self.any(index)? {
            Value::Bool(truth) => Ok(*truth),
            other => Err(wrong_type(index, "bool", other)),
        }
    }

    /// A `map[string]interface {}`. The values of a Secret themselves are a `map[string]string`, which Go keeps apart.
    fn map(&self, index: usize) -> Result<&'a Map, Fault> {
        match self.any(index)? {
            Value::Map(map) if map.kind() == MapKind::Any => Ok(map),
            other => Err(wrong_type(index, "map[string]interface {}", other)),
        }
    }

    /// A slice of whatever type.
    fn list(&self, index: usize) -> Result<&'a List, Fault> {
        match self.any(index)? {
            Value::List(list) => Ok(list),
            other => Err(wrong_type(index, "a slice", other)),
        }
    }

    /// Sprig's `strval` of an argument.
    fn shown(&self, index: usize) -> Result<Vec<u8>, Fault> {
        print::as_text(self.budget, self.any(index)?)
    }

    /// Fills a buffer from the caller's source of randomness.
    fn random(&self, bytes: &mut [u8]) {
        (self.environment.random)(bytes);
    }
}

fn wrong_type(index: usize, expected: &'static str, found: &Value) -> Fault {
    Fault::Because(Reason::Type { argument: index + 1, expected, found: found.type_name() })
}
