//! Namespaces of the host's that a script leaves its command in: not without a grant, and with one just
//! these.

use std::{fs, path::PathBuf};

use anyhow::Result;
use blackbox::{SOON, Scratch, TORN_DOWN, printed_grants};
use support::{Census, Host, Nshost, Terminal, root_or_skip};

/// Each kind's name, and the name of its file (`proc(5)`).
const KINDS: [(&str, &str); 5] =
    [("pid", "pid"), ("mount", "mnt"), ("network", "net"), ("uts", "uts"), ("ipc", "ipc")];
/// Says in which namespaces it is. In a PID namespace, with mounts of its own, it sees no `/proc` but what it
/// mounts.
const LOOK: &str = "test -e /proc/self || mount -t proc proc /proc; for file in pid mnt net uts ipc; do readlink /proc/self/ns/$file; done";

/// A script that asks for a namespace of each kind but these.
fn without(missing: &[&str], scratch: &Scratch) -> Result<PathBuf> {
    let own = KINDS.iter().filter(|(kind, _)| !missing.contains(kind));
    let calls: String =
        own.map(|(kind, _)| format!("(call $container.unshare-{kind} (i32.const 16))")).collect();
    let types = include_str!("../../../host/script/tests/fixtures/types.wat");
    let text = include_str!("../../../host/script/tests/fixtures/host.wat");
    let main = format!("(func $setup (result i32) {calls} (i32.const 16))");
    scratch.file("share.wasm", wat::parse_str(text.replace("@TYPES@", types).replace("@MAIN@", &main))?)
}

/// Which namespaces the command shares with what started the launcher. That has a UTS and an IPC
/// namespace which is not this machine's; the rest is the test's host's.
fn shared_by(nshost: Nshost<'_>) -> Result<Vec<&'static str>> {
    let around = format!("{LOOK}; exec \"$@\"");
    let wrapper = ["unshare", "--uts", "--ipc", "--", "sh", "-c", &around, "sh"];
    let output = support::run(nshost.args(["--", "sh", "-c", LOOK]).under(&wrapper), SOON)?;
    let lines: Vec<&str> = output.expect(0)?.lines().collect();
    assert_eq!(lines.len(), 2 * KINDS.len(), "{}", output.text());
    let (outside, inside) = lines.split_at(KINDS.len());
    let pairs = KINDS.iter().zip(outside.iter().zip(inside));
    Ok(pairs.filter(|(_, (outside, inside))| outside == inside).map(|((kind, _), _)| *kind).collect())
}

#[test]
fn without_a_grant_the_command_does_not_run_on_the_host() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    for (missing, _) in KINDS {
        let script = without(&[missing], &scratch)?;
        let output = host.nshost()?.arg("run").arg(script).args(["--", "echo", "ran"]).run()?;
        assert_eq!((output.code(), output.stdout.as_str()), (122, ""), "{missing}: {}", output.text());
        let said = format!("the command would be in the host's {missing} namespace");
        assert!(output.stderr.contains(&said), "{}", output.text());
        // Nothing is called a step that is none.
        assert!(!output.stderr.contains("step"), "{}", output.text());
    }
    let script = without(&[], &scratch)?;
    let output = host.nshost()?.arg("run").arg(script).args(["--", "echo", "ran"]).run()?;
    assert_eq!(output.expect(0)?, "ran\n");
    Ok(())
}

#[test]
fn with_the_printed_lines_it_shares_that_and_nothing_else() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let before = Census::take(&host)?;
    for (missing, _) in KINDS {
        let script = without(&[missing], &scratch)?;
        let file = scratch.file("grants.toml", "schema = 1\n")?;
        let run = || anyhow::Ok(host.nshost()?.args(["run", "--grants"]).arg(&file).arg(&script));
        let refused = run()?.args(["--", "true"]).run()?;
        assert_eq!(refused.code(), 122, "{}", refused.text());
        let lines = printed_grants(&refused);
        assert_eq!(lines, format!("[[share]]\nkinds = [\"{missing}\"]\n"));
        fs::write(&file, format!("schema = 1\n{lines}"))?;
        assert_eq!(shared_by(run()?)?, [missing]);
        let denied = scratch.file("denied.toml", format!("schema = 1\n{lines}{lines}deny = true\n"))?;
        let output = host.nshost()?.args(["run", "--grants"]).arg(denied).arg(&script).run()?;
        assert_eq!(output.code(), 122, "{}", output.text());
    }
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn suggested_grants_and_all_of_them_share_everything() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let before = Census::take(&host)?;
    let all = KINDS.map(|(kind, _)| kind);
    let script = without(&all, &scratch)?;
    let suggested = host.nshost()?.args(["plan", "--suggest-grants"]).arg(&script).run()?;
    let file = scratch.file("grants.toml", suggested.expect(0)?)?;
    assert_eq!(shared_by(host.nshost()?.args(["run", "--grants"]).arg(file).arg(&script))?, all);
    assert_eq!(shared_by(host.nshost()?.args(["run", "--allow-all"]).arg(&script))?, all);
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn plan_and_audit_tell_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let script = without(&["network", "ipc"], &scratch)?;
    let file = scratch.file("grants.toml", "schema = 1\n[[share]]\nkinds = ['ipc']\n")?;
    let shown = host.nshost()?.arg("plan").arg(&script).run()?;
    assert!(shown.expect(0)?.contains("\nshares with the host: network, ipc\n"), "{}", shown.text());
    let json = host.nshost()?.args(["plan", "--json", "--grants"]).arg(&file).arg(&script).run()?;
    let plan: serde_json::Value = serde_json::from_str(json.expect(122)?)?;
    assert_eq!(plan["shares"], serde_json::json!(["network", "ipc"]));
    let refusals = plan["refusals"].as_array().map_or(0, Vec::len);
    assert!(refusals == 1 && plan["refusals"][0]["step"].is_null(), "{plan:#}");

    let audit = scratch.path().join("audit.jsonl");
    let run = host.nshost()?.args(["run", "--audit"]).arg(&audit).arg("--grants").arg(&file).arg(&script);
    run.args(["--", "true"]).run()?.expect(122)?;
    let text = fs::read_to_string(&audit)?;
    let lines: Vec<serde_json::Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let checks = lines.iter().map(|line| &line["details"]).filter(|check| check["capability"] == "share");
    let told: Vec<(Option<&str>, Option<bool>)> =
        checks.map(|check| (check["subject"].as_str(), check["allowed"].as_bool())).collect();
    let expected = [("the host's network namespace", false), ("the host's ipc namespace", true)];
    assert_eq!(told, expected.map(|(subject, allowed)| (Some(subject), Some(allowed))), "{text}");
    Ok(())
}

#[test]
fn an_operator_at_a_terminal_is_asked_about_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let script = without(&["network"], &scratch)?;
    for (answer, code, ran) in [("y", 0, true), ("n", 122, false)] {
        let nshost = host.nshost()?.arg("run").arg(&script).args(["--", "echo", "it ran"]);
        let mut terminal = Terminal::start(&nshost.command())?;
        let shown = terminal.expect("[y/N]", SOON)?;
        assert!(shown.contains("the host's network namespace"), "{shown}");
        terminal.send(&format!("{answer}\n"))?;
        if ran {
            terminal.expect("it ran", SOON)?;
        }
        assert_eq!(terminal.finish(SOON)?, code, "{answer:?}");
    }
    Ok(())
}
