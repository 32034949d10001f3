//! What the Host documents ask for, entry by entry, before anything is opened.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bulla_crds::host::{
    CredentialBy, CronJob, HostCredential, HostFile, HostUnit, Place, SecretValue, Unit as UnitName, UnitKind,
    check_path, cron_command, cron_value, is_too_long, mode, validate_at,
};

use super::commit::{self, Commit, Document};
use super::{Full, Who, order};
use crate::host::desired::{Keep, Problem, Role, Service, Unit};

/// The most files of a host.
const MAX_FILES: usize = 10_000;
/// The most services of a host.
const MAX_SERVICES: usize = 1000;

/// A file that is to be made.
pub(super) struct Item {
    pub(super) path: String,
    /// Where it is declared: the document's file, and the line where it begins.
    pub(super) at: (PathBuf, usize),
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    pub(super) mode: u32,
    pub(super) place: Place,
    pub(super) role: Role,
    pub(super) what: What,
}

/// What is in it.
pub(super) enum What {
    /// One value of a secret.
    Value(Full, String),
    /// A template and what it calls the secrets that it sees.
    Template(Text, Vec<(String, Full)>),
    /// A file of the repository.
    Source(PathBuf),
    /// This text.
    Ready(String),
    /// It cannot be made.
    Nothing,
}

/// Where a template is.
pub(super) enum Text {
    /// In the document.
    Here(String),
    /// In the repository.
    File(PathBuf),
}

/// A credential for the agent's socket.
pub(super) struct Asked {
    pub(super) unit: String,
    pub(super) name: String,
    /// Nothing where the secret is none of the host's.
    pub(super) secret: Option<(Full, String)>,
    pub(super) at: (PathBuf, usize),
}

/// Everything that is asked for.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) items: Vec<Item>,
    pub(super) units: Vec<Unit>,
    pub(super) services: Vec<Service>,
    pub(super) credentials: Vec<Asked>,
}

/// Collects what the documents of the commit ask for; what is wrong with them is noted there.
pub(super) fn collect(commit: &mut Commit, who: &Who) -> Wishes {
    let documents = std::mem::take(&mut commit.hosts);
    let mut collector =
        Collector { who, commit, wishes: Wishes::default(), claims: BTreeMap::new(), bad: BTreeSet::new() };
    for document in documents {
        collector.document(document);
    }
    collector.finish()
}

struct Collector<'a> {
    who: &'a Who,
    commit: &'a mut Commit,
    wishes: Wishes,
    /// Every path that an entry names, whether it can be made or not, and where.
    claims: BTreeMap<String, Vec<(PathBuf, usize)>>,
    /// The entries of the present document that break a rule.
    bad: BTreeSet<String>,
}

/// What is known of the document that is looked at.
struct Context {
    namespace: String,
    at: (PathBuf, usize),
}

