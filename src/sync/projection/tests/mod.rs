mod decoding;
mod keys;
mod lookup;
mod paths;
mod rewrite;

use crate::secret::{Plaintext, Values};

fn values(entries: &[(&str, &str)]) -> Values {
    entries.iter().map(|(key, value)| ((*key).to_owned(), Plaintext::copy_of(value.as_bytes()))).collect()
}

fn shown(values: &Values) -> Vec<(String, String)> {
    values.iter().map(|(key, value)| (key.clone(), String::from_utf8_lossy(value.expose()).into_owned())).collect()
}

fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
