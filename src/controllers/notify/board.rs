//! What is worth telling one receiver, and when: each object once a reason, nothing that heals in time, and of many
//! things at once the first few and a count.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Occasion;
use crate::controllers::queue::Key;

/// The kind of an object, and its place.
pub(super) type Id = (&'static str, Key);

/// Troubles that are remembered; more are only counted.
const MOST: usize = 5_000;
/// Rotations that wait to be told.
const ROTATIONS: usize = 100;
/// Lines in one post.
const LINES: usize = 20;
/// Characters of one message.
const MESSAGE: usize = 300;
/// Posts at once after a rest.
const BURST: u32 = 3;
/// One more post each.
const PACE: Duration = Duration::from_secs(20);
/// For how long an object that recovered is known as one that comes and goes.
const MEMORY: Duration = Duration::from_secs(3600);
/// The longest that a thing must last before it is told, and the least for one that came and went.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3600));

/// What is told, and how soon.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) occasions: Vec<Occasion>,
    pub(super) after: Duration,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) occasion: Occasion,
    pub(super) kind: &'static str,
    pub(super) key: Key,
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// When it began.
    pub(super) since: Timestamp,
}

impl Item {
    /// What happened now.
    pub(super) fn new(occasion: Occasion, (kind, key): Id, reason: &'static str, message: &str) -> Self {
        let message = message.chars().take(MESSAGE).collect();
        Self { occasion, kind, key, reason, message, since: Timestamp::now() }
    }
}

/// One post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    /// The first few things.
    pub(super) items: Vec<Item>,
    /// How many more there are.
    pub(super) more: usize,
}

/// See the module.
pub(super) struct Board {
    settings: Settings,
    troubles: HashMap<Id, Trouble>,
    rotations: Vec<Item>,
    /// What there was no room for.
    missed: usize,
    /// Posts that may go, and since when.
    tokens: (u32, Instant),
}

/// An object that is, or was, not in sync.
struct Trouble {
    /// What is wrong; `None` where it is good now.
    wrong: Option<Item>,
    /// Since when it is so.
    since: Instant,
    /// Reasons that were told and whose end was not.
    told: Vec<&'static str>,
    /// How often it came and went lately.
    rounds: u32,
}

impl Trouble {
    /// When something of it is to be told.
    fn due(&self, after: Duration) -> Option<Instant> {
        let is_due = match &self.wrong {
            Some(wrong) => !self.told.contains(&wrong.reason),
            None => !self.told.is_empty(),
        };
        is_due.then(|| self.since + self.patience(after))
    }

    /// How long it must last: longer each time that it came and went.
    fn patience(&self, after: Duration) -> Duration {
        if self.rounds == 0 {
            return after;
        }
        (after.max(PATIENCE.0) * 2_u32.pow(self.rounds.min(9))).min(PATIENCE.1.max(after))
    }
}

impl Board {
    pub(super) fn new(settings: Settings) -> Self {
        let tokens = (BURST, Instant::now());
        Self { settings, troubles: HashMap::new(), rotations: Vec::new(), missed: 0, tokens }
    }

