//! Files that are left out by name.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::failure::{OrFail as _, Outcome};

/// The patterns of `--exclude`.
pub(super) struct Excluded {
    set: GlobSet,
}

impl Excluded {
    pub(super) fn new(patterns: &[String]) -> Outcome<Self> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern.trim_start_matches("./")).literal_separator(true).build();
            set.add(glob.or_usage(format!("--exclude {pattern:?}"))?);
        }
        Ok(Self { set: set.build().or_usage("--exclude")? })
    }

    /// Whether a file, or a folder that it is in, is left out.
    pub(super) fn has(&self, shown: &str) -> bool {
        !self.set.is_empty() && Path::new(shown).ancestors().any(|part| self.set.is_match(part))
    }
}
