//! Who signed a commit: git asks `ssh-keygen` or `gpg`, against keys of the settings only.
//!
//! Keys are trusted by being there: the web of trust and the keys of the machine's users play no part. A kind of
//! signature for which there are no keys is refused without a look at it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};

use super::access::section;
use super::clone::{CloneError, Folder};
use super::git::{GitError, one_line};
use super::{CommitId, OpenError, Repository};
use crate::host::disk::remove_folder;
use crate::host::process;

/// So many signatures are checked at a time.
const AT_ONCE: usize = 4;
/// A refusal is good for so long: keys have dates from which on they count.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// A file of keys is smaller than this, in bytes.
const MOST_KEYS: u64 = 4 << 20;

/// Whose signatures are good. At least one of `allowed_signers` and `gpg_home` has to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// ssh: a file in the format of `ssh-keygen` (ALLOWED SIGNERS), absolute.
    pub allowed_signers: Option<PathBuf>,
    /// ssh: a file of keys, or a key revocation list, that are good no more. The dates in `allowed_signers` are held
    /// against the date that a commit gives itself: only this file stops a key that was stolen.
    pub revoked: Option<PathBuf>,
    /// OpenPGP: a home of GnuPG with the public keys, or a file of public keys as `gpg --export` writes them, with or
    /// without `--armor`, or a folder of such files; absolute. It is only read. Every key in there is trusted, so that
    /// to remove it is to revoke it.
    pub gpg_home: Option<PathBuf>,
}

/// A range, and the keys that it is held against.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    first: CommitId,
    last: CommitId,
    commits: usize,
    keys: Vec<KeyFile>,
}

/// A range that was refused: it is not checked again at each poll.
#[derive(Debug)]
pub(super) struct Refusal {
    asked: Asked,
    commit: CommitId,
    why: String,
    at: Instant,
}

/// What shows that a file of keys is another one: its path, number, size, and when it was changed.
type KeyFile = (PathBuf, u64, u64, i64, i64);

impl Signatures {
    /// The files of keys as they are now.
    fn now(&self) -> Vec<KeyFile> {
        let of = |path: &Path| {
            let about = fs::metadata(path).ok()?;
            Some((path.to_path_buf(), about.ino(), about.len(), about.ctime(), about.ctime_nsec()))
        };
        let given: Vec<&PathBuf> =
            [&self.allowed_signers, &self.revoked, &self.gpg_home].into_iter().flatten().collect();
        let below = self.gpg_home.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        let mut all: Vec<KeyFile> = given.into_iter().filter_map(|path| of(path)).collect();
        all.extend(below.filter_map(|entry| of(&entry.path())));
        all.sort();
        all
    }
}

/// What was found about a range.
pub(super) enum Verdict {
    Good,
    /// The oldest commit that is not signed as it should, and why.
    Bad {
        commit: CommitId,
        why: String,
    },
}

/// The part of git's settings that says who checks signatures.
///
/// # Errors
/// A setting that cannot be used.
pub(super) fn config(signatures: Option<&Signatures>, folder: &Folder) -> Result<String, OpenError> {
    let none = Signatures::default();
    let given = signatures.unwrap_or(&none);
    let wrong = |setting| move |problem| OpenError::Setting { setting, problem };
    if signatures.is_some() && given.allowed_signers.is_none() && given.gpg_home.is_none() {
        return Err(OpenError::Setting {
            setting: "signatures",
            problem: "name whose signatures are good, by allowedSigners (ssh) or gpgHome (OpenPGP)".into(),
        });
    }
    let mut text = String::new();
    let program = |there: bool, program| if there { program } else { "false" };
    let wrapper = folder.gpg().to_string_lossy().into_owned();
    section("gpg", &[("program", program(given.gpg_home.is_some(), &wrapper))], &mut text).map_err(wrong("folder"))?;
    section("gpg \"x509\"", &[("program", "false")], &mut text).map_err(wrong("folder"))?;
    let ssh = program(given.allowed_signers.is_some(), "ssh-keygen");
    section("gpg \"ssh\"", &[("program", ssh)], &mut text).map_err(wrong("folder"))?;
    let files = [
        ("signatures.allowedSigners", "allowedSignersFile", &given.allowed_signers),
        ("signatures.revoked", "revocationFile", &given.revoked),
    ];
    for (setting, key, file) in files {
        if let Some(file) = file {
            let path = usable(file).map_err(wrong(setting))?;
            section("gpg \"ssh\"", &[(key, path)], &mut text).map_err(wrong(setting))?;
        }
    }
    if let Some(keys) = &given.gpg_home {
        usable(keys).map_err(wrong("signatures.gpgHome"))?;
    }
    Ok(text)
}

