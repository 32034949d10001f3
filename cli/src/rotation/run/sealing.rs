//! The new key, everything sealed again to it, and the check of what came of it.

use std::path::PathBuf;

use super::Run;
use crate::failure::{Outcome, refuse};
use crate::git::Checkout;
use crate::identities;
use crate::output::{BAD, Progress};
use crate::reseal::{self, Controller, Mode, Plan, Way};
use crate::rotation::board::{Mark, Step, count};
use crate::rotation::openers::Openers;
use crate::rotation::prepare::Manifests;
use crate::rotation::rules::Rules;
use crate::rotation::state::{Sealed, State, ids};
use crate::rotation::survey::{Survey, Wanted};
use crate::rotation::{changes, check, keys};

/// Values and findings that are shown before the rest is only counted.
const SHOWN: usize = 50;

impl Run<'_> {
    pub(super) fn new_key(&mut self, state: &mut State) -> Outcome {
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

    pub(super) fn seal(&mut self, state: &mut State) -> Outcome {
        if state.committed.is_none() {
            let changes = keys::replacements(&state.old, &state.new)?;
            let manifests = Manifests::read(&self.checkout, &state.wish)?;
            if self.is_resumed {
                state.tidy(&self.checkout, &manifests.tracked);
            }
            let rules = Rules::find(&self.checkout, &manifests.tracked)?;
            rules.concerned(&changes, &manifests.tracked)?;
            // Files may have changed since the run began.
            check_openers(&self.checkout, state, &rules)?;
            rules.write(&changes)?;
            let report = seal_again(state, &rules)?;
            let changed = changes::of_run(&self.checkout, state)?;
            self.failures = report.files.into_iter().filter(|file| !file.failed.is_empty()).collect();
            state.failed_in = self.failures.iter().map(|file| PathBuf::from(&file.file)).collect();
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

    pub(super) fn verify(&mut self, state: &State) -> Outcome {
        if state.committed.is_some() {
            return self.board.step(Step::Verify, Mark::Done, "no findings");
        }
        let manifests = Manifests::read(&self.checkout, &state.wish)?;
        self.findings = check::after(&manifests.files(), &state.wish, &self.failures)?;
        self.findings.extend(check::proven(&manifests.files(), state)?);
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
}

/// Nobody new opens a value of the run's files.
fn check_openers(checkout: &Checkout, state: &State, rules: &Rules) -> Outcome {
    let openers = Openers {
        checkout,
        rules,
        old: state.old_ids().into_iter().collect(),
        new: ids(&state.new).into_iter().collect(),
        accepted: &state.wish.accept_recipient,
    };
    // Whatever a value is sealed to, the run seals the whole file.
    let all = Wanted { ids: openers.old.union(&openers.new).copied().collect(), with_unnamed: true };
    let survey = Survey::of_files(checkout.root(), &state.files, &all, &Progress::hidden());
    survey.files.iter().try_for_each(|(file, held)| openers.check(file, held))
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
    let wanted = reseal::Wanted {
        is_native_only: state.wish.native || certificate.is_none(),
        native,
        certificate,
        kept: rules.recipients()?,
        removed: state.old_ids().into_iter().collect(),
        ..reseal::Wanted::default()
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
