//! What is needed besides cargo and a C compiler, installed where it is missing.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::run;

/// A program and the Debian package that brings it.
type Program = (&'static str, &'static str);

/// Programs that tests and the demonstration look at the kernel with.
const TESTING: &[Program] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nc", "netcat-openbsd"),
    ("ps", "procps"),
    ("unshare", "util-linux"),
    ("strace", "strace"),
];

/// libFuzzer is written in C++.
const FUZZING: &[Program] = &[("c++", "g++")];

/// Adds what is missing of the Rust toolchain: targets to build for.
pub fn targets(wanted: &[&str]) -> Result<()> {
    if !on_path("rustup") {
        // A distribution's own toolchain: cargo says itself what it lacks.
        return Ok(());
    }
    let installed = run::output(Command::new("rustup").args(["target", "list", "--installed"]))?;
    for target in wanted.iter().filter(|target| !installed.lines().any(|line| line == **target)) {
        run::run(Command::new("rustup").args(["target", "add", target]))?;
    }
    Ok(())
}

/// Adds what is missing of the Rust toolchain: components, by the program each brings.
pub fn components(wanted: &[(&str, &str)]) -> Result<()> {
    for (name, program) in wanted {
        let there = Command::new("cargo").args([program, "--version"]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            run::run(Command::new("rustup").args(["component", "add", name]))?;
        }
    }
    Ok(())
}

/// Installs what tests and the demonstration need and is missing.
pub fn programs() -> Result<()> {
    install(TESTING)
}

/// Installs what fuzzing needs and is missing.
pub fn for_fuzzing() -> Result<()> {
    install(FUZZING)
}

/// Installs the programs that are missing, where there is apt.
fn install(programs: &[Program]) -> Result<()> {
    let missing: Vec<&str> =
        programs.iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing what is missing: {}", missing.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run::run(&mut command)
    };
    let advice = || format!("install these with your package manager: {}", missing.join(" "));
    apt(&["update"]).with_context(advice)?;
    let install = [&["install", "--yes", "--no-install-recommends"], missing.as_slice()].concat();
    apt(&install).with_context(advice)
}

/// Whether there is such a program. Administration's directories count even where a user's `PATH`
/// lacks them.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin", "/sbin"].map(|place| Path::new(place).to_path_buf()));
    places.iter().any(|place| place.join(program).is_file())
}
