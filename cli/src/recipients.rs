//! To whom to seal: what was typed, else what `.bulla.yaml` says for the file, else what the cluster publishes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bulla::seal::{Certificate, KeyKind, Recipient};
use jiff::Timestamp;
use kube::{Client, Config};

use crate::args::ToArguments;
use crate::cluster::{self, PublishedKey};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::repository::{self, Rule};

/// The longest file of recipients, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The recipients of a file, and the rule of `.bulla.yaml` that holds for it.
pub(crate) struct Resolved {
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) rule: Option<Rule>,
}

/// Finds the recipients of `file`; without a file, rules are looked up for the current folder.
pub(crate) fn resolve(to: &ToArguments, file: Option<&Path>) -> Outcome<Resolved> {
    let rule = rule_for(file)?;
    if !to.to.is_empty() {
        let mut recipients = Vec::new();
        for source in &to.to {
            recipients.extend(typed(source, "--to")?);
        }
        return Ok(Resolved { recipients: usable(recipients)?, rule });
    }
    let named = rule.as_ref().map(of_rule).transpose()?.unwrap_or_default();
    let asked_for_a_cluster = to.cluster.connection.kubeconfig.is_some() || to.cluster.connection.context.is_some();
    if let (true, false, Some(rules)) = (named.is_empty(), asked_for_a_cluster, repository::nearest(path_of(file))) {
        return Err(refuse!(
            "no rule of {} names recipients for {}: add one, or say --to, or --context for a cluster's own key",
            rules.display(),
            path_of(file).display()
        ));
    }
    let recipients = if named.is_empty() { of_cluster(to)? } else { named };
    Ok(Resolved { recipients: usable(recipients)?, rule })
}

/// The rule of `.bulla.yaml` for a file.
pub(crate) fn rule_for(file: Option<&Path>) -> Outcome<Option<Rule>> {
    repository::rule_for(path_of(file)).or_refuse("finding the rule for this file")
}

/// What rules are looked up for where nothing is written to a file.
fn path_of(file: Option<&Path>) -> &Path {
    file.filter(|path| *path != Path::new("-")).unwrap_or_else(|| Path::new("stdin"))
}

/// The recipients that a rule names, strings and files together.
pub(crate) fn of_rule(rule: &Rule) -> Outcome<Vec<Recipient>> {
    let mut recipients = Vec::new();
    for text in &rule.recipients {
        recipients.push(text.parse::<Recipient>().or_refuse(format!("{}: recipients", rule.file.display()))?);
    }
    for file in &rule.recipient_files {
        recipients.extend(match rule.texts.as_ref().map(|texts| texts.get(file).and_then(Option::as_deref)) {
            Some(Some(text)) => parse_file(text, &file.display().to_string())?,
            Some(None) => return Err(refuse!("{} is not staged as a file of recipients", file.display())),
            None => from_named(file, &repository::root_of(&rule.file))?,
        });
    }
    Ok(recipients)
}

/// The recipients of one age file: what `--to` names, which is never a certificate.
pub(crate) fn of_file(to: &str) -> Outcome<Vec<Recipient>> {
    let recipients = typed(to, "--to")?;
    if recipients.iter().any(|recipient| recipient.certificate().is_some()) {
        return Err(refuse!("--to {to} is a certificate, and age files are for age recipients: `bulla keys generate`"));
    }
    Ok(recipients)
}

/// The newest active key that the cluster publishes: native before certificates.
fn of_cluster(to: &ToArguments) -> Outcome<Vec<Recipient>> {
    let published = cluster::block_on(cluster::published_keys(&to.cluster)).map_err(|failure| {
        failure.at("nobody to seal to: no --to, no rule in .bulla.yaml for this file, and the cluster cannot be asked")
    })?;
    let active: Vec<&PublishedKey> = published.iter().filter(|key| key.state == "active").collect();
    let newest = active.iter().rev().find(|key| key.recipient.is_some()).or_else(|| active.last());
    let key = newest.ok_or_else(|| usage!("the cluster publishes no active key: see the controller's log"))?;
    Ok(vec![key.to_recipient()?])
}

/// What was typed behind `--to` or another `flag`.
pub(crate) fn typed(source: &str, flag: &'static str) -> Outcome<Vec<Recipient>> {
    if source.starts_with("https://") || source.starts_with("http://") {
        let pem = cluster::block_on(fetch(source))?;
        return parse_file(&pem, source);
    }
    let path = Path::new(source);
    let looks_like_a_key = source.starts_with("age1") || source.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-");
    if looks_like_a_key && !path.exists() {
        return Ok(vec![source.parse::<Recipient>().or_refuse(flag)?]);
    }
    from_file(path)
}

