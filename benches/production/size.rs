//! How large what is installed is.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::Shown;
use crate::shared::table::{render, target};
use crate::support::servers;

/// The binary that ESO 2.9 ships, in MB: a figure of the work's brief, not measured here.
const EXTERNAL_SECRETS_MB: f64 = 104.0;

pub(crate) fn measure() -> anyhow::Result<Shown> {
    let bulla = megabytes(Path::new(env!("CARGO_BIN_EXE_bulla-controller")))?;
    // Built from its module without `-s -w`, which upstream's release uses: an upper bound.
    let upstream = megabytes(&servers::path("sealed-secrets-controller"))?;
    let row = |what: &str, size: f64| vec![what.to_owned(), format!("{size:.1}")];
    let rows = [
        row("bulla-controller, stripped", bulla),
        row("sealed-secrets-controller 0.36, from its module, with symbols", upstream),
        row("external-secrets, from its documents", EXTERNAL_SECRETS_MB),
    ];
    let text = render(&["binary", "MB"], &rows);
    let wanted = target("binary", format!("{bulla:.1} MB"), "below 25 MB".to_owned(), bulla < 25.0);
    Ok(Shown { text, targets: vec![wanted] })
}

fn megabytes(path: &Path) -> anyhow::Result<f64> {
    let size = fs::metadata(path).with_context(|| format!("the size of {}", path.display()))?.len();
    Ok(size as f64 / 1e6)
}
