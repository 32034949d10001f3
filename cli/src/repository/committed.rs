//! Rules as they are committed, for files that are in no folder: those of old commits and of bare repositories.

use std::collections::BTreeMap;
use std::path::Path;

use globset::GlobMatcher;

use super::{FILE_NAME, RulesError, matcher, parse};

/// The namespaces of manifests that name none, by the `.bulla.yaml` files of one commit.
#[derive(Default)]
pub(crate) struct Namespaces {
    /// By folder, from the root, without a slash at the end.
    folders: BTreeMap<String, Vec<(GlobMatcher, Option<String>)>>,
}

impl Namespaces {
    /// Whether a path is that of a file of rules.
    pub(crate) fn are_in(path: &str) -> bool {
        path.rsplit('/').next() == Some(FILE_NAME)
    }

    /// Adds a file of rules.
    pub(crate) fn add(&mut self, path: &str, text: &str) -> Result<(), RulesError> {
        let file = Path::new(path);
        let rules = parse(file, text)?.rules.into_iter();
        let rules = rules.map(|rule| Ok((matcher(&rule.path, file)?, rule.namespace)));
        let folder = path.strip_suffix(FILE_NAME).unwrap_or_default().trim_end_matches('/');
        self.folders.insert(folder.to_owned(), rules.collect::<Result<_, RulesError>>()?);
        Ok(())
    }

    /// The namespace of a file: what the first rule that matches says, in the nearest file of rules.
    pub(crate) fn of(&self, path: &str) -> Option<&str> {
        let mut folder = path;
        loop {
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            if let Some(rules) = self.folders.get(folder) {
                let relative = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
                let rule = rules.iter().find(|(path, _)| path.is_match(relative));
                return rule.and_then(|(_, namespace)| namespace.as_deref());
            }
            if folder.is_empty() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Namespaces;

    #[test]
    fn the_nearest_file_of_rules_holds_as_it_does_on_disk() {
        let mut namespaces = Namespaces::default();
        let rules =
            "version: 1\nrules:\n- path: 'clusters/prod/**'\n  namespace: prod\n- path: '**'\n  recipients: [x]\n";
        namespaces.add(".bulla.yaml", rules).unwrap();
        namespaces
            .add("clusters/prod/web/.bulla.yaml", "version: 1\nrules:\n- path: '*.yaml'\n  namespace: web\n")
            .unwrap();
        assert_eq!(namespaces.of("clusters/prod/db.yaml"), Some("prod"));
        assert_eq!(namespaces.of("clusters/prod/web/db.yaml"), Some("web"));
        assert_eq!(namespaces.of("clusters/prod/web/deep/db.yaml"), None);
        assert_eq!(namespaces.of("db.yaml"), None);
        assert!(namespaces.add(".bulla.yaml", "version: 9\n").is_err());
    }
}
