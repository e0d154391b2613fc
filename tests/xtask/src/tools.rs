//! What is needed besides cargo and a C compiler, installed where it is missing.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::run;

/// A program and the Debian package that brings it.
type Program = (&'static str, &'static str);

/// Programs that tests and the demonstration look at the kernel with.
const TESTING: &[Program] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("nc", "netcat-openbsd"),
    ("ps", "procps"),
    ("unshare", "util-linux"),
    ("strace", "strace"),
    // Who else is at a terminal.
    ("less", "less"),
    ("tmux", "tmux"),
    // Attackers that send what no program offers. At this path, which the disposable hosts have.
    ("/usr/bin/python3", "python3"),
];

/// libFuzzer is written in C++.
const FUZZING: &[Program] = &[("c++", "g++")];

/// Adds what is missing of the Rust toolchain in use: targets to build for.
pub fn targets(wanted: &[&str]) -> Result<()> {
    targets_of(None, wanted)
}

/// The same for a toolchain that is named.
pub fn targets_of(toolchain: Option<&str>, wanted: &[&str]) -> Result<()> {
    if !on_path("rustup") {
        // A distribution's own toolchain: cargo says itself what it lacks.
        return Ok(());
    }
    let rustup = |words: &[&str]| {
        let mut rustup = Command::new("rustup");
        rustup.arg("target").args(words);
        if let Some(name) = toolchain {
            rustup.args(["--toolchain", name]);
        }
        rustup
    };
    let installed = run::output(&mut rustup(&["list", "--installed"]))?;
    for target in wanted.iter().filter(|target| !installed.lines().any(|line| line == **target)) {
        run::run(&mut rustup(&["add", target]))?;
    }
    Ok(())
}

/// The toolchain that formats and lints: of the version that the workspace is written for, since each
/// new one has opinions of its own. Without rustup it is whatever there is.
pub fn linting_toolchain() -> Result<Option<String>> {
    if !on_path("rustup") {
        return Ok(None);
    }
    let version = format!("{}.0", env!("CARGO_PKG_RUST_VERSION"));
    let own = run::output(Command::new("rustc").arg("--version"))?;
    let same = own.split(' ').nth(1).is_some_and(|number| number == version);
    let toolchain = if same { None } else { Some(version) };
    for (component, program) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let mut cargo = Command::new("cargo");
        cargo.args([program, "--version"]).stdin(Stdio::null());
        if let Some(version) = &toolchain {
            cargo.env("RUSTUP_TOOLCHAIN", version);
        }
        if !cargo.output().is_ok_and(|output| output.status.success()) {
            add_component(toolchain.as_deref(), component)?;
        }
    }
    Ok(toolchain)
}

fn add_component(toolchain: Option<&str>, component: &str) -> Result<()> {
    let mut rustup = Command::new("rustup");
    match toolchain {
        Some(version) => {
            rustup.args(["toolchain", "install", version, "--profile", "minimal", "--component", component])
        }
        None => rustup.args(["component", "add", component]),
    };
    run::run(&mut rustup)
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
