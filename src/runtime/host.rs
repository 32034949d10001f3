//! `bulla-controller host`: the agent of a machine without Kubernetes, in its process.

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::arguments::HostArguments;
use super::{Error, process, telemetry};
use crate::host::agent::{self, Condition, Preview};
use crate::host::config::Config;

/// Runs what the flags ask for.
pub(super) async fn run(arguments: HostArguments) -> Result<(), Error> {
    telemetry::log(arguments.log_format, &arguments.log_level)?;
    process::forbid_core_dumps();
    let config = Config::read(&arguments.config).map_err(agent::Error::from)?;
    let accepted = arguments.accept_rewrite.as_deref().map(str::parse).transpose();
    let accepted =
        accepted.map_err(|_| agent::Error::Setting("--accept-rewrite takes a whole commit id".to_owned()))?;
    if arguments.dry_run {
        return preview(&agent::dry_run(config, &arguments.config).await?);
    }
    info!(version = env!("CARGO_PKG_VERSION"), host = config.name, groups = ?config.groups, "bulla-controller host");
    if arguments.once {
        let once = match (arguments.offline, arguments.files_only) {
            (false, _) => agent::Once::Remote,
            (true, false) => agent::Once::Offline,
            (true, true) => agent::Once::Files,
        };
        let condition = agent::once(config, &arguments.config, once, accepted).await?;
        return match condition {
            Condition::InSync => Ok(()),
            // At boot without a network, what was there before is all that can be.
            Condition::Behind if arguments.offline => Ok(()),
            Condition::Starting
            | Condition::Trying
            | Condition::Degraded
            | Condition::Behind
            | Condition::RolledBack => {
                Err(Error::NotInSync(format!("the host is not as its repository says: {}", condition.as_str())))
            }
        };
    }
    let shutdown = CancellationToken::new();
    let signals = process::Signals::new().map_err(Error::Signals)?;
    let token = shutdown.clone();
    tokio::spawn(async move {
        signals.wait().await;
        token.cancel();
    });
    Ok(agent::follow(config, &arguments.config, accepted, shutdown).await?)
}

/// Logs what would be done.
fn preview(preview: &Preview) -> Result<(), Error> {
    info!(commit = preview.commit, good = preview.good, "nothing is changed: this is a dry run");
    for change in &preview.changes {
        info!(path = %change.path.display(), what = ?change.what, "would change");
    }
    for step in &preview.steps {
        info!("would {step}");
    }
    for problem in &preview.problems {
        error!("{problem}");
    }
    match &preview.refused {
        Some(refused) => Err(Error::NotInSync(format!("the commit would not be taken: {refused}"))),
        None if preview.problems.is_empty() => Ok(()),
        None => Err(Error::NotInSync(format!("{} thing(s) cannot be made", preview.problems.len()))),
    }
}
