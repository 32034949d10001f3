//! What the agent must still know after a reboot: the last good commit, what it was trying, and which commits are bad.
//!
//! One small file, written whole and flushed to the disk before what it says is acted on.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::host::disk;

/// So many bad commits are remembered, the newest ones.
const MOST_BAD: usize = 50;
const FILE: &str = "state.json";

/// What the agent must still know after a reboot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// The commit that proved well, and that the host goes back to.
    pub good: Option<Good>,
    /// The one before it, for `rollback`.
    pub previous: Option<Good>,
    /// The commit that was taken and has not yet proved well.
    pub trying: Option<Good>,
    /// Commits that did not prove well; they are not tried again.
    pub bad: Vec<Bad>,
    /// The commit that was being tried when the agent, or the machine, went away.
    pub interrupted: Option<Interrupted>,
}

/// A commit that was being tried when the agent, or the machine, went away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interrupted {
    /// Its id.
    pub commit: String,
    /// How often in a row.
    pub times: u32,
}

/// A commit, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Good {
    /// Its id.
    pub commit: String,
    /// Since when.
    pub since: Timestamp,
}

/// A commit that did not prove well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bad {
    /// Its id.
    pub commit: String,
    /// What was wrong.
    pub why: String,
    /// When it was found.
    pub at: Timestamp,
    /// How the host did after it had gone back; nothing if there was no need to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
}

/// How the host did after it had gone back from a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct After {
    /// The commit that it went back to; without one, nothing is declared.
    pub commit: Option<String>,
    /// The units that were told of the old files, and looked at.
    pub looked_at: Vec<String>,
    /// What is wrong with one of them; nothing if all are well.
    pub unwell: Option<String>,
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.commit {
            Some(commit) => write!(f, "the host is back at commit {}", commit.get(..12).unwrap_or(commit))?,
            None => f.write_str("the host is back at what it was before Bulla")?,
        }
        match &self.unwell {
            Some(unwell) => write!(f, ", and that is not well either: {unwell}"),
            None if self.looked_at.is_empty() => Ok(()),
            None => write!(f, ", and well ({})", self.looked_at.join(", ")),
        }
    }
}

