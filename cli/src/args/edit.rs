//! `bulla edit`.

use std::path::PathBuf;

use bulla::seal::Scope;
use clap::Args;

use super::{Report, ToArguments, scope_values};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla edit clusters/prod/db.yaml --identity ~/keys/prod.key
  EDITOR='code --wait' bulla edit db.yaml -i prod.key
  bulla edit --new clusters/prod/api.yaml --name api -n prod        no private key is needed

The editor is that of $VISUAL or $EDITOR. It shows one `key: value` a line; what is taken out is taken out of the file,
what is added or changed is sealed, and every other byte of the file stays. Nothing saved: the file is not touched.
A new value is sealed to --to, else to the recipients of .bulla.yaml, else to those that the old one is sealed to.

Plaintext is in memory only, in a folder that nobody else may enter and that is gone however this ends. Editors of the
terminal (vim, nano, emacs and others) get a file system of their own where the system allows it, and are kept from
writing swap files, backups and histories.")]
pub(crate) struct EditArguments {
    /// The file with the SealedSecret
    #[arg(required_unless_present = "keep")]
    pub(crate) file: Option<PathBuf>,
    /// Private keys: age identities, PEM, or Secrets that hold them. Repeatable
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["new", "keep"])]
    pub(crate) identity: Vec<PathBuf>,
    /// Make a SealedSecret in a file that is not there yet
    #[arg(long, requires = "name")]
    pub(crate) new: bool,
    /// Which SealedSecret, if the file has several; with --new the name of the one that is made
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Namespace, if the manifest has none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// With --new: how closely the values are bound to their place
    #[arg(long, value_name = "SCOPE", value_parser = scope_values(), requires = "new")]
    pub(crate) scope: Option<Scope>,
    #[command(flatten)]
    pub(crate) to: ToArguments,
    /// Do not ask to edit again when something is wrong with the text: give up, and change nothing
    #[arg(long)]
    pub(crate) no_retry: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    /// What watches over an edit: wipes the folder when standard input ends
    #[arg(long, value_name = "FOLDER", hide = true, exclusive = true)]
    pub(crate) keep: Option<PathBuf>,
}
