//! What units are called, and which unit a file belongs to.

use std::path::Path;

use bulla_crds::host::QUADLETS;

use super::Init;
use crate::host::desired::Service;

/// What systemd's units end with.
const SUFFIXES: [&str; 11] =
    ["service", "timer", "socket", "path", "target", "mount", "automount", "swap", "slice", "scope", "device"];
/// systemd's own limit, in bytes.
const LONGEST: usize = 255;

/// The unit of a service: what it says, or its name; `NAME.service` for systemd.
#[must_use]
pub fn of_service(service: &Service, init: Init) -> String {
    let name = service.unit.as_deref().unwrap_or(&service.name);
    match init {
        Init::Systemd => of_systemd(name),
        Init::OpenRc | Init::Runit | Init::None => name.to_owned(),
    }
}

/// The name with systemd's suffix, `.service` if it has none.
#[must_use]
pub fn of_systemd(name: &str) -> String {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    if suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix)) { name.to_owned() } else { format!("{name}.service") }
}

/// Whether the name can be handed to a service manager: no path, no option, nothing that a shell would read.
#[must_use]
pub fn is_valid(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with(['-', '.', '@'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_.\\@-".contains(&byte))
}

/// The unit that a unit file, a drop-in or a Quadlet says something about, and whether it is the unit's own file.
#[must_use]
pub fn of_file(path: &Path) -> Option<(String, bool)> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().and_then(Path::file_name).and_then(|folder| folder.to_str());
    let (name, own) = match folder.and_then(|folder| folder.strip_suffix(".d")) {
        Some(unit) if name.ends_with(".conf") => (unit, false),
        _ => (name, true),
    };
    let (stem, suffix) = name.rsplit_once('.')?;
    let unit = if SUFFIXES.contains(&suffix) {
        name.to_owned()
    } else {
        let (_, addition) = QUADLETS.iter().find(|(quadlet, _)| *quadlet == suffix)?;
        match stem.strip_suffix('@') {
            Some(stem) => format!("{stem}{addition}@.service"),
            None => format!("{stem}{addition}.service"),
        }
    };
    is_valid(&unit).then_some((unit, own))
}

/// Whether `unit` is what a file of `of` says something about: the same, or an instance of that template.
#[must_use]
pub fn is_of(unit: &str, of: &str) -> bool {
    if unit == of {
        return true;
    }
    let Some((stem, suffix)) = of.split_once("@.") else { return false };
    unit.strip_prefix(stem)
        .and_then(|rest| rest.strip_prefix('@'))
        .and_then(|rest| rest.strip_suffix(suffix))
        .is_some_and(|instance| instance.ends_with('.') && instance.len() > 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_of, is_valid, of_file, of_systemd};

    #[test]
    fn files_belong_to_units() {
        let of = |path: &str| of_file(Path::new(path));
        let own = |name: &str| Some((name.to_owned(), true));
        assert_eq!(of("/etc/systemd/system/web.service"), own("web.service"));
        assert_eq!(of("/etc/systemd/system/backup.timer"), own("backup.timer"));
        assert_eq!(of("/etc/systemd/system/nginx.service.d/10-limits.conf"), Some(("nginx.service".to_owned(), false)));
        assert_eq!(of("/etc/containers/systemd/app.container"), own("app.service"));
        assert_eq!(of("/etc/containers/systemd/data.volume"), own("data-volume.service"));
        assert_eq!(of("/etc/containers/systemd/worker@.container"), own("worker@.service"));
        assert_eq!(of("/etc/containers/systemd/app.container.d/x.conf"), Some(("app.service".to_owned(), false)));
        assert_eq!(of("/etc/nginx/nginx.conf"), None);
        assert_eq!(of("/etc/systemd/system/-rf.service"), None);
    }

    #[test]
    fn templates_are_about_their_instances() {
        assert!(is_of("web.service", "web.service"));
        assert!(is_of("web@one.service", "web@.service"));
        assert!(!is_of("web@.timer", "web@.service"));
        assert!(!is_of("web.service", "web@.service"));
        assert!(!is_of("webber@one.service", "web@.service"));
    }

    #[test]
    fn names_that_are_no_units_are_refused() {
        assert_eq!(of_systemd("nginx"), "nginx.service");
        assert_eq!(of_systemd("a.b"), "a.b.service");
        assert_eq!(of_systemd("backup.timer"), "backup.timer");
        for good in ["nginx.service", "getty@tty1.service", "dev-disk-by\\x2dlabel.mount", "a:b_c"] {
            assert!(is_valid(good), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", "-.mount", "--now", "../x", "a/b", "a b", "a;b", "$(x)", ".hidden", "@x", "a\nb", &long] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