fn usable(path: &Path) -> Result<&str, String> {
    let text = path.to_str().ok_or("is not UTF-8")?;
    if !path.is_absolute() {
        return Err(format!("{text} is not an absolute path"));
    }
    fs::metadata(path).map_err(|error| format!("{text}: {error}"))?;
    Ok(text)
}

impl Repository {
    /// Checks every commit of `range`, which begins with the oldest.
    pub(super) async fn verify(&self, signatures: &Signatures, range: &[CommitId]) -> Result<Verdict, CloneError> {
        let (Some(first), Some(last)) = (range.first(), range.last()) else { return Ok(Verdict::Good) };
        let asked = Asked { first: first.clone(), last: last.clone(), commits: range.len(), keys: signatures.now() };
        if let Some((commit, why)) = self.known_refusal(&asked) {
            return Ok(Verdict::Bad { commit, why });
        }
        let verdict = self.look_at(signatures, range).await?;
        if let Verdict::Bad { commit, why } = &verdict {
            let refusal = Refusal { asked, commit: commit.clone(), why: why.clone(), at: Instant::now() };
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        }
        Ok(verdict)
    }

    /// What was found about the same range with the same keys, a short while ago.
    fn known_refusal(&self, asked: &Asked) -> Option<(CommitId, String)> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let known = refusal.as_ref().filter(|known| known.asked == *asked && known.at.elapsed() < REMEMBERED)?;
        Some((known.commit.clone(), known.why.clone()))
    }

    async fn look_at(&self, signatures: &Signatures, range: &[CommitId]) -> Result<Verdict, CloneError> {
        self.signatures_checked.fetch_add(1, Ordering::Relaxed);
        let ring = match &signatures.gpg_home {
            Some(keys) => Some(self.import(keys).await?),
            None => None,
        };
        let ring = ring.as_ref().map(|ring| ring.0.as_path());
        let checks = range.iter().map(|commit| async move { (commit, self.verify_one(commit, ring).await) });
        let mut checks = stream::iter(checks).buffered(AT_ONCE);
        while let Some((commit, fault)) = checks.next().await {
            if let Some(why) = fault? {
                return Ok(Verdict::Bad { commit: commit.clone(), why });
            }
        }
        Ok(Verdict::Good)
    }

    /// Forgets what was refused: it is checked again. For somebody who asks by hand.
    pub fn forget_refusals(&self) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is wrong with the signature of a commit.
    ///
    /// # Errors
    /// If it could not be looked at, which says nothing about the commit: a program was missing, or was killed.
    async fn verify_one(&self, commit: &CommitId, ring: Option<&Path>) -> Result<Option<String>, GitError> {
        let mut command = self.git.command(Some(&self.folder.clone()), &["verify-commit", "--raw", commit.as_str()]);
        if let Some(ring) = ring {
            command.env("GNUPGHOME", ring);
        }
        let ended = process::run(&mut command, Stdio::null(), self.git.limits()).await?;
        let said = || self.git.clean(&ended.errors);
        match found(ended.status, &String::from_utf8_lossy(&ended.errors)) {
            Found::Good => Ok(None),
            Found::Fault(why) => Ok(Some(why)),
            Found::Bad => Ok(Some(format!("its signature is not good: {}", said()))),
            Found::Nothing => {
                let text = format!("the signature could not be looked at ({}): {}", ended.status, said());
                Err(GitError::Failed { what: "verify-commit".into(), text })
            }
        }
    }

    /// Makes a keyring from the files of keys, for this once: a key that was taken away is gone.
    async fn import(&self, keys: &Path) -> Result<Ring, CloneError> {
        let wrapper = self.folder.gpg();
        super::clone::write_script(&wrapper, GPG)?;
        let ring = Ring::new(&self.folder)?;
        let mut files = vec![];
        if let Some(there) =
            ["pubring.kbx", "pubring.gpg"].map(|name| keys.join(name)).into_iter().find(|it| it.is_file())
        {
            fs::copy(there, ring.0.join("keys.gpg"))?;
            return Ok(ring);
        }
        if keys.is_dir() {
            for entry in fs::read_dir(keys)? {
                files.push(entry?.path());
            }
            files.retain(|path| path.is_file());
            files.sort();
        } else {
            files.push(keys.to_path_buf());
        }
        let mut command = Command::new("sh");
        command.env_clear().envs(self.git.environment()).env("GNUPGHOME", &ring.0).current_dir(self.folder.home());
        command.arg(&wrapper).args(["--quiet", "--import", "--"]);
        for file in &files {
            if fs::metadata(file)?.len() > MOST_KEYS {
                let text = format!("{} has more than {MOST_KEYS} bytes", file.display());
                return Err(GitError::Failed { what: "verify-commit".into(), text }.into());
            }
            command.arg(file);
        }
        let ended = process::run(&mut command, Stdio::null(), self.git.limits()).await.map_err(GitError::from)?;
        if !ended.status.success() {
            let said = self.git.clean(&ended.errors);
            let text = format!("gpg does not read the public keys in {}: {said}", keys.display());
            return Err(GitError::Failed { what: "verify-commit".into(), text }.into());
        }
        Ok(ring)
    }
}

