//! What the sink is told: where it works, what it may touch.

use std::path::{Path, PathBuf};

use bulla_crds::host::Glob;

/// Where the sink works and what it may touch.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run folder, absolute: generations, `current`, the key of the digests. On tmpfs or ramfs.
    pub run: PathBuf,
    /// Declared paths are below it, absolute; `/` on a real host.
    pub root: PathBuf,
    /// What must survive a reboot: which links, copies and folders are ours. Absolute.
    pub state: PathBuf,
    /// How many generations are kept, at least 2.
    pub keep: usize,
    /// What the run folder must be.
    pub storage: Storage,
    /// What may be declared.
    pub policy: Policy,
    /// Called around each step that touches a disk; for tests.
    pub probe: Probe,
}

/// What the run folder must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// tmpfs or ramfs; anything else is refused.
    #[default]
    Memory,
    /// Anything; a disk is warned of, since what was on it can be there for ever.
    Any,
}

/// Something that is called before and after each step that touches a disk, with the step's name. Settings files cannot
/// set it: it is how a test ends its own process at every point.
#[derive(Clone, Copy, Default)]
pub struct Probe(Option<fn(&'static str)>);

impl Probe {
    /// Calls `call`.
    #[must_use]
    pub const fn calling(call: fn(&'static str)) -> Self {
        Self(Some(call))
    }

    /// Around `step`: called before it and, if it came to an end, after it.
    pub(super) fn around<T>(self, step: &'static str, work: impl FnOnce() -> T) -> T {
        if let Some(call) = self.0 {
            call(step);
        }
        let done = work();
        if let Some(call) = self.0 {
            call(step);
        }
        done
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Probe(set)" } else { "Probe(none)" })
    }
}

/// What may be declared: the agent's own folders, `/proc`, `/sys` and `/dev` never.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allowed: Option<Vec<Glob>>,
    forbidden: Vec<Glob>,
    own: Vec<PathBuf>,
}

/// A glob that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{glob:?} {reason}")]
pub struct PolicyError {
    glob: String,
    reason: &'static str,
}

/// Never files of ours: what the kernel shows there is no file.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

impl Policy {
    /// `allowed`: globs of declared paths, nothing for all; `forbidden`: globs that are refused all the same; `own`:
    /// files and folders of the agent (settings, identities), as the machine sees them. A `*` does not cross a `/`, `**` does.
    ///
    /// # Errors
    /// If a glob cannot be read.
    pub fn new(allowed: Option<&[String]>, forbidden: &[String], own: Vec<PathBuf>) -> Result<Self, PolicyError> {
        Ok(Self { allowed: allowed.map(globs).transpose()?, forbidden: globs(forbidden)?, own })
    }

    /// Adds files and folders of the agent's own.
    pub(super) fn keep_off(&mut self, own: impl IntoIterator<Item = PathBuf>) {
        self.own.extend(own);
    }

    /// Whether the settings let the repository write there, whatever is there.
    pub(in crate::host) fn allows(&self, path: &Path) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| fits(allowed, path))
    }

    /// Whether a declared path is taken; else why not.
    pub(super) fn check_declared(&self, path: &Path, root: &Path) -> Result<(), String> {
        if !self.allows(path) {
            return Err("this host's settings do not let the repository write there (`allow.paths`)".to_owned());
        }
        self.check_real(path, root)
    }

    /// Whether `real` is taken, where the way to the `declared` path leads; else why not. Both are below `root`, without it.
    pub(super) fn check_followed(&self, declared: &Path, real: &Path, root: &Path) -> Result<(), String> {
        if declared != real && !self.allows(real) {
            return Err(format!(
                "{} leads through a link to {}, and this host's settings do not let the repository write there (`allow.paths`)",
                declared.display(),
                real.display()
            ));
        }
        self.check_real(real, root)
    }

    fn check_real(&self, path: &Path, root: &Path) -> Result<(), String> {
        if let Some(kernel) = KERNEL.iter().find(|kernel| path.starts_with(kernel)) {
            return Err(format!("{} is in {kernel}, where no files are kept", path.display()));
        }
        if fits(&self.forbidden, path) {
            return Err(format!("this host's settings forbid {}", path.display()));
        }
        let real = below(root, path);
        match self.own.iter().find(|own| real.starts_with(own) || own.starts_with(&real)) {
            Some(own) => Err(format!("{} is the agent's own ({})", path.display(), own.display())),
            None => Ok(()),
        }
    }
}

/// The absolute `path` below `root`.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn globs(globs: &[String]) -> Result<Vec<Glob>, PolicyError> {
    let read = |glob: &String| Glob::parse(glob).map_err(|reason| PolicyError { glob: glob.clone(), reason });
    globs.iter().map(read).collect()
}

fn fits(globs: &[Glob], path: &Path) -> bool {
    path.to_str().is_some_and(|path| globs.iter().any(|glob| glob.matches(path)))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Policy;

    fn taken(policy: &Policy, path: &str) -> bool {
        policy.check_declared(Path::new(path), Path::new("/")).is_ok()
    }

    #[test]
    fn the_kernels_folders_and_the_agents_own_are_never_taken() {
        let policy = Policy::new(None, &[], vec![PathBuf::from("/etc/bulla"), PathBuf::from("/run/bulla")]).unwrap();
        for path in ["/proc/sys/x", "/sys/x", "/dev/shm/x", "/etc/bulla/host.yaml", "/run/bulla/current", "/run"] {
            assert!(!taken(&policy, path), "{path}");
        }
        for path in ["/etc/bullas", "/process/x", "/run/credstore/x", "/etc/nginx/nginx.conf"] {
            assert!(taken(&policy, path), "{path}");
        }
    }

    #[test]
    fn globs_allow_and_forbid_and_a_star_stays_in_its_folder() {
        let allowed = ["/etc/nginx/**".to_owned(), "/etc/cron.d/*".to_owned()];
        let policy = Policy::new(Some(&allowed), &["/etc/nginx/private/**".to_owned()], Vec::new()).unwrap();
        assert!(taken(&policy, "/etc/nginx/conf.d/a.conf") && taken(&policy, "/etc/cron.d/job"));
        for path in ["/etc/cron.d/sub/job", "/etc/passwd", "/etc/nginx/private/key"] {
            assert!(!taken(&policy, path), "{path}");
        }
        assert!(Policy::new(None, &["/etc/[".to_owned()], Vec::new()).is_err());
        assert!(!taken(&Policy::new(Some(&[]), &[], Vec::new()).unwrap(), "/etc/x"), "an empty list allows nothing");
    }
}
