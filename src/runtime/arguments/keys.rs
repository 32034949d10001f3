//! How sealing keys are made, renewed and stored.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::WrappingArguments;
use crate::controllers::{KeyConfig, KeyOrder};
use crate::seal::RsaBits;
use crate::sync::external::duration;

/// Flags for sealing keys. Where upstream has the flag, name, form and default are upstream's.
#[derive(Debug, Args)]
pub struct KeyArguments {
    /// How old the newest sealing key gets before a new one is made, such as 720h; 0 is never.
    #[arg(long, env = "BULLA_KEY_RENEW_PERIOD", default_value = "720h", value_name = "DURATION", value_parser = period)]
    pub key_renew_period: Duration,
    /// Make a new key if the newest is from before this moment, as `date -R` prints it or in RFC 3339.
    #[arg(long, env = "BULLA_KEY_CUTOFF_TIME", default_value = "", value_name = "TIME", value_parser = Cutoff::parse)]
    pub key_cutoff_time: Cutoff,
    /// Whether RSA certificates are made for people who seal with kubeseal [default: where there is one already].
    #[arg(long, env = "BULLA_KUBESEAL_CERTIFICATES", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub kubeseal_certificates: Option<bool>,
    /// The length of new RSA keys: 2048, 3072, 4096 or 8192.
    #[arg(long, env = "BULLA_KEY_SIZE", default_value = "4096", value_name = "BITS", value_parser = bits)]
    pub key_size: RsaBits,
    /// How long new RSA certificates are good for.
    #[arg(long, env = "BULLA_KEY_TTL", default_value = "87600h", value_name = "DURATION", value_parser = life)]
    pub key_ttl: Duration,
    /// The common name of new RSA certificates.
    #[arg(long, env = "BULLA_MY_CN", default_value = "", value_name = "NAME")]
    pub my_cn: String,
    /// How the names of the Secrets of RSA keys begin.
    #[arg(long, env = "BULLA_KEY_PREFIX", default_value = "sealed-secrets-key", value_name = "PREFIX", value_parser = prefix)]
    pub key_prefix: String,
    /// Which RSA certificate is the newest, the one to seal to.
    #[arg(long, env = "BULLA_KEY_ORDER_PRIORITY", value_enum, default_value_t = Order::CertNotBefore, value_name = "ORDER")]
    pub key_order_priority: Order,
    /// Labels for the Secrets of new keys, such as team=a,stage=b.
    #[arg(long, env = "BULLA_PRIVATEKEY_LABELS", default_value = "", value_name = "PAIRS", value_parser = Pairs::parse)]
    pub privatekey_labels: Pairs,
    /// Annotations for the Secrets of new keys, such as a=b,c=d.
    #[arg(long, env = "BULLA_PRIVATEKEY_ANNOTATIONS", default_value = "", value_name = "PAIRS", value_parser = Pairs::parse)]
    pub privatekey_annotations: Pairs,
    /// Wrapping of private halves.
    #[command(flatten)]
    pub wrapping: WrappingArguments,
}

/// A moment, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoff(Option<Timestamp>);

impl Cutoff {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let moment = DateTimeParser::new().parse_timestamp(text).or_else(|_| text.parse());
        moment.map(|moment| Self(Some(moment))).map_err(|_| {
            "it is neither of the form of `date -R` (Sat, 21 Nov 2026 10:00:00 +0000) nor RFC 3339 (2026-11-21T10:00:00Z)"
                .to_owned()
        })
    }
}

/// Names with values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(BTreeMap<String, String>);

impl Pairs {
    fn parse(text: &str) -> Result<Self, String> {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(format!("{pair:?} is not of the form name=value")),
        };
        pairs.map(pair).collect::<Result<_, _>>().map(Self)
    }
}

/// Which certificate is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// The one whose validity begins last.
    #[value(name = "CertNotBefore")]
    CertNotBefore,
    /// The one whose Secret was made last.
    #[value(name = "SecretCreationTimestamp")]
    SecretCreationTimestamp,
}

