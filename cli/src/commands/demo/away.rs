//! A new key, another machine without network, and what all of this left behind.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use bulla::host::agent::Condition;

use super::follow::configuration;
use super::host::{self, Host};
use super::stage::Stage;
use super::{FILE, FIRST, SECOND, USER, external};
use crate::failure::{Outcome, refuse};
use crate::output::{self, Access};

pub(super) fn rotate(stage: &Stage, host: &mut Host) -> Outcome {
    stage.step("Rotate the key", "a new one for the host; everything in the repository is sealed again to it")?;
    let before = (host.status()?.generation, host.app.reloads());
    let keys = ["--identity", "../frodo/host.key", "--new-identity", "../frodo/host-2.key"];
    let said = stage.bulla(&[&["rotate", "--yes"], &keys[..]].concat(), "")?;
    let branch = stage.git(&["branch", "--show-current"])?;
    stage.show(said.split_once('\n').map_or("", |(_, steps)| steps).trim_end())?;
    stage.say("frodo/host.yaml: identities: [host-2.key, host.key]")?;
    Host::use_keys(stage, "host-2.key, host.key")?;
    host.stop()?;
    host.start()?;
    stage.git(&["switch", "main"])?;
    stage.git_typed(&["merge", "--ff-only", branch.trim()])?;
    stage.show(&stage.bulla(&["host", "sync"], "")?)?;
    let done = stage.bulla(&["rotate", "--continue"], "")?;
    done.lines().filter(|line| line.contains("retire")).try_for_each(|line| stage.say(line))?;
    let commit = stage.git(&["rev-parse", "HEAD"])?;
    stage.check(
        host.is_at(commit.trim())? && (host.status()?.generation, host.app.reloads()) == before,
        "the host has the new key's commit; no value changed, so no file did and nobody was told",
    )?;
    let drill = ["host", "drill", "--host", "frodo", "--group", "web", "--identity"];
    let with = |key| {
        let said = stage.bulla_says(&[&drill[..], &[key]].concat())?;
        stage.show(said.text.lines().next().unwrap_or_default())?;
        Ok::<_, crate::failure::Failure>(said)
    };
    let (new, old) = (with("../frodo/host-2.key")?, with("../frodo/host.key")?);
    let recovered = stage.bulla_quietly(&["open", FILE, "--identity", "../recovery.key", "--key", "password"], "")?;
    stage.check(
        new.done && !old.done && recovered == SECOND,
        "the new key alone opens what the host needs, the old one nothing; the recovery key still opens",
    )
}

pub(super) fn stick(stage: &Stage) -> Outcome {
    stage.step(
        "The bad day, without network",
        "frodo burnt down; there is a stick with the repository, and the key in the safe",
    )?;
    stage.git_typed(&["bundle", "create", "../infra.bundle", "main"])?;
    let settings = format!(
        "name: camelot\ngroups: [web]\nidentities: [../recovery.key]\nrepository: {{url: ../infra.bundle}}\n{}",
        host::within(stage, "camelot")
    );
    let file = stage.root().join("camelot/host.yaml");
    fs::create_dir_all(stage.root().join("camelot/root"))?;
    output::write_file(&file, settings.as_bytes(), Access::Ordinary)?;
    stage.excerpt(settings.lines().take(4).collect::<Vec<_>>().join("\n").as_str())?;
    stage.typed("bulla-controller host --config camelot/host.yaml --once")?;
    let condition = host::once(&file)?;
    stage.say(condition.as_str())?;
    let read = |path: &str| fs::read_to_string(stage.root().join("camelot/root").join(path)).unwrap_or_default();
    let same = read("etc/app/app.conf") == configuration("camelot", SECOND, external::SECOND);
    stage.check(
        condition == Condition::InSync && same && read("etc/app/db-password") == SECOND,
        "a new machine has every file, from one stick and one key",
    )
}

pub(super) fn nothing_leaked(stage: &Stage) -> Outcome {
    stage.step("Proof", "every object that Git stored, here and on the hosts, and every file on the disk")?;
    let mut objects = stage.git(&["log", "-p", "--all"])?;
    let clones = ["frodo", "camelot"].map(|host| format!("../{host}/state/repository.git/clone.git"));
    for clone in [".", &clones[0], &clones[1]] {
        let found = stage.git(&["-C", clone, "cat-file", "--batch-all-objects", "--batch"])?;
        if found.is_empty() {
            return Err(refuse!("{clone} has no objects to search"));
        }
        objects.push_str(&found);
    }
    let commits = stage.git(&["rev-list", "--count", "--all"])?;
    let leaked = VALUES.into_iter().any(|value| {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(value);
        // The last character of base64 depends on what follows it.
        objects.contains(value) || objects.contains(&encoded[..encoded.len() - 2])
    });
    stage.check(
        !leaked && !objects.contains("AGE-SECRET-KEY-"),
        &format!("{} commits in three repositories hold no plaintext and no private key", commits.trim()),
    )?;
    let mut seen = Vec::new();
    look(stage.root(), stage.run_folder(), &mut seen)?;
    let keys = |path: &Path| path.extension().is_some_and(|extension| extension == "key");
    let is_clean = |(path, text): &(std::path::PathBuf, String)| {
        !VALUES.into_iter().any(|value| text.contains(value)) && (keys(path) || !text.contains("AGE-SECRET-KEY-"))
    };
    if seen.len() < 20 {
        return Err(refuse!("there are no files to search"));
    }
    let dirty = seen.iter().find(|file| !is_clean(file)).map(|(path, _)| path.display().to_string());
    let place = if stage.is_in_memory() { "only the hosts' memory has it" } else { "but for the run folders" };
    stage.check(
        dirty.is_none(),
        &format!("{} files on the disk hold no plaintext, {place}{}", seen.len(), dirty.unwrap_or_default()),
    )
}

/// What must be nowhere.
const VALUES: [&str; 5] = [FIRST, SECOND, USER, external::FIRST, external::SECOND];

/// Reads every file below a folder; links are not followed, and what is in memory is passed over.
fn look(folder: &Path, run: &Path, seen: &mut Vec<(std::path::PathBuf, String)>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() && path != run {
            look(&path, run, seen)?;
        } else if kind.is_file() {
            let bytes = fs::read(&path)?;
            seen.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(())
}
