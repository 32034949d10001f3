//! One Host document: what the agent would not read, and what it refers to.

use std::path::Path;

use bulla::secret::template;
use bulla_crds::host::{Host, HostFile, Place, SecretValue, is_public, validate_at};

use super::{Found, Reference, resolve, value};
use crate::findings::{Finding, Rule};
use crate::outline::View;
use crate::verify::rules;
use crate::verify::sealed::At;

struct Reader<'a, 't> {
    object: View<'a, 't>,
    path: &'a Path,
    named: &'a str,
    called: String,
    is_there: &'a dyn Fn(&Path) -> Found,
    namespace: String,
    findings: Vec<Finding>,
    references: Vec<Reference>,
}

pub(super) fn look(
    object: View<'_, '_>,
    path: &Path,
    named: &str,
    is_there: &dyn Fn(&Path) -> Found,
) -> (Vec<Finding>, Vec<Reference>) {
    let name = object.find(&["metadata", "name"]).and_then(View::text).unwrap_or_default();
    let mut reader = Reader {
        object,
        path,
        named,
        called: format!("Host {name}"),
        is_there,
        namespace: String::new(),
        findings: Vec::new(),
        references: Vec::new(),
    };
    reader.read();
    (reader.findings, reader.references)
}

impl Reader<'_, '_> {
    fn read(&mut self) {
        let Some(document) = value::of(self.object) else {
            return self.wrong(&rules::HOST, "", "is nested too deeply, or larger than a document should be");
        };
        let reading = Host::read_each(document);
        for unread in &reading.unread {
            self.wrong(&rules::HOST, &unread.path, &unread.problem);
        }
        for violation in validate_at(&reading.host, &reading.positions) {
            self.wrong(&rules::HOST, &violation.path, &violation.message);
        }
        reading.host.namespace().clone_into(&mut self.namespace);
        let (spec, positions) = (reading.host.spec, reading.positions);
        for (file, index) in spec.files.iter().zip(positions.files) {
            self.file(file, &format!("spec.files[{index}]"));
        }
        for (unit, index) in spec.units.iter().zip(positions.units) {
            let entry = format!("spec.units[{index}]");
            self.text(unit.inline.as_deref(), &format!("{entry}.inline"));
            self.source(unit.source.as_deref(), &format!("{entry}.source"));
        }
        for (credential, index) in spec.credentials.iter().zip(positions.credentials) {
            self.value(&credential.secret, &format!("spec.credentials[{index}].secret"));
        }
    }

    fn file(&mut self, file: &HostFile, entry: &str) {
        self.text(file.inline.as_deref(), &format!("{entry}.inline"));
        self.source(file.source.as_deref(), &format!("{entry}.source"));
        let field = format!("{entry}.template");
        if let Some(Found::File(text)) = self.source(file.template.as_deref(), &field) {
            let checked = text.map_or(Err("is no text, or larger than a template may be".to_owned()), |text| {
                template::check(&text).map_err(|error| error.to_string())
            });
            if let Err(problem) = checked {
                self.wrong(&rules::HOST_FILE, &field, &problem);
            }
        }
        if let Some(secret) = &file.secret {
            self.value(secret, &format!("{entry}.secret"));
        }
        if (file.secret.is_some() || !file.secrets.is_empty()) && !is_public(Path::new(&file.path)) {
            self.exposed(file, entry);
        }
        for (index, secret) in file.secrets.iter().enumerate() {
            self.refer(secret.namespace.as_deref(), &secret.name, None, &format!("{entry}.secrets[{index}]"));
        }
    }

    /// A file with secrets, if others than those who need it can have it.
    fn exposed(&mut self, file: &HostFile, entry: &str) {
        let in_memory = ["/run/", "/dev/shm/"].iter().any(|folder| file.path.starts_with(folder));
        if file.place == Place::Copy && !in_memory {
            self.wrong(&rules::HOST_EXPOSED, &format!("{entry}.place"), "a copy with a secret lands on a disk");
        }
        let mode = file.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        if mode.is_some_and(|mode| mode & 0o004 != 0) {
            self.wrong(&rules::HOST_EXPOSED, &format!("{entry}.mode"), "everybody on the host may read this secret");
        }
    }

    /// A template that is written here.
    fn text(&mut self, text: Option<&str>, field: &str) {
        if let Some(Err(error)) = text.map(template::check) {
            self.wrong(&rules::HOST_FILE, field, &error.to_string());
        }
    }

    /// A file of the repository.
    fn source(&mut self, given: Option<&str>, field: &str) -> Option<Found> {
        let given = given?;
        let found = resolve(given, self.path).map_or_else(|found| found, |path| (self.is_there)(&path));
        match &found {
            Found::Missing => self.wrong(&rules::HOST_FILE, field, &format!("there is no file {given}")),
            Found::NoFile => {
                self.wrong(&rules::HOST_FILE, field, &format!("{given} is a link or a folder: only files are read"));
            }
            Found::Outside => {
                self.wrong(&rules::HOST_FILE, field, &format!("{given} leads out of the repository"));
            }
            Found::File(_) | Found::Unknown => {}
        }
        Some(found)
    }

    fn value(&mut self, secret: &SecretValue, field: &str) {
        self.refer(secret.namespace.as_deref(), &secret.name, Some(&secret.key), field);
    }

    fn refer(&mut self, namespace: Option<&str>, name: &str, key: Option<&str>, field: &str) {
        self.references.push(Reference {
            file: self.named.to_owned(),
            at: self.place(field),
            object: self.called.clone(),
            field: field.to_owned(),
            namespace: namespace.unwrap_or(&self.namespace).to_owned(),
            name: name.to_owned(),
            key: key.map(str::to_owned),
        });
    }

    fn wrong(&mut self, rule: &'static Rule, field: &str, message: &str) {
        let (line, column) = self.place(field);
        let found = Finding::new(rule, self.named, message).at(line, column);
        self.findings.push(found.field(field.to_owned()).of(self.called.clone()));
    }

    /// Where a field stands, or the innermost around it that is there: `spec.files[3].mode`.
    fn place(&self, field: &str) -> At {
        let mut view = self.object;
        let mut at = view.place();
        for part in field.split('.').filter(|part| !part.is_empty()) {
            let (name, index) = part
                .split_once('[')
                .map_or((part, None), |(name, rest)| (name, rest.trim_end_matches(']').parse::<usize>().ok()));
            let Some((key, next)) = view.entry(name) else { break };
            (at, view) = (key.place(), next);
            if let Some(index) = index {
                let Some(item) = view.items().nth(index) else { break };
                (at, view) = (item.place(), item);
            }
        }
        at
    }
}
