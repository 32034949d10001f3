//! A repository of sealed manifests, with what stands beside them: workloads, settings, overlays, stores.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use bulla::seal::Recipient;
use jiff::civil::Date;
use rayon::prelude::*;

use super::manifests;
use super::sealed::SealedFile;
use super::words::Words;

/// What a repository is to hold.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Files with a SealedSecret.
    pub(crate) files: usize,
    /// Values in all of them together.
    pub(crate) values: usize,
    pub(crate) seed: u64,
}

/// What one holds.
pub(crate) struct Tree {
    pub(crate) sealed: Vec<SealedFile>,
    /// The other manifests: path and text.
    ballast: Vec<(String, String)>,
}

const CLUSTERS: [&str; 3] = ["production", "staging", "development"];
/// SealedSecrets in the folder of an application.
const SEALED_OF_APPLICATION: usize = 4;

impl Tree {
    pub(crate) fn new(size: Size) -> Self {
        let mut words = Words::new(size.seed);
        let mut tree = Self { sealed: Vec::new(), ballast: Vec::new() };
        for cluster in CLUSTERS {
            tree.put(format!("clusters/{cluster}/stores/aws.yaml"), manifests::store("aws"));
        }
        let mut left = size.values;
        let mut number = 0;
        while tree.sealed.len() < size.files {
            let folder = tree.application(&mut words, number);
            let files = SEALED_OF_APPLICATION.min(size.files - tree.sealed.len());
            let mut resources = Vec::new();
            for file in 0..files {
                // As many on average as it takes, two more or less by turns.
                let average = left / (size.files - tree.sealed.len());
                let last = tree.sealed.len() + 1 == size.files;
                let values =
                    if last { left } else { (average + tree.sealed.len() % 5).saturating_sub(2).clamp(1, left) };
                left -= values;
                let name = format!("{}-{}", folder.name, ["db", "api", "mail", "auth"][file]);
                let sealed = SealedFile::new(&mut words, &folder.path, &folder.namespace, name, values);
                resources.push(sealed.path.rsplit('/').next().unwrap_or_default().to_owned());
                tree.sealed.push(sealed);
            }
            tree.kustomization(&folder, resources);
            number += 1;
        }
        tree
    }

    /// Values in all SealedSecrets together.
    pub(crate) fn values(&self) -> usize {
        self.sealed.iter().map(|file| file.values.len()).sum()
    }

    /// Other manifests.
    pub(crate) fn others(&self) -> usize {
        self.ballast.len()
    }

    /// What stands in an application's folder beside its secrets.
    fn application(&mut self, words: &mut Words, number: usize) -> Folder {
        let cluster = CLUSTERS[number % CLUSTERS.len()];
        let (namespace, name) = (words.word().to_owned(), format!("{}-{number}", words.name()));
        let path = format!("clusters/{cluster}/apps/{namespace}/{name}");
        let tag = words.version();
        self.put(format!("{path}/deployment.yaml"), manifests::deployment(words, &namespace, &name, &tag));
        self.put(format!("{path}/config.yaml"), manifests::config_map(words, &namespace, &name));
        if number.is_multiple_of(8) {
            let text = manifests::external_secret(words, &namespace, &format!("{name}-external"), "aws");
            self.put(format!("{path}/external.yaml"), text);
        }
        if number.is_multiple_of(5) {
            let image = format!("images.example.org/{namespace}/{name}");
            let text = manifests::kustomization(&namespace, &[format!("../../{namespace}/{name}")], &[(&image, &tag)]);
            self.put(format!("clusters/{cluster}/apps/overlays/{name}/kustomization.yaml"), text);
        }
        Folder { path, namespace, name, external: number.is_multiple_of(8) }
    }

    fn kustomization(&mut self, folder: &Folder, sealed: Vec<String>) {
        let mut resources = vec!["deployment.yaml".to_owned(), "config.yaml".to_owned()];
        if folder.external {
            resources.push("external.yaml".to_owned());
        }
        resources.extend(sealed);
        let text = manifests::kustomization(&folder.namespace, &resources, &[]);
        self.put(format!("{}/kustomization.yaml", folder.path), text);
    }

    fn put(&mut self, path: String, text: String) {
        self.ballast.push((path, text));
    }

    /// Writes it to `root`, sealed to `recipient`; what it returns is how many bytes it has.
    pub(crate) fn write(&self, root: &Path, recipient: &Recipient, today: Date) -> anyhow::Result<u64> {
        let recipients = [recipient.clone()];
        let sealed = self.sealed.par_iter().map(|file| {
            let text = file.render(&recipients, today)?;
            write(root, &file.path, &text)
        });
        let sealed: u64 = sealed.collect::<anyhow::Result<Vec<_>>>()?.iter().sum();
        let mut others = 0;
        for (path, text) in &self.ballast {
            others += write(root, path, text)?;
        }
        Ok(sealed + others)
    }
}

struct Folder {
    path: String,
    namespace: String,
    name: String,
    external: bool,
}

/// The rules of a repository that is sealed to the key in `public`, a file name from its root.
pub(crate) fn rules(public: &str) -> String {
    let rule = |cluster: &&str| format!("- path: \"clusters/{cluster}/**\"\n  recipientFiles: [{public}]\n");
    format!("version: 1\nrules:\n{}", CLUSTERS.iter().map(rule).collect::<String>())
}

/// Writes a file below `root`, with the folders that it takes, and returns its length.
pub(crate) fn write(root: &Path, path: &str, text: &str) -> anyhow::Result<u64> {
    let path = root.join(path);
    let folder = path.parent().context("a path below the root has a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    put(&path, text.as_bytes())?;
    Ok(text.len() as u64)
}

/// Writes a file in a folder that is there.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let file = fs::File::create(path).and_then(|mut file| file.write_all(bytes));
    file.with_context(|| path.display().to_string())
}
