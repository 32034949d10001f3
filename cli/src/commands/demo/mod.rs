//! `bulla demo`: the whole path in a temporary folder, with the real verbs, a real Git repository and the code that
//! the controller runs. Every step checks what it claims; the exit code is 0 only if all of it held.

mod cluster;
mod external;
mod stage;

use std::time::Instant;

use bulla::host::{self, Sink, Written};
use jiff::Timestamp;

use self::stage::Stage;
use crate::args::DemoArguments;
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::output::{self, DIM, GOOD, HEAD};
use crate::{identities, leaks};

const FIRST: &str = "correct-horse-battery-staple";
const SECOND: &str = "tr0ub4dor-and-3-more-words";
const USER: &str = "payments-service-account";
const FILE: &str = "clusters/prod/db.yaml";

/// Runs the verb.
pub(super) fn run(arguments: &DemoArguments) -> Outcome {
    let began = Instant::now();
    let stage = Stage::set()?;
    let done = story(&stage).and_then(|()| match &arguments.kubeconfig {
        Some(kubeconfig) => cluster::story(&stage, kubeconfig),
        None => Ok(()),
    });
    if arguments.keep {
        output::note(&format!("left for a look: {}", stage.keep().display()));
    }
    done?;
    output::print(&format!(
        "\n{GOOD}Every step checked out{GOOD:#} in {:.1} s. Next: `bulla seal --help`, and the README for the cluster.\n",
        began.elapsed().as_secs_f64()
    ))
}

fn story(stage: &Stage) -> Outcome {
    output::print(&format!(
        "{HEAD}A team, a repository, and no plaintext in it.{HEAD:#} {DIM}All of it happens in a temporary folder.{DIM:#}\n"
    ))?;
    keys(stage)?;
    leak(stage)?;
    seal(stage)?;
    open(stage)?;
    change(stage)?;
    revert(stage)?;
    moved(stage)?;
    rotate(stage)?;
    external::story(stage)?;
    nothing_leaked(stage)
}

fn keys(stage: &Stage) -> Outcome {
    stage.step("Keys", "one for the cluster, one for the bad day, both outside the repository")?;
    stage.bulla(&["keys", "generate", "-o", "../cluster.key"], "")?;
    stage.bulla(&["keys", "generate", "-o", "../recovery.key"], "")?;
    write_rules(stage, "cluster.key")?;
    stage.git(&["add", ".bulla.yaml"])?;
    stage.git(&["commit", "-m", "Say to whom production is sealed"])?;
    let mode = stage.mode("../cluster.key")?;
    stage.check(mode == 0o600, ".bulla.yaml names both public keys; the private ones have mode 0600")
}

/// `.bulla.yaml` with the public halves of a cluster key and of the recovery key.
fn write_rules(stage: &Stage, cluster: &str) -> Outcome {
    let mut rules = "version: 1\nrules:\n- path: \"clusters/prod/**\"\n  namespace: prod\n  recipients:\n".to_owned();
    for file in [cluster, "recovery.key"] {
        let public = stage.read(&format!("../{file}"))?;
        let public = public.lines().find_map(|line| line.strip_prefix("# public key: "));
        rules.push_str(&format!("  - {}\n", public.ok_or_else(|| usage!("{file} names no public key"))?));
    }
    stage.write(".bulla.yaml", &rules)
}

fn plain_secret() -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: prod\n  labels:\n    team: payments\nstringData:\n  username: {USER}\n  password: {FIRST}\n"
    )
}

fn leak(stage: &Stage) -> Outcome {
    stage.step("A leak, caught", "somebody leaves a plain Secret in the working tree")?;
    let path = "clusters/prod/db-secret.yaml";
    stage.write(path, &plain_secret())?;
    let mut found = Vec::new();
    for file in stage.git(&["ls-files", "--cached", "--others", "--exclude-standard"])?.lines() {
        found.extend(leaks::find(file.as_ref(), &stage.read(file)?));
    }
    for leak in &found {
        let keys = leak.values.iter().map(|value| value.field.as_str()).collect::<Vec<_>>().join(" and ");
        stage.say(&format!(
            "{}:{}: Secret {} holds {keys} in the clear",
            leak.path.display(),
            leak.place.0,
            leak.name
        ))?;
    }
    stage.remove(path)?;
    stage.check(found.len() == 1, "found by its structure before `git add`, and taken away")
}

fn seal(stage: &Stage) -> Outcome {
    stage.step("Seal and commit", "to both keys, bound to namespace, name and data key")?;
    stage.bulla(&["seal", "-o", FILE], &plain_secret())?;
    stage.show(&stage.bulla(&["inspect", FILE], "")?)?;
    stage.git(&["add", FILE])?;
    stage.git(&["commit", "-m", "Add the database's credentials"])?;
    let text = stage.read(FILE)?;
    stage.check(!text.contains(FIRST) && leaks::find(FILE.as_ref(), &text).is_empty(), "the file is safe to push")
}

/// Runs what the controller runs over the working tree, with one private key.
fn sync(stage: &Stage, key: &str) -> Outcome<Vec<host::Outcome>> {
    let keyring = identities::keyring(&[stage.path(&format!("../{key}"))])?;
    Ok(host::sync(&stage.repository(), &keyring, &Sink::new(stage.secrets()), Timestamp::now()))
}

