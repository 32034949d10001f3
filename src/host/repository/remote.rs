//! Which addresses are followed. What git knows besides is refused: `ext::` runs commands, `git://` proves nothing,
//! a relative path depends on where the agent was started, and what begins with `-` is an option.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// As git is told.
    url: String,
    by: By,
}

/// How it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    Http {
        /// `https://host:port`: what credentials are for.
        origin: String,
        /// The user in the address.
        user: Option<String>,
        /// Whether nobody on the way reads or changes it.
        private: bool,
    },
    Ssh,
    /// A repository, or a bundle.
    Path(PathBuf),
}

/// Why an address is not followed.
#[derive(Debug, thiserror::Error)]
#[error(
    "repository.url: {problem}; give https://…, ssh://…, user@host:path, an absolute path or that of a .bundle file"
)]
pub struct RemoteError {
    problem: String,
}

impl Remote {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn by(&self) -> &By {
        &self.by
    }

    /// The only transport that git may use, by git's name.
    pub(super) fn protocol(&self) -> &'static str {
        match &self.by {
            By::Http { .. } if self.url.starts_with("https:") => "https",
            By::Http { .. } => "http",
            By::Ssh => "ssh",
            By::Path(_) => "file",
        }
    }

    /// The path, if it is that of a bundle: by its name, or since there is a file and not a folder.
    pub(super) fn bundle(&self) -> Option<&Path> {
        match &self.by {
            By::Path(path)
                if path.is_file() || (path.extension().is_some_and(|it| it == "bundle") && !path.is_dir()) =>
            {
                Some(path)
            }
            By::Path(_) | By::Http { .. } | By::Ssh => None,
        }
    }
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(url: &str) -> Result<Self, RemoteError> {
        let refuse = |problem: &str| Err(RemoteError { problem: problem.into() });
        if url.is_empty() {
            return refuse("is empty");
        }
        if url.chars().any(|it| it.is_control() || it.is_whitespace() && it != ' ') {
            return refuse("has control characters");
        }
        if url.starts_with('-') {
            return refuse("begins with `-`, so that git would take it for an option");
        }
        let path = url.strip_prefix("file://").unwrap_or(url);
        if path.starts_with('/') {
            return Ok(Self { url: path.into(), by: By::Path(path.into()) });
        }
        if let Some((scheme @ ("https" | "http"), rest)) = url.split_once("://") {
            let (host, user) = authority(rest).map_err(|problem| RemoteError { problem })?;
            let origin = format!("{scheme}://{host}");
            let private = scheme == "https" || is_loopback(&host);
            return Ok(Self { url: url.into(), by: By::Http { origin, user, private } });
        }
        if let Some(rest) = url.strip_prefix("ssh://") {
            authority(rest).map_err(|problem| RemoteError { problem })?;
            return Ok(Self { url: url.into(), by: By::Ssh });
        }
        if url.contains("://") || url.contains("::") {
            return refuse("is of a transport that is not followed");
        }
        // user@host:path
        match url.split_once(':') {
            Some((place, path)) if !place.contains('/') && !path.is_empty() => {
                authority(place).map_err(|problem| RemoteError { problem })?;
                Ok(Self { url: url.into(), by: By::Ssh })
            }
            _ => refuse("is neither an address nor an absolute path"),
        }
    }
}

/// Host with port, and user, of `[user@]host[:port][/path]`.
fn authority(rest: &str) -> Result<(String, Option<String>), String> {
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = place.rsplit_once('@').map_or((None, place), |(user, host)| (Some(user), host));
    if user.is_some_and(|user| user.contains(':')) {
        return Err("has a password in it, which logs and process lists would show: use `access.passwordFile`".into());
    }
    // ssh would take these for options of its own.
    if host.is_empty() || host.starts_with('-') || user.is_some_and(|user| user.is_empty() || user.starts_with('-')) {
        return Err("names no host".into());
    }
    let plain = |it: char| it.is_ascii_alphanumeric() || "-._~[]:".contains(it);
    if !host.chars().all(plain) || !user.is_none_or(|user| user.chars().all(|it| plain(it) || "+@".contains(it))) {
        return Err("has characters in its host that do not belong there".into());
    }
    Ok((host.to_ascii_lowercase(), user.map(str::to_owned)))
}

fn is_loopback(host: &str) -> bool {
    let name = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let name = name.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether `name` is the name of a branch, by the rules of git.
pub(super) fn is_branch(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let letter = |it: char| !it.is_control() && !" ~^:?*[\\".contains(it);
    !name.starts_with('-')
        && name.split('/').all(part)
        && name.chars().all(letter)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name != "@"
        && name.len() <= 200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        let protocol = |url: &str| url.parse::<Remote>().unwrap().protocol();
        assert_eq!(protocol("https://git.example.com/fleet.git"), "https");
        assert_eq!(protocol("http://10.0.0.1:3000/fleet.git"), "http");
        assert_eq!(protocol("ssh://git@git.example.com:2222/fleet.git"), "ssh");
        assert_eq!(protocol("git@git.example.com:fleet.git"), "ssh");
        assert_eq!(protocol("/srv/git/fleet.git"), "file");
        assert_eq!(protocol("file:///mnt/stick/fleet.bundle"), "file");
        assert_eq!(protocol("/srv/a:b"), "file");
    }

    #[test]
    fn what_git_would_run_or_guess_is_refused() {
        for url in [
            "",
            "-u/bin/sh",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c id",
            "fd::7",
            "git://example.com/x",
            "ftp://example.com/x",
            "ssh://-oProxyCommand=id/x",
            "-oProxyCommand=id:x",
            "ssh://-l@host/x",
            "ssh:///x",
            "https:///x",
            "https://user:password@example.com/x",
            "https://exa\nmple.com/x",
            "https://a$(id)b/x",
            "fleet.git",
            "../fleet.git",
            "host:",
            "transport::/srv/x",
        ] {
            let error = url.parse::<Remote>().expect_err(url).to_string();
            assert!(!error.contains("user:password"), "{error}");
        }
    }

    #[test]
    fn credentials_go_to_one_origin_and_not_in_the_clear() {
        let by = |url: &str| url.parse::<Remote>().unwrap().by().clone();
        let http = |origin: &str, user: Option<&str>, private| By::Http {
            origin: origin.into(),
            user: user.map(Into::into),
            private,
        };
        assert_eq!(by("https://me@Git.example.com:8443/a/b"), http("https://git.example.com:8443", Some("me"), true));
        assert_eq!(by("http://git.example.com/a"), http("http://git.example.com", None, false));
        assert_eq!(by("http://127.0.0.1:80/a"), http("http://127.0.0.1:80", None, true));
        assert_eq!(by("http://[::1]:80/a"), http("http://[::1]:80", None, true));
        assert_eq!(by("http://127.0.0.1.evil.example/a"), http("http://127.0.0.1.evil.example", None, false));
    }

    #[test]
    fn branches_follow_the_rules_of_git() {
        for name in ["main", "release/1.2", "ö", "a@b"] {
            assert!(is_branch(name), "{name}");
        }
        for name in
            ["", "-x", "a..b", "a b", "a:b", "a/", "/a", "a//b", ".a", "a.lock", "a.", "@", "@{1}", "a\nb", "a*"]
        {
            assert!(!is_branch(name), "{name}");
        }
    }
}
