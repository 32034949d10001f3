//! Rules of services and their health.

use std::collections::{BTreeMap, BTreeSet};

use super::super::names::is_word;
use super::super::paths::{absolute, is_unseen};
use super::super::{Glob, HealthCheck, HostService, HttpCheck, duration};
use super::{Rules, entries};

/// The most services, and the most patterns or services that one names.
const MOST: usize = 500;
/// What is said of more.
pub(super) const TOO_MANY: &str = "has more than 500 entries";
const MOST_OF_ONE: usize = 50;
/// The most bytes of certificates that stand in a document.
const MOST_CERTIFICATES: usize = 64 << 10;

pub(super) fn check(services: &[HostService], positions: &[usize], rules: &mut Rules) {
    let mut names = BTreeSet::new();
    for (path, service) in entries("services", services, positions) {
        let sentence = "must be letters, digits and `-_.:@`, 200 at most";
        rules.hold(is_word(&service.name, b"-_.:@"), || format!("{path}.name"), sentence);
        rules.distinct(&mut names, &service.name, || format!("{path}.name"));
        if let Some(unit) = &service.unit {
            rules.hold(
                is_word(unit, b"-_.:@\\"),
                || format!("{path}.unit"),
                "must be a unit, or the name of a service",
            );
        }
        for (field, list) in
            [("reloadOn", &service.reload_on), ("restartOn", &service.restart_on), ("after", &service.after)]
        {
            rules.hold(list.len() <= MOST_OF_ONE, || format!("{path}.{field}"), "names more than 50");
        }
        for (field, globs) in [("reloadOn", &service.reload_on), ("restartOn", &service.restart_on)] {
            let globs = globs.get(..MOST_OF_ONE).unwrap_or(globs);
            for (index, glob) in globs.iter().enumerate() {
                if let Err(problem) = Glob::parse(glob) {
                    rules.add(format!("{path}.{field}[{index}]"), problem);
                }
            }
        }
        rules.command(&service.validate, &format!("{path}.validate"));
        if let Some(commands) = &service.commands {
            rules.command(&commands.reload, &format!("{path}.commands.reload"));
            rules.command(&commands.restart, &format!("{path}.commands.restart"));
            rules.command(&commands.status, &format!("{path}.commands.status"));
            let is_some = !(commands.reload.is_empty() && commands.restart.is_empty());
            rules.hold(is_some, || format!("{path}.commands"), "must have reload or restart");
        }
        if let Some(health) = &service.health {
            checks(&format!("{path}.health"), health, rules);
        }
    }
    if services.len() <= MOST {
        order(services, positions, rules);
    } else {
        rules.add("spec.services", TOO_MANY);
    }
}

fn order(services: &[HostService], positions: &[usize], rules: &mut Rules) {
    let after: BTreeMap<&str, &[String]> =
        services.iter().map(|service| (service.name.as_str(), service.after.as_slice())).collect();
    for (path, service) in entries("services", services, positions) {
        for (index, name) in service.after.iter().enumerate().take(MOST_OF_ONE) {
            if leads_to(&after, name, &service.name) {
                rules.add(format!("{path}.after[{index}]"), "comes after this one itself: there is no first of them");
            }
        }
    }
}

/// Whether `from` comes, by any way, after `to`.
fn leads_to(after: &BTreeMap<&str, &[String]>, from: &str, to: &str) -> bool {
    let (mut seen, mut queue) = (BTreeSet::new(), vec![from]);
    while let Some(name) = queue.pop() {
        if name == to {
            return true;
        }
        if let Some(next) = after.get(name)
            && seen.insert(name)
        {
            queue.extend(next.iter().map(String::as_str));
        }
    }
    false
}

fn checks(path: &str, health: &HealthCheck, rules: &mut Rules) {
    for (field, given) in [("within", &health.within), ("for", &health.lasting)] {
        let is_legal = given.as_deref().is_none_or(|text| duration(text).is_some());
        rules.hold(is_legal, || format!("{path}.{field}"), "must be a duration such as 30s or 1m30s, an hour at most");
    }
    if let Some(address) = &health.tcp {
        rules.hold(is_address(address), || format!("{path}.tcp"), "must be HOST:PORT");
    }
    rules.command(&health.command, &format!("{path}.command"));
    if let Some(http) = &health.http {
        request(&format!("{path}.http"), http, rules);
    }
}

fn request(path: &str, http: &HttpCheck, rules: &mut Rules) {
    if let Err(problem) = url(&http.url) {
        rules.add(format!("{path}.url"), problem);
    }
    if let Some(ca) = &http.ca {
        rules.hold(http.url.starts_with("https://"), || format!("{path}.ca"), "is for https:// alone");
        if let Err(problem) = authority(ca) {
            rules.add(format!("{path}.ca"), problem);
        }
    }
    let is_legal = http.status.iter().all(|status| (100..=599).contains(status));
    rules.hold(is_legal, || format!("{path}.status"), "must be status codes, 100 to 599");
    let is_legal = http.contains.as_ref().is_none_or(|text| (1..=4096).contains(&text.len()));
    rules.hold(is_legal, || format!("{path}.contains"), "must be 1 to 4096 bytes");
    for (name, value) in &http.headers {
        let is_name = (1..=200).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        rules.hold(is_name, || format!("{path}.headers"), "holds a name that no header field can have");
        let is_value = value.len() <= 4096 && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        rules.hold(is_value, || format!("{path}.headers.{name}"), "must be one line of plain letters");
    }
}

/// Whether this is a path, or certificates.
fn authority(ca: &str) -> Result<(), &'static str> {
    if ca.starts_with('/') {
        return absolute(ca);
    }
    if ca.contains("PRIVATE KEY") {
        return Err("holds a private key: it would stand in the repository in the clear");
    }
    let is_pem = ca.trim_start().starts_with("-----BEGIN CERTIFICATE-----") && ca.contains("-----END CERTIFICATE-----");
    if is_pem && ca.len() <= MOST_CERTIFICATES {
        Ok(())
    } else {
        Err("must be an absolute path, or certificates in PEM (-----BEGIN CERTIFICATE-----), 64 KiB at most")
    }
}

/// Whether the agent can ask for this.
fn url(url: &str) -> Result<(), &'static str> {
    const SENTENCE: &str = "must be http://HOST[:PORT][/PATH] or https://…";
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).ok_or(SENTENCE)?;
    if url.len() > 2048 || url.chars().any(|c| is_unseen(c) || c.is_whitespace() || matches!(c, '\\' | '"' | '<' | '>'))
    {
        return Err(SENTENCE);
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err("must not hold a login: it would stand in the repository in the clear");
    }
    let is_legal = if host.rsplit_once(':').is_some_and(|(before, _)| !before.contains(':') || before.ends_with(']')) {
        is_address(host)
    } else {
        is_host(host)
    };
    if is_legal { Ok(()) } else { Err(SENTENCE) }
}

fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_port && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside.parse::<std::net::Ipv6Addr>().is_ok();
    }
    (1..=253).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}
