//! Which files may hold sealed values, as patterns of `.gitattributes`.
//!
//! Narrow where it can be known: for files that a driver merges, Git does not pass on `-X ours` and the like, and a
//! text that is not sealed is shown through one more program.

use std::path::Path;

use crate::failure::{OrFail as _, Outcome};
use crate::git::program::Program;
use crate::repository;

/// What manifests are called.
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// The paths of the rules of `.bulla.yaml`; where there are none, or one that Git cannot say, all YAML files, and JSON
/// files where one of them holds a SealedSecret.
pub(super) fn default(root: Option<&Path>) -> Outcome<Vec<String>> {
    let Some(root) = root else { return Ok(vec!["*.yaml".to_owned(), "*.yml".to_owned()]) };
    if let Some(patterns) = of_rules(root)? {
        return Ok(patterns);
    }
    let mut patterns = vec!["*.yaml".to_owned(), "*.yml".to_owned()];
    if !sealed_files(root, &["*.json"])?.is_empty() {
        patterns.push("*.json".to_owned());
    }
    Ok(patterns)
}

fn of_rules(root: &Path) -> Outcome<Option<Vec<String>>> {
    let ask = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        repository::FILE_NAME,
        ":(glob)**/.bulla.yaml",
    ];
    let listed = Program::here(&ask).in_folder(root).output()?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut patterns = Vec::new();
    for file in listed.split('\0').filter(|file| !file.is_empty()) {
        let file = Path::new(file);
        if !root.join(file).is_file() {
            continue;
        }
        let folder = file.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        for glob in repository::paths(&root.join(file)).or_refuse("reading the rules")? {
            let Some(found) = of_glob(&folder, &glob) else { return Ok(None) };
            for pattern in found {
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
        }
    }
    Ok((!patterns.is_empty()).then_some(patterns))
}

/// The patterns for one path of a rule; `None` where Git has no way to say it.
fn of_glob(folder: &str, glob: &str) -> Option<Vec<String>> {
    let glob = glob.trim_start_matches("./");
    if glob.contains(['{', '}', '\\', '!']) || folder.contains(['*', '?', '[', '\\']) {
        return None;
    }
    let anchored = |pattern: String| {
        // Without a slash, Git looks in every folder.
        match pattern.strip_prefix("**/") {
            Some(rest) if folder.is_empty() && !rest.contains('/') => rest.to_owned(),
            _ if folder.is_empty() => format!("/{pattern}"),
            _ => format!("/{folder}/{pattern}"),
        }
    };
    if ENDINGS.iter().any(|ending| glob.ends_with(ending)) {
        return Some(vec![anchored(glob.to_owned())]);
    }
    let stem = match glob {
        "**" => "**/*".to_owned(),
        _ if glob.ends_with("/**") => format!("{glob}/*"),
        _ if glob.ends_with('*') => glob.to_owned(),
        // One file without an ending, or a folder, which matches nothing.
        _ => return Some(vec![anchored(glob.to_owned())]),
    };
    Some(ENDINGS.iter().map(|ending| anchored(format!("{stem}{ending}"))).collect())
}

/// The files in Git's index, of those that match, that mention SealedSecrets.
pub(super) fn sealed_files(root: &Path, matching: &[&str]) -> Outcome<Vec<String>> {
    let kind = bulla_crds::sealed_secret::KIND;
    let all = ["*.yaml", "*.yml", "*.json"];
    let matching = if matching.is_empty() { &all } else { matching };
    let arguments = [&["grep", "--cached", "-z", "-l", "-I", "-F", "-e", kind, "--"], matching].concat();
    // It fails where it finds nothing.
    let done = Program::here(&arguments).in_folder(root).finish()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    Ok(said.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::of_glob;

    #[test]
    fn a_path_of_a_rule_becomes_patterns_for_manifests() {
        let of = |folder, glob| of_glob(folder, glob).map(|patterns| patterns.join(" ")).unwrap_or_default();
        assert_eq!(
            of("", "clusters/prod/**"),
            "/clusters/prod/**/*.yaml /clusters/prod/**/*.yml /clusters/prod/**/*.json"
        );
        assert_eq!(of("", "**"), "*.yaml *.yml *.json");
        assert_eq!(of("", "**/*.yaml"), "*.yaml");
        assert_eq!(of("", "*.yaml"), "/*.yaml");
        assert_eq!(
            of("apps/web", "./secrets/*"),
            "/apps/web/secrets/*.yaml /apps/web/secrets/*.yml /apps/web/secrets/*.json"
        );
        assert_eq!(of("apps", "**"), "/apps/**/*.yaml /apps/**/*.yml /apps/**/*.json");
        assert_eq!(of("", "{a,b}/*.yaml"), "");
    }
}
