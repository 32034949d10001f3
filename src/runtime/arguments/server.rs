//! Where the controller listens, and what it answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use crate::server::ServerConfig;
use crate::sync::external::duration::interval;

/// Flags for the HTTP servers.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// Where to serve health, public keys and kubeseal's verify and rotate.
    #[arg(long, env = "BULLA_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS", value_parser = address)]
    pub listen: SocketAddr,
    /// Where to serve metrics, and health beside them; `none` switches them off [default: the port after that of --listen].
    #[arg(long, env = "BULLA_LISTEN_METRICS", value_name = "ADDRESS")]
    pub listen_metrics: Option<MetricsAddress>,
    /// Requests a second that a caller may send to verify, and as many to rotate; 0 is no limit.
    #[arg(long, env = "BULLA_RATE_LIMIT", default_value_t = 2, value_name = "NUMBER")]
    pub rate_limit: u32,
    /// How many more of them may come at once.
    #[arg(long, env = "BULLA_RATE_LIMIT_BURST", default_value_t = 2, value_name = "NUMBER")]
    pub rate_limit_burst: u32,
    /// How long a client may take to send a request; never more than 10s for its head and 15s for its body.
    #[arg(long, env = "BULLA_READ_TIMEOUT", default_value = "2m", value_name = "DURATION", value_parser = timeout)]
    pub read_timeout: Duration,
    /// How long a client may take nothing of an answer.
    #[arg(long, env = "BULLA_WRITE_TIMEOUT", default_value = "2m", value_name = "DURATION", value_parser = timeout)]
    pub write_timeout: Duration,
    /// Do not seal values again for anybody who asks over HTTP (kubeseal --re-encrypt).
    #[arg(long, env = "BULLA_DISABLE_ROTATE_API")]
    pub disable_rotate_api: bool,
    /// How long to go on answering after SIGTERM, with /readyz at 503, until Services send nothing here any more.
    #[arg(long, env = "BULLA_SHUTDOWN_DELAY", default_value = "3s", value_name = "DURATION", value_parser = delay)]
    pub shutdown_delay: Duration,
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// Nowhere.
    None,
    /// Here.
    At(SocketAddr),
}

impl std::str::FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text == "none" { Ok(Self::None) } else { address(text).map(Self::At) }
    }
}

impl ServerArguments {
    /// What the server allows; `opens_whole_secrets` is whether the controller opens the deprecated form.
    pub(crate) fn config(&self, opens_whole_secrets: bool) -> ServerConfig {
        ServerConfig {
            rate: self.rate_limit,
            burst: self.rate_limit_burst,
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
            rotate: !self.disable_rotate_api,
            opens_whole_secrets,
            shutdown_delay: self.shutdown_delay,
        }
    }

    /// Where metrics are served; `None` is nowhere.
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        match self.listen_metrics {
            Some(MetricsAddress::None) => None,
            Some(MetricsAddress::At(address)) => Some(address),
            // Port 0 is any free port, for both.
            None => match self.listen.port() {
                0 => Some(self.listen),
                port => port.checked_add(1).map(|port| SocketAddr::new(self.listen.ip(), port)),
            },
        }
    }
}

/// An address, or `:8080` as Go writes it for all addresses.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().map_err(|_| "the port is a number up to 65535")?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    text.parse()
        .map_err(|_| "write an IP address and a port, such as 127.0.0.1:8080, or :8080 for all addresses".into())
}

fn delay(text: &str) -> Result<Duration, String> {
    interval(text).map_err(|error| error.to_string())
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = delay(text)?;
    if duration.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        server: ServerArguments,
    }

    fn parse(line: &[&str]) -> Result<ServerArguments, String> {
        let line = Line::try_parse_from([&["x"], line].concat()).map_err(|error| error.to_string())?;
        Ok(line.server)
    }

    #[test]
    fn metrics_have_a_port_of_their_own_unless_they_are_switched_off() {
        let at = |line: &[&str]| parse(line).unwrap().metrics().map(|address| address.to_string());
        assert_eq!(at(&[]).as_deref(), Some("0.0.0.0:8081"));
        assert_eq!(at(&["--listen=127.0.0.1:18000"]).as_deref(), Some("127.0.0.1:18001"));
        assert_eq!(at(&["--listen=127.0.0.1:0"]).as_deref(), Some("127.0.0.1:0"));
        assert_eq!(at(&["--listen-metrics=:9000"]).as_deref(), Some("0.0.0.0:9000"));
        assert_eq!((at(&["--listen-metrics=none"]), at(&["--listen-metrics="])), (None, None));
        assert_eq!(parse(&["--listen=:80"]).unwrap().listen.to_string(), "0.0.0.0:80");
        assert!(parse(&["--listen=here"]).unwrap_err().contains("127.0.0.1:8080"));
    }

    #[test]
    fn the_defaults_are_upstreams() {
        let config = parse(&[]).unwrap().config(true);
        assert_eq!((config.shutdown_delay, config.opens_whole_secrets), (Duration::from_secs(3), true));
        assert_eq!((config.rate, config.burst, config.rotate), (2, 2, true));
        assert_eq!((config.read_timeout, config.write_timeout), (Duration::from_secs(120), Duration::from_secs(120)));
        let line = [
            "--rate-limit=9",
            "--rate-limit-burst=0",
            "--read-timeout=1s",
            "--disable-rotate-api",
            "--shutdown-delay=0s",
        ];
        let config = parse(&line).unwrap().config(false);
        assert_eq!((config.shutdown_delay, config.opens_whole_secrets), (Duration::ZERO, false));
        assert_eq!((config.rate, config.burst, config.rotate), (9, 0, false));
        assert_eq!(config.read_timeout, Duration::from_secs(1));
        assert!(parse(&["--write-timeout=0s"]).is_err());
    }
}
