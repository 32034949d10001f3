//! How a repository is reached: credentials, keys, certificates, a proxy. git reads all of it from files: a settings
//! file of ours, which is the only one that it reads, and those that the settings name. Nothing of it is an argument or
//! in the environment, where other users of the machine would see it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::remote::{By, Remote};

/// What is needed to reach a repository. Everything is optional; all files are given by absolute paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// https: the user name that goes with the token [default: that of the address, else `git`, which GitHub, GitLab and Gitea take].
    pub user: Option<String>,
    /// https: a file whose first line is the token or password. It is read anew each time.
    pub token_file: Option<PathBuf>,
    /// https: a credential helper of git instead, such as `store --file=/etc/bulla/git-credentials` or the path of a
    /// program.
    pub credential_helper: Option<String>,
    /// https: the certificates of the authorities that sign for the server [default: those of the system].
    pub ca_file: Option<PathBuf>,
    /// https: a certificate of this host.
    pub client_certificate: Option<PathBuf>,
    /// https: its key.
    pub client_key: Option<PathBuf>,
    /// https: a proxy, `http://proxy:3128`. Those of the environment are not used.
    pub proxy: Option<String>,
    /// ssh: the private key, without a passphrase. Without it ssh tries those of the agent's user.
    pub ssh_key: Option<PathBuf>,
    /// ssh: the keys of the servers [default: `/etc/ssh/ssh_known_hosts`]. A server that is not there is not talked to.
    pub known_hosts: Option<PathBuf>,
    /// ssh: the program [default: `ssh`].
    pub ssh_program: Option<PathBuf>,
    /// A local path: follow it also if another user owns it. git reads the settings of that repository then, which its
    /// owner writes.
    pub trust_owner: bool,
}

/// The settings file of git.
///
/// # Errors
/// A setting that cannot be used.
pub(super) fn config(access: &Access, remote: &Remote) -> Result<String, OpenError> {
    let mut text = String::from(FIXED);
    if let By::Http { origin, user, private } = remote.by() {
        http(access, origin, user.as_deref(), *private, &mut text)?;
    }
    if let By::Path(path) = remote.by()
        && access.trust_owner
    {
        section("safe", &[("directory", &path.to_string_lossy())], &mut text)
            .map_err(|problem| OpenError::Setting { setting: "repository.url", problem })?;
        let inner = path.join(".git");
        section("safe", &[("directory", &inner.to_string_lossy())], &mut text)
            .map_err(|problem| OpenError::Setting { setting: "repository.url", problem })?;
    }
    Ok(text)
}

fn http(access: &Access, origin: &str, user: Option<&str>, private: bool, text: &mut String) -> Result<(), OpenError> {
    let wrong = |setting| move |problem| OpenError::Setting { setting, problem };
    if (access.token_file.is_some() || access.credential_helper.is_some()) && !private {
        let problem = "http would send the token in the clear: use https".into();
        return Err(OpenError::Setting { setting: "access.passwordFile", problem });
    }
    // Only for this origin: a redirect to another server gets nothing.
    let credential = format!("credential {}", quoted(origin).map_err(wrong("repository.url"))?);
    if let Some(file) = &access.token_file {
        let file = absolute(file).map_err(wrong("access.passwordFile"))?;
        let user = access.user.as_deref().or(user).unwrap_or("git");
        // Built-ins of the shell only: no process has the token among its arguments.
        let helper = format!(
            "!f() {{ test \"$1\" = get || exit 0; IFS= read -r token < {} || test -n \"$token\" || exit 1; \
             printf 'username=%s\\npassword=%s\\n' {} \"${{token%$(printf '\\r')}}\"; }}; f",
            shell(file).map_err(wrong("access.passwordFile"))?,
            shell(user).map_err(wrong("access.username"))?,
        );
        section(&credential, &[("helper", &helper)], text).map_err(wrong("access.passwordFile"))?;
    } else if let Some(helper) = &access.credential_helper {
        section(&credential, &[("helper", helper)], text).map_err(wrong("access.credentialHelper"))?;
        if let Some(user) = &access.user {
            section(&credential, &[("username", user)], text).map_err(wrong("access.username"))?;
        }
    }
    let files = [
        ("access.caFile", "sslCAInfo", &access.ca_file),
        ("access.clientCertificate", "sslCert", &access.client_certificate),
        ("access.clientKey", "sslKey", &access.client_key),
    ];
    for (setting, key, file) in files {
        if let Some(file) = file {
            let file = absolute(file).map_err(wrong(setting))?;
            section("http", &[(key, file)], text).map_err(wrong(setting))?;
        }
    }
    if let Some(proxy) = &access.proxy {
        section("http", &[("proxy", proxy)], text).map_err(wrong("access.proxy"))?;
    }
    Ok(())
}

/// The command by which git starts ssh, which is one of the shell.
///
/// # Errors
/// A setting that cannot be used.
pub(super) fn ssh_command(access: &Access) -> Result<String, OpenError> {
    let program = access.ssh_program.as_deref().unwrap_or_else(|| Path::new("ssh"));
    let wrong = |setting| move |problem| OpenError::Setting { setting, problem };
    let mut command = shell(&program.to_string_lossy()).map_err(wrong("access.sshProgram"))?;
    command.push_str(SSH);
    if let Some(key) = &access.ssh_key {
        let key = word_of_ssh(key).map_err(wrong("access.sshKey"))?;
        command.push_str(" -o IdentitiesOnly=yes -o IdentityAgent=none -i ");
        command.push_str(&key);
    }
    match &access.known_hosts {
        Some(known) => {
            let known = word_of_ssh(known).map_err(wrong("access.knownHosts"))?;
            command.push_str(" -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=");
            command.push_str(&known);
        }
        None => command.push_str(" -o UserKnownHostsFile=/dev/null"),
    }
    Ok(command)
}

