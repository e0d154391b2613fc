//! `nshost run`

use std::path::PathBuf;

use nshost_ledger::ContainerName;

use crate::{cli::shared::Script, failure::Failure, launch, request::Request};

/// Arguments of `nshost run`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Record every check and outcome in FILE, one JSON line each
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Call the container NAME; no two that run have the same
    #[arg(long, value_name = "NAME")]
    name: Option<ContainerName>,
    /// Run a small first process that reaps orphans and passes signals on
    #[arg(long)]
    init: bool,
    #[command(flatten)]
    script: Script,
}

/// Launches and waits. Returns the command's exit status.
pub fn run(arguments: Arguments) -> Result<u8, Failure> {
    launch::launch(&Request {
        name: arguments.name,
        audit: arguments.audit,
        reaper: arguments.init,
        ..arguments.script.check()?
    })
}
