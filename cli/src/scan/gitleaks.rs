//! What gitleaks needs to be told so that it leaves sealed values alone (its issue 1728).

/// A configuration for gitleaks 8.25 and later, to be saved as `.gitleaks.toml` or merged into one.
pub(crate) const ALLOWLIST: &str = r#"# Sealed values are no leaks. From `bulla scan --gitleaks-allowlist`; save it as .gitleaks.toml.
[extend]
useDefault = true

[[allowlists]]
description = "values sealed by Bulla or kubeseal: ciphertext that is meant to be public"
regexTarget = "line"
regexes = [
  # a data key and its value; of a folded value the line with its beginning
  '''^\s*(?:["']?[\w.-]{1,253}["']?:\s*)?["']?(?:YWdlLWVuY3J5cHRpb24ub3JnL3Yx|A[gQDE][A-H])[A-Za-z0-9+/]{150,}={0,2}["']?,?\s*$''',
  # a manifest in JSON on one line
  '''"kind"\s*:\s*"SealedSecret"''',
]
"#;
