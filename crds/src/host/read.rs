//! Reading a Host document: strictly, and so that one entry that cannot be read does not hide the others.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{API_VERSION, Host, HostMetadata, HostSpec, KIND};
use crate::object::Unreadable;

/// A document, as far as it can be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What could be read: entries of lists that could not are left out.
    pub host: Host,
    /// Where those stood that were read.
    pub positions: Positions,
    /// Everything that could not be read, in the order of the document.
    pub unread: Vec<Unreadable>,
    /// The paths of the files that could not be read, where they have one.
    pub unread_paths: Vec<String>,
    /// Whether something could not be read of which it is not known which files it means.
    pub is_partial: bool,
}

/// The place in the document of each entry of a list: `files[0]` may have been the third there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Of `spec.files`.
    pub files: Vec<usize>,
    /// Of `spec.units`.
    pub units: Vec<usize>,
    /// Of `spec.cron`.
    pub cron: Vec<usize>,
    /// Of `spec.credentials`.
    pub credentials: Vec<usize>,
    /// Of `spec.services`.
    pub services: Vec<usize>,
}

impl Positions {
    /// Those of a document of which everything was read.
    #[must_use]
    pub fn all(spec: &HostSpec) -> Self {
        let upto = |count: usize| (0..count).collect();
        Self {
            files: upto(spec.files.len()),
            units: upto(spec.units.len()),
            cron: upto(spec.cron.len()),
            credentials: upto(spec.credentials.len()),
            services: upto(spec.services.len()),
        }
    }
}

/// Whether this is a Host document, of any version.
#[must_use]
pub fn is_host(document: &Value) -> bool {
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    text("kind") == KIND && text("apiVersion").starts_with("bulla.dev/")
}

impl Host {
    /// Reads a document.
    ///
    /// # Errors
    /// The first thing that cannot be read: where, and what should be there.
    pub fn read(document: Value) -> Result<Self, Unreadable> {
        let Reading { host, unread, .. } = Self::read_each(document);
        unread.into_iter().next().map_or(Ok(host), Err)
    }

    /// Reads as much of a document as can be read.
    #[must_use]
    pub fn read_each(document: Value) -> Reading {
        let mut reader = Reader::default();
        reader.document(document);
        reader.0
    }
}

#[derive(Default)]
struct Reader(Reading);

impl Reader {
    fn note(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.unread.push(Unreadable { path: path.into(), problem: problem.into() });
    }

    fn document(&mut self, document: Value) {
        let Value::Object(mut fields) = document else {
            self.0.is_partial = true;
            return self.note("", "must be an object");
        };
        let mut text = |field: &str| fields.remove(field);
        for (field, value, wanted) in [("apiVersion", text("apiVersion"), API_VERSION), ("kind", text("kind"), KIND)] {
            if value.as_ref().and_then(Value::as_str) != Some(wanted) {
                self.0.is_partial = true;
                self.note(field, format!("must be {wanted}"));
            }
        }
        self.0.host.api_version = API_VERSION.to_owned();
        self.0.host.kind = KIND.to_owned();
        match fields.remove("metadata").map_or_else(|| lacks("metadata"), |value| part("metadata", value)) {
            Ok(metadata) => self.0.host.metadata = metadata,
            Err(error) => {
                self.0.is_partial = true;
                self.0.unread.push(error);
            }
        }
        if let Some(spec) = fields.remove("spec") {
            self.spec(spec);
        }
        for field in fields.keys() {
            self.note(field, unknown(field, &["apiVersion", "kind", "metadata", "spec"]));
        }
    }

    fn spec(&mut self, spec: Value) {
        let Value::Object(mut fields) = spec else {
            self.0.is_partial = true;
            return self.note("spec", "must be an object");
        };
        let mut spec = HostSpec::default();
        let mut positions = Positions::default();
        (spec.hosts, _) = self.list(&mut fields, "hosts");
        (spec.groups, _) = self.list(&mut fields, "groups");
        (spec.files, positions.files) = self.list(&mut fields, "files");
        (spec.units, positions.units) = self.list(&mut fields, "units");
        (spec.cron, positions.cron) = self.list(&mut fields, "cron");
        (spec.credentials, positions.credentials) = self.list(&mut fields, "credentials");
        (spec.services, positions.services) = self.list(&mut fields, "services");
        let known = ["hosts", "groups", "files", "units", "cron", "credentials", "services"];
        for field in fields.keys() {
            self.0.is_partial = true;
            self.note(format!("spec.{field}"), unknown(field, &known));
        }
        (self.0.host.spec, self.0.positions) = (spec, positions);
    }

