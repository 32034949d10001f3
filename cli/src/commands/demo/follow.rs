//! The host follows the repository: what is committed is there, and what is not well is gone back from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bulla::host::agent::{Condition, Status};

use super::begin::{HOST, TEMPLATE, VAULT};
use super::host::Host;
use super::stage::Stage;
use super::{FILE, FIRST, SECOND, USER, external};
use crate::failure::Outcome;
use crate::output::{self, Access};

const APP: &str = "/etc/app/app.conf";
const PASSWORD: &str = "/etc/app/db-password";

/// What the application is to read.
pub(super) fn configuration(host: &str, password: &str, token: &str) -> String {
    format!("# for {host}\ndatabase = postgres://{USER}:{password}@db/payments\nupstream_token = {token}\npool = 20\n")
}

/// Whether the files are these, byte for byte, and the application works with them.
fn has(host: &Host, password: &str, token: &str) -> Outcome<bool> {
    let files = host.read(APP) == configuration("frodo", password, token) && host.read(PASSWORD) == password;
    Ok(files && host.app.works_with(password)? && host.app.works_with(token)?)
}

pub(super) fn arrive(stage: &Stage, host: &mut Host, commit: &str) -> Outcome {
    stage.step("The agent starts", "elsewhere by `systemctl enable --now bulla-host`, here in this process")?;
    host.start()?;
    stage.show(&stage.bulla(&["host", "status", "--files"], "")?)?;
    let path = host.declared(APP);
    stage.say(&format!("{APP} → {}", fs::read_link(&path)?.display()))?;
    if !stage.is_in_memory() {
        stage.say(
            "(there is no memory here that everybody may write to: files are on the disk, which a host refuses)",
        )?;
    }
    let mode = |path: &str| Ok::<_, std::io::Error>(fs::metadata(host.declared(path))?.permissions().mode() & 0o7777);
    let modes = [mode(APP)?, mode(PASSWORD)?];
    stage.check(
        host.is_at(commit)? && has(host, FIRST, external::FIRST)? && modes == [0o400, 0o440],
        "both files are byte for byte what was sealed, with their modes; the application works with them",
    )?;
    let place = if stage.is_in_memory() { "not on a disk" } else { "in the run folder" };
    stage.check(
        host.app.reloads() == 1 && path.is_symlink() && path.canonicalize()?.starts_with(stage.run_folder()),
        &format!("it was told once, and what it reads is {place}"),
    )
}

pub(super) fn change(stage: &Stage, host: &Host) -> Outcome {
    stage.step("Change", "the password in Git and the token in the store, in one commit")?;
    stage.bulla(&["set", FILE, "password"], SECOND)?;
    let diff = stage.git(&["diff", "--numstat", FILE])?;
    stage.write(VAULT, &external::vault(stage, "web", external::SECOND)?)?;
    let commit = stage.commit("Change the password and the token")?;
    sync(stage)?;
    let told = host.app.reloads() == 2;
    stage.check(
        diff.starts_with("1\t1\t") && host.is_at(&commit)? && has(host, SECOND, external::SECOND)? && told,
        "one line of diff; all files changed in one rename, and the application was told once",
    )
}

/// Asks the repository now; a host does so every minute, or when a push is told to it.
fn sync(stage: &Stage) -> Outcome {
    stage.show(&stage.bulla(&["host", "sync"], "")?)
}

pub(super) fn drift(stage: &Stage, host: &Host) -> Outcome {
    stage.step("Edited by hand", "somebody mends it on the machine, where nobody will find it")?;
    let path = host.declared(APP);
    stage.typed(&format!("rm {APP} && echo 'pool = 99' > {APP}"))?;
    // In one step: the agent would put the link back between two, and the words would go through it.
    let by_hand = path.with_file_name("app.conf.by-hand");
    output::write_file(&by_hand, b"pool = 99\n", Access::Ordinary)?;
    fs::rename(&by_hand, &path)?;
    let is_back = |host: &Host| Ok(path.is_symlink() && has(host, SECOND, external::SECOND)?);
    let after = host.until("the file is put back", is_back)?;
    host.until("the agent says so", |host| Ok(host.status()?.drifts > 0))?;
    let found = host.status()?.last_drift.unwrap_or_default();
    stage.say(&format!("after {} ms: {found}", after.as_millis()))?;
    stage.check(has(host, SECOND, external::SECOND)? && found.starts_with(APP), "put back, and told")
}

