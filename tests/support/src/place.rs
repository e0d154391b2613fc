//! Where things lie.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The workspace's top directory.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// Cargo's target directory: what the environment says, else `target`.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |own| root().join(own))
}

/// Where `cargo xtask build` puts the programs.
pub fn programs() -> PathBuf {
    target().join("release")
}

/// The programs that are tested: those, or those of another release, in the directory that `NSHOST_TEST_PROGRAMS`
/// names.
pub fn tested_programs() -> PathBuf {
    std::env::var_os("NSHOST_TEST_PROGRAMS").map_or_else(programs, PathBuf::from)
}

/// The setup scripts' sources, grants and golden plans.
pub fn scripts() -> PathBuf {
    root().join("scripts")
}

/// A setup script that `cargo xtask build` has made.
pub fn component(name: &str) -> Result<PathBuf> {
    built(target().join("scripts").join(name).with_extension("wasm"))
}

/// The same, or a script for tests, built with WASI as a script of one's own is: `cargo xtask test` has
/// made it.
pub fn wasi_component(name: &str) -> Result<PathBuf> {
    built(wasi_components().join(name).with_extension("wasm"))
}

/// Where `cargo xtask test` puts scripts that are built with WASI.
pub fn wasi_components() -> PathBuf {
    target().join("scripts-wasi")
}

/// The launcher, with its helpers beside it.
pub(crate) fn launcher() -> Result<PathBuf> {
    built(tested_programs().join("nshost"))
}

fn built(path: PathBuf) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{} is not there; `cargo xtask test` makes it", path.display());
    }
    Ok(path)
}
