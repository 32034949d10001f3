//! The folders above declared paths, each counted once.

use std::collections::HashSet;
use std::path::Path;

/// The most folders above the declared files of a host: each is made, watched and kept in the ledger.
pub(super) const MOST: usize = 20_000;

/// Folders above paths.
#[derive(Default)]
pub(super) struct Folders<'a>(HashSet<&'a Path>);

impl<'a> Folders<'a> {
    /// Adds the folders above `path`: in all as many steps as there are folders and paths.
    pub(super) fn add(&mut self, path: &'a Path) {
        for folder in path.ancestors().skip(1) {
            // All above it are known too.
            if !self.0.insert(folder) {
                break;
            }
        }
    }

    /// Adds the folders above `path`, if there are no more than [`MOST`] with them; whether.
    pub(super) fn fit(&mut self, path: &'a Path) -> bool {
        let new = path.ancestors().skip(1).take_while(|folder| !self.0.contains(folder)).count();
        let fits = new == 0 || self.0.len().saturating_add(new) <= MOST;
        if fits {
            self.add(path);
        }
        fits
    }

    pub(super) fn has(&self, folder: &Path) -> bool {
        self.0.contains(folder)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Folders, MOST};

    #[test]
    fn folders_above_a_path_are_known_and_the_path_itself_is_not() {
        let mut folders = Folders::default();
        for path in ["/etc/app/key", "/etc/app/sub/key", "/srv/a"] {
            folders.add(Path::new(path));
        }
        for folder in ["/", "/etc", "/etc/app", "/etc/app/sub", "/srv"] {
            assert!(folders.has(Path::new(folder)), "{folder}");
        }
        for folder in ["/etc/app/key", "/srv/a", "/et", "/etc/app/su"] {
            assert!(!folders.has(Path::new(folder)), "{folder}");
        }
    }

    #[test]
    fn there_are_no_more_folders_than_may_be_and_files_in_those_that_are_there_still_fit() {
        // With `/` and `/etc` it is one too many.
        let paths: Vec<PathBuf> = (0..MOST - 1).map(|at| format!("/etc/{at}/key").into()).collect();
        let mut folders = Folders::default();
        let fit = paths.iter().filter(|path| folders.fit(path)).count();
        assert_eq!(fit, MOST - 2);
        assert!(folders.fit(Path::new("/etc/0/other")) && !folders.fit(Path::new("/var/x")));
    }
}
