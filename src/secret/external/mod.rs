//! The Secret that an external secret asks for: fetched values, laid out by a template.
//!
//! Order, merging and precedence are External Secrets'. From below to above: the fetched values (where there is nothing
//! to render, or the policy says merge), what `templateFrom` renders in the order of the list, `data`, and in the
//! metadata likewise `templateFrom` before `labels` and `annotations`. Every template sees the fetched values only.

mod pairs;
mod rules;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use super::{
    Plaintext, Shape, Target, TargetError, TargetErrors, Values, strip,
    target::{check, shorten},
};

/// `spec.target.template`, in words of this crate.
#[derive(Default)]
pub struct Template {
    /// `type`; `None` or empty leaves it to the server.
    pub kind: Option<String>,
    /// `metadata.labels`: templates by the label's name.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`: templates by the annotation's name.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.finalizers`, taken as they are.
    pub finalizers: Vec<String>,
    /// What becomes of fetched values that no template mentions.
    pub merge_policy: MergePolicy,
    /// `data`: templates by data key.
    pub data: BTreeMap<String, String>,
    /// `templateFrom`, with the objects already read.
    pub template_from: Vec<TemplateFrom>,
}

/// `mergePolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MergePolicy {
    /// Only what is rendered is in the target, unless no data is rendered at all.
    #[default]
    Replace,
    /// What is rendered lies over the fetched values.
    Merge,
}

/// Where a rendered value goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Field {
    /// Into `data`.
    #[default]
    Data,
    /// Into the annotations.
    Annotations,
    /// Into the labels.
    Labels,
}

impl Field {
    /// From `templateFrom[].target`, whose case does not matter; empty is `Data`. `None` for any other field, which a
    /// Secret's template must not write.
    #[must_use]
    pub fn of(target: &str) -> Option<Self> {
        match target.to_ascii_lowercase().as_str() {
            "" | "data" => Some(Self::Data),
            "annotations" => Some(Self::Annotations),
            "labels" => Some(Self::Labels),
            _ => None,
        }
    }
}

/// Undoes an encoding of one rendered value; the error is in fixed words, so that it cannot hold the value.
pub type Decode = fn(Plaintext) -> Result<Plaintext, &'static str>;

/// One entry of `templateFrom`.
pub struct TemplateFrom {
    /// `target`: where the rendered values go; see [`Field::of`]. Any other word is an error.
    pub target: String,
    /// The texts.
    pub source: Source,
    /// `valuesDecodingStrategy`, applied to each rendered value.
    pub decode: Option<Decode>,
}

/// Where the text of a template comes from.
pub enum Source {
    /// The text stands in the object itself; it renders to a YAML mapping.
    Literal {
        /// The template.
        text: String,
    },
    /// Texts of a `ConfigMap` or a Secret.
    Object {
        /// What was read: `configmap NAME` or `secret NAME`.
        object: String,
        /// The items asked for, in their order.
        items: Vec<Item>,
    },
}

/// One text of a `ConfigMap` or a Secret.
pub struct Item {
    /// Its key there.
    pub key: String,
    /// The template; `None` if the object has no such key.
    pub text: Option<Plaintext>,
    /// What the text is a template of.
    pub template_as: TemplateAs,
}

/// `templateAs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TemplateAs {
    /// Of one value, under the item's own key.
    #[default]
    Values,
    /// Of a YAML mapping with any number of keys and values.
    KeysAndValues,
}

/// What the target is made for and from, besides the template.
pub struct Request {
    /// Namespace of the target.
    pub namespace: String,
    /// Name of the target.
    pub name: String,
    /// `spec.target.immutable`.
    pub immutable: Option<bool>,
    /// Labels of the external secret itself: they are copied where there is no template.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the external secret itself, likewise.
    pub annotations: BTreeMap<String, String>,
    /// Values by key, as the providers gave them.
    pub fetched: Values,
}

/// Makes the target. `render` turns one template and the fetched values into bytes; a key that is missing must be an
/// error there.
///
/// Metadata of GitOps tools is left out, as for every other target.
///
/// # Errors
/// Every template that fails, every item that is missing, every rule that the template breaks, every key and label that
/// Kubernetes would refuse, and values that are too large. No error holds a value or the text of a template.
pub fn assemble_external<E: fmt::Display>(
    request: Request,
    template: Option<&Template>,
    render: impl FnMut(&str, &Values) -> Result<Plaintext, E>,
) -> Result<Target, TargetErrors> {
    let Request { namespace, name, immutable, labels, annotations, fetched } = request;
    let (mut shape, data, mut errors) = match template {
        None => (Shape { labels, annotations, ..Shape::default() }, fetched, Vec::new()),
        Some(template) => laid_out(template, fetched, render),
    };
    shape.immutable = immutable;
    strip(&mut shape);
    rules::metadata(&shape, &mut errors);
    check(&data, &mut errors);
    if errors.is_empty() { Ok(Target { namespace, name, shape, data }) } else { Err(TargetErrors::of(errors)) }
}