impl Collector<'_> {
    fn document(&mut self, document: Document) {
        let Document { reading, file, line } = document;
        let object = commit::called(&reading.host);
        let violations = validate_at(&reading.host, &reading.positions);
        let is_huge = violations.iter().any(is_too_long);
        for violation in &violations {
            self.commit.problem(&object, &file, line, &violation.to_string());
        }
        if is_huge {
            self.commit.keep = Keep::Everything;
            return;
        }
        self.bad = violations.iter().map(|one| entry_of(&one.path).to_owned()).collect();
        for path in &reading.unread_paths {
            if check_path(path).is_ok() {
                self.claim(path, &(file.clone(), line));
            }
        }
        let context = Context { namespace: reading.host.namespace().to_owned(), at: (file, line) };
        let (spec, positions) = (reading.host.spec, reading.positions);
        for (file, index) in spec.files.into_iter().zip(positions.files) {
            self.file(file, &format!("spec.files[{index}]"), &context);
        }
        for (unit, index) in spec.units.into_iter().zip(positions.units) {
            self.unit(unit, &format!("spec.units[{index}]"), &context);
        }
        for (job, index) in spec.cron.into_iter().zip(positions.cron) {
            self.job(job, &format!("spec.cron[{index}]"), &context);
        }
        for (credential, index) in spec.credentials.into_iter().zip(positions.credentials) {
            self.credential(credential, &format!("spec.credentials[{index}]"), &context);
        }
        for (service, index) in spec.services.into_iter().zip(positions.services) {
            if !self.bad.contains(&format!("spec.services[{index}]")) {
                self.service(service, &context);
            }
        }
    }

    fn problem(&mut self, object: &str, context: &Context, message: &str) {
        self.commit.problem(object, &context.at.0, context.at.1, message);
    }

    /// Notes that an entry names this path.
    fn claim(&mut self, path: &str, at: &(PathBuf, usize)) {
        self.claims.entry(path.to_owned()).or_default().push(at.clone());
    }

    /// Takes an entry that makes the file at `path`, unless it breaks a rule.
    fn item(&mut self, entry: &str, path: String, context: &Context, make: impl FnOnce(&mut Self, &str) -> Item) {
        if check_path(&path).is_err() {
            // A rule has said so already; nothing can be kept at what is no path.
            return;
        }
        self.claim(&path, &context.at);
        if !self.bad.contains(entry) {
            let item = make(self, &path);
            self.wishes.items.push(item);
        }
    }

    fn file(&mut self, file: HostFile, entry: &str, context: &Context) {
        self.item(entry, file.path.clone(), context, |this, path| {
            let HostFile { secret, template, inline, source, secrets, .. } = &file;
            let has_secrets = secret.is_some() || !secrets.is_empty();
            let what = match (secret, template, inline, source) {
                (Some(secret), ..) => {
                    this.value(secret, path, context).map_or(What::Nothing, |(full, key)| What::Value(full, key))
                }
                (_, Some(template), ..) => {
                    let text = this.source(template, path, context).map(Text::File);
                    this.template(text, &file, path, context)
                }
                (_, _, Some(inline), _) => this.template(Some(Text::Here(inline.clone())), &file, path, context),
                (.., Some(source)) => this.source(source, path, context).map_or(What::Nothing, What::Source),
                (None, None, None, None) => What::Nothing,
            };
            Item {
                path: path.to_owned(),
                at: context.at.clone(),
                mode: file.mode.as_deref().and_then(mode).unwrap_or(if has_secrets { 0o400 } else { 0o444 }),
                place: file.place,
                role: Role::File,
                what,
                owner: file.owner,
                group: file.group,
            }
        });
    }

    fn template(&mut self, text: Option<Text>, file: &HostFile, path: &str, context: &Context) -> What {
        let mut secrets = Vec::new();
        for secret in &file.secrets {
            let namespace = secret.namespace.as_ref().unwrap_or(&context.namespace);
            let Some(full) = self.admitted(namespace, &secret.name, path, context) else { return What::Nothing };
            secrets.push((secret.alias.clone().unwrap_or_else(|| secret.name.clone()), full));
        }
        text.map_or(What::Nothing, |text| What::Template(text, secrets))
    }

    fn source(&mut self, given: &str, path: &str, context: &Context) -> Option<PathBuf> {
        let resolved = resolve(given, &context.at.0);
        if resolved.is_none() {
            self.problem(path, context, &format!("{given} leads out of the repository"));
        }
        resolved
    }

    fn value(&mut self, secret: &SecretValue, object: &str, context: &Context) -> Option<(Full, String)> {
        let namespace = secret.namespace.as_ref().unwrap_or(&context.namespace);
        Some((self.admitted(namespace, &secret.name, object, context)?, secret.key.clone()))
    }

    /// The secret, if the host may have those of its namespace.
    fn admitted(&mut self, namespace: &str, name: &str, object: &str, context: &Context) -> Option<Full> {
        if self.who.admits(namespace) {
            return Some((namespace.to_owned(), name.to_owned()));
        }
        let own = self.who.namespaces().collect::<Vec<_>>().join(", ");
        let message = format!(
            "asks for the secret {namespace}/{name}, and {namespace} is not among the namespaces of this host ({own}): \
             set namespace, or put the host into the group"
        );
        self.problem(object, context, &message);
        None
    }

    fn unit(&mut self, unit: HostUnit, entry: &str, context: &Context) {
        // A rule has said what is wrong with the name.
        let Ok(name) = UnitName::parse(&unit.name) else { return };
        let folder = match name.kind {
            UnitKind::Systemd => &self.who.folders.units,
            UnitKind::Quadlet { .. } => &self.who.folders.quadlets,
        };
        let path = format!("{folder}/{}", unit.name);
        if !self.bad.contains(entry) && (unit.enable.is_some() || unit.start.is_some()) {
            self.wishes.units.push(Unit { name: name.service(), enable: unit.enable, start: unit.start });
        }
        self.item(entry, path, context, |this, path| {
            let what = match (&unit.inline, &unit.source) {
                (Some(inline), _) => What::Template(Text::Here(inline.clone()), Vec::new()),
                (None, Some(source)) => this.source(source, path, context).map_or(What::Nothing, What::Source),
                (None, None) => What::Nothing,
            };
            public(path, Role::Unit, what, context)
        });
    }

    fn job(&mut self, job: CronJob, entry: &str, context: &Context) {
        let Some(folder) = &self.who.folders.cron else {
            let sentence = "cron has no folder for a user's jobs: use a timer of systemd";
            return self.problem(&format!("cron job {}", job.name), context, sentence);
        };
        if self.bad.contains(entry) && (job.name.is_empty() || job.name.contains('/')) {
            return;
        }
        let path = format!("{folder}/bulla-{}", job.name);
        self.item(entry, path, context, |_, path| {
            public(path, Role::Cron, table(&job).map_or(What::Nothing, What::Ready), context)
        });
    }

    fn credential(&mut self, credential: HostCredential, entry: &str, context: &Context) {
        let HostCredential { name, unit, secret, by } = credential;
        let object = format!("credential {name} of {unit}");
        match by {
            CredentialBy::Credstore => {
                let path = format!("{}/{unit}.{name}", self.who.folders.credstore);
                self.item(entry, path, context, |this, path| {
                    let value = this.value(&secret, &object, context);
                    let what = value.map_or(What::Nothing, |(full, key)| What::Value(full, key));
                    Item { mode: 0o400, ..public(path, Role::Credential, what, context) }
                });
            }
            CredentialBy::Socket if self.bad.contains(entry) => {}
            CredentialBy::Socket => {
                if self.wishes.credentials.iter().any(|known| known.unit == unit && known.name == name) {
                    self.problem(&object, context, "is declared by another document too: the first one counts");
                    return;
                }
                let secret = self.value(&secret, &object, context);
                self.wishes.credentials.push(Asked { unit, name, secret, at: context.at.clone() });
            }
        }
    }

    fn service(&mut self, service: Service, context: &Context) {
        if self.wishes.services.iter().any(|known| known.name == service.name) {
            let object = format!("service {}", service.name);
            return self.problem(&object, context, "is declared by another document too: the first one counts");
        }
        match self.wishes.services.len().cmp(&MAX_SERVICES) {
            Ordering::Less => self.wishes.services.push(service),
            Ordering::Equal | Ordering::Greater => {
                let message = format!("is passed over: more than {MAX_SERVICES} services are declared");
                self.problem(&format!("service {}", service.name), context, &message);
            }
        }
    }

    /// Leaves out what is declared twice.
    fn finish(self) -> Wishes {
        let Self { commit, mut wishes, claims, .. } = self;
        let mut refused = BTreeSet::new();
        for (path, places) in &claims {
            let below =
                Path::new(path).ancestors().skip(1).filter_map(Path::to_str).find(|above| claims.contains_key(*above));
            let problem = match (places.as_slice(), below) {
                ([first, second, ..], _) => {
                    let at = commit::place(&first.0, first.1);
                    Some((second, format!("is declared here and at {at}: neither is taken, remove one")))
                }
                ([only], Some(above)) => Some((only, format!("lies below {above}, which is declared as a file"))),
                ([_] | [], _) => None,
            };
            if let Some(((file, line), message)) = problem {
                commit.problem(path, file, *line, &message);
                refused.insert(path.clone());
            }
        }
        wishes.items.retain(|item| !refused.contains(&item.path));
        if wishes.items.len() > MAX_FILES {
            commit.keep = Keep::Everything;
            let message = format!("more than {MAX_FILES} files are declared: the rest is not made");
            commit.problems.push(Problem { object: "the Host documents".to_owned(), at: None, message });
            wishes.items.truncate(MAX_FILES);
        }
        // What is claimed and not made stays as it is.
        if let Keep::Paths(kept) = &mut commit.keep {
            let made: BTreeSet<&str> = wishes.items.iter().map(|item| item.path.as_str()).collect();
            kept.extend(claims.into_keys().filter(|path| !made.contains(path.as_str())).map(PathBuf::from));
        }
        wishes.items.sort_by(|a, b| a.path.cmp(&b.path));
        wishes.services = order::in_order(wishes.services, &mut commit.problems);
        wishes
    }
}

