//! What the READMEs show, as it stands there: every line that can be typed is typed, from the directory that is
//! said, in a host to throw away.

use std::{fmt::Write, fs, os::unix::fs::symlink, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use blackbox::Scratch;
use support::{Host, component, root, root_or_skip, tested_programs};

/// Building a script of one's own for the first time, on a machine that does other things too.
const BUILDING: Duration = Duration::from_secs(280);

/// A line that is not typed, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("cargo xtask install", "builds everything first; what it installs is in the PATH"),
    ("cargo xtask demo", "builds everything first; `the_demo_shows_what_it_says` shows it without that"),
    ("cargo xtask test", "is what types all this"),
];

/// A section that does not begin in the clone of this repository, and what is there besides.
const ELSEWHERE: &[(&str, &str)] = &[
    ("## A first script of your own", "beside the clone"),
    ("# A container with a network, in ten lines", "beside the clone"),
];

/// A line that ends when somebody ends it: what is to be seen before.
const SERVERS: &[(&str, &str)] = &[("python3 -m http.server 80", "127.0.0.1/80")];

/// A piece of a README between two fences.
struct Block {
    section: String,
    language: String,
    lines: Vec<String>,
}

fn blocks(readme: &str) -> Result<Vec<Block>> {
    let (mut section, mut found, mut open) = (String::new(), Vec::new(), None::<Block>);
    for line in readme.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let (section, language) = (section.clone(), language.to_string());
                open = Some(Block { section, language, lines: Vec::new() });
            }
            (None, None) if line.starts_with('#') => section = line.to_string(),
            (None, None) => {}
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => block.lines.push(line.to_string()),
        }
    }
    if open.is_some() {
        bail!("a fence without an end");
    }
    Ok(found)
}

/// What is typed at a line of a transcript, without the prompt.
fn typed(line: &str) -> Result<&str> {
    let typed = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
    typed.with_context(|| format!("{line:?} stands in a transcript and has no prompt"))
}

/// The shell script that does a section. Sources are written where a newcomer writes them.
fn session(blocks: &[&Block]) -> Result<String> {
    let mut script = String::from("set -eux\n");
    for block in blocks {
        match block.language.as_str() {
            "console" => {
                for line in &block.lines {
                    type_line(&mut script, typed(line)?)?;
                }
            }
            // Lines that only rustdoc reads begin so.
            "rust" => {
                let program: Vec<_> = block.lines.iter().filter(|line| !line.starts_with("# ")).collect();
                here(&mut script, "cat >src/lib.rs", &program)?;
            }
            "toml" => {
                writeln!(
                    script,
                    "grep -vx '\\[dependencies\\]' Cargo.toml >without && mv without Cargo.toml"
                )?;
                here(&mut script, "cat >>Cargo.toml", &block.lines.iter().collect::<Vec<_>>())?;
            }
            _ => {}
        }
    }
    Ok(script)
}

fn here(script: &mut String, command: &str, lines: &[&String]) -> Result<()> {
    writeln!(script, "{command} <<'END OF FILE'")?;
    lines.iter().try_for_each(|line| writeln!(script, "{line}"))?;
    Ok(writeln!(script, "END OF FILE")?)
}

