//! `cargo xtask bench`: builds both sides of the comparison and runs it.

use anyhow::Result;
use clap::Args;

use crate::{build, run, tools};

#[derive(Args)]
pub struct Options {
    /// How many rounds; without this, as many as the benchmark likes
    rounds: Option<u32>,
}

/// Builds launcher and floor alike, then measures.
pub fn bench(options: &Options) -> Result<()> {
    tools::programs()?;
    build::build(&build::Options::default())?;
    let target = build::target();
    build::cargo_build(&target, "release", "bench", &["--bin", "floor"])?;
    let made = support::target().join(&target).join("release/floor");
    build::copy(&made, &support::programs().join("floor"))?;
    let mut bench = run::cargo(["run", "--quiet", "--package", "bench", "--bin", "bench", "--"]);
    bench.args(options.rounds.map(|rounds| rounds.to_string()));
    run::run(bench.env("NSHOST_RESULTS", support::target()))
}
