//! Reads SealedSecrets from a folder of manifests, as a repository has them.

use std::fs;
use std::path::{Path, PathBuf};

use bulla_crds::SealedSecret;
use bulla_crds::sealed_secret::KIND;

/// Files larger than this are not manifests, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A SealedSecret and the file it is from.
pub struct Found {
    /// The file, relative to the folder that was read.
    pub path: PathBuf,
    /// The object.
    pub object: SealedSecret,
}

/// A file that could not be read as manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file, relative to the folder that was read.
    pub path: PathBuf,
    /// Why, without any line of it.
    pub problem: String,
}

/// Reads every `.yaml`, `.yml` and `.json` file below `root`, in the order of their paths. Hidden folders (`.git`) are
/// passed over and links not followed. A file that does not parse is reported and does not stop the others.
#[must_use]
pub fn read_tree(root: &Path) -> (Vec<Found>, Vec<Unreadable>) {
    let mut files = Vec::new();
    list(root, &mut files);
    files.sort();
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for file in files {
        let path = file.strip_prefix(root).unwrap_or(&file).to_path_buf();
        match read(&file) {
            Ok(objects) => found.extend(objects.into_iter().map(|object| Found { path: path.clone(), object })),
            Err(problem) => unreadable.push(Unreadable { path, problem }),
        }
    }
    (found, unreadable)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !hidden => list(&path, files),
            Ok(kind) if kind.is_file() && !hidden && is_manifest(&path) => files.push(path),
            _ => {}
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
}

fn read(file: &Path) -> Result<Vec<SealedSecret>, String> {
    if fs::metadata(file).map_err(|error| error.to_string())?.len() > MAX_BYTES {
        return Err(format!("has more than {MAX_BYTES} bytes"));
    }
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let documents: Vec<Option<serde_json::Value>> =
        serde_saphyr::from_multiple(&text).map_err(|error| error.without_snippet().to_string())?;
    let sealed =
        documents.into_iter().flatten().filter(|document| document.get("kind").is_some_and(|kind| kind == KIND));
    sealed.map(|document| serde_json::from_value(document).map_err(|error| error.to_string())).collect()
}