fn laid_out<E: fmt::Display>(
    template: &Template,
    fetched: Values,
    render: impl FnMut(&str, &Values) -> Result<Plaintext, E>,
) -> (Shape, Values, Vec<TargetError>) {
    let mut layout = Layout { fetched: &fetched, render, rendered: Rendered::default(), errors: Vec::new() };
    rules::privileges(template, &mut layout.errors);
    for (index, from) in template.template_from.iter().enumerate() {
        layout.from(index, from);
    }
    for (field, templates) in
        [(Field::Data, &template.data), (Field::Labels, &template.labels), (Field::Annotations, &template.annotations)]
    {
        for (key, text) in templates {
            layout.value(field, key, text, None, || place(field, key));
        }
    }
    let Layout { rendered, errors, .. } = layout;
    let nothing_rendered = template.data.is_empty() && template.template_from.is_empty();
    let mut data = Values::new();
    if template.merge_policy == MergePolicy::Merge || nothing_rendered {
        data = fetched;
    }
    data.extend(rendered.data);
    let shape = Shape {
        kind: template.kind.clone().filter(|kind| !kind.is_empty()),
        immutable: None,
        labels: rendered.labels,
        annotations: rendered.annotations,
        finalizers: once_each(&template.finalizers),
    };
    (shape, data, errors)
}

fn once_each(names: &[String]) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        if !unique.contains(name) {
            unique.push(name.clone());
        }
    }
    unique
}

#[derive(Default)]
struct Rendered {
    data: Values,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

struct Layout<'a, R> {
    fetched: &'a Values,
    render: R,
    rendered: Rendered,
    errors: Vec<TargetError>,
}

impl<R, E: fmt::Display> Layout<'_, R>
where
    R: FnMut(&str, &Values) -> Result<Plaintext, E>,
{
    fn from(&mut self, index: usize, from: &TemplateFrom) {
        let Some(field) = Field::of(&from.target) else {
            return self.errors.push(rules::other_field(&from.target));
        };
        let decode = from.decode;
        match &from.source {
            Source::Literal { text } => self.pairs(field, decode, text, &rules::name(index, &from.source)),
            Source::Object { object, items } => {
                for item in items {
                    let place = || format!("key {} of {}", shorten(&item.key), rules::name(index, &from.source));
                    let Some(text) = &item.text else {
                        self.errors.push(TargetError::MissingItem { object: object.clone(), key: shorten(&item.key) });
                        continue;
                    };
                    let Ok(text) = std::str::from_utf8(text.expose()) else {
                        self.fail(place(), "the template is not UTF-8");
                        continue;
                    };
                    match item.template_as {
                        TemplateAs::Values => self.value(field, &item.key, text, decode, place),
                        TemplateAs::KeysAndValues => self.pairs(field, decode, text, &place()),
                    }
                }
            }
        }
    }

    /// One template of one value.
    fn value(&mut self, field: Field, key: &str, text: &str, decode: Option<Decode>, place: impl Fn() -> String) {
        match (self.render)(text, self.fetched) {
            Ok(value) => self.put(field, key.to_owned(), value, decode, place),
            Err(problem) => self.fail(place(), problem),
        }
    }

    /// One template of a whole mapping.
    fn pairs(&mut self, field: Field, decode: Option<Decode>, text: &str, place: &str) {
        let rendered = match (self.render)(text, self.fetched) {
            Ok(rendered) => rendered,
            Err(problem) => return self.fail(place.to_owned(), problem),
        };
        match pairs::parse(rendered.expose()) {
            Ok(values) => {
                for (key, value) in values {
                    let place = || format!("{} in {place}", shorten(&key));
                    self.put(field, key.clone(), value, decode, place);
                }
            }
            Err(pairs::NotPairs { line }) => {
                let place = place.to_owned();
                self.errors.push(TargetError::NotPairs { place, line });
            }
        }
    }

    fn put(&mut self, field: Field, key: String, value: Plaintext, decode: Option<Decode>, place: impl Fn() -> String) {
        let decoded = match decode {
            Some(decode) => decode(value),
            None => Ok(value),
        };
        let value = match decoded {
            Ok(value) => value,
            Err(problem) => return self.fail(place(), problem),
        };
        let metadata = match field {
            Field::Data => {
                self.rendered.data.insert(key, value);
                return;
            }
            Field::Labels => &mut self.rendered.labels,
            Field::Annotations => &mut self.rendered.annotations,
        };
        if let Ok(text) = std::str::from_utf8(value.expose()) {
            metadata.insert(key, text.to_owned());
        } else {
            self.fail(place(), "metadata must be UTF-8");
        }
    }

    fn fail(&mut self, place: String, problem: impl fmt::Display) {
        self.errors.push(TargetError::Render { place, problem: problem.to_string() });
    }
}

fn place(field: Field, key: &str) -> String {
    let key = shorten(key);
    match field {
        Field::Data => format!("key {key}"),
        Field::Labels => format!("label {key}"),
        Field::Annotations => format!("annotation {key}"),
    }
}