pub(super) fn bad(stage: &Stage, host: &Host) -> Outcome {
    stage.step("A bad commit", "more connections than the database gives: the application will answer 503")?;
    let good = host.status()?;
    stage.write(TEMPLATE, &stage.read(TEMPLATE)?.replace("pool = 20", "pool = 2000"))?;
    let commit = stage.commit("A larger pool")?;
    let said = stage.bulla_says(&["host", "sync"])?;
    stage.show(&said.text)?;
    let status = host.status()?;
    stage.check(
        !said.done && status.condition == Condition::RolledBack && is_same(&status, &good),
        "its health check did not hold: back to the files from before, and the application was told again",
    )?;
    let (told, again) = (host.app.reloads(), stage.bulla_quietly(&["host", "sync"], ""));
    let remembered = status.bad.iter().any(|bad| bad.commit == commit);
    stage.check(
        told == 4 && again.is_err() && host.app.reloads() == told && remembered && has(host, SECOND, external::SECOND)?,
        "it works on, and that commit is not tried again",
    )
}

/// Whether the host has the same commit.
fn is_same(status: &Status, before: &Status) -> bool {
    status.good == before.good
}

pub(super) fn revert(stage: &Stage, host: &Host) -> Outcome {
    stage.step("git revert", "the way back for every host at once")?;
    stage.git_typed(&["revert", "--no-edit", "HEAD"])?;
    sync(stage)?;
    let commit = stage.git(&["rev-parse", "HEAD"])?;
    let told = host.app.reloads();
    stage.check(
        host.is_at(commit.trim())? && has(host, SECOND, external::SECOND)? && told == 4,
        "in sync again; nothing changed on the host, so nobody was told",
    )
}

pub(super) fn moved(stage: &Stage, host: &Host) -> Outcome {
    stage.step("Moved", "who may commit but not read copies the sealed password, to have it in a file for all")?;
    let copy = "hosts/web/mine.yaml";
    stage.write(copy, &stage.read(FILE)?.replace("name: db", "name: mine"))?;
    let file = "  - {path: /srv/www/mine.txt, secret: {name: mine, key: password}, mode: \"0444\"}\n";
    stage.write(HOST, &stage.read(HOST)?.replace("  services:\n", &format!("{file}  services:\n")))?;
    let refused = stage.bulla_says(&["verify"])?;
    stage.show(refused.text.lines().find(|line| line.contains("was sealed for")).unwrap_or_default())?;
    stage.commit("Nothing to see here")?;
    let said = stage.bulla_says(&["host", "sync"])?;
    stage.show(&said.text)?;
    let status = host.status()?;
    let why = status.problems.iter().any(|problem| problem.to_string().contains("was sealed for"));
    let there = host.declared("/srv/www/mine.txt").exists();
    let held = !refused.done && !said.done && status.condition == Condition::Degraded && why && !there;
    let rest = has(host, SECOND, external::SECOND)?;
    stage.git_typed(&["revert", "--no-edit", "HEAD"])?;
    sync(stage)?;
    stage.check(
        held && rest && host.status()?.condition == Condition::InSync,
        "CI refuses it; so does the host, which says why and keeps the rest as it should be",
    )
}

pub(super) fn old(stage: &Stage, host: &Host) -> Outcome {
    stage.step("An old commit", "somebody takes the branch back, to the password that was leaked")?;
    let tip = stage.git(&["rev-parse", "HEAD"])?;
    let good = host.status()?;
    stage.git_typed(&["reset", "--hard", "HEAD~5"])?;
    let said = stage.bulla_says(&["host", "sync"])?;
    stage.show(&said.text)?;
    let status = host.status()?;
    let kept = has(host, SECOND, external::SECOND)?;
    stage.git(&["reset", "--hard", tip.trim()])?;
    stage.check(
        !said.done && status.condition == Condition::Behind && is_same(&status, &good) && kept,
        "refused: a host goes forward only, also for who owns the server; `git revert` goes forward",
    )
}
