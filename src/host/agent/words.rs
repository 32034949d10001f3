//! From the words of one part to those of the next.

use std::path::Path;

use crate::host::desired::Place;
use crate::host::gate::{Shown, View};
use crate::host::sink::{self, Staged};
use crate::host::units;

/// What `units` is told of changes.
pub(super) fn told(changes: &[sink::Change]) -> Vec<units::Change> {
    let changes = changes.iter().map(|change| units::Change {
        path: change.path.clone(),
        role: change.role,
        what: match &change.what {
            sink::What::Added => units::What::Added,
            sink::What::Removed => units::What::Removed,
            sink::What::Changed(_) => units::What::Changed,
        },
    });
    changes.collect()
}

/// What `validate` commands are to see.
pub(super) fn view(staged: &Staged, run: &Path, root: &Path) -> View {
    let below = |path: &Path, folder: &Path| folder.join(path.strip_prefix("/").unwrap_or(path));
    let current = run.join("current/files");
    let shown = staged.files().map(|file| match file.place {
        Place::Link => Shown::Link { path: file.path, target: below(&file.declared, &current) },
        Place::Copy => Shown::Copy { path: file.path, from: file.staged },
    });
    let gone = staged.changes().iter().filter(|change| change.what == sink::What::Removed);
    let gone = gone.map(|change| Shown::Gone { path: below(&change.path, root) });
    View {
        current: staged.covers().to_path_buf(),
        staged: staged.folder().to_path_buf(),
        paths: shown.chain(gone).collect(),
        scratch: run.join("scratch"),
    }
}
