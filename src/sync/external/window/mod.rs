//! `spec.syncWindows`: when a periodic refresh may happen. All times are UTC.

pub(super) mod schedule;

use std::time::Duration;

use jiff::Timestamp;

use self::schedule::Schedule;
use super::duration;

/// What windows do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Refreshes happen only while a window is open.
    Allow,
    /// Refreshes happen only while no window is open.
    #[default]
    Deny,
}

/// A list of windows. The default one stands in no refresh's way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    effect: Effect,
    windows: Vec<Window>,
}

/// Opens at each activation of a schedule, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    schedule: Schedule,
    length: Duration,
}

/// A window that cannot be understood. It is left out, as with External Secrets, but not silently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.syncWindows.windows[{index}] is ignored: {reason}")]
pub struct WindowError {
    /// Which window, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Steps that are taken in search of a moment; after that, the place reached is good enough to ask again.
const STEPS: usize = 1000;

impl Windows {
    /// Reads windows, each a schedule and a duration, and tells which are left out. If all windows that allow are left
    /// out, nothing is allowed.
    ///
    /// A schedule has five fields (minute, hour, day of month, month, day of week) or is one of `@hourly`, `@daily`,
    /// `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually` and `@every 1h`; the last counts from 1970.
    #[must_use]
    pub fn parse<'a>(
        effect: Effect,
        windows: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<WindowError>) {
        let mut readable = Vec::new();
        let mut errors = Vec::new();
        for (index, (schedule, length)) in windows.into_iter().enumerate() {
            let schedule = Schedule::parse(schedule);
            let length = duration::interval(length).map_err(|error| error.to_string());
            match schedule.and_then(|schedule| Ok(Window { schedule, length: length? })) {
                Ok(window) => readable.push(window),
                Err(reason) => errors.push(WindowError { index, reason }),
            }
        }
        (Self { effect, windows: readable }, errors)
    }

    /// Whether a refresh may happen at `moment`.
    #[must_use]
    pub fn is_allowed(&self, moment: Timestamp) -> bool {
        let is_open = self.windows.iter().any(|window| window.end(moment).is_some());
        match self.effect {
            Effect::Allow => is_open,
            Effect::Deny => !is_open,
        }
    }

    /// The first moment from `from` on at which a refresh may happen; `None` if there is none within five years. Where
    /// windows follow each other closely it may be earlier, but later than `from`: worth asking again then.
    #[must_use]
    pub fn next_allowed(&self, from: Timestamp) -> Option<Timestamp> {
        if self.is_allowed(from) {
            return Some(from);
        }
        match self.effect {
            Effect::Allow => self
                .windows
                .iter()
                .filter(|window| !window.length.is_zero())
                .filter_map(|window| window.schedule.next(from))
                .min(),
            Effect::Deny => {
                let mut moment = from;
                for _ in 0..STEPS {
                    match self.windows.iter().filter_map(|window| window.end(moment)).max() {
                        None => return Some(moment),
                        Some(end) if end == Timestamp::MAX => return None,
                        Some(end) => moment = end,
                    }
                }
                Some(moment)
            }
        }
    }
}

impl Window {
    /// If the window is open at `moment`: when what opened it first closes again, or the end of time.
    fn end(&self, moment: Timestamp) -> Option<Timestamp> {
        if self.length.is_zero() {
            return None;
        }
        if self.schedule.repeats_within(self.length) {
            return Some(Timestamp::MAX);
        }
        let before = moment.checked_sub(self.length).unwrap_or(Timestamp::MIN);
        let opened = self.schedule.next(before).filter(|opened| *opened <= moment)?;
        Some(opened.checked_add(self.length).unwrap_or(Timestamp::MAX))
    }
}