    /// The entries of a list that can be read, and where they stood.
    fn list<T: DeserializeOwned>(&mut self, fields: &mut Map<String, Value>, field: &str) -> (Vec<T>, Vec<usize>) {
        let (mut read, mut positions) = (Vec::new(), Vec::new());
        let items = match fields.remove(field) {
            None => return (read, positions),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.0.is_partial = true;
                self.note(format!("spec.{field}"), "must be a list");
                return (read, positions);
            }
        };
        for (index, item) in items.into_iter().enumerate() {
            let declared = item.get("path").and_then(Value::as_str).filter(|_| field == "files").map(str::to_owned);
            match part(&format!("spec.{field}[{index}]"), item) {
                Ok(item) => {
                    read.push(item);
                    positions.push(index);
                }
                Err(error) => {
                    self.0.unread.push(error);
                    match declared {
                        Some(path) => self.0.unread_paths.push(path),
                        // A service has no file.
                        None => self.0.is_partial |= field != "services",
                    }
                }
            }
        }
        (read, positions)
    }
}

fn lacks<T>(field: &str) -> Result<T, Unreadable> {
    Err(Unreadable { path: field.to_owned(), problem: "is missing".to_owned() })
}

/// Reads one part of the document, and says where it cannot.
fn part<T: DeserializeOwned>(at: &str, value: Value) -> Result<T, Unreadable> {
    // Structs would be read from lists as well, field by field.
    if let Some(inner) = list_for_object(&value, at) {
        return Err(Unreadable { path: inner, problem: "must be an object".to_owned() });
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let sentence = error.into_inner().to_string();
        let mut path = if inner == "." { at.to_owned() } else { format!("{at}.{inner}") };
        let unknown_field = sentence.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        let problem = match unknown_field {
            Some((field, known)) => {
                if !path.ends_with(&format!(".{field}")) {
                    path = format!("{path}.{field}");
                }
                let known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
                unknown(field, &known)
            }
            None => problem_of(&sentence),
        };
        Unreadable { path, problem }
    })
}

/// The first place inside where a list stands for an object.
fn list_for_object(value: &Value, at: &str) -> Option<String> {
    const OBJECTS: [&str; 5] = ["secret", "commands", "health", "http", "environment"];
    let Value::Object(fields) = value else { return value.is_array().then(|| at.to_owned()) };
    fields.iter().find_map(|(field, value)| match value {
        Value::Array(_) if OBJECTS.contains(&field.as_str()) => Some(format!("{at}.{field}")),
        Value::Array(items) if field == "secrets" => {
            items.iter().position(Value::is_array).map(|index| format!("{at}.secrets[{index}]"))
        }
        Value::Object(_) => list_for_object(value, &format!("{at}.{field}")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    })
}

/// What serde says is wrong, without the value that it quotes.
fn problem_of(sentence: &str) -> String {
    if let Some((_, rest)) = sentence.split_once("missing field `")
        && let Some((field, _)) = rest.split_once('`')
    {
        return format!("lacks {field}");
    }
    let Some((found, wanted)) = sentence.rsplit_once(", expected ") else { return "cannot be read".to_owned() };
    match wanted {
        "a string" if found.contains("integer") || found.contains("floating") || found.contains("boolean") => {
            "must be a string: write it in quotes".to_owned()
        }
        "a map" => "must be an object".to_owned(),
        "a sequence" => "must be a list".to_owned(),
        "u16" => "must be a whole number from 0 to 65535".to_owned(),
        "a boolean" => "must be true or false".to_owned(),
        _ if wanted.starts_with("struct ") => "must be an object".to_owned(),
        _ => format!("must be {wanted}"),
    }
}

/// That nobody knows a field, and which is meant, if one is alike.
fn unknown(field: &str, known: &[&str]) -> String {
    let near = known.iter().map(|one| (distance(field, one), *one)).min();
    match near {
        Some((distance, one)) if distance <= 1 + one.len() / 4 => format!("is not known; is {one} meant?"),
        Some(_) | None => format!("is not known; there is {}", known.join(", ")),
    }
}

/// How many letters have to be changed, added or left out to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // A word that is much longer is not alike, and need not be looked at.
    for (index, letter) in a.bytes().take(64).enumerate() {
        let mut corner = index;
        let mut left = index + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (other, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            left = (corner + usize::from(letter != other)).min(above + 1).min(left + 1);
            corner = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default() + a.len().saturating_sub(64)
}

impl Default for Host {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            metadata: HostMetadata::default(),
            spec: HostSpec::default(),
        }
    }
}
