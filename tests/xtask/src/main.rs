//! Builds, installs, shows and tests nshost: `cargo xtask --help`.

// The launcher's rule that processes start in one place is not for a build helper.
#![allow(
    clippy::disallowed_methods,
    reason = "a build helper starts other programs; it is no part of the launcher"
)]

mod build;
mod component;
mod place;
mod run;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, installs, shows and tests nshost")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build launcher, worker, compiler and scripts into target/release and target/scripts
    Build(build::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Build(options) => build::build(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