impl State {
    /// Reads what `folder` holds. A file that is there and cannot be read is put aside, and what was wrong is returned:
    /// the host then begins anew with the tip, which is better than not at all.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn load(folder: &Path) -> io::Result<(Self, Option<String>)> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Self::default(), None)),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice(&bytes) {
            Ok(state) => Ok((state, None)),
            Err(error) => {
                let aside = folder.join("state.json.broken");
                fs::rename(&path, &aside)?;
                let problem =
                    format!("{} could not be read ({error}) and was put aside as {}", path.display(), aside.display());
                Ok((Self::default(), Some(problem)))
            }
        }
    }

    /// Writes it to `folder`, whole or not at all.
    ///
    /// # Errors
    /// Of the file system; the old file is there then.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        disk::replace(&folder.join(FILE), &bytes, 0o600, true)
    }

    /// Why a commit is not tried again, if it is not.
    #[must_use]
    pub fn why_bad(&self, commit: &str) -> Option<&Bad> {
        self.bad.iter().find(|bad| bad.commit == commit)
    }

    /// Notes that the agent, or the machine, went away while a commit was being tried. One that was tried so three times
    /// is bad: it may be what takes the machine down.
    pub fn interrupt(&mut self, at: Timestamp) {
        const ENOUGH: u32 = 3;
        let Some(Good { commit, .. }) = self.trying.take() else { return };
        let before = self.interrupted.take().filter(|interrupted| interrupted.commit == commit);
        let times = before.map_or(0, |interrupted| interrupted.times) + 1;
        if times >= ENOUGH {
            let why = format!("the agent or the machine went away {times} times while it was being tried");
            self.condemn(&commit, why, None, at);
        } else {
            self.interrupted = Some(Interrupted { commit, times });
        }
    }

    /// Notes that a commit did not prove well, and how the host does without it.
    pub fn condemn(&mut self, commit: &str, why: String, after: Option<After>, at: Timestamp) {
        self.bad.retain(|bad| bad.commit != commit);
        self.bad.push(Bad { commit: commit.to_owned(), why, at, after });
        let surplus = self.bad.len().saturating_sub(MOST_BAD);
        self.bad.drain(..surplus);
        self.trying = self.trying.take().filter(|trying| trying.commit != commit);
    }

    /// Notes that a commit proved well.
    pub fn approve(&mut self, commit: &str, at: Timestamp) {
        self.trying = None;
        self.interrupted = None;
        self.bad.retain(|bad| bad.commit != commit);
        if self.good.as_ref().is_none_or(|good| good.commit != commit) {
            self.previous = self.good.replace(Good { commit: commit.to_owned(), since: at });
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{After, FILE, MOST_BAD, State};
    use crate::host::disk;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::load(folder.path()).unwrap(), (State::default(), None));
        let mut state = State::default();
        state.approve("a", at(1));
        state.approve("b", at(2));
        let after = After { commit: None, looked_at: Vec::new(), unwell: None };
        state.condemn("c", "nginx -t".to_owned(), Some(after), at(3));
        state.save(folder.path()).unwrap();
        let (loaded, problem) = State::load(folder.path()).unwrap();
        assert_eq!((loaded, problem), (state.clone(), None));
        assert_eq!((state.good.unwrap().commit, state.previous.unwrap().commit), ("b".to_owned(), "a".to_owned()));
    }

    #[test]
    fn a_broken_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        State::default().save(folder.path()).unwrap();
        let mut cut = std::fs::read(folder.path().join(FILE)).unwrap();
        cut.truncate(5);
        disk::replace(&folder.path().join(FILE), &cut, 0o600, true).unwrap();
        let (state, problem) = State::load(folder.path()).unwrap();
        assert_eq!(state, State::default());
        assert!(problem.unwrap().contains("state.json.broken"));
        assert!(folder.path().join("state.json.broken").exists());
    }

    #[test]
    fn it_is_said_whether_the_host_is_well_without_the_commit() {
        let after = |commit: Option<&str>, looked_at: &[&str], unwell: Option<&str>| {
            let looked_at = looked_at.iter().map(|unit| (*unit).to_owned()).collect();
            After { commit: commit.map(str::to_owned), looked_at, unwell: unwell.map(str::to_owned) }.to_string()
        };
        assert_eq!(
            after(Some("0123456789abcdef"), &["a"], None),
            "the host is back at commit 0123456789ab, and well (a)"
        );
        assert_eq!(after(Some("01"), &[], None), "the host is back at commit 01");
        assert_eq!(
            after(None, &["a"], Some("a is not well: no")),
            "the host is back at what it was before Bulla, and that is not well either: a is not well: no"
        );
    }

    #[test]
    fn what_takes_the_machine_down_three_times_is_bad() {
        let mut state = State::default();
        for times in 1..=3 {
            assert!(state.why_bad("a").is_none());
            state.trying = Some(super::Good { commit: "a".to_owned(), since: at(1) });
            state.interrupt(at(times));
        }
        assert!(state.why_bad("a").unwrap().why.contains("3 times"));
        // Another commit begins anew.
        state.trying = Some(super::Good { commit: "b".to_owned(), since: at(1) });
        state.interrupt(at(4));
        assert!(state.why_bad("b").is_none() && state.trying.is_none());
    }

    #[test]
    fn a_commit_that_proves_well_is_not_bad_any_more_and_bad_ones_are_bounded() {
        let mut state = State::default();
        for number in 0..MOST_BAD + 10 {
            state.condemn(&number.to_string(), String::new(), None, at(1));
        }
        assert_eq!(state.bad.len(), MOST_BAD);
        assert!(state.why_bad("0").is_none());
        state.approve("30", at(2));
        assert!(state.why_bad("30").is_none() && state.why_bad("31").is_some());
    }
}
