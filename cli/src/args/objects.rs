//! The verbs about the objects in a cluster: `sync`, `status` and `wait`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Report;
use crate::cluster::ConnectionArguments;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla sync db -n prod                     the ExternalSecret db; if there is none, the SealedSecret
  bulla sync sealedsecret/db -n prod
  bulla sync db -n prod --timeout 5m && kubectl rollout restart deployment/app -n prod

It sets the annotation that the controller answers to (external-secrets.io/force-sync, or
reconcile.fluxcd.io/requestedAt), so it takes the right to patch the object. Exit code 1 if the sync fails, with the
reason that the controller gives; 2 if no controller answers in time.")]
pub(crate) struct SyncArguments {
    /// NAME, externalsecret/NAME or sealedsecret/NAME
    #[arg(value_name = "NAME")]
    pub(crate) object: ObjectName,
    /// Namespace [default: that of the kubeconfig's context]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// How long to wait, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Where objects are looked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct WhereArguments {
    /// Namespace [default: that of the kubeconfig's context]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Every namespace
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// Only objects with these labels, such as app=web or 'team in (payments, web)'
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla status                          the namespace of the kubeconfig's context
  bulla status -A --failing             what is not in sync anywhere
  bulla status externalsecrets -n prod
  bulla status sealedsecret/db -n prod  everything about one object, and what to do next
  bulla status -A --output json | jq '.objects[] | select(.state == \"Failed\")'

States: Synced; Failed, with the controller's reason; Waiting for the controller's first look; Stale, where the
controller has not seen the newest version yet; Unknown. Exit code 1 if anything that is shown is not Synced.")]
pub(crate) struct StatusArguments {
    /// NAME, KIND or KIND/NAME; kinds are sealedsecret and externalsecret (es)
    #[arg(value_name = "OBJECT")]
    pub(crate) objects: Vec<Pick>,
    #[command(flatten)]
    pub(crate) place: WhereArguments,
    /// Only what is not Synced
    #[arg(long)]
    pub(crate) failing: bool,
    /// Whole key ids, and the controller's messages
    #[arg(long)]
    pub(crate) wide: bool,
    /// Go on and print each object again when it changes, until interrupted
    #[arg(short, long, conflicts_with = "output")]
    pub(crate) watch: bool,
    /// Exit with 0 also where something is not in sync
    #[arg(long)]
    pub(crate) exit_zero: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla wait sealedsecret/db externalsecret/api -n prod --timeout 2m
  bulla wait --all -n prod && kubectl rollout restart deployment/app -n prod
  bulla wait --selector app=web -A --output json
  bulla wait sealedsecret/old -n prod --for deleted

In sync means: the controller says so of the newest version of the object, and its Secret is there. An object that
does not exist yet is waited for, so that a hook may run beside what creates it. A failure that only a person can mend
ends the wait at once, with the controller's reason; --keep-waiting is for what another step is about to mend.
Exit code 1 if something fails or the time is up.")]
pub(crate) struct WaitArguments {
    /// KIND/NAME; kinds are sealedsecret and externalsecret (es)
    #[arg(value_name = "KIND/NAME", required_unless_present_any = ["all", "selector"], conflicts_with_all = ["all", "selector"])]
    pub(crate) objects: Vec<ObjectName>,
    /// Every SealedSecret and ExternalSecret that is there
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: WhereArguments,
    /// What to wait for
    #[arg(long = "for", value_name = "GOAL", default_value = "synced")]
    pub(crate) goal: Goal,
    /// How long to wait, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Go on waiting when the controller says that only a person can mend a failure
    #[arg(long)]
    pub(crate) keep_waiting: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// What `bulla wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// In sync, and the Secret is there
    Synced,
    /// The object is gone
    Deleted,
}

/// A name, and the kind where one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectName {
    pub(crate) kind: Option<SyncedKind>,
    pub(crate) name: String,
}

/// A kind, a name, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) kind: Option<SyncedKind>,
    pub(crate) name: Option<String>,
}

/// What can be synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SyncedKind {
    ExternalSecret,
    SealedSecret,
}

impl SyncedKind {
    /// Every kind, in the order in which they are shown.
    pub(crate) const ALL: [Self; 2] = [Self::SealedSecret, Self::ExternalSecret];

    /// The kind in words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ExternalSecret => bulla_crds::external_secret::KIND,
            Self::SealedSecret => bulla_crds::sealed_secret::KIND,
        }
    }

    fn read(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "externalsecret" | "externalsecrets" | "es" => Some(Self::ExternalSecret),
            "sealedsecret" | "sealedsecrets" | "ss" => Some(Self::SealedSecret),
            _ => None,
        }
    }
}

impl std::str::FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').map_or((None, text), |(kind, name)| (Some(kind), name));
        let kind = match kind.map(|word| (word, SyncedKind::read(word))) {
            None => None,
            Some((_, Some(kind))) => Some(kind),
            Some((word, None)) => {
                return Err(format!("{word} cannot be synced: externalsecret and sealedsecret can"));
            }
        };
        if name.is_empty() {
            return Err("the name is empty".to_owned());
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl std::str::FromStr for Pick {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(kind) = SyncedKind::read(text) {
            return Ok(Self { kind: Some(kind), name: None });
        }
        text.parse().map(|ObjectName { kind, name }| Self { kind, name: Some(name) })
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|_| "not a duration such as 30s or 5m".to_owned())?;
    Duration::try_from(duration).map_err(|_| "must not be negative".to_owned())
}
