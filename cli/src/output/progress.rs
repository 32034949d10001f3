//! How far something long has got: a bar on standard error, only where a person looks on.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Drawn so often at most; threads that report more often do not pay for it.
const PER_SECOND: u8 = 10;

/// A bar that threads may share. It is gone when it is done or dropped, so that nothing of it stays in a log, and there
/// is none at all where standard error is no terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over `length` steps; `what` says what one of them is, such as `files`.
    pub(crate) fn new(length: u64, what: &'static str) -> Self {
        let template = if is_coloured() {
            "{bar:30.green/dim} {human_pos}/{human_len} {msg} {per_sec:.dim} {eta:.dim}"
        } else {
            "{bar:30} {human_pos}/{human_len} {msg} {per_sec} {eta}"
        };
        Self::drawn(ProgressBar::with_draw_target(Some(length), target()), template, what)
    }

    /// Something of which nobody knows how long it takes.
    pub(crate) fn spinner(what: &'static str) -> Self {
        let spinner = Self::drawn(ProgressBar::with_draw_target(None, target()), "{spinner} {msg}", what);
        if !spinner.bar.is_hidden() {
            spinner.bar.enable_steady_tick(Duration::from_millis(100));
        }
        spinner
    }

    /// None, for a step of something larger and for tests.
    pub(crate) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    fn drawn(bar: ProgressBar, template: &str, what: &'static str) -> Self {
        // A template that does not parse is a mistake here, and no reason not to do the work.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(
                style.progress_chars("━╸ ").tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "]),
            );
        }
        bar.set_message(what);
        Self { bar }
    }

    /// Some more is done.
    pub(crate) fn add(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// There is more to do than was known, or less.
    pub(crate) fn set_length(&self, length: u64) {
        self.bar.set_length(length);
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}

fn target() -> ProgressDrawTarget {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if is_dumb || !io::stderr().is_terminal() {
        return ProgressDrawTarget::hidden();
    }
    ProgressDrawTarget::stderr_with_hz(PER_SECOND)
}

fn is_coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::Progress;

    #[test]
    fn threads_share_a_bar() {
        let progress = Progress::hidden();
        progress.set_length(400);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| progress.add(1)));
            }
        });
        assert_eq!(progress.bar.position(), 400);
        progress.done();
        assert!(progress.bar.is_finished());
    }
}
