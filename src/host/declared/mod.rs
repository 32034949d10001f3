//! From a commit to what it asks of this host: Host documents, secrets, templates, values from elsewhere.
//!
//! Everything that is read here is hostile input. Failure is local: what cannot be read, opened or rendered is a
//! [`Problem`](super::desired::Problem) of its own, and the file that it was for keeps its last good content.

mod answers;
mod asked;
mod commit;
mod documents;
mod elsewhere;
pub mod external;
mod making;
mod opening;
mod order;
mod secrets;
mod source;

use std::sync::Arc;

use jiff::Timestamp;

pub use self::answers::{Answered, Answers, Declared, Full, Nobody, Request, Wanted};
pub use self::source::{Entry, Files, Folder, Source};
use super::desired::Desired;
use crate::seal::Keyring;

/// Who this host is.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// Its name.
    pub name: String,
    /// The groups that it is in. Secrets are taken from these namespaces and from that of its name, from no others.
    pub groups: Vec<String>,
    /// Where units, cron files and credentials go; [`Folders::system`] unless the agent runs as a user.
    pub folders: Folders,
}

/// Where units, cron files and credentials go; absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Units of systemd.
    pub units: String,
    /// Quadlets of Podman.
    pub quadlets: String,
    /// Cron's files; nothing where there is no such folder, and then a job is a problem.
    pub cron: Option<String>,
    /// Credentials that systemd finds by name.
    pub credstore: String,
}

impl Folders {
    /// Those of the system.
    #[must_use]
    pub fn system() -> Self {
        Self {
            units: "/etc/systemd/system".to_owned(),
            quadlets: "/etc/containers/systemd".to_owned(),
            cron: Some("/etc/cron.d".to_owned()),
            credstore: "/run/credstore".to_owned(),
        }
    }

    /// Those of a user with this home and this `XDG_RUNTIME_DIR`. Cron has no folder for files of a user.
    #[must_use]
    pub fn user(home: &str, runtime: &str) -> Self {
        Self {
            units: format!("{home}/.config/systemd/user"),
            quadlets: format!("{home}/.config/containers/systemd"),
            cron: None,
            credstore: format!("{runtime}/credstore"),
        }
    }
}

impl Default for Folders {
    fn default() -> Self {
        Self::system()
    }
}

impl Who {
    /// The namespaces whose secrets it may have.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.groups.iter().map(String::as_str))
    }

    fn admits(&self, namespace: &str) -> bool {
        self.namespaces().any(|own| own == namespace)
    }
}

/// What the files of `source` ask of the host `who`.
///
/// The work that blocks or computes is done on threads of its own.
///
/// # Errors
/// The files cannot be listed at all. Everything else that goes wrong is among [`Desired::problems`].
pub async fn declare(
    source: Arc<dyn Source>,
    who: &Who,
    keyring: Arc<Keyring>,
    answers: &mut impl Answers,
    now: Timestamp,
) -> Result<Desired, String> {
    let who = Arc::new(who.clone());
    let of = Arc::clone(&who);
    let (files, mut commit, mut wishes, opened) = aside(move || {
        let files = Arc::new(Files::of(source)?);
        let mut commit = commit::read(&files, &of);
        let wishes = asked::collect(&mut commit, &of);
        let opened = secrets::open(&mut commit, &wishes, &of, &keyring, &files, now);
        Ok::<_, String>((files, commit, wishes, opened))
    })
    .await??;
    let mut secrets = opened.secrets;
    let mut refresh = None;
    if let Some(wanted) = opened.wanted {
        let labels = secrets::Label::all(&wanted);
        let answered = answers.answers(wanted).await;
        refresh = answered.refresh;
        let gone = secrets::add(&mut secrets, &mut commit.problems, labels, answered);
        secrets::leave_out(&mut wishes, &gone);
    }
    aside(move || {
        let sources = making::sources(&files, &wishes.items);
        let maker = making::Maker { who: &who, secrets: &secrets, sources: &sources, now };
        let mut problems = commit.problems;
        let files = maker.files(wishes.items, &mut problems);
        let credentials = maker.credentials(wishes.credentials, &mut problems);
        // What programs say about their files is shown without these.
        let hidden = secrets.into_values().flatten().flatten().map(|(_, value)| value).collect();
        let (units, services, keep) = (wishes.units, wishes.services, commit.keep);
        Desired { files, units, services, credentials, problems, keep, hidden, refresh }
    })
    .await
}

/// Does something on a thread that may block.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|_| "ended early: this is a defect of Bulla".to_owned())
}
