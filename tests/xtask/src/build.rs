//! `cargo xtask build`: the programs and the scripts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{run, tools};

/// Setup scripts are built without WASI: half the size, so quicker to compile, load and check.
pub const SCRIPT_TARGET: &str = "wasm32-unknown-unknown";

/// The target for scripts of one's own that the SDK recommends.
const WASI_TARGET: &str = "wasm32-wasip2";

#[derive(Args, Default)]
pub struct Options {
    /// Build the setup scripts only
    #[arg(long)]
    pub scripts: bool,
}

/// Builds all.
pub fn build(options: &Options) -> Result<()> {
    if options.scripts {
        return scripts();
    }
    programs()?;
    scripts()?;
    eprintln!("built: {} and {}", support::programs().join("nshost").display(), components().display());
    Ok(())
}

/// What programs are built for: static, for this processor.
pub fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// The programs. The compiler's is a build of its own: the worker must not carry its code.
fn programs() -> Result<()> {
    let target = target();
    tools::targets(&[&target])?;
    let both = ["--package", "nshost-script", "--bin", "nshost", "--bin", "nshost-worker"];
    cargo_build(&target, "release", "nshost", &both)?;
    let compiler = ["--bin", "nshost-compiler", "--features", "compiler"];
    cargo_build(&target, "compiler", "nshost-script", &compiler)?;

    let made = support::target().join(&target);
    copy(&made.join("release/nshost"), &support::programs().join("nshost"))?;
    copy(&made.join("release/nshost-worker"), &support::programs().join("nshost-worker"))?;
    copy(&made.join("compiler/nshost-compiler"), &support::programs().join("nshost-compiler"))
}

/// The setup scripts, as components.
fn scripts() -> Result<()> {
    tools::targets(&[SCRIPT_TARGET])?;
    let names = crates("scripts")?;
    compile(&names, SCRIPT_TARGET)?;
    for name in &names {
        copy(&built(name, SCRIPT_TARGET), &components().join(name).with_extension("wasm"))?;
        copy(
            &support::scripts().join(name).join("grants.toml"),
            &components().join(name).with_extension("grants.toml"),
        )?;
    }
    Ok(())
}

/// What only tests need: every script with WASI, as a script of one's own is built, the README's first
/// one, and one that does what none should.
pub fn for_tests() -> Result<()> {
    tools::targets(&[WASI_TARGET])?;
    let mut names = crates("scripts")?;
    names.extend(["asks", "chatty", "first"].map(str::to_string));
    compile(&names, WASI_TARGET)?;
    for name in &names {
        copy(&built(name, WASI_TARGET), &support::wasi_components().join(name).with_extension("wasm"))?;
    }
    Ok(())
}

/// Compiles scripts to components.
fn compile(names: &[String], target: &str) -> Result<()> {
    let packages = names.iter().flat_map(|name| ["--package", name.as_str()]);
    let fixed = ["build", "--profile", "script", "--target", target];
    run::run(&mut run::cargo(fixed.into_iter().chain(packages)))
}

/// Where cargo puts a script's component.
fn built(name: &str, target: &str) -> PathBuf {
    let file = format!("{}.wasm", name.replace('-', "_"));
    support::target().join(target).join("script").join(file)
}

/// Builds some of a package's programs.
pub fn cargo_build(target: &str, profile: &str, package: &str, what: &[&str]) -> Result<()> {
    let fixed = ["build", "--profile", profile, "--target", target, "--package", package];
    let mut cargo = run::cargo(fixed.iter().chain(what));
    // wasmtime has a few lines of C that use no library, so any compiler for this processor will do.
    if !tools::on_path("musl-gcc") {
        cargo.env(format!("CC_{}", target.replace('-', "_")), "cc");
    }
    run::run(&mut cargo)
}

/// Copies by a name of its own and a rename: the old program may be running.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let report = || format!("cannot copy {} to {}", from.display(), to.display());
    let fresh = to.with_extension("new");
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).with_context(report)?;
    }
    fs::copy(from, &fresh).with_context(report)?;
    fs::rename(&fresh, to).with_context(report)
}

/// Where the scripts' components are put.
pub fn components() -> PathBuf {
    support::target().join("scripts")
}

/// The names of the directories in `directory` that hold a crate of the workspace, in order. Each is
/// its package's name too.
pub fn crates(directory: &str) -> Result<Vec<String>> {
    let directory = support::root().join(directory);
    let entries = directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // The fuzz targets are a workspace of their own, for another toolchain.
        let ours = entry.file_name() != "fuzz";
        if ours && entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