fn type_line(script: &mut String, line: &str) -> Result<()> {
    let begins = |(known, _): &&(&str, &'static str)| line.starts_with(known);
    if LEFT_OUT.iter().any(|known| begins(&known)) {
        return Ok(());
    }
    match SERVERS.iter().find(|(command, _)| line.ends_with(command)) {
        None => writeln!(script, "{line}")?,
        Some((_, port)) => writeln!(
            script,
            "{line} &\n\
             answers() {{ (: </dev/tcp/{port}) 2>/dev/null; }}\n\
             i=0; until answers || test $i -gt 300; do sleep 0.1; i=$((i + 1)); done 2>/dev/null\n\
             answers; kill $!; wait $! || :"
        )?,
    }
    Ok(())
}

/// A clone of this repository with what `cargo xtask build` makes, and the programs in the PATH, as in an
/// installation; `sudo` is for nobody here.
struct Place {
    scratch: Scratch,
    host: Host,
}

impl Place {
    fn new() -> Result<Place> {
        let place = Place { scratch: Scratch::new()?, host: Host::new()? };
        let clone = place.path("nshost");
        let installed = clone.join("target/share/nshost/scripts");
        for directory in [&clone.join("target/release"), &installed, &place.path("bin")] {
            fs::create_dir_all(directory)?;
        }
        for entry in root().read_dir()? {
            let (path, name) =
                (entry.as_ref().map(|entry| entry.path()), entry.as_ref().map(|entry| entry.file_name()));
            if let (Ok(path), Ok(name)) = (path, name)
                && name != "target"
            {
                symlink(path, clone.join(name))?;
            }
        }
        for program in ["nshost", "nshost-worker", "nshost-compiler"] {
            fs::copy(tested_programs().join(program), clone.join("target/release").join(program))?;
            symlink(clone.join("target/release").join(program), place.path("bin").join(program))?;
        }
        for name in ["tutorial", "nat", "isolated"] {
            fs::copy(component(name)?, installed.join(name).with_extension("wasm"))?;
            let grants = root().join("scripts").join(name).join("grants.toml");
            fs::copy(grants, installed.join(name).with_extension("grants.toml"))?;
        }
        place.program("bin/sudo", "exec \"$@\"")?;
        // What somebody has whom nobody trusts.
        place.program("plugin", "echo plugin >&2")?;
        symlink(place.path("plugin"), clone.join("plugin"))?;
        Ok(place)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }

    fn program(&self, name: &str, text: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let file = self.scratch.file(name, format!("#!/bin/sh\n{text}\n"))?;
        Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
    }

    /// Does a section of a README.
    fn type_section(&self, section: &str, blocks: &[&Block]) -> Result<()> {
        let from = match ELSEWHERE.iter().find(|(known, _)| *known == section) {
            None => self.path("nshost"),
            Some(_) => self.scratch.path().to_path_buf(),
        };
        let script = session(blocks)?;
        let mut shell = self.host.command("bash");
        shell.args(["-c", &format!("cd {} || exit\n{script}", from.display())]);
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.path("bin").display()));
        let of_cargo = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
        shell.envs(of_cargo.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // The host has no way to a registry. What this repository is built with is there already; what is built
        // here is left for the next time.
        shell.env("CARGO_NET_OFFLINE", "true");
        shell.env("CARGO_BUILD_BUILD_DIR", support::target().join("tests-transcripts"));
        shell.env("NSHOST_CACHE_DIR", support::target().join("tests-cache"));
        let output = support::run(shell, BUILDING)?;
        output.expect(0).with_context(|| format!("{section}\n{script}"))?;
        Ok(())
    }

    /// Does all sections of a README that have a transcript.
    fn type_all(&self, readme: &Path) -> Result<()> {
        let text = fs::read_to_string(readme)?;
        let blocks = blocks(&text)?;
        for block in &blocks {
            let hidden = |line: &&String| {
                ["nshost ", "cargo ", "sudo ", "rustup ", "$ "].iter().any(|word| line.starts_with(word))
            };
            if block.language != "console"
                && let Some(line) = block.lines.iter().find(hidden)
            {
                bail!("{}: {line:?} can be typed, but does not stand in a transcript", readme.display());
            }
        }
        let mut sections: Vec<&str> = blocks
            .iter()
            .filter(|block| block.language == "console")
            .map(|block| block.section.as_str())
            .collect();
        sections.dedup();
        assert!(!sections.is_empty(), "{}: nothing to type", readme.display());
        for section in sections {
            let own: Vec<&Block> = blocks.iter().filter(|block| block.section == section).collect();
            self.type_section(section, &own).with_context(|| readme.display().to_string())?;
        }
        Ok(())
    }
}

#[test]
fn what_the_readme_shows_can_be_typed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let readme = root().join("README.md");
    place.type_all(&readme)?;
    // Nothing is left out that is not there.
    let text = fs::read_to_string(readme)?;
    for (line, reason) in LEFT_OUT {
        let prompted = ["$ ", "# "].map(|prompt| format!("{prompt}{line}"));
        assert!(prompted.iter().any(|line| text.contains(line)), "{line} ({reason})");
    }
    Ok(())
}

#[test]
fn what_the_sdk_shows_can_be_typed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    Place::new()?.type_all(&root().join("guest-sdk/README.md"))
}

#[test]
fn what_the_scripts_show_can_be_typed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let _internet = place.host.internet()?;
    place.type_all(&root().join("scripts/README.md"))
}

/// The list of functions is that of the SDK: each as it is declared, and none forgotten.
#[test]
fn the_sdk_has_the_functions_that_it_lists() -> Result<()> {
    const MODULES: [&str; 8] =
        ["container", "filesystem", "process", "link", "nat", "facts", "argument", "log"];
    let readme = fs::read_to_string(root().join("guest-sdk/README.md"))?;
    let blocks = blocks(&readme)?;
    let list = blocks.iter().find(|block| block.language == "rust,ignore").context("no list")?;
    let listed = |line: &String| line.split("//").next().unwrap_or_default().trim().to_string();
    let mut listed: Vec<String> = list.lines.iter().map(listed).collect();
    // What two words in a remark tell.
    listed
        .extend(["link::host(&self) -> Endpoint", "link::container(&self) -> Endpoint"].map(str::to_string));
    let mut declared = Vec::new();
    for module in MODULES {
        let source = fs::read_to_string(root().join(format!("guest-sdk/src/{module}.rs")))?;
        let functions = source.split("pub fn ").skip(1).filter_map(|text| text.split(" {").next());
        // On one line, as the list has it.
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let declaration = |text: &str| line(text).replace("( ", "(").replace(", )", ")");
        declared.extend(functions.map(|text| format!("{module}::{}", declaration(text))));
    }
    listed.sort();
    declared.sort();
    assert_eq!(listed, declared);
    Ok(())
}

/// `cargo xtask demo`, without the building.
#[test]
fn the_demo_shows_what_it_says() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let cargo = std::env::var_os("CARGO").context("cargo starts this")?;
    // It makes a host for itself.
    let mut demo = Host::here().command(cargo);
    demo.args(["run", "--quiet", "--package", "xtask", "--", "demo", "--built"]).current_dir(root());
    demo.envs(std::env::vars_os());
    let output = support::run(demo, BUILDING)?;
    let shown = output.expect(0)?;
    assert!(shown.contains("the container heard: Hi !") && shown.contains("nothing is left"), "{shown}");
    Ok(())
}
