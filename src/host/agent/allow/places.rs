//! Where a machine takes commands, units, jobs, libraries and logins from, and which unit a file speaks for. Judged by
//! the path: what the repository says a file is for binds nobody who reads it.

use std::path::{Path, PathBuf};

use crate::host::units::name;

/// These, and everything below them.
const BELOW: [&str; 67] = [
    // Programs and libraries.
    "/bin",
    "/boot",
    "/sbin",
    "/usr",
    "/etc/alternatives",
    "/etc/binfmt.d",
    // Whom the machine starts with.
    "/etc/conf.d",
    "/etc/crypttab",
    "/etc/default",
    "/etc/fstab",
    "/etc/grub.d",
    "/etc/inittab",
    "/etc/local.d",
    "/etc/machine-id",
    "/etc/modprobe.d",
    "/etc/modules",
    "/etc/modules-load.d",
    "/etc/runit",
    "/etc/runlevels",
    "/etc/service",
    "/etc/sv",
    "/etc/sysconfig",
    "/etc/sysctl.conf",
    "/etc/sysctl.d",
    "/etc/tmpfiles.d",
    "/etc/udev",
    "/run/modprobe.d",
    "/run/sysctl.d",
    "/run/tmpfiles.d",
    "/run/udev",
    "/service",
    "/var/service",
    // Jobs, hooks, and what is run when something happens.
    "/etc/acpi",
    "/etc/aliases",
    "/etc/anacrontab",
    "/etc/at.allow",
    "/etc/at.deny",
    "/etc/dbus-1",
    "/etc/ifplugd",
    "/etc/kernel",
    "/etc/network",
    "/etc/ppp",
    "/etc/rpm",
    "/var/spool/anacron",
    "/var/spool/at",
    "/var/spool/atjobs",
    // Logins and what they begin with.
    "/etc/environment",
    "/etc/environment.d",
    "/etc/fish",
    "/etc/group",
    "/etc/group-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/login.defs",
    "/etc/nsswitch.conf",
    "/etc/pam.conf",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/security",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/shells",
    "/etc/skel",
    "/etc/ssh",
    "/etc/xdg",
    "/root",
];

/// What begins so.
const BEGINS: [&str; 33] = [
    "/lib",
    "/etc/X11",
    "/etc/apk",
    "/etc/apparmor",
    "/etc/apt",
    "/etc/bash",
    "/etc/cron",
    "/etc/csh",
    "/etc/dhcp",
    "/etc/dnf",
    "/etc/doas",
    "/etc/dpkg",
    "/etc/dracut",
    "/etc/hosts.",
    "/etc/incron",
    "/etc/inetd",
    "/etc/init",
    "/etc/ld.so",
    "/etc/logrotate",
    "/etc/mkinitcpio",
    "/etc/polkit",
    "/etc/profile",
    "/etc/rc",
    "/etc/selinux",
    "/etc/subgid",
    "/etc/subuid",
    "/etc/sudo",
    "/etc/update-motd",
    "/etc/xinetd",
    "/etc/yum",
    "/etc/zsh",
    "/var/spool/cron",
    "/var/spool/incron",
];

/// Names that mean the same wherever they are: in homes, and in the folders of user sessions.
const ANYWHERE: [&str; 20] = [
    "NetworkManager",
    "autostart",
    "environment.d",
    "systemd",
    ".bash_aliases",
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".cshrc",
    ".forward",
    ".gitconfig",
    ".kshrc",
    ".pam_environment",
    ".profile",
    ".rhosts",
    ".ssh",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];

/// Folders whose entries, files or folders, are services of OpenRC, runit and the System V way.
const SERVICES: [&str; 6] = ["/etc/conf.d", "/etc/init.d", "/etc/service", "/etc/sv", "/service", "/var/service"];

/// What a folder of systemd adds to the name of the unit that it is about.
const ADDITIONS: [&str; 4] = [".d", ".requires", ".upholds", ".wants"];

/// Whether the machine takes commands, units, jobs, libraries or logins from there.
pub(super) fn is_taken_from(path: &Path) -> bool {
    let path = present(path);
    let Some(text) = path.to_str() else { return true };
    let local = text.contains("/.local/bin/") || text.contains("/.config/git/");
    local
        || BELOW.iter().any(|place| path.starts_with(place))
        || BEGINS.iter().any(|place| text.starts_with(place))
        || names(&path).any(|name| ANYWHERE.contains(&name))
}

/// Whether systemd looks for credentials there.
pub(super) fn is_credential(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name).and_then(|folder| folder.to_str());
    folder.is_some_and(|folder| folder.starts_with("credstore"))
}

