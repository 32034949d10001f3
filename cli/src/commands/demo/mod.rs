//! `bulla demo`: host mode in temporary folders, with the real verbs, a real Git repository and the agent's own code.
//! Every step checks what it claims; the exit code is 0 only if all of it held.
//!
//! | module | what it is |
//! | --- | --- |
//! | `stage` | the folders, the commands, and what is said about them |
//! | `begin` | what is in the repository |
//! | `host`, `app` | a host that follows it, and what runs there |
//! | `follow` | commits that arrive, and such that do not |
//! | `away` | a new key, a new machine, and the search for plaintext |
//! | `external` | the store |
//! | `cluster` | the second half: the same values through an API server |

mod app;
mod away;
mod begin;
mod cluster;
mod external;
mod follow;
mod host;
mod stage;

use std::time::Instant;

use self::host::Host;
use self::stage::Stage;
use crate::args::DemoArguments;
use crate::failure::{Outcome, refuse};
use crate::output::{self, DIM, GOOD, HEAD};

const FIRST: &str = "correct-horse-battery-staple";
const SECOND: &str = "tr0ub4dor-and-3-more-words";
const USER: &str = "payments-service-account";
const FILE: &str = "hosts/web/db.yaml";

/// Runs the verb.
pub(super) fn run(arguments: &DemoArguments) -> Outcome {
    let began = Instant::now();
    let stage = Stage::set()?;
    let done = story(&stage).and_then(|()| match &arguments.kubeconfig {
        Some(kubeconfig) => cluster::story(&stage, kubeconfig),
        None => Ok(()),
    });
    if arguments.keep {
        output::note(&format!("left for a look: {}", stage.keep()));
    }
    done?;
    output::print(&format!(
        "\n{GOOD}Every step checked out{GOOD:#} in {:.1} s. Next: docs/host.md for a machine, the README for a cluster.\n",
        began.elapsed().as_secs_f64()
    ))
}

fn story(stage: &Stage) -> Outcome {
    output::print(&format!(
        "{HEAD}A repository, a machine that follows it, and no plaintext.{HEAD:#} {DIM}All of it happens in {}.{DIM:#}\n",
        stage.root().display()
    ))?;
    begin::enroll(stage)?;
    begin::leak(stage)?;
    begin::seal(stage)?;
    begin::external(stage)?;
    let mut host = Host::new(stage)?;
    let commit = begin::declare(stage, &host)?;
    follow::arrive(stage, &mut host, &commit)?;
    follow::change(stage, &host)?;
    follow::drift(stage, &host)?;
    follow::bad(stage, &host)?;
    follow::revert(stage, &host)?;
    follow::moved(stage, &host)?;
    follow::old(stage, &host)?;
    away::rotate(stage, &mut host)?;
    host.stop()?;
    away::stick(stage)?;
    away::nothing_leaked(stage)
}

/// A Secret as people have it before it is sealed.
fn plain_secret(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: {namespace}\nstringData:\n  username: {USER}\n  password: {FIRST}\n"
    )
}

/// Where a step found something else than it claims.
fn broken(claim: &str) -> crate::failure::Failure {
    refuse!("this step did not hold: {claim}")
}