fn opened_as(stage: &Stage, password: &str) -> bool {
    let read = |key: &str| std::fs::read_to_string(stage.secrets().join("prod/db").join(key)).unwrap_or_default();
    read("password") == password && read("username") == USER
}

fn open(stage: &Stage) -> Outcome {
    stage.step("Open", "the controller's own code reads the commit and writes the Secret")?;
    let outcomes = sync(stage, "cluster.key")?;
    let mode = stage.mode("../secrets/prod/db/password")?;
    stage.say("prod/db/password and prod/db/username written, mode 0600")?;
    stage.check(
        outcomes.len() == 1 && outcomes[0].result == Ok(Written::Changed) && opened_as(stage, FIRST) && mode == 0o600,
        "both values are byte for byte what was sealed",
    )
}

fn change(stage: &Stage) -> Outcome {
    stage.step("Change one value", "in place: comments, order and every other byte stay")?;
    stage.bulla(&["set", FILE, "password"], SECOND)?;
    let diff = stage.git(&["diff", "--numstat"])?;
    stage.git(&["commit", "-am", "Change the database's password"])?;
    sync(stage, "cluster.key")?;
    stage.check(diff.starts_with("1\t1\t") && opened_as(stage, SECOND), "one line of diff, and the new value is there")
}

fn revert(stage: &Stage) -> Outcome {
    stage.step("git revert", "the old commit's values still open")?;
    stage.git(&["revert", "--no-edit", "HEAD"])?;
    sync(stage, "cluster.key")?;
    let back = opened_as(stage, FIRST);
    stage.git(&["revert", "--no-edit", "HEAD"])?;
    sync(stage, "cluster.key")?;
    stage.check(back && opened_as(stage, SECOND), "back to the old value, and forth again")
}

fn moved(stage: &Stage) -> Outcome {
    stage.step("Moved to another namespace", "somebody copies the file to where it was not sealed for")?;
    let copy = "clusters/staging/db.yaml";
    stage.write(copy, &stage.read(FILE)?.replace("namespace: prod", "namespace: staging"))?;
    let outcomes = sync(stage, "cluster.key")?;
    let refusal = outcomes.iter().find_map(|outcome| match &outcome.result {
        Err(why) if outcome.namespace == "staging" => Some(why.clone()),
        _ => None,
    });
    let refusal = refusal.unwrap_or_default();
    stage.say(&format!("refused: {refusal}"))?;
    stage.remove(copy)?;
    let written = stage.secrets().join("staging").exists();
    stage.check(
        refusal.contains("was sealed for") && !written && opened_as(stage, SECOND),
        "nothing written there, and production goes on",
    )
}

fn rotate(stage: &Stage) -> Outcome {
    stage.step("Rotate the key", "a new cluster key; the repository is sealed again to it")?;
    stage.bulla(&["keys", "generate", "-o", "../cluster-2.key"], "")?;
    write_rules(stage, "cluster-2.key")?;
    let plain = stage.bulla_quietly(&["open", FILE, "--identity", "../cluster.key"], "")?;
    stage.bulla(&["seal", "-o", FILE], &plain)?;
    stage.git(&["commit", "-am", "Rotate the sealing key"])?;
    let with_old = sync(stage, "cluster.key")?;
    let refused =
        with_old.iter().all(|outcome| outcome.result.as_ref().is_err_and(|why| why.contains("does not hold")));
    let with_new = sync(stage, "cluster-2.key")?;
    let same = with_new.iter().all(|outcome| outcome.result == Ok(Written::Unchanged)) && with_new.len() == 1;
    let recovered = stage.bulla_quietly(&["open", FILE, "--identity", "../recovery.key", "--key", "password"], "")?;
    stage.check(
        refused && same && recovered == SECOND,
        "the new key opens it to the same values, the old one does not, the recovery key does",
    )
}

fn nothing_leaked(stage: &Stage) -> Outcome {
    stage.step("Proof", "every commit and every object that Git ever stored here")?;
    let log = stage.git(&["log", "-p", "--all"])?;
    let objects = stage.git(&["cat-file", "--batch-all-objects", "--batch"])?;
    let commits = stage.git(&["rev-list", "--count", "--all"])?;
    use base64::Engine as _;
    let leaked = [FIRST, SECOND, USER, external::FIRST, external::SECOND].into_iter().any(|value| {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(value);
        // The last character of base64 depends on what follows it.
        let encoded = &encoded[..encoded.len() - 2];
        [&log, &objects].iter().any(|text| text.contains(value) || text.contains(encoded))
    });
    let private = log.contains("AGE-SECRET-KEY-") || objects.contains("AGE-SECRET-KEY-");
    let commits = commits.trim();
    if log.is_empty() || objects.is_empty() {
        return Err(refuse!("git showed no history to search"));
    }
    stage.check(!leaked && !private, &format!("{commits} commits hold no plaintext and no private key"))
}

/// Where a step found something else than it claims.
fn broken(claim: &str) -> crate::failure::Failure {
    refuse!("this step did not hold: {claim}")
}

/// Reads a file of the stage; what is not there is a failure of the demo, not of the user.
fn read(path: &std::path::Path) -> Outcome<String> {
    std::fs::read_to_string(path).or_refuse(format!("reading {}", path.display()))
}
