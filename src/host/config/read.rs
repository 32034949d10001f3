//! From the settings file to [`Config`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulla_crds::host::is_name;
use serde::{Deserialize as _, Deserializer};
use zeroize::Zeroizing;

use super::Config;
use crate::seal::{Identity, KeyState, Keyring};
use crate::sync::external::duration::interval;

/// Settings and key files are shorter than this, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why the agent cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The settings are not what they must be.
    #[error("{}: {problem}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the field.
        problem: String,
    },
    /// A private key that others may read.
    #[error("{} holds a private key and others may read it (mode {mode:04o}): run `chmod 600 {}`", .path.display(), .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl Config {
    /// Reads a settings file. Relative paths in it are meant from its folder.
    ///
    /// # Errors
    /// If it cannot be read, has a field that nobody knows, or says what cannot be.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = bounded(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = std::path::absolute(folder)
            .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
        Self::parse(&text, &folder).map_err(|problem| ConfigError::Invalid { path: path.to_path_buf(), problem })
    }

    /// Reads settings; relative paths are meant from `folder`.
    ///
    /// # Errors
    /// What is wrong, with the field.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string())?;
        let mut config: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let (path, why) = (error.path().to_string(), error.inner().to_string());
            if path == "." { why } else { format!("{path}: {why}") }
        })?;
        config.complete(folder);
        config.check()?;
        Ok(config)
    }

    fn complete(&mut self, folder: &Path) {
        if self.name.is_empty() {
            let system = rustix::system::uname();
            let name = system.nodename().to_string_lossy();
            self.name = name.split('.').next().unwrap_or_default().to_lowercase();
        }
        let access = &mut self.repository.access;
        let files = [
            &mut access.password_file,
            &mut access.client_certificate,
            &mut access.client_key,
            &mut access.ssh_key,
            &mut access.known_hosts,
            &mut access.ca_file,
        ];
        let signatures = self.repository.signatures.as_mut();
        let signers = signatures.map(|one| [&mut one.allowed_signers, &mut one.revoked, &mut one.gpg_home]);
        let notify = self.notify.as_mut().map(|notify| (&mut notify.webhook_file, &mut notify.key_file));
        let (webhook, key) = notify.map_or((None, None), |(webhook, key)| (Some(webhook), key.as_mut()));
        let all = files.into_iter().flatten().chain(&mut self.identities);
        let all = all.chain([&mut self.state, &mut self.run, &mut self.root]).chain(&mut self.file_stores);
        let all = all.chain(signers.into_iter().flatten().flatten());
        let all = all.chain(self.hook.as_mut().map(|hook| &mut hook.secret_file)).chain(&mut self.metrics.textfile);
        for path in all.chain(webhook).chain(key).filter(|path| path.is_relative()) {
            *path = folder.join(&path);
        }
        let url = &self.repository.url;
        // A path, not a URL and not `host:path` of ssh.
        if !url.is_empty() && !url.starts_with('-') && !url.contains(':') && Path::new(url).is_relative() {
            self.repository.url = folder.join(url).display().to_string();
        }
    }

    fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(format!("name: {:?} is not a name such as web-1: small letters, digits, - and .", self.name));
        }
        if let Some(group) = self.groups.iter().find(|group| !is_name(group)) {
            return Err(format!("groups: {group:?} is not a name such as web: small letters, digits, - and ."));
        }
        if self.identities.is_empty() {
            let mend = "name at least one file with a private key; `bulla host enroll` makes one";
            return Err(format!("identities: {mend}"));
        }
        if self.keep < 2 {
            return Err("keep: at least 2 generations are kept, or there is nothing to go back to".to_owned());
        }
        for (field, text) in [("url", &self.repository.url), ("branch", &self.repository.branch)] {
            if text.is_empty() || text.starts_with('-') {
                return Err(format!("repository.{field}: is empty or begins with -"));
            }
        }
        let access = &self.repository.access;
        if access.password_file.is_some() && access.credential_helper.is_some() {
            return Err("repository.access: name passwordFile or credentialHelper, not both".to_owned());
        }
        if access.client_key.is_some() && access.client_certificate.is_none() {
            return Err("repository.access.clientKey: name its clientCertificate too".to_owned());
        }
        if self.allow.commands == Some(false) && self.allow.paths.is_none() {
            let mend = "name the paths that may be declared, such as [\"/etc/nginx/**\"]: with commands: false alone, a \
                        file could still be where a program takes commands from";
            return Err(format!("allow.paths: {mend}"));
        }
        let signatures = self.repository.signatures.as_ref();
        if signatures.is_some_and(|given| given.allowed_signers.is_none() && given.gpg_home.is_none()) {
            return Err(
                "repository.signatures: name allowedSigners or gpgHome, or nobody's commits are taken".to_owned()
            );
        }
        Ok(())
    }

    /// Opens the private keys that `identities` names.
    ///
    /// # Errors
    /// If a file cannot be read, may be read by others, or holds no key that can be used.
    pub fn keyring(&self) -> Result<Keyring, ConfigError> {
        use std::os::unix::fs::PermissionsExt as _;
        let mut keyring = Keyring::new();
        for path in &self.identities {
            let metadata =
                fs::metadata(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(ConfigError::Exposed { path: path.clone(), mode });
            }
            let text = Zeroizing::new(bounded(path)?);
            let identities = Identity::parse_all(&text)
                .map_err(|error| ConfigError::Invalid { path: path.clone(), problem: error.to_string() })?;
            for identity in identities {
                keyring.insert(identity, KeyState::Active);
            }
        }
        Ok(keyring)
    }
}

