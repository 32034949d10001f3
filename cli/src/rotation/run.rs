//! The steps of a run, one after the other. Each finds out first whether it is done already.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::board::{Board, Mark, Step, count};
use super::changes::{self, Changes};
use super::hanging::Hanging;
use super::keys::{self, list};
use super::prepare::{self, Manifests, Prepared, names};
use super::report::{Report, Standing, is_over};
use super::rules::Rules;
use super::state::{Committed, Desk, Sealed, State, Wish};
use super::{check, commit, confirm};
use crate::args::{Report as Format, RotationArguments};
use crate::failure::{Outcome, refuse, usage};
use crate::findings::Finding;
use crate::git::Checkout;
use crate::identities;
use crate::output::{self, BAD, DIM, HEAD, Progress, WARN};
use crate::repository::rewrite::{self, Replacement};
use crate::reseal::{self, Controller, FileReport, Mode, Plan, Wanted, Way};

/// Values and findings that are shown before the rest is only counted.
const SHOWN: usize = 50;

/// A run, and what there is to tell of it.
pub(super) struct Run<'a> {
    arguments: &'a RotationArguments,
    checkout: Checkout,
    desk: Desk,
    board: Board,
    is_resumed: bool,
    failures: Vec<FileReport>,
    findings: Vec<Finding>,
    hanging: Option<Hanging>,
    retired: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Run<'a> {
    pub(super) fn new(arguments: &'a RotationArguments, checkout: Checkout, desk: Desk) -> Self {
        Self {
            arguments,
            checkout,
            desk,
            board: Board::new(arguments.output),
            is_resumed: false,
            failures: Vec::new(),
            findings: Vec::new(),
            hanging: None,
            retired: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Begins.
    pub(super) fn begin(mut self, wish: &Wish) -> Outcome {
        let prepared = prepare::look(&self.checkout, self.arguments, wish)?;
        self.notes.clone_from(&prepared.notes);
        if self.arguments.dry_run {
            self.plan(&prepared, wish)?;
            return self.finish(None, Standing::Planned, Ok(()));
        }
        if !self.arguments.yes {
            let mut shown = Self::new(self.arguments, self.checkout.clone(), Desk::look(&self.checkout));
            shown.plan(&prepared, wish)?;
            confirm("Do it?")?;
        }
        let Prepared { origin, old, newest, touched, .. } = prepared;
        let began = Timestamp::now();
        let id = format!("{}-{:06}", began.strftime("%Y%m%dT%H%M%SZ"), began.subsec_microsecond());
        let mut state = State::new(id, wish.clone(), origin, old, touched);
        state.new = newest;
        self.desk.save(&state)?;
        self.board.headline(&format!("{HEAD}Rotation of {}{HEAD:#}", list(&state.old)))?;
        self.go(state)
    }

    /// Goes on.
    pub(super) fn resume(mut self, state: State) -> Outcome {
        self.is_resumed = true;
        let when = state.began.strftime("%Y-%m-%d %H:%M UTC");
        self.board.headline(&format!(
            "{HEAD}Rotation of {}{HEAD:#} {DIM}goes on where it stopped; it began {when}{DIM:#}",
            list(&state.old)
        ))?;
        if self.arguments.dry_run {
            self.rest(&state)?;
            return self.finish(Some(&state), Standing::Planned, Ok(()));
        }
        if !self.arguments.yes && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            return Err(usage!("there is no terminal to ask on: say --yes, or --dry-run to see what is left"));
        }
        self.go(state)
    }

    fn go(mut self, mut state: State) -> Outcome {
        let done = self.steps(&mut state);
        let standing = match &done {
            Err(_) => Standing::Stopped,
            Ok(()) if is_over(self.board.lines()) => Standing::Done,
            Ok(()) => Standing::Waiting,
        };
        let is_told = self.board.lines().last().is_some_and(|line| line.mark == Mark::Failed);
        if let (Err(failure), Some(step), false) = (&done, self.board.next(), is_told) {
            self.board.step(step, Mark::Failed, failure.to_string().lines().next().unwrap_or_default())?;
        }
        let done = match done {
            // It went on without them, and must not be taken for a success.
            Ok(()) if standing != Standing::Done && state.sealed.unwrap_or_default().failed > 0 => Err(refuse!(
                "{} could not be sealed again and need the old key still",
                count(state.sealed.unwrap_or_default().failed, "value")
            )),
            other => other,
        };
        self.finish(Some(&state), standing, done)
    }

    fn steps(&mut self, state: &mut State) -> Outcome {
        self.new_key(state)?;
        self.seal(state)?;
        self.verify(state)?;
        self.commit(state)?;
        self.merge_and_retire(state)
    }

    fn new_key(&mut self, state: &mut State) -> Outcome {
        let is_there = !state.new.is_empty();
        if !is_there {
            state.new = match state.wish.new_identity.clone() {
                Some(file) => vec![keys::make(&file, &state.old, state.wish.kind)?],
                None => keys::renew(self.arguments, state, |state| self.desk.save(state))?,
            };
            self.desk.save(state)?;
        }
        let kinds: Vec<String> = state.new.iter().map(|key| format!("{} ({})", key.id, key.kind)).collect();
        let by = match &state.wish.new_identity {
            Some(file) => format!("its private half is in {}", file.display()),
            None if state.wish.no_new_key => "the newest that the cluster has".to_owned(),
            None => "made by the controller".to_owned(),
        };
        self.board.step(Step::NewKey, Mark::Done, format!("{}: {by}", kinds.join(", ")))
    }

    fn seal(&mut self, state: &mut State) -> Outcome {
        if state.committed.is_none() {
            let changes = keys::replacements(&state.old, &state.new)?;
            let manifests = Manifests::read(&self.checkout, &state.wish)?;
            if self.is_resumed {
                state.tidy(&self.checkout, &manifests.tracked);
            }
            let rules = Rules::find(&self.checkout, &manifests.tracked)?;
            rules.concerned(&changes, &manifests.tracked)?;
            rules.write(&changes)?;
            let report = seal_again(state, &rules)?;
            let changed = self.changes(state)?;
            self.failures = report.files.into_iter().filter(|file| !file.failed.is_empty()).collect();
            state.sealed = Some(Sealed { values: changed.values, files: changed.files, failed: report.failed });
            self.desk.save(state)?;
        }
        let sealed = state.sealed.unwrap_or_default();
        let failed = if sealed.failed > 0 { format!("; {} failed", sealed.failed) } else { String::new() };
        let text = format!("{} in {}{failed}", count(sealed.values, "value"), count(sealed.files, "file"));
        self.board.step(Step::SealAgain, Mark::Done, text)?;
        let all = self.failures.iter().flat_map(|file| file.failed.iter().map(|one| (&file.file, one)));
        for (file, failed) in all.clone().take(SHOWN) {
            let line = failed.line.map(|line| format!(":{line}")).unwrap_or_default();
            let place = [failed.object.as_deref(), failed.key.as_deref()].into_iter().flatten().collect::<Vec<_>>();
            self.board.detail(BAD, "✗", &format!("{file}{line}: {} {}", place.join(" "), failed.reason))?;
        }
        let rest = all.count().saturating_sub(SHOWN);
        if rest > 0 { self.board.detail(BAD, "✗", &format!("and {rest} more")) } else { Ok(()) }
    }

    fn verify(&mut self, state: &State) -> Outcome {
        if state.committed.is_some() {
            return self.board.step(Step::Verify, Mark::Done, "no findings");
        }
        let manifests = Manifests::read(&self.checkout, &state.wish)?;
        self.findings = check::after(&manifests.files(), &state.wish, &self.failures)?;
        if self.findings.is_empty() {
            return self.board.step(Step::Verify, Mark::Done, "no findings");
        }
        self.board.step(Step::Verify, Mark::Failed, count(self.findings.len() as u64, "finding"))?;
        for finding in self.findings.iter().take(SHOWN) {
            self.board.detail(
                BAD,
                "✗",
                &format!("{}: {} [{}]", finding.place(), finding.sentence(), finding.rule.id),
            )?;
        }
        Err(refuse!(
            "{} stopped the run before the commit: mend them, then `bulla rotate --continue`; or --abort",
            count(self.findings.len() as u64, "finding")
        ))
    }

    fn commit(&mut self, state: &mut State) -> Outcome {
        if state.committed.is_none() {
            let done = self.committed(state)?;
            state.committed = Some(done);
            self.desk.save(state)?;
        }
        let branch = state.branch.as_deref().unwrap_or_default();
        match &state.committed {
            Some(Committed::As(commit)) => {
                self.board.step(Step::Commit, Mark::Done, format!("{} on {branch}", commit::short(commit)))
            }
            Some(Committed::ByHand) => {
                self.board.step(Step::Commit, Mark::Skipped, "left to you (--no-commit): the files are changed")
            }
            Some(Committed::Nothing) | None => {
                self.board.step(Step::Commit, Mark::Skipped, "there is nothing to commit")
            }
        }
    }

    fn committed(&mut self, state: &mut State) -> Outcome<Committed> {
        if let Some(commit) = commit::find(&self.checkout, state)? {
            return Ok(Committed::As(commit));
        }
        let changed = self.changes(state)?;
        if !changed.foreign.is_empty() {
            return Err(refuse!(
                "files of the run have changes of yours too: take them back, or commit them on their own: {}",
                names(&changed.foreign)
            ));
        }
        if changed.ours.is_empty() {
            return Ok(Committed::Nothing);
        }
        if state.wish.no_commit {
            return Ok(Committed::ByHand);
        }
        let branch = match &state.branch {
            Some(branch) => branch.clone(),
            None => {
                let branch = commit::branch_of(&self.checkout, state)?;
                state.branch = Some(branch.clone());
                self.desk.save(state)?;
                branch
            }
        };
        self.stand_on(&branch, state)?;
        let sealed = state.sealed.unwrap_or_default();
        let has_rules = (changed.ours.len() as u64) > sealed.files;
        let message = commit::message(state, sealed, has_rules);
        self.checkout.commit(&changed.ours, &message, self.desk.folder()).map(Committed::As)
    }

    /// Makes sure that the branch of the run is checked out.
    fn stand_on(&self, branch: &str, state: &State) -> Outcome {
        let here = self.checkout.branch()?;
        if here.as_deref() == Some(branch) {
            return Ok(());
        }
        if here != state.origin.branch {
            return Err(refuse!(
                "the run began on {}, and {} is checked out now: go back to it, then `bulla rotate --continue`; or --abort",
                state.origin.branch.as_deref().unwrap_or("a detached HEAD"),
                here.as_deref().unwrap_or("a detached HEAD")
            ));
        }
        match self.checkout.end_of(branch)? {
            None => self.checkout.start_branch(branch),
            Some(_) => self.checkout.switch_to(branch, false),
        }
    }

    fn merge_and_retire(&mut self, state: &State) -> Outcome {
        let hanging = {
            let _looking = Progress::spinner("looking for what still needs the old key");
            Hanging::look(&self.checkout, state)?
        };
        let hanging = self.hanging.insert(hanging).clone();
        let base = self.base();
        if !hanging.merged {
            let what = match &state.committed {
                Some(Committed::ByHand) => "commit the files, and merge them".to_owned(),
                _ => format!("merge {}", state.branch.as_deref().unwrap_or("the branch")),
            };
            let into = match hanging.decisive() {
                Some(branch) => {
                    let held = count(branch.values + branch.unnamed, "value");
                    format!("{what} into {base}, which holds {held} sealed to the old key")
                }
                None => format!("{what}, and check out where it is merged: the run began on a detached HEAD"),
            };
            self.board.step(Step::Merge, Mark::Now, into)?;
            self.notes.push("after the merge: `bulla rotate --continue`".to_owned());
            if let Some(file) = &state.wish.new_identity {
                self.notes.push(format!(
                    "before the merge: put {} beside the old key wherever these values are opened, or they will not open there",
                    file.display()
                ));
            }
            return Ok(());
        }
        self.board.step(Step::Merge, Mark::Done, format!("{base} has it"))?;
        for branch in &hanging.branches {
            let held = count(branch.values, "value");
            self.board.detail(WARN, "!", &format!("branch {} holds {held} sealed to the old key", branch.name))?;
        }
        self.retire(state, &hanging)
    }

    fn retire(&mut self, state: &State, hanging: &Hanging) -> Outcome {
        let waiting: Vec<(&str, Vec<String>)> = state
            .old
            .iter()
            .map(|key| (key.id.as_str(), hanging.reasons(key)))
            .filter(|(_, why)| !why.is_empty())
            .collect();
        if state.wish.keep_old {
            self.board.step(Step::Retire, Mark::Skipped, "the old key stays as it is (--keep-old)")?;
            return self.desk.clear();
        }
        if state.wish.is_offline() {
            if waiting.is_empty() {
                let text =
                    format!("{} is in no rule any more, and no value of {} needs it", list(&state.old), self.base());
                self.board.step(Step::Retire, Mark::Done, text)?;
                return self.desk.clear();
            }
        } else {
            let free: Vec<&str> = state.old.iter().map(|key| key.id.as_str()).collect();
            let free: Vec<&str> = free.into_iter().filter(|id| waiting.iter().all(|(other, _)| other != id)).collect();
            if !free.is_empty() && !self.arguments.yes {
                confirm(&format!("Nothing needs {} any more. Retire?", free.join(", ")))?;
            }
            self.retired = keys::retire(&state.wish, &free)?;
        }
        if waiting.is_empty() {
            let text =
                if self.retired.is_empty() { "nothing was left to retire".to_owned() } else { self.retired.join(", ") };
            self.board.step(Step::Retire, Mark::Done, text)?;
            return self.desk.clear();
        }
        self.board.step(Step::Retire, Mark::Now, "waits for what still needs the old key")?;
        for (id, why) in &waiting {
            self.board.detail(WARN, "!", &format!("{id}: {}", why.join("; ")))?;
        }
        let files: Vec<PathBuf> =
            hanging.decisive().map(|branch| branch.files.iter().map(PathBuf::from).collect()).unwrap_or_default();
        if !files.is_empty() {
            self.board.detail(DIM, " ", &format!("in {}", names(&files)))?;
        }
        self.notes.push("when they are sealed again and live: `bulla rotate --continue`".to_owned());
        Ok(())
    }

    fn base(&self) -> String {
        self.hanging.as_ref().and_then(Hanging::decisive).map(|branch| branch.name.clone()).unwrap_or_default()
    }

    fn changes(&self, state: &State) -> Outcome<Changes> {
        changes_of(&self.checkout, state)
    }

    /// The steps of a run that has not begun, with their numbers.
    fn plan(&mut self, prepared: &Prepared, wish: &Wish) -> Outcome {
        let Prepared { old, newest, values, unnamed, files, rules, touched, .. } = prepared;
        self.board.headline(&format!("{HEAD}Rotation of {}{HEAD:#} {DIM}as it would be{DIM:#}", list(old)))?;
        let key = match &wish.new_identity {
            Some(file) if file.exists() => format!("the one in {}", file.display()),
            Some(file) => format!("made into {}", file.display()),
            None if wish.no_new_key => format!("{}, the newest that the cluster has", list(newest)),
            None => "made by the controller".to_owned(),
        };
        self.board.step(Step::NewKey, Mark::Open, key)?;
        let mut text = format!("{} in {}", count(values + unnamed, "value"), count(*files, "file"));
        if *unnamed > 0 {
            text.push_str(&format!(", {unnamed} of which do not say to which key they are sealed"));
        }
        if !rules.is_empty() {
            text.push_str(&format!("; recipients in {}", names(rules)));
        }
        self.board.step(Step::SealAgain, Mark::Open, text)?;
        self.board.step(Step::Verify, Mark::Open, "no findings now")?;
        let branch = wish.branch.as_deref().unwrap_or("a branch of its own");
        let text = match (wish.no_commit, touched.len() as u64) {
            (true, _) => "left to you (--no-commit)".to_owned(),
            (false, 0) => "there is nothing to commit".to_owned(),
            (false, touched) => format!("{} on {branch}", count(touched, "file")),
        };
        self.board.step(Step::Commit, Mark::Open, text)?;
        let base = prepared.origin.branch.as_deref().unwrap_or("where HEAD is from");
        self.board.step(Step::Merge, Mark::Open, format!("yours, into {base}"))?;
        let retire =
            if wish.keep_old { "no (--keep-old)".to_owned() } else { "when nothing needs it any more".to_owned() };
        self.board.step(Step::Retire, Mark::Open, retire)
    }

    /// What is left of a run that has begun.
    fn rest(&mut self, state: &State) -> Outcome {
        if state.new.is_empty() {
            return Ok(());
        }
        self.board.step(Step::NewKey, Mark::Done, list(&state.new))?;
        if state.committed.is_none() {
            let wanted = prepare::wanted(&state.old, &state.wish);
            let left =
                super::survey::Survey::of_files(self.checkout.root(), &state.files, &wanted, &Progress::hidden());
            let text = format!(
                "{} in {} left",
                count(left.values() + left.unnamed(), "value"),
                count(left.files.len() as u64, "file")
            );
            return self.board.step(Step::SealAgain, Mark::Now, text);
        }
        let sealed = state.sealed.unwrap_or_default();
        self.board.step(Step::SealAgain, Mark::Done, count(sealed.values, "value"))?;
        self.board.step(Step::Verify, Mark::Done, "no findings")?;
        self.board.step(Step::Commit, Mark::Done, state.branch.clone().unwrap_or_default())?;
        let hanging = self.hanging.insert(Hanging::look(&self.checkout, state)?);
        let base = hanging.decisive().map(|branch| branch.name.clone()).unwrap_or_default();
        let (mark, text) = if hanging.merged { (Mark::Done, "has it") } else { (Mark::Now, "does not have it yet") };
        self.board.step(Step::Merge, mark, format!("{base} {text}"))
    }

    /// Tells what is to be told at the end.
    fn finish(&mut self, state: Option<&State>, standing: Standing, done: Outcome) -> Outcome {
        self.board.close()?;
        if standing != Standing::Planned && state.is_some() {
            self.follows(state);
        }
        if self.arguments.output == Format::Json {
            let report = Report {
                standing,
                resumed: self.is_resumed,
                failures: &self.failures,
                findings: &self.findings,
                hanging: self.hanging.as_ref(),
                retired: &self.retired,
                notes: &self.notes,
                error: done.as_ref().err().map(ToString::to_string),
                ..Report::of(state, self.board.lines())
            };
            output::print_json(&report)?;
        }
        self.notes.iter().for_each(|note| output::note(&output::plain(note)));
        done
    }

    /// What a person must know afterwards.
    fn follows(&mut self, state: Option<&State>) {
        let Some(state) = state.filter(|state| state.committed.is_some()) else { return };
        let old = list(&state.old);
        self.notes.push(match (state.wish.is_offline(), self.retired.is_empty()) {
            (true, _) => format!(
                "keep the private half of {old}: the commits before this one are sealed to it, and `git revert` brings \
                 their values back"
            ),
            (false, true) => format!(
                "until {old} is retired, values that `git revert` brings back go on opening; after it they do not, and \
                 `bulla verify --keyring` says so beforehand"
            ),
            (false, false) => format!(
                "values that `git revert` brings back from before the rotation do not open in the cluster any more; the \
                 Secret of the key keeps its private half, and the label `opening` brings it back"
            ),
        });
        if !state.wish.is_offline() && !state.wish.no_new_key && !self.is_resumed {
            self.notes.push("a backup of the cluster's keys is out of date now: `bulla keys backup`".to_owned());
        }
        self.notes.push(
            "the secrets themselves are what they were: after a leak change them where they are from (bulla keys compromised)"
                .to_owned(),
        );
    }
}

