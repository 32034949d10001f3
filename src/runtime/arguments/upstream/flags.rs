//! Every flag of the Sealed Secrets controller, and what becomes of it here.

/// A flag of upstream's controller.
pub(super) struct Flag {
    /// Its name without dashes.
    pub(super) name: &'static str,
    /// What values it takes.
    pub(super) kind: Kind,
    /// Upstream's default, as one would type it.
    pub(super) default: &'static str,
    /// What becomes of it where ours has no flag of the same name; one of the same name simply gets the value.
    pub(super) otherwise: Otherwise,
}

/// What values a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Alone, or `=true`, `=false`.
    Switch,
    /// Anything.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Decimal,
    /// A duration as Go writes it, such as `720h0m0s`.
    Duration,
    /// `[host]:port`.
    Address,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What becomes of a flag that ours does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Ours is called so.
    Becomes(&'static str),
    /// Nothing, for this reason: a sentence that begins with the flag.
    Nothing(&'static str),
}

use self::Kind::{Address, Decimal, Duration, Switch, Text, Whole, Word};
use self::Otherwise::{Becomes, Nothing};

const fn flag(name: &'static str, kind: Kind, default: &'static str, otherwise: Otherwise) -> Flag {
    Flag { name, kind, default, otherwise }
}

/// The reason where a flag is no concern of this controller's in any way.
const DEFAULT: Otherwise = Nothing("has no counterpart in this version: the default of bulla-controller applies");
const LOGGING: Otherwise = Nothing("is not needed: see --log-level and --log-format");
const REQUESTS: Otherwise = Nothing(
    "is not needed: requests are bounded by --concurrency, and the API server's own wish to slow down is respected",
);
const TIMEOUTS: Otherwise = Nothing("is not needed: the servers have time limits of their own");

/// All of them. The last ones are those of the logging library, which the image's users may have set too.
pub(super) const FLAGS: &[Flag] = &[
    flag("accept-deprecated-v1-data", Switch, "true", DEFAULT),
    flag("additional-namespaces", Text, "", DEFAULT),
    flag("all-namespaces", Switch, "true", DEFAULT),
    flag("key-cutoff-time", Text, "", DEFAULT),
    flag("key-order-priority", Word(&["CertNotBefore", "SecretCreationTimestamp"]), "CertNotBefore", DEFAULT),
    flag("key-prefix", Text, "sealed-secrets-key", DEFAULT),
    flag("key-renew-period", Duration, "720h0m0s", DEFAULT),
    flag("rotate-period", Duration, "720h0m0s", Becomes("key-renew-period")),
    flag("key-size", Whole, "4096", DEFAULT),
    flag("key-ttl", Duration, "87600h0m0s", DEFAULT),
    flag("kubeclient-burst", Whole, "10", REQUESTS),
    flag("kubeclient-qps", Decimal, "5", REQUESTS),
    flag("label-selector", Text, "", DEFAULT),
    flag("listen-addr", Address, ":8080", Becomes("listen")),
    flag("listen-metrics-addr", Address, ":8081", Becomes("listen-metrics")),
    flag("log-format", Word(&["text", "json"]), "text", DEFAULT),
    flag("log-info-stdout", Switch, "true", Nothing("is not needed: all log lines go to standard error")),
    flag("log-level", Word(&["INFO", "ERROR", "info", "error"]), "INFO", DEFAULT),
    flag(
        "max-unseal-retries",
        Whole,
        "5",
        Nothing("is not needed: a failure is tried again for ever, less and less often"),
    ),
    flag("my-cn", Text, "", DEFAULT),
    flag("old-gc-behavior", Switch, "false", DEFAULT),
    flag("privatekey-annotations", Text, "", DEFAULT),
    flag("privatekey-labels", Text, "", DEFAULT),
    flag("rate-limit", Whole, "2", DEFAULT),
    flag("rate-limit-burst", Whole, "2", DEFAULT),
    flag("read-timeout", Duration, "2m0s", TIMEOUTS),
    flag("skip-recreate", Switch, "false", DEFAULT),
    flag("update-status", Switch, "true", DEFAULT),
    flag(
        "watch-for-secrets",
        Switch,
        "false",
        Nothing("is not needed: keys that arrive, change or go are always noticed"),
    ),
    flag("write-timeout", Duration, "2m0s", TIMEOUTS),
    flag("add_dir_header", Switch, "false", LOGGING),
    flag("alsologtostderr", Switch, "false", LOGGING),
    flag("log_backtrace_at", Text, ":0", LOGGING),
    flag("log_dir", Text, "", LOGGING),
    flag("log_file", Text, "", LOGGING),
    flag("log_file_max_size", Whole, "1800", LOGGING),
    flag("log_link", Text, "", LOGGING),
    flag("logbuflevel", Whole, "0", LOGGING),
    flag("logtostderr", Switch, "true", LOGGING),
    flag("one_output", Switch, "false", LOGGING),
    flag("skip_headers", Switch, "false", LOGGING),
    flag("skip_log_headers", Switch, "false", LOGGING),
    flag("stderrthreshold", Text, "2", LOGGING),
    flag("v", Whole, "0", LOGGING),
    flag("vmodule", Text, "", LOGGING),
];

/// The flag of this name; the logging library's are also written with dashes.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name || flag.name.replace('_', "-") == name)
}

/// The environment variable that upstream reads a flag from.
pub(super) fn variable(flag: &Flag) -> String {
    format!("SEALED_SECRETS_{}", flag.name.to_ascii_uppercase().replace('-', "_"))
}