fn bounded(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_path_buf(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(unreadable(io::Error::other(format!("no file of at most {MAX_BYTES} bytes"))));
    }
    fs::read_to_string(path).map_err(unreadable)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    interval(&text).map_err(serde::de::Error::custom)
}

pub(super) fn duration_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::super::{Config, ManagerKind};

    const SMALL: &str = "name: frodo\nidentities: [host.key]\nrepository: {url: infra.git}\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/bulla"))
    }

    #[test]
    fn a_small_file_is_enough() {
        let config = parse(SMALL).unwrap();
        assert_eq!(config.identities, [PathBuf::from("/etc/bulla/host.key")]);
        assert_eq!(config.repository.url, "/etc/bulla/infra.git");
        assert_eq!((config.repository.branch.as_str(), config.repository.poll), ("main", Duration::from_secs(60)));
        assert_eq!((config.run, config.keep, config.manager), (PathBuf::from("/run/bulla"), 3, ManagerKind::Auto));
        let url = |url: &str| parse(&SMALL.replace("infra.git", url)).unwrap().repository.url;
        assert_eq!(url("git@example.com:infra.git"), "git@example.com:infra.git");
        assert_eq!(url("\"https://example.com/infra.git\""), "https://example.com/infra.git");
    }

    #[test]
    fn a_field_that_nobody_knows_is_an_error_with_its_path() {
        let error = parse(&format!("{SMALL}allow: {{path: [/etc/app]}}\n")).unwrap_err();
        assert!(error.contains("allow") && error.contains("path"), "{error}");
        let error = parse(&SMALL.replace("infra.git", "infra.git, poll: often")).unwrap_err();
        assert!(error.contains("repository.poll") && error.contains("often"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, word) in [
            (SMALL.replace("frodo", "Frodo!"), "name"),
            (SMALL.replace("[host.key]", "[]"), "identities"),
            (format!("{SMALL}keep: 1\n"), "keep"),
            (format!("{SMALL}groups: [../x]\n"), "groups"),
            (SMALL.replace("infra.git", "--upload-pack=x"), "repository.url"),
            (SMALL.replace("infra.git", "infra.git, signatures: {}"), "signatures"),
            (format!("{SMALL}allow: {{commands: false}}\n"), "allow.paths: name the paths"),
            (SMALL.replace("infra.git", "x, access: {passwordFile: a, credentialHelper: b}"), "not both"),
            (SMALL.replace("infra.git", "x, access: {clientKey: a}"), "clientCertificate"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn the_agents_own_files_are_named() {
        let access = "infra.git, access: {clientCertificate: tls.crt, clientKey: tls.key}";
        let text = format!("{}notify: {{webhookFile: hook.url}}\n", SMALL.replace("infra.git", access));
        let own = parse(&text).unwrap().own_paths(Path::new("/etc/bulla/host.yaml"));
        let ours = ["host.yaml", "host.key", "hook.url", "tls.crt", "tls.key"].map(|name| format!("/etc/bulla/{name}"));
        for path in ours.iter().map(String::as_str).chain(["/run/bulla", "/var/lib/bulla"]) {
            assert!(own.contains(&PathBuf::from(path)), "{path}");
        }
    }
}
