//! How a unit does.

use std::fmt;

/// How a unit does, as its service manager says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The gist.
    pub active: Active,
    /// The details, in the words of the service manager.
    pub sub: String,
    /// Why it ended, `success` if there is nothing to say.
    pub result: String,
    /// The exit code or signal of its main process that ended.
    pub exit: Option<i32>,
    /// Its main process; 0 if there is none.
    pub main_pid: u32,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// Changes with every start; empty where the service manager has no such thing.
    pub invocation: String,
    /// Whether it takes new files without a pause.
    pub can_reload: bool,
    /// Whether it is expected to end.
    pub ends: bool,
    /// Whether the service manager knows it at all.
    pub known: bool,
}

/// Whether a unit runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Active {
    /// It runs.
    Active,
    /// It runs and takes new files just now.
    Reloading,
    /// It is about to run, perhaps once more.
    Activating,
    /// It is about to stop.
    Deactivating,
    /// It does not run, and was not to.
    #[default]
    Inactive,
    /// It does not run, and was to.
    Failed,
}

impl State {
    /// Whether it runs, or is on its way to.
    #[must_use]
    pub const fn runs(&self) -> bool {
        matches!(self.active, Active::Active | Active::Reloading | Active::Activating)
    }

    /// Whether it is to run, as far as can be told: it runs, or it was to and failed.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.runs() || matches!(self.active, Active::Failed)
    }

    /// Whether nothing more is to be waited for, and nothing is wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        match self.active {
            Active::Active => true,
            Active::Inactive => self.ends && self.known && (self.result.is_empty() || self.result == "success"),
            Active::Reloading | Active::Activating | Active::Deactivating | Active::Failed => false,
        }
    }
}

impl Active {
    /// From systemd's word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "reloading" | "refreshing" => Self::Reloading,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            "failed" => Self::Failed,
            _ => Self::Inactive,
        }
    }
}

impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.known {
            return f.write_str("not known to the service manager");
        }
        write!(f, "{}", self.active)?;
        if !self.sub.is_empty() && self.sub != self.active.to_string() {
            write!(f, " ({})", self.sub)?;
        }
        if !self.result.is_empty() && self.result != "success" {
            write!(f, ", result {}", self.result)?;
        }
        self.exit.filter(|exit| *exit != 0).map_or(Ok(()), |exit| write!(f, ", exit code or signal {exit}"))
    }
}
