//! `bulla git`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Report, ToArguments};
use crate::findings::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum GitVerb {
    /// Have Git of this clone check commits, show sealed changes and merge sealed values by key
    Install(InstallArguments),
    /// What changed in sealed values: added, removed, changed, sealed again, for whom
    Diff(DiffArguments),
    /// Finish a merge: choose a side for the sealed values in conflict
    Resolve(ResolveArguments),
    /// Check what is about to be committed (Git calls this)
    PreCommit(PreCommitArguments),
    /// Print a file with what seals tell in place of ciphertext (Git calls this)
    DiffText(DiffTextArguments),
    /// Merge three versions of a file, sealed values by data key (Git calls this)
    MergeDriver(MergeDriverArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla git install                        this clone: hook, diff, merge driver, and lines in .gitattributes to commit
  bulla git install --pattern 'k8s/**/*.yaml'
  bulla git install --global               diff and merge driver for every repository of this user
  bulla git install --uninstall            takes away what it put there, and nothing else

What is there stays: an existing hook runs first, other lines of .gitattributes are kept. Where husky, lefthook or the
pre-commit framework runs the hooks, it says what to add there. It can be run again at any time.")]
pub(crate) struct InstallArguments {
    /// For every repository of this user; hooks are left alone
    #[arg(long)]
    pub(crate) global: bool,
    /// For this clone, which is the default
    #[arg(long, conflicts_with = "global")]
    pub(crate) local: bool,
    /// Take it away again
    #[arg(long)]
    pub(crate) uninstall: bool,
    /// Which files, as .gitattributes writes it [default: the rules of .bulla.yaml, else YAML files]. Repeatable
    #[arg(long, value_name = "PATTERN", conflicts_with = "uninstall")]
    pub(crate) pattern: Vec<String>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla git diff                           what is changed and not committed
  bulla git diff --staged
  bulla git diff main...                   what this branch changes
  bulla git diff v1 v2 -- clusters/prod --output markdown     for a comment in a pull request
  bulla git diff HEAD~1 --identity me.key  tells a value that was only sealed again from a new one

Values never show. Without a private key, a new ciphertext to the same keys counts as changed, one to other keys as
sealed again; a value of another length is another value in any case.")]
pub(crate) struct DiffArguments {
    /// Commits: none, one or two, or A..B, A...B; then -- and paths
    #[arg(value_name = "REVISION", num_args = 0..=2)]
    pub(crate) revisions: Vec<String>,
    /// Only these files and folders
    #[arg(value_name = "PATH", last = true)]
    pub(crate) paths: Vec<String>,
    /// What is staged, instead of what is in the work tree
    #[arg(long, visible_alias = "cached")]
    pub(crate) staged: bool,
    /// Private keys: values are opened and compared, never printed. Repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: DiffReport,
    /// Exit with 1 where there are differences, as `git diff --exit-code` does
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DiffReport {
    /// For people
    Text,
    /// For machines
    Json,
    /// For comments in pull requests
    Markdown,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla git resolve clusters/prod/db.yaml --identity me.key     the value decides: sealed again gives way to changed
  bulla git resolve db.yaml --theirs --key password
  bulla git resolve db.yaml --newest                            by the day on which each was sealed

It reads the conflict markers that are in the file, chooses for the sealed values between them and leaves every other
conflict alone. With --identity a value that is bound to another place (its object was renamed) is sealed for the new one.")]
pub(crate) struct ResolveArguments {
    /// The file with conflict markers
    pub(crate) file: PathBuf,
    /// Only these data keys. Repeatable
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// Only the object of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Take what this branch has
    #[arg(long, group = "choice")]
    pub(crate) ours: bool,
    /// Take what the other branch has
    #[arg(long, group = "choice")]
    pub(crate) theirs: bool,
    /// Take the one that was sealed last
    #[arg(long, group = "choice")]
    pub(crate) newest: bool,
    /// Private keys: both values are opened and compared, never printed. Repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Namespace, if the manifest has none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) to: ToArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bulla git pre-commit        what the hook runs; fails where a commit would put a secret into the clear

It looks at the content that is staged, not at the files of the work tree, and writes it nowhere. What the last commit has
too is not reported. For the hook, which has no command line: git config bulla.exclude GLOB, git config bulla.baseline FILE.")]
pub(crate) struct PreCommitArguments {
    /// Leave out files that match, such as 'tests/**'. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Leave out the findings that this file lists
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  git config diff.bulla.textconv 'bulla git diff-text'")]
pub(crate) struct DiffTextArguments {
    /// The file
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  git config merge.bulla.driver 'bulla git merge-driver --marker-size=%L -- %O %A %B %P'

Exit codes: 0 merged, 1 conflicts are marked in OURS.")]
pub(crate) struct MergeDriverArguments {
    /// The version that both come from (%O)
    pub(crate) base: PathBuf,
    /// Our version (%A); the result is written here
    pub(crate) ours: PathBuf,
    /// Their version (%B)
    pub(crate) theirs: PathBuf,
    /// The file's path in the repository (%P)
    pub(crate) path: String,
    /// How many characters a conflict marker has (%L)
    #[arg(long, value_name = "NUMBER", default_value = "7")]
    pub(crate) marker_size: usize,
    /// What the versions are called (%S, %X, %Y; Git 2.44 and newer)
    #[arg(long, value_name = "LABEL", default_value = "")]
    pub(crate) base_label: String,
    /// Likewise
    #[arg(long, value_name = "LABEL", default_value = "")]
    pub(crate) our_label: String,
    /// Likewise
    #[arg(long, value_name = "LABEL", default_value = "")]
    pub(crate) their_label: String,
}
