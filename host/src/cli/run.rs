//! `nshost run`

use std::path::PathBuf;

use nshost_ledger::ContainerName;

use crate::{
    cli::{Verb, shared::Script},
    launch::{self, Ended},
    request::Request,
};

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

impl Verb for Arguments {
    const NAME: &'static str = "run";
    const ABOUT: &'static str = "Launch a container as a setup script decides, and run a command in it";

    fn run(self) -> Ended {
        let Arguments { audit, name, init, script } = self;
        match script.check() {
            Ok(request) => launch::launch(&Request { name, audit, reaper: init, ..request }),
            Err(failure) => Err(failure).into(),
        }
    }
}
