//! `nshost compile`: what a first launch would have to wait for, done beforehand.

use anyhow::Result;
use blackbox::Scratch;
use support::{Host, Nshost, component, root_or_skip, wasi_component};

const SCRIPT: i32 = 120;
const BUDGET: i32 = 121;
const DENIED: i32 = 122;

/// Programs and a cache of its own.
struct Place {
    host: Host,
    scratch: Scratch,
}

impl Place {
    fn new() -> Result<Place> {
        let place = Place { host: Host::new()?, scratch: Scratch::new()? };
        std::fs::create_dir(place.scratch.path().join("cache"))?;
        Ok(place)
    }

    fn nshost(&self) -> Result<Nshost<'_>> {
        let nshost = self.host.nshost()?.readable_by_all()?;
        Ok(nshost.variable("NSHOST_CACHE_DIR", self.scratch.path().join("cache")))
    }
}

#[test]
fn a_script_compiled_before_is_launched_without_the_compiler() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let (tutorial, asks) = (component("tutorial")?, wasi_component("asks")?);
    let output = place.nshost()?.arg("compile").args([&tutorial, &asks]).run()?;
    let told: Vec<&str> = output.expect(0)?.lines().collect();
    assert!(told.len() == 2 && told[0].contains("tutorial.wasm\": compiled in "), "{}", output.text());
    let output = place.nshost()?.arg("compile").arg(&tutorial).run()?;
    assert!(output.expect(0)?.contains("compiled before, in "), "{}", output.text());
    let output = place.nshost()?.args(["compile", "--fresh"]).arg(&tutorial).run()?;
    assert!(output.expect(0)?.contains("compiled in "), "{}", output.text());

    let launch = place.nshost()?.args(["run", "--allow-all"]).arg(&tutorial).args(["--", "hostname"]);
    place.host.shell("rm /run/programs/nshost-compiler")?;
    assert_eq!(launch.run()?.expect(0)?, "In Namespace\n");
    // One that was not compiled cannot be launched so.
    let other = component("isolated")?;
    let mut launch = place.host.command("/run/programs/nshost");
    launch.args(["run", "--allow-all"]).arg(other).args(["--", "true"]);
    launch.env("NSHOST_CACHE_DIR", place.scratch.path().join("cache"));
    support::run(launch, blackbox::SOON)?.expect(125)?;
    Ok(())
}

#[test]
fn what_is_no_setup_script_is_refused_as_a_launch_refuses_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let other_setup = r#"(component
        (core module $main (func (export "setup") (result i32) i32.const 0))
        (core instance $main (instantiate $main))
        (func (export "setup") (result u32) (canon lift (core func $main "setup"))))"#;
    let wants_files = r#"(component (import "wasi:filesystem/types@0.2.0" (instance)))"#;
    for (name, bytes) in [
        ("text", b"no module".to_vec()),
        ("core", wat::parse_str("(module)")?),
        ("without", wat::parse_str("(component)")?),
        ("other", wat::parse_str(other_setup)?),
        ("files", wat::parse_str(wants_files)?),
    ] {
        let file = place.scratch.file(name, bytes)?;
        let launched = place.nshost()?.args(["run", "--allow-all"]).arg(&file).args(["--", "true"]).run()?;
        launched.expect(SCRIPT)?;
        // Each way round: what the cache knows of it, and what it does not.
        for words in [&["compile"][..], &["compile", "--fresh"]] {
            let compiled = place.nshost()?.args(words).arg(&file).run()?;
            compiled.expect(SCRIPT)?;
            let reason = |text: &str| text.split("not a setup script: ").nth(1).map(str::to_string);
            assert!(reason(&compiled.stderr).is_some(), "{}", compiled.text());
            assert_eq!(reason(&compiled.stderr), reason(&launched.stderr), "{name}");
        }
    }
    // One that cannot be keeps no other from it.
    let text = place.scratch.path().join("text");
    let output = place.nshost()?.arg("compile").args([text, component("tutorial")?]).run()?;
    assert!(output.expect(SCRIPT)?.contains("tutorial.wasm\": compiled in "), "{}", output.text());
    Ok(())
}

#[test]
fn a_script_is_compiled_within_what_its_grants_allow() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let compile = |limits: &str| {
        let grants = place.scratch.file("grants.toml", format!("schema = 1\n{limits}\n"))?;
        place.nshost()?.args(["compile", "--grants"]).arg(grants).arg(wasi_component("asks")?).run()
    };
    let output = compile("[limits]\ncompile-memory-mib = 3")?;
    output.expect(BUDGET)?;
    assert!(output.stderr.contains("compile memory, 3 MiB"), "{}", output.text());
    let output = compile(&format!("script = \"sha256:{}\"", "0".repeat(64)))?;
    output.expect(DENIED)?;
    compile("[limits]\ncompile-memory-mib = 64")?.expect(0)?;
    Ok(())
}

#[test]
fn what_cannot_be_kept_is_not_called_compiled() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let cache = place.scratch.path().join("cache");
    let compile = || place.nshost()?.arg("compile").arg(component("tutorial")?).run();
    place.host.shell(&format!("mount -t tmpfs -o size=16k,mode=700 tmpfs {}", cache.display()))?;
    let output = compile()?;
    assert_eq!(output.expect(125)?, "", "{}", output.text());
    assert!(output.stderr.contains("could not be kept in"), "{}", output.text());
    place.host.shell(&format!("chmod 777 {}", cache.display()))?;
    let output = compile()?;
    output.expect(125)?;
    assert!(output.stderr.contains("NSHOST_CACHE_DIR"), "{}", output.text());
    Ok(())
}