/// A file that everybody may read.
fn public(path: &str, role: Role, what: What, context: &Context) -> Item {
    Item {
        path: path.to_owned(),
        at: context.at.clone(),
        owner: None,
        group: None,
        mode: 0o644,
        place: Place::Copy,
        role,
        what,
    }
}

/// The entry that a path in a document is in: `spec.files[3]` of `spec.files[3].mode`.
fn entry_of(path: &str) -> &str {
    path.find(']').map_or(path, |end| &path[..=end])
}

/// Where a path in a document leads: beside the document, or from the root. Nothing if it leads out of that.
pub(super) fn resolve(given: &str, document: &Path) -> Option<PathBuf> {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    let rest = given.strip_prefix('/');
    if rest.is_none() {
        parts.extend(document.parent().into_iter().flat_map(Path::iter));
    }
    for part in rest.unwrap_or(given).split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part.as_ref()),
        }
    }
    (!parts.is_empty()).then(|| parts.iter().collect())
}

/// A file for cron's folder.
fn table(job: &CronJob) -> Result<String, &'static str> {
    let mut text = format!("# Job {} of a Host document. Bulla puts this file back: edit the document.\n", job.name);
    for (name, value) in &job.environment {
        text.push_str(&format!("{name}={}\n", cron_value(value)?));
    }
    let user = job.user.as_deref().unwrap_or("root");
    text.push_str(&format!("{}\t{user}\t{}\n", job.schedule, cron_command(&job.command)?));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_repository_never_leads_out_of_it() {
        let of = |given: &str| resolve(given, Path::new("hosts/web/host.yaml")).map(|path| path.display().to_string());
        assert_eq!(of("nginx.conf").as_deref(), Some("hosts/web/nginx.conf"));
        assert_eq!(of("./a/../b").as_deref(), Some("hosts/web/b"));
        assert_eq!(of("../shared/x").as_deref(), Some("hosts/shared/x"));
        assert_eq!(of("/shared/x").as_deref(), Some("shared/x"));
        for out in ["../../..", "../../../etc/passwd", "/../x", "/..", "/", "a/../../../../x"] {
            assert_eq!(of(out), None, "{out}");
        }
    }

    #[test]
    fn a_job_is_a_file_as_cron_reads_it() {
        let job = CronJob {
            name: "backup".to_owned(),
            schedule: "30 2 * * *".to_owned(),
            user: Some("backup".to_owned()),
            command: "tar cf /b/$(date +%F).tar /srv".to_owned(),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        };
        let text = table(&job).unwrap();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines, ["PATH=\"/usr/bin:/bin\"", "30 2 * * *\tbackup\ttar cf /b/$(date +\\%F).tar /srv"]);
        assert!(text.ends_with('\n'));
    }
}