/// What the end of git says about a commit.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Good,
    /// It is refused for this.
    Fault(String),
    /// It is refused for what git says.
    Bad,
    /// Nothing: it is to be looked at again.
    Nothing,
}

fn found(status: ExitStatus, text: &str) -> Found {
    let says = |start: &str| text.lines().any(|line| line.starts_with(start));
    // The end of git says it all; that its words agree is a second lock on the same door.
    let good = says("Good \"git\" signature for ") || says("[GNUPG:] GOODSIG ") && says("[GNUPG:] VALIDSIG ");
    if status.success() && good {
        return Found::Good;
    }
    let is_hindered = text.lines().any(|line| HINDRANCES.iter().any(|hindrance| line.contains(hindrance)));
    if !matches!(status.code(), Some(0 | 1)) || is_hindered {
        return Found::Nothing;
    }
    let word = |mark: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("[GNUPG:] ")?.strip_prefix(mark));
        line.map(|rest| one_line(rest.trim().as_bytes(), 120))
    };
    Found::Fault(if text.is_empty() {
        "it has no signature".into()
    } else if let Some(key) = word("REVKEYSIG ") {
        format!("its key was revoked: {key}")
    } else if let Some(key) = word("EXPKEYSIG ") {
        format!("its key has expired: {key}")
    } else if let Some(key) = word("EXPSIG ") {
        format!("its signature has expired: {key}")
    } else if let Some(key) = word("BADSIG ") {
        format!("its signature is not of what it says: {key}")
    } else if let Some(key) = word("NO_PUBKEY ") {
        format!("it is signed with OpenPGP key {key}, which is not in signatures.gpgHome")
    } else if text.contains("No principal matched") {
        let key = text.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap_or("SSH key");
        format!("it is signed with {}, which is not in signatures.allowedSigners", one_line(key.as_bytes(), 80))
    } else if REFUSALS.iter().any(|refusal| text.contains(refusal)) {
        return Found::Bad;
    } else {
        return Found::Nothing;
    })
}

/// What is said where a program of its own could not do its work: it says nothing about the commit.
const HINDRANCES: [&str; 7] = [
    "cannot run ",
    "cannot exec ",
    " died of signal ",
    "Unable to open allowed keys file ",
    "Couldn't open ",
    "No space left on device",
    "annot allocate memory",
];

