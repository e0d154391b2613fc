//! `cargo xtask test`: everything that CI runs.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result};

use crate::{build, run, tidy, tools};

/// With the compiler, whose code only that feature has.
const WHOLE: &str = "nshost-script/compiler";

type Step = (&'static str, fn() -> Result<()>);

/// What is checked, one after the other.
const STEPS: &[Step] = &[
    ("what is needed is there", needed),
    ("formatting", formatting),
    ("the rooms are as host/ARCHITECTURE.md says", tidy::tidy),
    ("lints of the launcher", lints),
    ("lints of the setup scripts", script_lints),
    ("unit, property and documentation tests", units),
    ("building what users run, and scripts for tests", programs),
    ("black-box tests", black_box),
];

/// Runs every step; stops at the first that fails.
pub fn test() -> Result<()> {
    let begin = Instant::now();
    for (number, (name, step)) in STEPS.iter().enumerate() {
        eprintln!("\n=== {} of {}: {name}", number + 1, STEPS.len());
        let begin = Instant::now();
        step().with_context(|| format!("{name} failed"))?;
        eprintln!("=== {name}: {} s", begin.elapsed().as_secs());
    }
    let skipped = if support::is_root() { "" } else { " (not root: the tests that need it were skipped)" };
    eprintln!("\nall tests passed in {} s{skipped}", begin.elapsed().as_secs());
    Ok(())
}

fn needed() -> Result<()> {
    let linting = tools::linting_toolchain()?;
    tools::targets_of(linting.as_deref(), &[build::SCRIPT_TARGET])?;
    tools::programs()
}

fn formatting() -> Result<()> {
    run::run(&mut linting(["fmt", "--all", "--check"])?)
}

fn lints() -> Result<()> {
    let what = ["clippy", "--workspace", "--all-targets", "--features", WHOLE];
    run::run(linting(what)?.args(flags("--exclude", &["scripts"])?).args(["--", "-D", "warnings"]))
}

fn script_lints() -> Result<()> {
    let what = ["clippy", "--target", build::SCRIPT_TARGET];
    run::run(linting(what)?.args(flags("--package", &["scripts"])?).args(["--", "-D", "warnings"]))
}

/// A call of cargo of the version whose opinion counts.
fn linting<const N: usize>(what: [&str; N]) -> Result<Command> {
    let mut cargo = run::cargo(what);
    if let Some(toolchain) = tools::linting_toolchain()? {
        // Not the cargo that we were started by: that one is of another version.
        cargo = Command::new("cargo");
        cargo.args(what).env("CARGO_TARGET_DIR", support::target()).env("RUSTUP_TOOLCHAIN", toolchain);
    }
    Ok(cargo)
}

/// What needs no built launcher.
fn units() -> Result<()> {
    let what = ["test", "--workspace", "--features", WHOLE];
    run::run(strict(run::cargo(what).args(flags("--exclude", &["scripts", "tests"])?)))
}

fn programs() -> Result<()> {
    build::build(&build::Options::default())?;
    build::for_tests()
}

fn black_box() -> Result<()> {
    run::run(strict(run::cargo(["test"]).args(flags("--package", &["tests"])?)))
}

/// `flag` with each package in `directories`. Setup scripts are for another target than the rest,
/// and what is in `tests` needs the launcher that users run.
fn flags(flag: &str, directories: &[&str]) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    for directory in directories {
        flags.extend(build::crates(directory)?.into_iter().flat_map(|name| [flag.to_string(), name]));
    }
    Ok(flags)
}

/// In CI no test may be skipped for lack of rights.
fn strict(command: &mut Command) -> &mut Command {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        command.env("NSHOST_CI", "1");
    }
    command
}
