//! Rules of files.

use std::collections::BTreeSet;

use super::super::names::{is_identifier, is_key, is_number, is_user};
use super::super::paths::{absolute, in_repository, mode};
use super::super::{HostFile, SecretName, SecretValue};
use super::{Rules, entries};

/// What templates call the host itself.
pub(super) const HOST: &str = "host";

const SPECIAL_BITS: u32 = 0o7000;
const WRITE_BY_OTHERS: u32 = 0o002;

pub(super) fn check(files: &[HostFile], positions: &[usize], rules: &mut Rules) {
    let mut paths = BTreeSet::new();
    for (path, file) in entries("files", files, positions) {
        if let Err(problem) = absolute(&file.path) {
            rules.add(format!("{path}.path"), problem);
        }
        rules.distinct(&mut paths, &file.path, || format!("{path}.path"));
        content(&path, file, rules);
        secrets(&path, file, rules);
        owners(&path, file, rules);
        permissions(&path, file, rules);
    }
}

fn content(path: &str, file: &HostFile, rules: &mut Rules) {
    let HostFile { secret, template, inline, source, .. } = file;
    let given = [secret.is_some(), template.is_some(), inline.is_some(), source.is_some()];
    let is_one = given.into_iter().filter(|given| *given).count() == 1;
    rules.hold(is_one, || path.to_owned(), "must have exactly one of secret, template, inline and source");
    for (field, given) in [("template", template), ("source", source)] {
        if let Some(Err(problem)) = given.as_deref().map(in_repository) {
            rules.add(format!("{path}.{field}"), problem);
        }
    }
    if let Some(inline) = inline {
        rules.text(inline, || format!("{path}.inline"));
    }
    if let Some(secret) = secret {
        value(&format!("{path}.secret"), secret, rules);
    }
}

fn secrets(path: &str, file: &HostFile, rules: &mut Rules) {
    let HostFile { secrets, template, inline, .. } = file;
    let is_template = template.is_some() || inline.is_some();
    let sentence = "are for template and inline only";
    rules.hold(secrets.is_empty() || is_template, || format!("{path}.secrets"), sentence);
    let mut names = BTreeSet::new();
    for (index, secret) in secrets.iter().enumerate() {
        let path = format!("{path}.secrets[{index}]");
        let SecretName { name, namespace, alias } = secret;
        rules.object(name, || format!("{path}.name"));
        if let Some(namespace) = namespace {
            rules.object(namespace, || format!("{path}.namespace"));
        }
        if let Some(alias) = alias {
            let sentence = "must be letters, digits and `_`, so that templates can say `.NAME`";
            rules.hold(is_identifier(alias), || format!("{path}.as"), sentence);
        }
        let called = alias.as_deref().unwrap_or(name);
        let sentence = "`host` is what templates call the host itself: give the secret another name by `as`";
        rules.hold(called != HOST, || path.clone(), sentence);
        let sentence = "has the same name as one before: give it another by `as`";
        rules.hold(names.insert(called), || path.clone(), sentence);
    }
}

/// One value of a secret.
pub(super) fn value(path: &str, secret: &SecretValue, rules: &mut Rules) {
    rules.object(&secret.name, || format!("{path}.name"));
    if let Some(namespace) = &secret.namespace {
        rules.object(namespace, || format!("{path}.namespace"));
    }
    let sentence = "must be 1 to 253 letters, digits, `-`, `_` and `.`";
    rules.hold(is_key(&secret.key), || format!("{path}.key"), sentence);
}

fn owners(path: &str, file: &HostFile, rules: &mut Rules) {
    for (field, given) in [("owner", &file.owner), ("group", &file.group)] {
        let is_legal = given.as_deref().is_none_or(|name| is_user(name) || is_number(name));
        rules.hold(is_legal, || format!("{path}.{field}"), "must be a name or a number");
    }
}

fn permissions(path: &str, file: &HostFile, rules: &mut Rules) {
    let Some(text) = &file.mode else { return };
    let path = || format!("{path}.mode");
    let Some(mode) = mode(text) else { return rules.add(path(), "must be octal digits such as \"0440\"") };
    rules.hold(mode & SPECIAL_BITS == 0, path, "must not have the bits for setuid, setgid or sticky");
    rules.hold(mode & WRITE_BY_OTHERS == 0, path, "must not let everybody write");
}
