//! Where things lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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

/// Where `cargo xtask build` puts the scripts' components.
pub fn components() -> PathBuf {
    target().join("scripts")
}

/// The names of the directories in `directory` that hold a crate, in order.
pub fn crates(directory: &Path) -> Result<Vec<String>> {
    let entries = directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
