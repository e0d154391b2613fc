//! `cargo xtask fuzz`: each target of `tests/fuzz` for some time.

use std::fs;

use anyhow::{Context, Result};
use clap::Args;

use crate::{run, tools};

#[derive(Args)]
pub struct Options {
    /// How long each target runs
    #[arg(value_name = "SECONDS", default_value_t = 600)]
    seconds: u32,
}

/// Fuzzes each target. What breaks something stays in the target directory's `fuzz/found`.
pub fn fuzz(options: &Options) -> Result<()> {
    tools::for_fuzzing()?;
    let directory = support::root().join("tests/fuzz");
    // A target directory of its own: every crate is compiled with coverage counters.
    let target = support::target().join("fuzz");
    for name in targets()? {
        let found = target.join("found").join(&name);
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        eprintln!("\n=== {name}, {} s", options.seconds);
        let mut cargo = run::cargo(["run", "--quiet", "--release", "--all-features", "--bin", &name, "--"]);
        cargo.env("CARGO_TARGET_DIR", &target).arg(&found).arg(format!("corpus/{name}"));
        cargo.arg(format!("-artifact_prefix={}/", target.join("found").display()));
        cargo
            .arg(format!("-max_total_time={}", options.seconds))
            .args(["-print_final_stats=1", "-verbosity=0"]);
        let dictionary = format!("{name}.dict");
        if directory.join(&dictionary).is_file() {
            cargo.arg(format!("-dict={dictionary}"));
        }
        run::run_in(&directory, &mut cargo)?;
    }
    eprintln!("\nnothing was found that breaks a target");
    Ok(())
}

/// The targets' names: one file each.
fn targets() -> Result<Vec<String>> {
    let directory = support::root().join("tests/fuzz/fuzz_targets");
    let entries = directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        if let Some(name) = entry?.path().file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