fn period(text: &str) -> Result<Duration, String> {
    let period = duration::parse(text).map_err(|error| error.to_string())?;
    // Upstream takes what is below zero for zero.
    let period = Duration::try_from(period).unwrap_or(Duration::ZERO);
    if !period.is_zero() && period < Duration::from_secs(60) {
        return Err("shorter than a minute: use 0 for never".to_owned());
    }
    Ok(period)
}

fn life(text: &str) -> Result<Duration, String> {
    let life = duration::interval(text).map_err(|error| error.to_string())?;
    if life.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(life) }
}

fn bits(text: &str) -> Result<RsaBits, String> {
    let bits = text.trim().parse().ok().and_then(RsaBits::new);
    bits.ok_or_else(|| "RSA keys have 2048, 3072, 4096 or 8192 bits".to_owned())
}

fn prefix(text: &str) -> Result<String, String> {
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if starts_well && is_name(text) && text.len() <= 240 {
        Ok(text.to_owned())
    } else {
        Err("the name of a Secret cannot begin with it".to_owned())
    }
}

impl KeyArguments {
    pub(super) fn config(&self) -> KeyConfig {
        let mut config = KeyConfig::default();
        config.upstream_prefix.clone_from(&self.key_prefix);
        config.renew_period = Some(self.key_renew_period).filter(|period| !period.is_zero());
        config.cutoff = self.key_cutoff_time.0;
        config.certificates = self.kubeseal_certificates;
        config.rsa_bits = self.key_size;
        config.certificate_life = self.key_ttl;
        config.common_name.clone_from(&self.my_cn);
        config.order = match self.key_order_priority {
            Order::CertNotBefore => KeyOrder::CertNotBefore,
            Order::SecretCreationTimestamp => KeyOrder::SecretCreationTimestamp,
        };
        config.labels.clone_from(&self.privatekey_labels.0);
        config.annotations.clone_from(&self.privatekey_annotations.0);
        config.wrapping = self.wrapping.config();
        config
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        keys: KeyArguments,
    }

    fn config(arguments: &[&str]) -> Result<KeyConfig, String> {
        let line = Line::try_parse_from([&["test"], arguments].concat());
        line.map(|line| line.keys.config()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        // The clock in it shows another moment each time.
        let text = |config: &KeyConfig| format!("{config:?}").split("clock").next().map(str::to_owned);
        assert_eq!(text(&config(&[]).unwrap()), text(&KeyConfig::default()));
    }

    #[test]
    fn upstreams_forms_are_taken() {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        assert_eq!(config(&["--key-renew-period=2160h"]).unwrap().renew_period, hours(2160));
        assert_eq!(config(&["--key-renew-period=1h30m"]).unwrap().renew_period, Some(Duration::from_secs(5400)));
        assert_eq!(config(&["--key-renew-period=0"]).unwrap().renew_period, None);
        assert_eq!(config(&["--key-renew-period=-1s"]).unwrap().renew_period, None);
        assert!(config(&["--key-renew-period=10ms"]).is_err() && config(&["--key-renew-period=soon"]).is_err());
        let moment = Some("2026-11-21T09:00:00Z".parse().unwrap());
        for text in ["Sat, 21 Nov 2026 10:00:00 +0100", "2026-11-21T09:00:00Z", "2026-11-21T10:00:00+01:00"] {
            assert_eq!(config(&["--key-cutoff-time", text]).unwrap().cutoff, moment, "{text}");
        }
        assert_eq!(config(&["--key-cutoff-time="]).unwrap().cutoff, None);
        assert!(config(&["--key-cutoff-time=yesterday"]).is_err_and(|error| error.contains("date -R")));
        let order = config(&["--key-order-priority=SecretCreationTimestamp"]).unwrap().order;
        assert_eq!(order, KeyOrder::SecretCreationTimestamp);
        let labels = config(&["--privatekey-labels=a=b,c=d=e"]).unwrap().labels;
        assert_eq!(labels, [("a", "b"), ("c", "d=e")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert!(config(&["--privatekey-annotations=a"]).is_err_and(|error| error.contains("name=value")));
        assert!(config(&["--key-size=1024"]).is_err() && config(&["--key-size=2048"]).is_ok());
        assert!(config(&["--key-prefix=-x"]).is_err() && config(&["--key-prefix=my-keys"]).is_ok());
    }
}
