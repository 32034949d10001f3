//! Names, sentences and random characters: the same for the same seed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::dice::Dice;

/// What everything that is generated is made of.
pub(crate) struct Words(Dice);

impl Words {
    pub(crate) fn new(seed: u64) -> Self {
        // Nearby seeds begin alike: a few throws drive them apart. Nought would stay nought.
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.below(2);
        }
        Self(dice)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most + 1 - least)
    }

    /// Whether something happens that does so in `percent` of all cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }

    pub(crate) fn word(&mut self) -> &'static str {
        self.pick(&WORDS)
    }

    /// Two words, as objects are named.
    pub(crate) fn name(&mut self) -> String {
        format!("{}-{}", self.word(), self.word())
    }

    /// Two words, as variables are named.
    pub(crate) fn variable(&mut self) -> String {
        let (first, second) = (self.word(), self.word());
        let (initial, rest) = second.split_at(1);
        format!("{first}{}{rest}", initial.to_uppercase())
    }

    /// Some words, the first with a capital.
    pub(crate) fn sentence(&mut self) -> String {
        let count = self.between(6, 16);
        let words: Vec<&str> = (0..count).map(|_| self.word()).collect();
        let text = words.join(" ");
        let (initial, rest) = text.split_at(1);
        format!("{}{rest}.", initial.to_uppercase())
    }

    pub(crate) fn version(&mut self) -> String {
        format!("{}.{}.{}", self.below(9), self.below(30), self.below(60))
    }

    /// `length` characters of `alphabet`.
    pub(crate) fn of(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.of(HEX, length)
    }

    pub(crate) fn base62(&mut self, length: usize) -> String {
        self.of(BASE62, length)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// `length` bytes in base64.
    pub(crate) fn base64(&mut self, length: usize) -> String {
        STANDARD.encode(self.bytes(length))
    }

    /// What a password manager makes: every class of characters, none that YAML would read as more than a text.
    pub(crate) fn password(&mut self) -> String {
        let length = self.between(20, 32);
        self.of(b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789._+=", length)
    }
}

pub(crate) const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEX: &[u8] = b"0123456789abcdef";

const WORDS: [&str; 80] = [
    "account",
    "address",
    "agent",
    "alert",
    "archive",
    "audit",
    "backup",
    "balance",
    "batch",
    "billing",
    "broker",
    "cache",
    "calendar",
    "catalog",
    "channel",
    "checkout",
    "client",
    "cluster",
    "config",
    "contract",
    "credit",
    "customer",
    "delivery",
    "device",
    "digest",
    "document",
    "driver",
    "event",
    "export",
    "feature",
    "filter",
    "gateway",
    "group",
    "handler",
    "history",
    "import",
    "index",
    "inventory",
    "invoice",
    "journal",
    "ledger",
    "listener",
    "mailer",
    "market",
    "message",
    "metric",
    "monitor",
    "network",
    "notice",
    "order",
    "partner",
    "payment",
    "planner",
    "policy",
    "portal",
    "price",
    "product",
    "profile",
    "queue",
    "quota",
    "record",
    "region",
    "relay",
    "report",
    "request",
    "router",
    "schedule",
    "search",
    "segment",
    "session",
    "shipment",
    "signal",
    "storage",
    "stream",
    "supplier",
    "support",
    "ticket",
    "tracker",
    "vendor",
    "worker",
];
