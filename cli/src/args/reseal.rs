//! `bulla reseal`.

use std::path::PathBuf;

use clap::Args;

use super::Report;
use crate::cluster::ClusterArguments;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla reseal clusters/                               through the controller of the current kubeconfig
  bulla reseal . --identity old.key                    offline, to whom .bulla.yaml names
  bulla reseal . --identity old.key --identity new.key offline, to new.key: the last one is the newest
  bulla reseal . --identity me.key --add age1pq1...    one recipient more for every value
  bulla reseal . --identity sealed-secrets-keys.yaml --to age1pq1...   from kubeseal's format to the native one
  bulla reseal --check                                 for CI: exit code 1 if a value is stale; needs no private key

To whom: --to, else the recipients that .bulla.yaml names for the file, and nobody else; else the newest key takes the
place of an older one, and other recipients stay. Values that are sealed so already keep their bytes, as does everything
else in the files.

Sealing again is not changing the secret: whoever could read a value before knows it. After a leak change the password
or token where it is from, and look at `bulla keys compromised`.
Exit code 1 if a value could not be sealed again; the others are all the same.")]
pub(crate) struct ResealArguments {
    /// Files and folders
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Private keys to open values with here, instead of asking the controller: age identities, PEM, or Secrets that
    /// hold them. Repeatable; later ones are newer
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Seal to exactly these: a recipient (age1...), a file of recipients, a certificate file or its URL. Repeatable
    #[arg(long, value_name = "RECIPIENT|FILE|URL")]
    pub(crate) to: Vec<String>,
    /// A recipient that every value gets beside those that it has. Repeatable
    #[arg(long, value_name = "RECIPIENT|FILE")]
    pub(crate) add: Vec<String>,
    /// A recipient that every value loses. Repeatable
    #[arg(long, value_name = "KEYID|RECIPIENT|FILE")]
    pub(crate) remove: Vec<String>,
    /// Move values of kubeseal's format to the native one
    #[arg(long)]
    pub(crate) native: bool,
    /// Namespace of manifests that name none [default: what .bulla.yaml says for the file]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// The controller's Service, in its namespace [default: bulla-controller, bulla or sealed-secrets-controller]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(crate) controller_service: Option<String>,
    /// Leave out files that match, such as 'tests/**'. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Say what would be done, and write nothing
    #[arg(long, conflicts_with = "check")]
    pub(crate) dry_run: bool,
    /// Only look for values that are to be sealed again; exit code 1 if there are any
    #[arg(long)]
    pub(crate) check: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}