/// A path as ssh takes it, which splits words itself and expands `%` and `~`.
fn word_of_ssh(path: &Path) -> Result<String, String> {
    let path = absolute(path)?;
    if path.chars().any(|it| "%\"'\\ \t$".contains(it)) {
        return Err(format!("{path} has blanks, quotes, `%`, `$` or `\\`, which ssh would take for its own"));
    }
    Ok(format!("'{path}'"))
}

fn absolute(path: &Path) -> Result<&str, String> {
    let text = path.to_str().ok_or("is not UTF-8")?;
    if path.is_absolute() { Ok(text) } else { Err(format!("{text} is not an absolute path")) }
}

/// A word of the shell.
fn shell(word: &str) -> Result<String, String> {
    if word.chars().any(char::is_control) {
        return Err("has control characters".into());
    }
    Ok(format!("'{}'", word.replace('\'', "'\\''")))
}

/// A value of git's settings file.
fn quoted(value: &str) -> Result<String, String> {
    if value.chars().any(char::is_control) {
        return Err("has control characters".into());
    }
    Ok(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Adds a section of git's settings file.
///
/// # Errors
/// A value with control characters.
pub(super) fn section(name: &str, values: &[(&str, &str)], text: &mut String) -> Result<(), String> {
    // The writers of a String do not fail.
    let full = |_| String::from("cannot be written");
    writeln!(text, "[{name}]").map_err(full)?;
    for (key, value) in values {
        writeln!(text, "\t{key} = {}", quoted(value)?).map_err(full)?;
    }
    Ok(())
}

/// What ssh does not do, whatever the machine's settings say: it asks nobody, believes no unknown server, forwards
/// nothing and does not wait for ever.
const SSH: &str = " -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no \
    -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o ConnectTimeout=30 -o ServerAliveInterval=15 \
    -o ServerAliveCountMax=4 -o ClearAllForwardings=yes -o ForwardAgent=no -o ForwardX11=no -o PermitLocalCommand=no \
    -o ControlMaster=no -o ControlPath=none -o Tunnel=no";

/// What holds for every repository.
///
/// - Every object is checked before it is taken; a few faults that old tools made and that harm nobody are let through.
/// - Objects stay in packs as they come: no loose ones, so that the size is seen by counting packs (`clone`).
/// - Large blobs are streamed, not held in memory.
const FIXED: &str = "# Written by Bulla at each start; git reads no other settings.
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tbigFileThreshold = 4m
\tdeltaBaseCacheLimit = 16m
\tfsync = committed,reference
[credential]
\thelper =
[protocol]
\tversion = 2
[http]
\tlowSpeedLimit = 1
\tlowSpeedTime = 600
[transfer]
\tfsckObjects = true
\tunpackLimit = 1
\tcredentialsInUrl = die
\tbundleURI = false
[fetch]
\tfsckObjects = true
\tunpackLimit = 1
\twriteCommitGraph = false
\trecurseSubmodules = false
[fetch \"fsck\"]
\tzeroPaddedFilemode = ignore
\tmissingNameBeforeEmail = ignore
\tmissingEmail = ignore
\tmissingSpaceBeforeEmail = ignore
\tmissingSpaceBeforeDate = ignore
\tbadTimezone = ignore
[submodule]
\trecurse = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[pack]
\tthreads = 1
\twindowMemory = 32m
\tdeltaCacheSize = 16m
";

#[cfg(test)]
mod tests {
    use super::*;

    fn config_of(url: &str, access: &Access) -> Result<String, OpenError> {
        config(access, &url.parse().unwrap())
    }

    #[test]
    fn a_token_is_for_one_origin_and_never_in_the_clear() {
        let access = Access { token_file: Some("/etc/bulla/it's a token".into()), ..Access::default() };
        let text = config_of("https://me@git.example.com:8443/a/b.git", &access).unwrap();
        assert!(text.contains("[credential \"https://git.example.com:8443\"]"), "{text}");
        let error = config_of("http://git.example.com/a.git", &access).unwrap_err().to_string();
        assert!(error.contains("in the clear"), "{error}");
        assert!(config_of("http://127.0.0.1:1/a.git", &access).is_ok());
    }

    #[test]
    fn a_setting_cannot_add_others() {
        let access = Access { proxy: Some("http://x\n[core]\nhooksPath = /tmp".into()), ..Access::default() };
        assert!(config_of("https://git.example.com/a", &access).is_err());
        let access = Access { proxy: Some("http://x\" \\".into()), ..Access::default() };
        assert!(config_of("https://git.example.com/a", &access).unwrap().contains(r#"proxy = "http://x\" \\""#));
        for path in ["relative", "/a b", "/a%h", "/a$(id)", "/a'b"] {
            let access = Access { ssh_key: Some(path.into()), ..Access::default() };
            assert!(ssh_command(&access).is_err(), "{path}");
        }
    }
}
