//! What is said of a plain Secret, and how it is mended.

use super::rules;
use crate::findings::{Finding, Level};
use crate::leaks::{Leak, Source};

/// The findings of a plain Secret in a file that is called so: one for what is written out, and one for what is only
/// taken where nothing else is given.
pub(super) fn findings(leak: &Leak, named: &str) -> Vec<Finding> {
    let finding = |is_fallback: bool| {
        let values = || leak.values.iter().filter(|value| value.is_fallback == is_fallback);
        let (line, column) = values().next()?.place;
        let fields = values().map(|value| value.field.as_str()).collect::<Vec<_>>().join(", ");
        let message = if is_fallback { "in the clear where nothing else is given" } else { "in the clear" };
        let found = Finding::new(&rules::PLAIN_SECRET, named, message).at(line, column).field(fields);
        let found = found.of(format!("{} {}", leak.source.kind(), leak.name));
        let found = if is_fallback { found.as_level(Level::Warning) } else { found };
        Some(match leak.source {
            Source::Secret if is_fallback => found.mended_by(
                "take the value out of the template, let it fail where none is given (`required`), and change the secret \
                 itself if it is in use anywhere",
            ),
            Source::Secret => found,
            Source::Generator => found.mended_by(
                "seal a Secret with these values, list the SealedSecret under resources, take the generator out, and \
                 change the secret itself if this was ever pushed",
            ),
            Source::Template(_) => found
                .as_level(Level::Warning)
                .mended_by("seal the value under a key of its own, and name it in the template: {{ .key }}"),
            Source::Fake(_) => found.as_level(Level::Warning).mended_by(
                "it is for tests: seal what is secret (`bulla seal`) or keep it in a store of another provider, and change \
                 the secret itself if this was ever pushed",
            ),
        })
    };
    [false, true].into_iter().filter_map(finding).collect()
}
