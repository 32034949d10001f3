//! Names of units, users and the like.

/// The longest name of a unit, in bytes.
const LONGEST: usize = 255;

/// Kinds of units that a repository may bring. Devices and scopes are made by the system only.
const UNITS: [&str; 9] = ["service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice"];
/// Kinds of Quadlets, and what the name of the service that is made of one ends with.
pub const QUADLETS: [(&str, &str); 7] = [
    ("container", ""),
    ("kube", ""),
    ("volume", "-volume"),
    ("network", "-network"),
    ("image", "-image"),
    ("build", "-build"),
    ("pod", "-pod"),
];

/// The name of a file that systemd or Podman's generator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'n> {
    /// The unit that it is of, with its suffix.
    pub name: &'n str,
    /// What kind it is.
    pub kind: UnitKind,
    /// The file in `NAME.d` that adds to the unit.
    pub drop_in: Option<&'n str>,
}

/// Who reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// systemd.
    Systemd,
    /// Podman's generator; what the name of the service that it makes ends with.
    Quadlet {
        /// `-volume` and its like, often empty.
        suffix: &'static str,
    },
}

impl<'n> Unit<'n> {
    /// Reads `NAME.service` and its like, or a drop-in `NAME.service.d/PART.conf`.
    ///
    /// # Errors
    /// It is neither; why.
    pub fn parse(file: &'n str) -> Result<Self, &'static str> {
        let Some((folder, part)) = file.split_once('/') else {
            return Ok(Self { name: file, kind: kind(file)?, drop_in: None });
        };
        let name = folder.strip_suffix(".d").ok_or("must be NAME.service, or a drop-in NAME.service.d/PART.conf")?;
        let stem = part.strip_suffix(".conf").ok_or("must end with .conf, as drop-ins do")?;
        if part.contains('/') || stem.is_empty() || part.len() > LONGEST || !part.bytes().all(is_letter) {
            return Err("must be one file in NAME.service.d, of letters, digits and `:-_.@`");
        }
        if part.starts_with('.') {
            return Err("must not be hidden: systemd passes over such files");
        }
        Ok(Self { name, kind: kind(name)?, drop_in: Some(part) })
    }

    /// The unit whose state this is about: the Quadlet's service, else the unit.
    #[must_use]
    pub fn service(&self) -> String {
        match self.kind {
            UnitKind::Systemd => self.name.to_owned(),
            UnitKind::Quadlet { suffix } => {
                let stem = self.name.rsplit_once('.').map_or(self.name, |(stem, _)| stem);
                format!("{stem}{suffix}.service")
            }
        }
    }

    /// Whether it is a template without an instance, `NAME@.service`.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.name.rsplit_once('.').is_some_and(|(stem, _)| stem.ends_with('@'))
    }
}

fn kind(name: &str) -> Result<UnitKind, &'static str> {
    let Some((stem, suffix)) = name.rsplit_once('.') else {
        return Err("must end with .service, .timer or another kind of unit");
    };
    if stem.is_empty() || stem == "@" || name.len() > LONGEST || stem.starts_with('.') {
        return Err("must have a name before its kind, of 255 bytes at most");
    }
    if !name.bytes().all(is_letter) || stem.bytes().filter(|byte| *byte == b'@').count() > 1 {
        return Err("may hold letters, digits, `:-_.\\` and one `@`");
    }
    if UNITS.contains(&suffix) {
        return Ok(UnitKind::Systemd);
    }
    let quadlet = QUADLETS.iter().find(|(kind, _)| *kind == suffix);
    quadlet.map(|(_, suffix)| UnitKind::Quadlet { suffix }).ok_or("is no kind of unit or Quadlet that can be installed")
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.' | b'\\' | b'@')
}

/// Whether this can be the name of a user or a group.
pub(super) fn is_user(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    begins && name.len() <= 32 && name.bytes().all(legal)
}

/// Whether this can be the number of a user or a group. The largest means nobody to the kernel.
pub(super) fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|number| number != u32::MAX)
}

/// Whether this is a name as Kubernetes has them, of hosts and groups too: lower-case letters, digits, `-` and `.`.
#[must_use]
pub fn is_object(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= 253 && name.bytes().all(legal) && edge(name.bytes().next()) && edge(name.bytes().last())
}

/// Whether this is a data key of a Secret.
pub(super) fn is_key(key: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=253).contains(&key.len()) && key != "." && !key.starts_with("..") && key.bytes().all(legal)
}

/// Whether a template can call something this way, and a shell a variable.
pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether this is a word for a service, a job or a credential: letters, digits and some marks, and no path.
pub(super) fn is_word(name: &str, marks: &[u8]) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    begins && name.len() <= 200 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_from_quadlets_and_drop_ins() {
        let unit = Unit::parse("backup.timer").unwrap();
        assert_eq!((unit.kind, unit.drop_in, unit.service().as_str()), (UnitKind::Systemd, None, "backup.timer"));
        let unit = Unit::parse("app.container").unwrap();
        assert_eq!(unit.service(), "app.service");
        assert_eq!(Unit::parse("data.volume").unwrap().service(), "data-volume.service");
        let unit = Unit::parse("nginx.service.d/10-tls.conf").unwrap();
        assert_eq!((unit.name, unit.drop_in), ("nginx.service", Some("10-tls.conf")));
        assert!(Unit::parse("getty@.service").unwrap().is_template());
        assert!(!Unit::parse("getty@tty1.service").unwrap().is_template());
    }

    #[test]
    fn names_that_systemd_refuses_or_that_leave_the_folder_are_refused() {
        for bad in [
            "",
            "a",
            ".service",
            "a.device",
            "a.scope",
            "a.conf",
            "../a.service",
            "a/b.service",
            "/a.service",
            "a.service.d/../x.conf",
            "a.service.d/x/y.conf",
            "a.service.d/x",
            "a.service.d/.conf",
            "a.service.d/.x.conf",
            "a.d/x.conf",
            "a b.service",
            "a\n.service",
            "a@b@c.service",
            "ä.service",
            "a.service/",
            "..service.d/x.conf",
            "@.service",
        ] {
            assert!(Unit::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Unit::parse(&format!("{}.service", "a".repeat(255))).is_err());
    }

    #[test]
    fn users_are_names_or_numbers() {
        assert!(is_user("www-data") && is_user("_apt") && is_number("0") && is_number("65534"));
        for bad in ["", "-a", "a:b", "a b", "root\n", "1a"] {
            assert!(!is_user(bad) && !(is_number(bad)), "{bad:?}");
        }
        assert!(!is_number("4294967295") && !is_number("4294967296"));
    }
}
