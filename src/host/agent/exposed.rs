//! Secrets that others than those who need them can have: told, and written all the same.

use std::path::Path;

use bulla_crds::host::is_public;

use crate::host::config::Allow;
use crate::host::desired::{Place, Role};
use crate::host::sink::{self, Manifest};

/// Everybody may read it.
const BY_ALL: u32 = 0o004;

/// What there is to say of a generation's files, for people; what the settings allow is not said.
pub(super) fn warnings(manifest: &Manifest, allow: &Allow, root: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (path, entry) in manifest.files.iter().filter(|(path, entry)| !entry.secrets.is_empty() && !is_public(path)) {
        let (shown, secrets) = (path.display(), entry.secrets.join(", "));
        let is_copy = entry.place == Place::Copy && entry.role != Role::Credential;
        if is_copy && !allow.plaintext_on_disk && !sink::is_in_memory(root, path) {
            warnings.push(format!(
                "{shown}: {secrets} is on a disk in the clear and outlives a shutdown: declare it with `place: link` or \
                 below /run, or say allow.plaintextOnDisk in the settings"
            ));
        }
        if entry.mode & BY_ALL != 0 && !allow.readable_by_all {
            warnings.push(format!(
                "{shown}: everybody on this host may read {secrets} (mode {:04o}): give it an owner or a group and mode \
                 \"0440\", or say allow.readableByAll in the settings",
                entry.mode
            ));
        }
    }
    warnings
}
