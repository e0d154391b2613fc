//! Scripts that are built with WASI, as a script of one's own is: output becomes log lines, and behind
//! clocks, random numbers, files and sockets there is nothing.

use std::fs;

use anyhow::Result;
use blackbox::Scratch;
use support::{Host, Output, root_or_skip, scripts, wasi_component};

fn chatty(host: &Host, about: &str) -> Result<Output> {
    host.nshost()?.args(["run", "--allow-all", "--fresh"]).arg(wasi_component("chatty")?).arg(about).run()
}

#[test]
fn the_plan_is_the_same_with_and_without_wasi() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for script in ["tutorial", "nat", "isolated"] {
        let host = Host::new()?;
        let _internet = host.internet()?;
        let output =
            host.nshost()?.args(["plan", "-w", "/", "--allow-all"]).arg(wasi_component(script)?).run()?;
        let golden = fs::read_to_string(scripts().join(script).join("plan.golden"))?;
        assert_eq!(output.expect(0)?, golden);
    }
    Ok(())
}

#[test]
fn the_readmes_first_script_runs_under_the_grants_that_are_suggested() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let script = wasi_component("first")?;
    let suggested = host.nshost()?.args(["plan", "--suggest-grants"]).arg(&script).run()?;
    let grants = scratch.file("grants.toml", suggested.expect(0)?)?;
    let run = host.nshost()?.args(["run", "--grants"]).arg(grants).arg(script);
    let output = run.args(["--", "ip", "-brief", "address"]).run()?;
    assert!(output.expect(0)?.contains("169.254.1.2/30"), "{}", output.text());
    Ok(())
}

#[test]
fn what_it_prints_becomes_log_lines_without_escapes() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let output = chatty(&host, "print")?;
    assert_eq!(output.expect(0)?, "");
    for line in [
        "script: on standard output",
        "script! on standard error",
        "script: an escape \\u{1b}]0;title\\u{7} and a carriage return\\u{d}forged",
        "script: a line without an end",
    ] {
        assert!(output.stderr.lines().any(|printed| printed == line), "no {line:?}: {}", output.text());
    }
    assert!(!output.stderr.contains(['\x1b', '\x07', '\r']), "{}", output.text());
    Ok(())
}

#[test]
fn a_panic_is_told() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let output = chatty(&Host::new()?, "panic")?;
    assert_eq!(output.code(), 120, "{}", output.text());
    let source = fs::read_to_string(support::root().join("tests/chatty/src/lib.rs"))?;
    let line = source.lines().position(|line| line.contains("panic!(")).map_or(0, |line| line + 1);
    let column =
        source.lines().nth(line - 1).and_then(|line| line.find("panic!(")).map_or(0, |column| column + 1);
    let told = format!(
        "nshost: the script panicked at tests/chatty/src/lib.rs:{line}:{column}: nobody expected this\n"
    );
    assert_eq!(output.stderr, told);
    Ok(())
}

/// The SDK knows its caller's line, and nothing else in the script does.
#[test]
fn what_cannot_be_is_told_with_the_line_that_asked_for_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let source = fs::read_to_string(support::root().join("tests/asks/src/lib.rs"))?;
    for (words, what, call) in [
        (["veth=a,b", "veth=a,c"], "link::veth", "link::veth(first"),
        (["veth=a,b", "host=x"], "address", "veth.host().address(first)"),
    ] {
        let line = source.lines().position(|line| line.contains(call)).map_or(0, |line| line + 1);
        let run = host.nshost()?.args(["run", "--allow-all"]).arg(wasi_component("asks")?);
        let output = run.arg("own=network").args(words).run()?;
        assert_eq!(output.code(), 120, "{}", output.text());
        let told = format!("\n  {what} at tests/asks/src/lib.rs:{line}: ");
        assert!(output.stderr.contains(&told), "no {told:?}: {}", output.text());
    }
    Ok(())
}

#[test]
fn time_stands_still_and_chance_is_always_the_same() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (first, second) = (chatty(&Host::new()?, "clocks")?, chatty(&Host::new()?, "clocks")?);
    assert!(first.stderr.contains("script: "), "{}", first.text());
    assert_eq!(first.stderr, second.stderr);
    Ok(())
}

#[test]
fn there_is_no_environment_no_file_and_no_socket() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let output = chatty(&host, "surroundings")?;
    for line in ["script: 0 variables", "script: Err(\"not read\")", "script: Err(\"not written\")"] {
        assert!(output.stderr.lines().any(|printed| printed == line), "no {line:?}: {}", output.text());
    }
    // Asking for a socket ends it.
    assert_eq!(output.code(), 120, "{}", output.text());
    assert!(output.stderr.contains("wasi:sockets"), "{}", output.text());
    assert!(!fs::exists("/tmp/chatty")?);
    Ok(())
}
