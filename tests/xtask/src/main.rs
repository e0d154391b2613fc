//! Builds, installs, shows and tests nshost: `cargo xtask --help`.

// The launcher's rule that processes start in one place is not for a build helper.
#![allow(
    clippy::disallowed_methods,
    reason = "a build helper starts other programs; it is no part of the launcher"
)]

mod bench;
mod bless;
mod build;
mod demo;
mod fuzz;
mod install;
mod run;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Builds, installs, shows and tests nshost")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build launcher, worker, compiler and scripts into target/release and target/scripts
    Build(build::Options),
    /// Build, and install what nshost needs under a prefix
    Install(install::Options),
    /// Build, and show the tutorial's container step by step
    Demo(demo::Options),
    /// Run everything that CI runs
    Test,
    /// Check what host/ARCHITECTURE.md promises of the rooms
    Tidy,
    /// Build, and rewrite the scripts' golden plans
    Bless,
    /// Build, and time a launch against a floor and against what people use today
    Bench(bench::Options),
    /// Feed anything to what crosses a boundary
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Build(options) => build::build(&options),
        Verb::Install(options) => install::install(&options),
        Verb::Demo(options) => demo::demo(&options),
        Verb::Test => test::test(),
        Verb::Tidy => tidy::tidy(),
        Verb::Bless => bless::bless(),
        Verb::Bench(options) => bench::bench(&options),
        Verb::Fuzz(options) => fuzz::fuzz(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
