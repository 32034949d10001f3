//! The last good values on the disk, for a start without network: one age file for each, sealed to the host's own key.
//!
//! A file says inside for which host, object and version of the object it is, so one that was moved, copied from
//! another host or given another name is passed over. Names of files are digests of names: they tell nothing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Full;
use crate::host::disk;
use crate::seal::{self, Identity, Recipient};
use crate::secret::{Plaintext, Shape, Target, Values};

/// The longest content that is read: the largest Secret and all that is said about it.
const MAX_CONTENT: usize = 4 << 20;
/// The longest file that is read.
const MAX_FILE: u64 = 5 << 20;
/// The most files that are looked at.
const MAX_FILES: usize = 20_000;
/// What this release writes, and reads.
const FORMAT: u32 = 1;

/// A value as it was fetched.
#[derive(Clone)]
pub(super) struct Kept {
    /// The version of the object that asked for it.
    pub(super) version: String,
    /// When it was fetched.
    pub(super) at: Timestamp,
    /// The Secret.
    pub(super) target: Arc<Target>,
}

/// The folder of one host.
pub(super) struct Cache {
    folder: PathBuf,
    host: String,
}

/// What a file says before the values, which follow it without anything between them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    host: String,
    namespace: String,
    object: String,
    version: String,
    at: Timestamp,
    name: String,
    kind: Option<String>,
    immutable: Option<bool>,
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
    finalizers: Vec<String>,
    /// Data keys and the lengths of their values, in their order.
    values: Vec<(String, usize)>,
}

impl Cache {
    pub(super) fn new(folder: PathBuf, host: String) -> Self {
        Self { folder, host }
    }

    /// Every value of `object` that is kept for this host and opens.
    pub(super) fn load(&self, object: &Full, identities: &[Identity]) -> Vec<Kept> {
        let begin = self.begin(object);
        let of_object = self.files().into_iter().filter(|name| name.starts_with(&begin));
        of_object.filter_map(|name| self.read(&name, object, identities)).collect()
    }

    fn read(&self, name: &str, object: &Full, identities: &[Identity]) -> Option<Kept> {
        let path = self.folder.join(name);
        let kept = read(&path).map_err(|error| error.to_string()).and_then(|file| {
            let content = seal::open_file(identities, &file, MAX_CONTENT).map_err(|error| error.to_string())?;
            self.parse(&content, object).ok_or_else(|| "is not what this host wrote for this object".to_owned())
        });
        match kept {
            Ok(kept) if name == self.name(object, &kept.version) => Some(kept),
            Ok(_) => None,
            Err(problem) => {
                tracing::warn!(file = %path.display(), problem, "a kept value cannot be used");
                None
            }
        }
    }

    /// Keeps a value on the disk.
    pub(super) fn store(&self, object: &Full, kept: &Kept, recipient: &Recipient) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let content = self.content(object, kept)?;
        let file = seal::seal_file(std::slice::from_ref(recipient), &content).map_err(io::Error::other)?;
        disk::replace(&self.folder.join(self.name(object, &kept.version)), &file, 0o600, true)
    }

    /// Removes the value of one version.
    pub(super) fn remove(&self, object: &Full, version: &str) {
        self.unlink(&self.name(object, version));
    }

    /// Removes every file but those of these versions.
    pub(super) fn retain<'a>(&self, kept: impl Iterator<Item = (&'a Full, &'a str)>) {
        let names: std::collections::HashSet<_> = kept.map(|(object, version)| self.name(object, version)).collect();
        self.files().iter().filter(|name| !names.contains(*name)).for_each(|name| self.unlink(name));
    }

    fn unlink(&self, name: &str) {
        if let Err(error) = disk::remove(&self.folder.join(name)) {
            tracing::warn!(file = name, %error, "a kept value cannot be removed");
        }
    }

    /// The names of the files that are ours.
    fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.flatten().take(MAX_FILES).filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.ends_with(".age") || name.ends_with(".age.new")).collect()
    }

    fn begin(&self, (namespace, name): &Full) -> String {
        digest(&[&self.host, namespace, name], 16)
    }

    fn name(&self, object: &Full, version: &str) -> String {
        format!("{}-{}.age", self.begin(object), digest(&[version], 8))
    }

    fn content(&self, (namespace, object): &Full, kept: &Kept) -> io::Result<Plaintext> {
        let Target { name, shape, data, .. } = &*kept.target;
        let header = Header {
            format: FORMAT,
            host: self.host.clone(),
            namespace: namespace.clone(),
            object: object.clone(),
            version: kept.version.clone(),
            at: kept.at,
            name: name.clone(),
            kind: shape.kind.clone(),
            immutable: shape.immutable,
            labels: shape.labels.clone(),
            annotations: shape.annotations.clone(),
            finalizers: shape.finalizers.clone(),
            values: data.iter().map(|(key, value)| (key.clone(), value.len())).collect(),
        };
        let header = Zeroizing::new(serde_json::to_vec(&header)?);
        // As long as it gets, so that no copy of a value is left behind by growing.
        let length = header.len() + 1 + data.values().map(Plaintext::len).sum::<usize>();
        let mut content = Zeroizing::new(Vec::with_capacity(length));
        content.write_all(&header)?;
        content.write_all(b"\n")?;
        for value in data.values() {
            content.write_all(value.expose())?;
        }
        Ok(Plaintext::from_guarded(content))
    }

    fn parse(&self, content: &Plaintext, (namespace, object): &Full) -> Option<Kept> {
        let content = content.expose();
        let end = content.iter().position(|byte| *byte == b'\n')?;
        let header: Header = serde_json::from_slice(content.get(..end)?).ok()?;
        if header.format != FORMAT || header.host != self.host {
            return None;
        }
        if header.namespace != *namespace || header.object != *object {
            return None;
        }
        let mut rest = content.get(end + 1..)?;
        let mut data = Values::new();
        for (key, length) in header.values {
            let (value, after) = rest.split_at_checked(length)?;
            data.insert(key, Plaintext::copy_of(value));
            rest = after;
        }
        let shape = Shape {
            kind: header.kind,
            immutable: header.immutable,
            labels: header.labels,
            annotations: header.annotations,
            finalizers: header.finalizers,
        };
        let target = Target { namespace: header.namespace, name: header.name, shape, data };
        rest.is_empty().then(|| Kept { version: header.version, at: header.at, target: Arc::new(target) })
    }
}

/// The first bytes of a digest of names, in hexadecimal digits.
fn digest(names: &[&str], bytes: usize) -> String {
    let mut hash = Sha256::new();
    for name in names {
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name.as_bytes());
    }
    hash.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(no_link).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}