    /// Notes that an object is not in sync; true if that may have to be told. `lasted` is how long it was so before
    /// somebody told us, `None` where it begins now: what had lasted long enough was told by whoever was there then.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        id: Id,
        reason: &'static str,
        message: &str,
        lasted: Option<Duration>,
    ) -> bool {
        if let Some(trouble) = self.troubles.get_mut(&id) {
            let is_same = trouble.wrong.as_ref().is_some_and(|wrong| wrong.reason == reason);
            if is_same {
                return false;
            }
            // For whoever waits, trouble that changes its name goes on.
            if trouble.wrong.is_none() || !trouble.told.is_empty() {
                trouble.since = now;
            }
            let began = trouble.wrong.as_ref().map(|wrong| wrong.since);
            let wrong = Item::new(Occasion::Failed, id, reason, message);
            trouble.wrong = Some(Item { since: began.unwrap_or(wrong.since), ..wrong });
            return true;
        }
        if self.troubles.len() >= MOST {
            self.tidy(now);
        }
        let is_news = lasted.is_none_or(|lasted| lasted < self.settings.after);
        if self.troubles.len() >= MOST {
            self.missed += usize::from(is_news);
            return is_news;
        }
        let mut wrong = Item::new(Occasion::Failed, id.clone(), reason, message);
        let (mut since, mut told) = (now, vec![reason]);
        if is_news {
            let lasted = lasted.unwrap_or_default();
            (since, told) = (now.checked_sub(lasted).unwrap_or(now), Vec::new());
            wrong.since = wrong.since.checked_sub(lasted).unwrap_or(wrong.since);
        }
        self.troubles.insert(id, Trouble { wrong: Some(wrong), since, told, rounds: 0 });
        is_news
    }

    /// Notes that an object is in sync; true if that may have to be told.
    pub(super) fn good(&mut self, now: Instant, id: &Id) -> bool {
        let Some(trouble) = self.troubles.get_mut(id).filter(|trouble| trouble.wrong.is_some()) else { return false };
        if trouble.told.is_empty() && trouble.rounds == 0 {
            // It healed before anybody was told.
            self.troubles.remove(id);
            return false;
        }
        (trouble.wrong, trouble.since) = (None, now);
        !trouble.told.is_empty()
    }

    /// Notes a rotation; always to be told.
    pub(super) fn rotated(&mut self, item: Item) -> bool {
        if self.rotations.len() < ROTATIONS {
            self.rotations.push(item);
        } else {
            self.missed += 1;
        }
        true
    }

    /// Forgets an object.
    pub(super) fn forget(&mut self, id: &Id) {
        self.troubles.remove(id);
    }

    /// Others may work on the objects from now on, and tell how they are. What was done stays to be told: rotations, and
    /// ends of what was told here, which nobody else knows of.
    pub(super) fn rest(&mut self) {
        self.troubles.retain(|_, trouble| trouble.wrong.is_none() && !trouble.told.is_empty());
    }

    /// When there is something to tell and it may be told; `None` without anything.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let after = self.settings.after;
        let due = self.troubles.values().filter_map(|trouble| trouble.due(after)).min();
        let waits = !self.rotations.is_empty() || self.missed > 0;
        let due = if waits { Some(now) } else { due }?;
        let (tokens, since) = self.tokens;
        Some(if tokens == 0 { due.max(since + PACE) } else { due })
    }

    /// Takes what is to be told now. What is told is not told again.
    pub(super) fn digest(&mut self, now: Instant) -> Option<Digest> {
        if !self.has_token(now) {
            return None;
        }
        let after = self.settings.after;
        let mut items = std::mem::take(&mut self.rotations);
        for ((kind, key), trouble) in &mut self.troubles {
            if trouble.due(after).is_none_or(|due| due > now) {
                continue;
            }
            match &trouble.wrong {
                Some(wrong) => {
                    trouble.told.push(wrong.reason);
                    items.push(wrong.clone());
                }
                None => {
                    trouble.told.clear();
                    trouble.rounds = trouble.rounds.saturating_add(1);
                    items.push(Item::new(Occasion::Recovered, (kind, key.clone()), "Synced", "in sync again"));
                }
            }
        }
        self.tidy(now);
        items.retain(|item| self.settings.occasions.contains(&item.occasion));
        let missed = std::mem::take(&mut self.missed);
        let told_of_failures = self.settings.occasions.contains(&Occasion::Failed);
        let missed = if told_of_failures { missed } else { 0 };
        if items.is_empty() && missed == 0 {
            return None;
        }
        // Rare things first, then the oldest.
        items.sort_by(|a, b| (b.occasion, a.since, &a.key).cmp(&(a.occasion, b.since, &b.key)));
        let more = items.len().saturating_sub(LINES) + missed;
        items.truncate(LINES);
        self.tokens.0 -= 1;
        Some(Digest { items, more })
    }

    /// Fills up the tokens, and says whether there is one.
    fn has_token(&mut self, now: Instant) -> bool {
        let (tokens, since) = self.tokens;
        let grown = u32::try_from(now.saturating_duration_since(since).as_secs() / PACE.as_secs()).unwrap_or(u32::MAX);
        let full = tokens.saturating_add(grown) >= BURST;
        let since = if full { now } else { since + PACE * grown };
        self.tokens = (tokens.saturating_add(grown).min(BURST), since);
        self.tokens.0 > 0
    }

    /// Forgets what has been good for long.
    fn tidy(&mut self, now: Instant) {
        self.troubles.retain(|_, trouble| {
            let is_over = trouble.wrong.is_none() && trouble.told.is_empty();
            !(is_over && now.saturating_duration_since(trouble.since) > MEMORY)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn board() -> Board {
        let occasions = vec![Occasion::Failed, Occasion::Recovered, Occasion::Rotated];
        Board::new(Settings { occasions, after: MINUTE })
    }

    fn id(name: &str) -> Id {
        ("SealedSecret", Key::new("prod", name))
    }

    fn told(digest: Option<Digest>) -> Vec<String> {
        let items = digest.map(|digest| digest.items).unwrap_or_default();
        items.iter().map(|item| format!("{} {} {}", item.occasion.as_str(), item.key.name(), item.reason)).collect()
    }

    #[test]
    fn what_heals_in_time_is_not_told_and_what_lasts_is_told_once() {
        let (mut board, start) = (board(), Instant::now());
        assert!(board.failed(start, id("a"), "UnknownKey", "no key", None));
        board.failed(start, id("b"), "UnknownKey", "no key", None);
        assert!(!board.good(start + 30 * SECOND, &id("b")));
        assert_eq!(board.next(start), Some(start + MINUTE));
        assert_eq!(told(board.digest(start + 59 * SECOND)), [""; 0]);
        for _ in 0..5 {
            board.failed(start + 50 * SECOND, id("a"), "UnknownKey", "no key", None);
        }
        assert_eq!(told(board.digest(start + MINUTE)), ["failed a UnknownKey"]);
        board.failed(start + 2 * MINUTE, id("a"), "UnknownKey", "no key", None);
        assert_eq!((told(board.digest(start + 9 * MINUTE)), board.next(start)), (vec![], None));
    }

    #[test]
    fn another_reason_is_another_notice_and_the_recovery_ends_both() {
        let (mut board, start) = (board(), Instant::now());
        board.failed(start, id("a"), "UnknownKey", "", None);
        assert_eq!(told(board.digest(start + MINUTE)).len(), 1);
        board.failed(start + 2 * MINUTE, id("a"), "NotOwned", "", None);
        assert_eq!(told(board.digest(start + 3 * MINUTE)), ["failed a NotOwned"]);
        board.failed(start + 4 * MINUTE, id("a"), "UnknownKey", "", None);
        assert_eq!(told(board.digest(start + 9 * MINUTE)), [""; 0], "that was told");
        assert!(board.good(start + 10 * MINUTE, &id("a")));
        assert_eq!(told(board.digest(start + 10 * MINUTE)), [""; 0], "it has to last");
        assert_eq!(told(board.digest(start + 11 * MINUTE)), ["recovered a Synced"]);
        assert_eq!((told(board.digest(start + 20 * MINUTE)), board.next(start)), (vec![], None));
    }

    #[test]
    fn trouble_that_keeps_changing_its_name_is_told_in_time() {
        let (mut board, start) = (board(), Instant::now());
        for (second, reason) in [(0, "A"), (20, "B"), (40, "A"), (55, "B")] {
            board.failed(start + second * SECOND, id("a"), reason, "", None);
        }
        assert_eq!(told(board.digest(start + MINUTE)), ["failed a B"]);
    }

    #[test]
    fn what_comes_and_goes_is_told_less_and_less() {
        let (mut board, start) = (board(), Instant::now());
        let mut posts = 0;
        // Three minutes bad, three good, for four hours.
        for second in 0..4 * 3600 {
            let now = start + second * SECOND;
            if second / 180 % 2 == 0 {
                board.failed(now, id("a"), "ProviderUnavailable", "", None);
            } else {
                board.good(now, &id("a"));
            }
            posts += usize::from(board.digest(now).is_some());
        }
        assert!((2..=6).contains(&posts), "{posts} posts of 40 rounds");
    }

    #[test]
    fn a_burst_is_one_post_and_a_count() {
        let (mut board, start) = (board(), Instant::now());
        for number in 0..251 {
            board.failed(start, id(&format!("n{number:03}")), "UnknownKey", "", None);
        }
        let digest = board.digest(start + MINUTE).unwrap();
        assert_eq!((digest.items.len(), digest.more), (20, 231));
        assert_eq!(board.digest(start + MINUTE), None);
    }

    #[test]
    fn posts_are_paced_and_nothing_is_lost() {
        let (mut board, start) = (board(), Instant::now());
        let mut posts = Vec::new();
        for second in 0..600 {
            let now = start + second * SECOND;
            if second < 300 {
                board.failed(now, id(&format!("n{second}")), "UnknownKey", "", None);
            }
            posts.extend(board.digest(now).map(|digest| digest.items.len() + digest.more));
        }
        assert_eq!(posts.iter().sum::<usize>(), 300);
        assert!(posts.len() <= 3 + 300 / 20 + 1, "{posts:?}");
    }

    #[test]
    fn more_than_can_be_remembered_is_counted() {
        let (mut board, start) = (board(), Instant::now());
        for number in 0..MOST + 7 {
            board.failed(start, id(&number.to_string()), "UnknownKey", "", None);
        }
        let digest = board.digest(start + MINUTE).unwrap();
        assert_eq!(digest.items.len() + digest.more, MOST + 7);
    }

    #[test]
    fn what_was_so_before_this_process_is_not_told_again_but_its_end_is() {
        let (mut board, start) = (board(), Instant::now());
        assert!(!board.failed(start, id("a"), "UnknownKey", "", Some(Duration::MAX)));
        assert_eq!(told(board.digest(start + MINUTE)), [""; 0]);
        assert!(board.good(start + 2 * MINUTE, &id("a")));
        assert_eq!(told(board.digest(start + 3 * MINUTE)), ["recovered a Synced"]);
    }

    #[test]
    fn what_nobody_had_time_to_tell_is_told_by_the_next_when_it_is_time() {
        let (mut board, start) = (board(), Instant::now() + MINUTE);
        assert!(board.failed(start, id("a"), "UnknownKey", "", Some(45 * SECOND)));
        assert!(!board.failed(start, id("b"), "UnknownKey", "", Some(MINUTE)), "that was told");
        assert_eq!(board.next(start), Some(start + 15 * SECOND));
        assert_eq!(told(board.digest(start + 14 * SECOND)), [""; 0]);
        let digest = board.digest(start + 15 * SECOND).unwrap();
        let age = Timestamp::now().duration_since(digest.items[0].since);
        assert!((45..50).contains(&age.as_secs()), "{age}");
        assert_eq!(told(Some(digest)), ["failed a UnknownKey"]);
    }

    #[test]
    fn what_is_anothers_to_tell_is_not_told() {
        let (mut board, start) = (board(), Instant::now());
        board.failed(start, id("ended"), "UnknownKey", "", None);
        board.failed(start, id("lasts"), "UnknownKey", "", None);
        assert_eq!(told(board.digest(start + MINUTE)).len(), 2);
        board.good(start + MINUTE, &id("ended"));
        board.failed(start + MINUTE, id("young"), "UnknownKey", "", None);
        board.rotated(Item::new(Occasion::Rotated, id("key"), "KeyMade", "a key was made"));
        board.rest();
        assert_eq!(told(board.digest(start + 3 * MINUTE)), ["rotated key KeyMade", "recovered ended Synced"]);
        assert_eq!(board.next(start), None);
        // The same object, ours again: what it is now is told as of anybody's.
        assert!(!board.failed(start + 4 * MINUTE, id("young"), "UnknownKey", "", Some(3 * MINUTE)));
        assert!(board.good(start + 5 * MINUTE, &id("young")));
        assert!(!board.good(start + 5 * MINUTE, &id("lasts")));
        assert_eq!(told(board.digest(start + 6 * MINUTE)), ["recovered young Synced"]);
    }

    #[test]
    fn only_what_was_asked_for_is_told() {
        let settings = Settings { occasions: vec![Occasion::Rotated], after: Duration::ZERO };
        let (mut board, start) = (Board::new(settings), Instant::now());
        board.failed(start, id("a"), "UnknownKey", "", None);
        board.rotated(Item::new(Occasion::Rotated, id("key"), "KeyMade", "a key was made"));
        assert_eq!(told(board.digest(start)), ["rotated key KeyMade"]);
        board.forget(&id("a"));
        assert_eq!(board.next(start), None);
    }
}
