//! What a repository of 10,000 values costs to check, to seal again and to audit, and a long history to scan.

#![allow(missing_docs, reason = "a program")]

#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../shared/mod.rs"]
mod shared;

mod arguments;
mod generate;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use self::arguments::{Arguments, Phase};
use self::generate::{history, keys, tree};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        shared::progress("this is a benchmark: cargo bench --bench repo");
        return Ok(ExitCode::SUCCESS);
    }
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let folder = arguments.keep.clone().unwrap();
    std::fs::create_dir_all(&folder)?;
    let began = Instant::now();
    for kind in &arguments.kinds {
        let key = keys::Key::generate(*kind)?;
        let t = tree::Tree::new(tree::Size { files: arguments.files, values: arguments.values, seed: arguments.seed });
        let root = folder.join(kind.label());
        let bytes = t.write(&root, &key.recipient, today)?;
        tree::write(&root, ".bulla.yaml", &tree::rules("keys/sealing.pub"))?;
        tree::write(&root, "keys/sealing.pub", &key.public)?;
        shared::progress(&format!(
            "{} {} files {} values {} others {bytes} bytes {:?}",
            kind.label(),
            t.sealed.len(),
            t.values(),
            t.others(),
            began.elapsed()
        ));
    }
    let began = Instant::now();
    let h = history::write(
        &folder.join("history"),
        history::Length { commits: arguments.commits, plants: arguments.plants, seed: arguments.seed },
        today,
    )?;
    shared::progress(&format!(
        "history {} plants {} bytes {} versions {:?}",
        h.plants.len(),
        h.bytes,
        h.versions,
        began.elapsed()
    ));
    let began = Instant::now();
    history::halve(&folder.join("history"), &folder.join("half"))?;
    shared::progress(&format!("half {:?}", began.elapsed()));
    let _ = arguments.wants(Phase::Verify);
    Ok(ExitCode::SUCCESS)
}