/// What is different from the commit where the run began.
pub(super) fn changes_of(checkout: &Checkout, state: &State) -> Outcome<Changes> {
    let replaced = keys::replacements(&state.old, &state.new)?;
    changes::since(checkout, &state.origin.commit, &state.files, |path, old| rewritten(checkout, path, old, &replaced))
}

/// What the run makes of a file that names recipients.
fn rewritten(checkout: &Checkout, path: &Path, old: &str, changes: &[Replacement]) -> Option<String> {
    let full = checkout.root().join(path);
    if path.file_name().is_some_and(|name| name == crate::repository::FILE_NAME) {
        return rewrite::rules(&full, old, changes).ok().flatten();
    }
    rewrite::recipient_file(&full, old, changes).ok().flatten()
}

/// Seals the values of the run's files again.
fn seal_again(state: &State, rules: &Rules) -> Outcome<reseal::Report> {
    if state.files.is_empty() {
        return Ok(reseal::Report::default());
    }
    let plan = plan(state, rules)?;
    let progress = Progress::new(plan.paths.len() as u64, "files sealed again");
    let report = reseal::run(&plan, &progress);
    progress.done();
    report
}

fn plan(state: &State, rules: &Rules) -> Outcome<Plan> {
    let new = state.new_recipients()?;
    let native = new.iter().rev().find(|recipient| recipient.certificate().is_none()).cloned();
    let certificate = new.iter().rev().find(|recipient| recipient.certificate().is_some()).cloned();
    let wanted = Wanted {
        is_native_only: state.wish.native || certificate.is_none(),
        native,
        certificate,
        kept: rules.recipients()?,
        removed: state.old_ids().into_iter().collect(),
        ..Wanted::default()
    };
    let way = if state.wish.identity.is_empty() {
        let (controller, _) = Controller::connect(&state.wish.cluster(), state.wish.controller_service.as_deref())
            .map_err(|failure| failure.at("no --identity, so the controller is asked to seal again"))?;
        Way::Controller(Box::new(controller))
    } else {
        let files = [state.wish.identity.as_slice(), state.wish.new_identity.as_slice()].concat();
        Way::Identities(identities::keyring(&files)?)
    };
    let paths = state.files.iter().filter(|file| file.exists()).cloned().collect();
    Ok(Plan { paths, exclude: Vec::new(), namespace: None, wanted, way, mode: Mode::Write })
}
