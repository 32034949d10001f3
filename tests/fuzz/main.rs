//! One program for all targets: `BULLA_FUZZ_TARGET` names the one to run. See `run` and README.md beside this file.

#![no_main]

mod bodies;

use std::path::Path;
use std::sync::OnceLock;

use bodies::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

/// The chosen target. The first time also writes its seeds where `BULLA_FUZZ_SEEDS` says.
fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("BULLA_FUZZ_TARGET").unwrap_or_default();
        let known = TARGETS.map(|target| target.name).join(", ");
        let target = TARGETS.iter().find(|target| target.name == name);
        target.unwrap_or_else(|| panic!("BULLA_FUZZ_TARGET={name:?} is none of: {known}"))
    })
}

fuzz_target!(init: {
    if let Some(folder) = std::env::var_os("BULLA_FUZZ_SEEDS") {
        for (number, seed) in (chosen().seeds)().iter().enumerate() {
            std::fs::write(Path::new(&folder).join(format!("seed-{number}")), seed).expect("the corpus is writable");
        }
    }
}, |data: &[u8]| (chosen().body)(data));
