//! What is told of a run: before it, of its rest, and at its end.

use super::{Run, title};
use crate::args::Report as Format;
use crate::failure::Outcome;
use crate::keys::NO_BACKUP;
use crate::output::{self, DIM, HEAD, Progress};
use crate::rotation::board::{Mark, Step, count};
use crate::rotation::hanging::Hanging;
use crate::rotation::keys::list;
use crate::rotation::prepare::{self, Prepared, names};
use crate::rotation::report::{Report, Standing};
use crate::rotation::state::{State, Wish};
use crate::rotation::survey::Survey;

impl Run<'_> {
    /// The steps of a run that has not begun, with their numbers.
    pub(super) fn plan(&mut self, prepared: &Prepared, wish: &Wish) -> Outcome {
        let Prepared { old, newest, values, unnamed, files, rules, touched, .. } = prepared;
        self.board.headline(&format!("{HEAD}{}{HEAD:#} {DIM}as it would be{DIM:#}", title(old)))?;
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
    pub(super) fn rest(&mut self, state: &State) -> Outcome {
        if state.new.is_empty() {
            return Ok(());
        }
        self.board.step(Step::NewKey, Mark::Done, list(&state.new))?;
        if state.committed.is_none() {
            let wanted = prepare::wanted(&state.old, &state.wish);
            let left = Survey::of_files(self.checkout.root(), &state.files, &wanted, &Progress::hidden());
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
    pub(super) fn finish(&mut self, state: Option<&State>, standing: Standing, done: Outcome) -> Outcome {
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
    pub(super) fn follows(&mut self, state: Option<&State>) {
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
            (false, false) => "values that `git revert` brings back from before the rotation do not open in the cluster any more; the \
                 Secret of the key keeps its private half, and the label `opening` brings it back"
                .to_owned(),
        });
        match &state.wish.new_identity {
            Some(file) => self.notes.push(format!(
                "no backup has the new key: `bulla keys backup --identity {} --to RECOVERY.pub -o keys.age`",
                file.display()
            )),
            None if !state.wish.no_new_key => self.notes.push(NO_BACKUP.to_owned()),
            None => {}
        }
        self.notes.push(
            "the secrets themselves are what they were: after a leak change them where they are from (bulla keys compromised)"
                .to_owned(),
        );
    }
}