/// What `ssh-keygen` and `gpg` say of signatures that are not good, besides what is told in words of our own.
const REFUSALS: [&str; 5] = [
    "Could not verify signature",
    "Signature verification failed",
    "[GNUPG:] ERRSIG ",
    "[GNUPG:] NODATA ",
    "[GNUPG:] GOODSIG ",
];

/// A folder with a keyring, while it is needed.
struct Ring(PathBuf);

impl Ring {
    fn new(folder: &Folder) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = folder.home().join(format!("{RING}{}.{number}", std::process::id()));
        // Of a process that had our number before.
        remove_folder(&home)?;
        DirBuilder::new().mode(0o700).create(&home)?;
        Ok(Self(home))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.0) {
            tracing::debug!(%error, folder = %self.0.display(), "a keyring stays");
        }
    }
}

/// How the folders of keyrings are called: this, the process, a number.
const RING: &str = "keyring.";

/// Removes the keyrings of processes that were killed.
pub(super) fn sweep_rings(home: &Path) -> io::Result<()> {
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(RING)).and_then(|rest| rest.split('.').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

/// gpg with one keyring and nothing of the machine's users.
const GPG: &str = "#!/bin/sh
# Written by Bulla.
# git passes on what is on the standard output only.
command -v gpg >/dev/null || { echo '[GNUPG:] ERROR gpg is not installed'; echo 'gpg is not installed' >&2; exit 2; }
exec gpg --homedir \"$GNUPGHOME\" --no-options --no-default-keyring --keyring \"$GNUPGHOME/keys.gpg\" \\
    --trust-model always --no-auto-check-trustdb --no-auto-key-locate --no-auto-key-retrieve --no-autostart \\
    --batch \"$@\"
";

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::{Found, found};

    fn ended(code: i32, text: &str) -> Found {
        found(ExitStatus::from_raw(code << 8), text)
    }

    #[test]
    fn only_words_about_the_signature_are_a_refusal() {
        let good = "Good \"git\" signature for a@b with ED25519 key SHA256:x\n";
        assert_eq!(ended(0, good), Found::Good);
        assert_eq!(ended(1, ""), Found::Fault("it has no signature".to_owned()));
        let stranger = "Good \"git\" signature with ED25519 key SHA256:x\nNo principal matched.\n";
        assert!(matches!(ended(1, stranger), Found::Fault(why) if why.contains("SHA256:x")));
        for bad in ["BADSIG 1 a", "NO_PUBKEY 1", "REVKEYSIG 1 a", "EXPKEYSIG 1 a"] {
            assert!(matches!(ended(1, &format!("[GNUPG:] {bad}\n")), Found::Fault(_)), "{bad}");
        }
        assert_eq!(ended(1, "Could not verify signature.\n"), Found::Bad);
    }

    #[test]
    fn a_fault_of_the_machine_says_nothing_about_a_commit() {
        // As git 2 says it.
        let missing = "error: cannot run ssh-keygen: No such file or directory\n";
        let killed = "error: /usr/bin/ssh-keygen died of signal 9\n";
        let no_file = "Good \"git\" signature with ED25519 key SHA256:x\nUnable to open allowed keys file \"/a\": No such \
                       file or directory\nNo principal matched.\n";
        let full = "error: could not create temporary file: No space left on device\n";
        let gpg = "[GNUPG:] ERROR gpg is not installed\n";
        for fault in [missing, killed, no_file, full, gpg, "error: of a kind that nobody knows\n"] {
            assert_eq!(ended(1, fault), Found::Nothing, "{fault}");
        }
        assert_eq!(ended(128, "fatal: bad object\n"), Found::Nothing);
        assert_eq!(found(ExitStatus::from_raw(9), ""), Found::Nothing, "killed before it said anything");
        assert_eq!(found(ExitStatus::from_raw(9), "[GNUPG:] GOODSIG 1 a\n[GNUPG:] VALIDSIG 1\n"), Found::Nothing);
    }
}
