//! `cargo xtask bench`: builds both sides of the comparison and runs it.

use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{build, run, tools};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    what: Option<What>,
    /// How many rounds; without this, as many as the benchmark likes
    rounds: Option<u32>,
}

#[derive(Subcommand)]
enum What {
    /// Time a packet's way through our tables, on hosts without, with 1, 100 and 1,000 containers
    ///
    /// All hosts are namespaces of the benchmark's own. With 1,101 containers at a time it wants some
    /// gigabytes of memory and a minute or two.
    Packets {
        /// How many rounds; without this, as many as the benchmark likes
        rounds: Option<u32>,
    },
}

/// Builds what is compared, then measures.
pub fn bench(options: &Options) -> Result<()> {
    tools::programs()?;
    build::build(&build::Options::default())?;
    match &options.what {
        None => launches(options.rounds),
        Some(What::Packets { rounds }) => packets(*rounds),
    }
}

/// Launcher and floor are built alike.
fn launches(rounds: Option<u32>) -> Result<()> {
    let target = build::target();
    build::cargo_build(&target, "release", "bench", &["--bin", "floor"])?;
    let made = support::target().join(&target).join("release/floor");
    build::copy(&made, &support::programs().join("floor"))?;
    let mut bench = program(&[]);
    bench.args(rounds.map(|rounds| rounds.to_string()));
    run::run(bench.env("NSHOST_RESULTS", support::target()))
}

/// With the script that asks for anything, and the clock's user built as what users run is.
fn packets(rounds: Option<u32>) -> Result<()> {
    build::for_tests()?;
    let mut bench = program(&["--release"]);
    run::run(bench.arg("packets").args(rounds.map(|rounds| rounds.to_string())))
}

fn program(how: &[&str]) -> Command {
    let run = ["run", "--quiet", "--package", "bench", "--bin", "bench"];
    run::cargo(run.iter().chain(how).chain(&["--"]))
}
