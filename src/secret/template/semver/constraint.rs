//! Ranges of versions: `>=1.2, <2 || ^3.1`, with all the rules and surprises of `Masterminds/semver`.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Version;

/// One comparison, such as `~1.2`.
struct Constraint {
    operator: String,
    version: Version,
    /// Some part of the version is missing or a wildcard.
    open: bool,
    minor_open: bool,
    patch_open: bool,
}

/// Whether a version is in a range; nothing if the range cannot be read.
pub(in crate::secret::template) fn satisfies(range: &str, version: &Version) -> Option<bool> {
    let grammar = GRAMMAR.as_ref()?;
    let range = grammar.hyphen.replace_all(range, |bounds: &Captures<'_>| {
        let bound = |index| bounds.get(index).map_or("", |bound| bound.as_str());
        format!(">= {}, <= {} ", bound(1), bound(11))
    });
    let mut found = false;
    for group in range.split("||") {
        if !grammar.group.is_match(group) {
            return None;
        }
        let mut constraints = Vec::new();
        for constraint in grammar.find.find_iter(group) {
            constraints.push(Constraint::parse(grammar, constraint.as_str())?);
        }
        // Prereleases count only where the group names one.
        let prereleases = constraints.iter().any(|constraint| !constraint.version.prerelease.is_empty());
        found |= constraints.iter().all(|constraint| constraint.allows(version, prereleases));
    }
    Some(found)
}

struct Grammar {
    hyphen: Regex,
    group: Regex,
    find: Regex,
    one: Regex,
}

static GRAMMAR: LazyLock<Option<Grammar>> = LazyLock::new(|| {
    let version = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
    let operator = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
    let regex = |text: String| Regex::new(&text.replace(r"\s", r"[\t\n\f\r ]")).ok();
    Some(Grammar {
        hyphen: regex(format!(r"\s*({version})\s+-\s+({version})\s*"))?,
        group: regex(format!(r"^(\s*({operator})\s*({version})\s*)((?:\s+|,\s*)({operator})\s*({version})\s*)*$"))?,
        find: regex(format!(r"({operator})\s*({version})"))?,
        one: regex(format!(r"^\s*({operator})\s*({version})\s*$"))?,
    })
});

impl Constraint {
    fn parse(grammar: &Grammar, text: &str) -> Option<Self> {
        let parts = grammar.one.captures(text)?;
        let part = |index| parts.get(index).map_or("", |part| part.as_str());
        let wild = |text: &str| matches!(text.trim_start_matches('.'), "x" | "X" | "*" | "");
        let (major, minor, patch, tail) = (part(3), part(4), part(5), part(6));
        let (version, open, minor_open, patch_open) = if wild(major) {
            (format!("0.0.0{tail}"), true, false, false)
        } else if wild(minor) {
            (format!("{major}.0.0{tail}"), true, true, false)
        } else if wild(patch) {
            (format!("{major}{minor}.0{tail}"), true, false, true)
        } else {
            (part(2).to_owned(), false, false, false)
        };
        let version = Version::parse(&version)?;
        Some(Self { operator: part(1).to_owned(), version, open, minor_open, patch_open })
    }

    fn allows(&self, version: &Version, prereleases: bool) -> bool {
        if !version.prerelease.is_empty() && !prereleases {
            return false;
        }
        match self.operator.as_str() {
            "!=" => self.differs(version),
            ">" => self.is_below(version),
            "<" => version.order(&self.version).is_lt(),
            ">=" | "=>" => version.order(&self.version).is_ge(),
            "<=" | "=<" => self.is_at_least(version),
            "~" | "~>" => self.is_near(version),
            "^" => self.is_compatible(version),
            _ if self.open => self.is_near(version),
            _ => version.order(&self.version).is_eq(),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        if self.open {
            if self.version.major != version.major {
                return true;
            }
            if self.version.minor != version.minor && !self.minor_open {
                return true;
            }
            if self.minor_open {
                return false;
            }
            if self.version.patch != version.patch && !self.patch_open {
                return true;
            }
            if self.patch_open {
                return version.prerelease != self.version.prerelease;
            }
        }
        version.order(&self.version).is_ne()
    }

    /// `> 11` means 12 or later, `> 11.1` means 11.2 or later.
    fn is_below(&self, version: &Version) -> bool {
        if !self.open || version.major != self.version.major {
            return if self.open { version.major > self.version.major } else { version.order(&self.version).is_gt() };
        }
        if self.minor_open {
            false
        } else if self.patch_open {
            version.minor > self.version.minor
        } else {
            version.order(&self.version).is_gt()
        }
    }

    fn is_at_least(&self, version: &Version) -> bool {
        if !self.open {
            return version.order(&self.version).is_le();
        }
        version.major < self.version.major
            || (version.major == self.version.major && (version.minor <= self.version.minor || self.minor_open))
    }

    /// The same minor version, or the same major one if no minor one is given.
    fn is_near(&self, version: &Version) -> bool {
        if version.order(&self.version).is_lt() {
            return false;
        }
        let wanted = &self.version;
        if (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0) && !self.minor_open && !self.patch_open {
            return true;
        }
        version.major == wanted.major && (version.minor == wanted.minor || self.minor_open)
    }

    /// The same leftmost number that is not zero.
    fn is_compatible(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version.order(wanted).is_lt() {
            return false;
        }
        if wanted.major > 0 || self.minor_open {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.patch_open {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}