/// The recipients in a file.
pub(crate) fn from_file(path: &Path) -> Outcome<Vec<Recipient>> {
    let reading = || format!("reading recipients from {}", path.display());
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)).or_usage(reading())?;
    if text.len() as u64 > MAX_BYTES {
        return Err(refuse!("{} has more than {MAX_BYTES} bytes: no file of recipients", path.display()));
    }
    parse_file(&text, &path.display().to_string())
}

/// The recipients in a file that a `.bulla.yaml` names. Somebody else may have written that: a pipe or a device, which
/// could be read for ever, is refused, and so is what lies outside of `root`, where no review sees it change.
pub(crate) fn from_named(path: &Path, root: &Path) -> Outcome<Vec<Recipient>> {
    if path.exists() && !path.is_file() {
        return Err(refuse!("{} is no regular file: recipientFiles names files of recipients", path.display()));
    }
    if path.canonicalize().is_ok_and(|file| !file.starts_with(root)) {
        return Err(refuse!(
            "{} is outside of {}: recipientFiles names files of the repository; put the file there, or its lines under \
             recipients",
            path.display(),
            root.display()
        ));
    }
    from_file(path)
}

/// A file of recipients: certificates in PEM, or one recipient a line with `#` comments.
pub(crate) fn parse_file(text: &str, name: &str) -> Outcome<Vec<Recipient>> {
    if text.contains("-----BEGIN ") {
        if text.contains("PRIVATE KEY-----") {
            return Err(refuse!("{name} holds a private key: seal to the certificate, and keep the key out of here"));
        }
        let certificate = Certificate::from_pem(text.as_bytes()).or_refuse(name.to_owned())?;
        return Ok(vec![Recipient::from(certificate)]);
    }
    let mut recipients = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            recipients.push(line.parse::<Recipient>().or_refuse(format!("{name}, line {}", number + 1))?);
        }
    }
    if recipients.is_empty() { Err(refuse!("{name} names no recipient")) } else { Ok(recipients) }
}

/// Fetches a certificate, as `kubeseal --cert` does, with the HTTP client that is there for the cluster.
async fn fetch(url: &str) -> Outcome<String> {
    let uri: http::Uri = url.parse().or_usage(format!("{url} is not a URL"))?;
    let request = http::Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .body(Vec::new())
        .or_usage(url.to_owned())?;
    let mut base = uri.into_parts();
    base.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    let base = http::Uri::from_parts(base).or_usage(format!("{url} is not a URL"))?;
    let client = Client::try_from(Config::new(base)).or_usage(format!("connecting to {url}"))?;
    client.request_text(request).await.or_usage(format!("fetching {url}"))
}

/// Refuses expired certificates: the controller would open the values, but nobody should go on sealing to them.
pub(crate) fn usable(recipients: Vec<Recipient>) -> Outcome<Vec<Recipient>> {
    let now = Timestamp::now();
    for recipient in &recipients {
        if let Some(expired) = recipient.certificate().and_then(|c| c.not_after()).filter(|end| *end < now) {
            return Err(refuse!("the certificate {recipient} expired at {expired}: fetch the current one"));
        }
    }
    Ok(recipients)
}

/// A short description of recipients for a person.
pub(crate) fn describe(recipients: &[Recipient]) -> String {
    let kind = |recipient: &Recipient| match recipient.kind() {
        KeyKind::Hybrid => "post-quantum key",
        KeyKind::X25519 => "X25519 key",
        KeyKind::Rsa => "RSA certificate",
    };
    match recipients {
        [one] => format!("{} {}", kind(one), one.key_id()),
        many => format!("{} keys", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{from_file, from_named};

    #[test]
    fn a_device_is_no_file_of_recipients_and_no_file_takes_all_memory() {
        let root = Path::new("/");
        assert!(from_named(Path::new("/dev/zero"), root).is_err_and(|failure| failure.to_string().contains("regular")));
        assert!(from_file(Path::new("/dev/zero")).is_err_and(|failure| failure.to_string().contains("more than")));
        assert!(
            from_named(Path::new("/nowhere/keys.txt"), root)
                .is_err_and(|failure| failure.to_string().contains("reading"))
        );
    }

    #[test]
    fn files_of_recipients_are_in_the_repository_also_where_a_link_leads() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("work"), folder.path().join("keys.txt"));
        std::fs::create_dir(&root).unwrap();
        std::fs::File::create(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link.txt")).unwrap();
        let root = root.canonicalize().unwrap();
        for named in ["../keys.txt", "link.txt", outside.to_str().unwrap()] {
            let said = from_named(&root.join(named), &root).map_err(|failure| failure.to_string()).unwrap_err();
            assert!(said.contains("is outside of"), "{said}");
        }
    }

    #[test]
    fn a_pipe_that_rules_name_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("keys.txt");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(from_named(&pipe, folder.path()).is_err_and(|failure| failure.to_string().contains("regular file")));
    }
}