/// The units that a file of a service manager speaks for; none for any other file. `is_unit`: it was declared as one.
/// Where no unit can be told, the file's own name stands for it, so that a glob has to name it.
pub(super) fn units(path: &Path, is_unit: bool) -> Vec<String> {
    let path = present(path);
    let unit = |name: &str| name::of_file(Path::new(name)).map_or_else(|| name.to_owned(), |(unit, _)| unit);
    let Some(file) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    if is_unit || names(&path).any(|name| name == "systemd") {
        let folder = path.parent().and_then(Path::file_name).and_then(|folder| folder.to_str());
        let about = |folder: &str| {
            let addition = ADDITIONS.iter().find(|addition| folder.ends_with(*addition))?;
            Some((folder.strip_suffix(addition)?.to_owned(), *addition))
        };
        return match folder.and_then(about) {
            Some((of, ".d")) if file.ends_with(".conf") => vec![unit(&of)],
            Some((of, _)) => vec![unit(&of), unit(file)],
            None => vec![unit(file)],
        };
    }
    if path.starts_with("/etc/runlevels") {
        return vec![file.to_owned()];
    }
    let within = SERVICES.iter().find_map(|folder| path.strip_prefix(folder).ok());
    let service = within.and_then(|rest| rest.components().next()).and_then(|first| first.as_os_str().to_str());
    service.map(str::to_owned).into_iter().collect()
}

fn names(path: &Path) -> impl Iterator<Item = &str> {
    path.iter().filter_map(|name| name.to_str())
}

/// `/var/run` is `/run` everywhere.
fn present(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run").map_or_else(|_| path.to_path_buf(), |rest| Path::new("/run").join(rest))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_taken_from, units};

    #[test]
    fn where_a_machine_takes_commands_and_logins_from_is_known() {
        for place in [
            "/etc/systemd/system/evil.service",
            "/etc/systemd/system.conf",
            "/run/systemd/system/evil.service",
            "/var/run/systemd/system/evil.service",
            "/usr/lib/systemd/system-generators/evil",
            "/lib/systemd/system/evil.service",
            "/lib64/libc.so.6",
            "/etc/containers/systemd/evil.container",
            "/etc/crontab",
            "/etc/cron.d/evil",
            "/etc/cron.daily/evil",
            "/var/spool/cron/crontabs/root",
            "/etc/anacrontab",
            "/etc/init.d/evil",
            "/etc/runlevels/default/evil",
            "/etc/sv/evil/run",
            "/etc/service/evil/run",
            "/etc/profile",
            "/etc/profile.d/evil.sh",
            "/etc/bash.bashrc",
            "/etc/ld.so.preload",
            "/etc/ld.so.conf.d/evil.conf",
            "/etc/pam.d/sshd",
            "/etc/sudoers",
            "/etc/sudoers.d/evil",
            "/etc/ssh/sshd_config.d/evil.conf",
            "/root\x2f.ssh/authorized_keys",
            "/root\x2fx",
            "/home/sam/.ssh/authorized_keys",
            "/srv/home/sam/.config/systemd/user/evil.service",
            "/home/sam/.bashrc",
            "/usr/local/bin/evil",
            "/bin/sh",
            "/sbin/init",
            "/boot/grub/grub.cfg",
            "/etc/udev/rules.d/99-evil.rules",
            "/etc/modprobe.d/evil.conf",
            "/etc/modules-load.d/evil.conf",
            "/etc/tmpfiles.d/evil.conf",
            "/etc/sysctl.d/evil.conf",
            "/etc/passwd",
            "/etc/shadow",
            "/etc/group",
            "/etc/nsswitch.conf",
            "/etc/environment",
            "/etc/logrotate.d/evil",
            "/etc/NetworkManager/dispatcher.d/evil",
        ] {
            assert!(is_taken_from(Path::new(place)), "{place}");
        }
        for place in
            ["/etc/nginx/nginx.conf", "/etc/app/token", "/srv/www/index.html", "/opt/app/app.conf", "/etc/motd"]
        {
            assert!(!is_taken_from(Path::new(place)), "{place}");
        }
    }

    #[test]
    fn a_file_speaks_for_the_unit_of_its_name_or_its_folder() {
        let of = |path: &str| units(Path::new(path), false).join(" ");
        assert_eq!(of("/etc/systemd/system/sshd.service"), "sshd.service");
        assert_eq!(of("/etc/systemd/system/sshd.service.d/evil.conf"), "sshd.service");
        assert_eq!(of("/etc/systemd/system/a.service.d/sshd.service"), "a.service sshd.service");
        assert_eq!(of("/etc/systemd/system/a.target.wants/b.service"), "a.target b.service");
        assert_eq!(of("/etc/containers/systemd/app.container"), "app.service");
        assert_eq!(of("/etc/systemd/system-generators/evil"), "evil");
        assert_eq!(of("/home/sam/.config/systemd/user/a.timer"), "a.timer");
        assert_eq!(of("/etc/init.d/sshd"), "sshd");
        assert_eq!(of("/etc/sv/sshd/run"), "sshd");
        assert_eq!(of("/etc/runlevels/default/sshd"), "sshd");
        assert_eq!(of("/etc/nginx/nginx.conf"), "");
        assert_eq!(units(Path::new("/srv/units/a.service"), true), ["a.service"]);
    }
}
