//! How a scrape looks: OpenMetrics to whoever asks for it, else Prometheus' older text format.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of `registry` as a text, and its content type. `accept` is the header of that name, if there was one:
/// Prometheus and whoever else names OpenMetrics there gets it; everybody else gets text format 0.0.4.
///
/// # Errors
/// If a metric cannot be written, which is a fault of the program.
pub fn exposition(registry: &Registry, accept: Option<&str>) -> Result<(String, &'static str), fmt::Error> {
    let mut open = String::new();
    text::encode(&mut open, registry)?;
    let takes_open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    if takes_open { Ok((open, OPEN_METRICS)) } else { Ok((plain(&open)?, PLAIN)) }
}

/// The same in text format 0.0.4. There a counter's family is named like its samples, and neither units nor an end
/// are marked.
fn plain(open: &str) -> Result<String, fmt::Error> {
    let mut plain = String::with_capacity(open.len());
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(comment) = line.strip_prefix("# ") else {
            writeln!(plain, "{line}")?;
            continue;
        };
        let (word, rest) = comment.split_once(' ').unwrap_or((comment, ""));
        if word != "HELP" && word != "TYPE" {
            continue;
        }
        let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
        // HELP comes right before TYPE, which says what it is.
        let kind = if word == "TYPE" { said } else { lines.peek().map_or("", |next| kind_in(next, name)) };
        let suffix = if kind == "counter" { "_total" } else { "" };
        let said = if (word, said) == ("TYPE", "unknown") { "untyped" } else { said };
        writeln!(plain, "# {word} {name}{suffix} {said}")?;
    }
    Ok(plain)
}

fn kind_in<'a>(line: &'a str, name: &str) -> &'a str {
    let rest = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_prefix(name));
    rest.map_or("", str::trim_start)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.register("calls", "Calls", Counter::<u64>::default());
        registry.register("depth", "Depth", Gauge::<i64>::default());
        registry
    }

    #[test]
    fn open_metrics_only_for_those_who_ask() {
        let asked = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
        let (text, kind) = exposition(&registry(), Some(asked)).unwrap();
        assert!(kind == OPEN_METRICS && text.ends_with("# EOF\n"));
        assert!(text.contains("# TYPE calls counter\ncalls_total 0\n"), "{text}");
        for accept in [None, Some("*/*"), Some("text/plain")] {
            let (text, kind) = exposition(&registry(), accept).unwrap();
            assert_eq!(kind, PLAIN);
            let expected = "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total 0\n\
                            # HELP depth Depth.\n# TYPE depth gauge\ndepth 0\n";
            assert_eq!(text, expected);
        }
    }
}
