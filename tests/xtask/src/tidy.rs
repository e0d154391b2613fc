//! `cargo xtask tidy`: what host/ARCHITECTURE.md promises of the rooms, as far as a machine can see it.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::run;

/// Each room, and which of the others it may use.
const ROOMS: [(&str, &[&str]); 7] = [
    ("nshost-plan", &[]),
    ("nshost-policy", &["nshost-plan"]),
    ("nshost-init", &[]),
    ("nshost-ledger", &["nshost-plan", "nshost-policy"]),
    ("nshost-kernel", &["nshost-init", "nshost-ledger", "nshost-plan", "nshost-policy"]),
    ("nshost-script", &["nshost-plan", "nshost-policy"]),
    ("nshost", &["nshost-kernel", "nshost-ledger", "nshost-plan", "nshost-policy"]),
];

/// What looks into modules: in processes without rights only.
const ENGINE: [&str; 4] = ["wasmtime", "cranelift", "wasmparser", "winch"];

/// Rooms without files, sockets, clocks and processes.
const PURE: [&str; 2] = ["host/plan/src", "host/policy/src"];
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "SystemTime",
    "Instant::",
    "TcpStream",
    "UdpSocket",
];

/// Checks all, and tells all that is wrong.
pub fn tidy() -> Result<()> {
    let mut wrong = Vec::new();
    for (room, may_use) in ROOMS {
        let used = dependencies(room, &["--depth", "1"])?;
        let ours = used.iter().filter(|name| name.starts_with("nshost") && *name != room);
        for other in ours.filter(|name| !may_use.contains(&name.as_str())) {
            wrong.push(format!("{room} uses {other}, which is not beneath it"));
        }
        if room == "nshost-init" && used.iter().any(|name| !["nshost-init", "libc"].contains(&name.as_str()))
        {
            wrong.push(format!("{room} runs between clone and exec, and uses more than libc: {used:?}"));
        }
    }
    for name in dependencies("nshost", &[])? {
        if ENGINE.iter().any(|engine| name.starts_with(engine)) {
            wrong.push(format!("the broker depends on {name}"));
        }
    }
    for room in PURE {
        each_line(&support::root().join(room), &mut |place, line| {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{place}: a pure room has {word}"));
            }
        })?;
    }
    let init = fs::read_to_string(support::root().join("host/init/src/lib.rs"))
        .context("cannot read host/init/src/lib.rs")?;
    if !init.contains("no_std") || init.contains("extern crate alloc") {
        wrong.push("nshost-init must do without std and alloc".to_string());
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!("not as host/ARCHITECTURE.md says:\n  {}", wrong.join("\n  ")),
    }
}

/// The names of a package's dependencies, itself included.
fn dependencies(package: &str, options: &[&str]) -> Result<BTreeSet<String>> {
    let fixed = ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = run::cargo(fixed.iter().chain(options))
        .current_dir(support::root())
        .output()
        .context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect())
}

/// Every line of code in a directory, with its place; of comments and of what follows `mod tests` none.
fn each_line(directory: &Path, visit: &mut dyn FnMut(String, &str)) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            each_line(&path, visit)?;
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for (number, line) in text.lines().enumerate() {
            if line.starts_with("mod tests") {
                break;
            }
            if !line.trim_start().starts_with("//") {
                visit(format!("{}:{}", path.display(), number + 1), line);
            }
        }
    }
    Ok(())
}
