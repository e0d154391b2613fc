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

/// Rooms that judge, perform, undo, draw and show steps, each of them in a match of its own.
const STAGES: [&str; 6] =
    ["host/plan/src", "host/policy/src", "host/ledger/src", "host/kernel/src", "host/script/src", "host/src"];
/// What such a match is over.
const KINDS: [&str; 5] = ["Step::", "Inside::", "Around::", "Link::", "Place::"];
/// Where one kind of step is looked for among others.
const SELECTORS: &str = "host/plan/src/plan.rs";

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
    for room in STAGES {
        each_file(&support::root().join(room), &mut |path, text| {
            let lines = wildcards(text).into_iter().filter(|_| !path.ends_with(SELECTORS));
            wrong.extend(lines.map(|line| {
                format!("{}:{line}: a match over kinds of step with a wildcard", path.display())
            }));
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
    each_file(directory, &mut |path, text| {
        for (number, line) in code(text) {
            visit(format!("{}:{number}", path.display()), line);
        }
    })
}

fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("mod tests"));
    lines.map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn each_file(directory: &Path, visit: &mut dyn FnMut(&Path, &str)) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            each_file(&path, visit)?;
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        visit(&path, &text);
    }
    Ok(())
}

/// A match that is open: how far in its arms stand, and what was seen of them.
struct Match {
    indent: usize,
    over_kinds: bool,
    wildcard: Option<usize>,
}

/// The lines of the wildcards in matches over steps, kinds of link and places. It goes by the indentation, which
/// `cargo fmt` makes.
fn wildcards(text: &str) -> Vec<usize> {
    let (mut open, mut found): (Vec<Match>, Vec<usize>) = (Vec::new(), Vec::new());
    for (number, line) in code(text).filter(|(_, line)| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        while let Some(last) = open.pop_if(|last| indent < last.indent) {
            found.extend(last.wildcard.filter(|_| last.over_kinds));
        }
        if let Some(last) = open.last_mut().filter(|last| last.indent == indent) {
            let pattern = line.trim_start().trim_start_matches(['|', '(', '&']).trim_start();
            last.over_kinds |= KINDS
                .iter()
                .any(|kind| pattern.starts_with(kind) || pattern.starts_with(&format!("Some({kind}")));
            if line.trim_start().starts_with("_ =>") || line.trim_start().starts_with("_ if ") {
                last.wildcard = Some(number);
            }
        }
        if line.trim_end().ends_with('{')
            && (line.contains(" match ") || line.trim_start().starts_with("match "))
        {
            open.push(Match { indent: indent + 4, over_kinds: false, wildcard: None });
        }
    }
    found.extend(open.into_iter().filter(|last| last.over_kinds).filter_map(|last| last.wildcard));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_over_steps_is_found() {
        let arms = |first: &str, last: &str| {
            format!(
                "fn f() {{\n    let x = match step {{\n        {first} => {{\n            match n {{\n                0 => 1,\n                _ => 2,\n            }}\n        }}\n        {last}\n    }};\n}}\n"
            )
        };
        assert_eq!(wildcards(&arms("Step::Inside(..)", "_ => 3,")), [9]);
        assert_eq!(wildcards(&arms("Some(Around::Link(_))", "_ => 3,")), [9]);
        assert_eq!(wildcards(&arms("Step::Inside(..)", "Step::Around(_) => 3,")), []);
        assert_eq!(wildcards(&arms("Some(0)", "_ => 3,")), []);
    }
}
