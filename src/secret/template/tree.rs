//! Templates over several secrets: the dot is a map of maps.
//!
//! A file of a host is made of several secrets at once. A secret or a key that is missing is an error here however it
//! is asked for, by `.db.password` or `index .db "password"`: a configuration that is silently broken helps nobody.

use std::collections::BTreeMap;

use super::value::{List, ListKind, Map, MapKind, Value};
use super::{Allowance, Delimiters, Environment, TemplateError, execute, program::Program};
use crate::secret::{Plaintext, Values};

/// What a template sees.
pub enum Tree<'v> {
    /// A text that is no secret.
    Text(&'v str),
    /// Texts that are no secrets.
    Texts(&'v [String]),
    /// More of these by name.
    Map(BTreeMap<&'v str, Self>),
    /// The values of a secret.
    Secret {
        /// What errors call it.
        called: String,
        /// The values by key.
        values: &'v Values,
    },
}

impl Tree<'_> {
    fn value(&self, called: &str) -> Value {
        match self {
            Self::Text(text) => Value::text(*text),
            Self::Texts(texts) => {
                let items = texts.iter().map(|text| Value::text(text.as_str())).collect();
                Value::List(List::new(items, ListKind::Text))
            }
            Self::Map(entries) => Value::Map(map(entries, called)),
            Self::Secret { called, values } => {
                let entries = values.iter().map(|(key, value)| (key.as_str().into(), Value::text(value.expose())));
                Value::Map(Map::strict(entries, MapKind::Any, called))
            }
        }
    }
}

fn map(entries: &BTreeMap<&str, Tree<'_>>, called: &str) -> Map {
    let values = entries.iter().map(|(name, entry)| ((*name).into(), entry.value(name)));
    Map::strict(values, MapKind::Any, called)
}

/// Renders a template over a map of maps. `called` is what errors call the map itself.
///
/// It may do what [`super::render`] may, and no more than is left of the allowance: a thousand templates that each stay
/// within the limits must not take a thousand times as long.
///
/// # Errors
/// [`TemplateError`] names the place in the template and the reason, and never a value.
pub fn render_tree(
    template: &str,
    data: &BTreeMap<&str, Tree<'_>>,
    called: &str,
    environment: &Environment<'_>,
    allowance: &Allowance,
) -> Result<Plaintext, TemplateError> {
    let program = Program::parse(template, environment.delimiters)?;
    let budget = allowance.share();
    let rendered = execute::execute(&program, map(data, called), environment, &budget);
    allowance.settle(&budget);
    rendered.map(Plaintext::from_guarded)
}

/// Whether the text is a template, with Go's own delimiters.
///
/// # Errors
/// Where it is none, and why.
pub fn check(template: &str) -> Result<(), TemplateError> {
    Program::parse(template, Delimiters::default()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::{Limit, MissingKey};
    use super::*;

    fn rendered(template: &str, allowance: &Allowance) -> Result<String, TemplateError> {
        let values = |pairs: &[(&str, &str)]| -> Values {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), Plaintext::from((*v).to_owned()))).collect()
        };
        let (db, tls) = (values(&[("password", "hunter2")]), values(&[("tls.key", "PEM")]));
        let groups = ["edge".to_owned(), "web".to_owned()];
        let secret = |called: &str, values| Tree::Secret { called: called.to_owned(), values };
        let host = BTreeMap::from([("name", Tree::Text("frodo")), ("groups", Tree::Texts(&groups))]);
        let data = BTreeMap::from([
            ("db", secret("the secret edge/db", &db)),
            ("my-tls", secret("the secret edge/my-tls", &tls)),
            ("host", Tree::Map(host)),
        ]);
        let environment = Environment {
            now: jiff::Timestamp::UNIX_EPOCH,
            random: &|_| {},
            missing_key: MissingKey::Error,
            delimiters: Delimiters::default(),
        };
        let rendered = render_tree(template, &data, "the list of secrets", &environment, allowance)?;
        Ok(String::from_utf8_lossy(rendered.expose()).into_owned())
    }

    fn ok(template: &str) -> String {
        rendered(template, &Allowance::of(4)).unwrap()
    }

    fn error(template: &str) -> String {
        rendered(template, &Allowance::of(4)).unwrap_err().to_string()
    }

    #[test]
    fn a_template_sees_several_secrets_and_the_host() {
        assert_eq!(ok("{{ .db.password }} {{ index . \"my-tls\" \"tls.key\" | lower }}"), "hunter2 pem");
        assert_eq!(ok("{{ .host.name }}:{{ range .host.groups }}{{ . }},{{ end }}"), "frodo:edge,web,");
        assert_eq!(ok("{{ with .db }}{{ .password | b64enc }}{{ end }}{{ len . }}"), "aHVudGVyMg==3");
        assert_eq!(ok("{{ hasKey .db \"x\" }} {{ get .db \"x\" | default \"none\" }}"), "false none");
    }

    #[test]
    fn a_key_that_is_missing_is_named_with_its_secret() {
        for template in ["{{ .db.passwort }}", "{{ index .db \"passwort\" }}", "{{ $x := .db }}{{ $x.passwort }}"] {
            assert!(error(template).ends_with("the secret edge/db has no key passwort"), "{}", error(template));
        }
        assert!(error("{{ .vault.token }}").ends_with("the list of secrets has no key vault"));
        assert!(error("{{ .host.nam }}").ends_with("host has no key nam"));
    }

    #[test]
    fn a_key_that_is_made_of_a_value_is_not_told() {
        let said = error("{{ index .db (printf \"%sx\" .db.password) }}");
        assert!(said.ends_with("the secret edge/db has no key of that name"), "{said}");
        assert!(!said.contains("hunter"));
    }

    #[test]
    fn bombs_end_at_a_limit_and_use_up_what_all_may_use() {
        let allowance = Allowance::of(2);
        for bomb in [
            "{{ range until 1000000000 }}x{{ end }}",
            "{{ range 1000000000 }}{{ end }}",
            "{{ define \"a\" }}{{ template \"a\" . }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
            "{{ define \"a\" }}{{ template \"b\" . }}{{ end }}{{ define \"b\" }}{{ template \"a\" . }}{{ end }}{{ template \"b\" . }}",
            "{{ repeat 1000000000 .db.password }}",
            "{{ $x := list 1 }}{{ range until 100 }}{{ $x = concat $x $x }}{{ end }}",
        ] {
            let error = rendered(bomb, &Allowance::of(1)).unwrap_err();
            assert!(matches!(error, TemplateError::Limit { .. } | TemplateError::Function { .. }), "{bomb}: {error}");
        }
        let costly = "{{ range 1000000000 }}{{ end }}";
        assert!(rendered("{{ .host.name }}", &allowance).is_ok());
        for _ in 0..3 {
            assert!(matches!(rendered(costly, &allowance), Err(TemplateError::Limit { limit: Limit::Work, .. })));
        }
        assert!(matches!(
            rendered("{{ .host.name }}", &allowance),
            Err(TemplateError::Limit { limit: Limit::Work, .. })
        ));
    }

    #[test]
    fn a_text_that_is_no_template_is_told_by_its_place() {
        assert_eq!(check("a {{ .b.c }}"), Ok(()));
        assert!(check("a\n {{ nofunction }}").unwrap_err().to_string().contains("line 2"));
    }
}
