//! Without grants nothing happens; what is printed is what is missing.

use std::fs;

use anyhow::Result;
use blackbox::{SOON, Scratch, TORN_DOWN, printed_grants};
use support::{Census, Host, Terminal, component, root_or_skip, scripts};

#[test]
fn without_grants_nothing_is_touched() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let output = host.nshost()?.arg("run").arg(component("tutorial")?).args(["--", "echo", "ran"]).run()?;
    assert_eq!(output.code(), 122, "{}", output.text());
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("veth0"), "{}", output.text());
    before.comes_back(&host, std::time::Duration::ZERO)
}

#[test]
fn a_refusal_makes_no_namespace_and_no_link() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let script = component("tutorial")?;
    // Evaluated once before, so that what is traced is what happens each time.
    host.nshost()?.arg("run").arg(&script).args(["--", "true"]).run()?;
    let traced = |options: &[&str], code: i32| -> Result<String> {
        let trace = scratch.path().join("trace");
        let calls = "--trace=clone,clone3,unshare,setns,mount,sethostname,sendto,sendmsg,execve";
        let strace = ["strace", "--follow-forks", "--quiet=all", calls, "--output", &trace.to_string_lossy()];
        let nshost = host.nshost()?.arg("run").args(options).arg(&script).args(["--", "true"]);
        support::run(nshost.under(&strace), SOON)?.expect(code)?;
        Ok(fs::read_to_string(trace)?)
    };
    let launched = effects(&traced(&["--allow-all"], 0)?);
    for effect in ["CLONE_NEW", "mount(", "sethostname(", "netlink"] {
        assert!(launched.iter().any(|seen| seen == effect), "a launch without {effect}: {launched:?}");
    }
    for options in [&[][..], &["--fresh"]] {
        assert_eq!(effects(&traced(options, 122)?), [""; 0], "{options:?}");
    }
    Ok(())
}

/// What in a trace changes anything: namespaces, mounts, names, and netlink requests that do more than get.
fn effects(trace: &str) -> Vec<String> {
    let calls = ["CLONE_NEW", "unshare(", "setns(", "mount(", "sethostname("];
    let mut seen: Vec<String> =
        calls.iter().filter(|call| trace.contains(**call)).map(ToString::to_string).collect();
    let types = trace.split("nlmsg_type=").skip(1).filter_map(|rest| rest.split([',', ' ', '}']).next());
    for kind in types {
        // Of each kind of object there are four requests, and the third is get (rtnetlink(7)).
        let number = kind.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok());
        if number.map_or(!kind.contains("_GET"), |number| number % 4 != 2) {
            seen.push("netlink".to_string());
        }
    }
    seen
}

#[test]
fn pasting_what_is_printed_makes_it_work() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (script, arguments) in [("tutorial", vec![]), ("nat", vec!["8080", "v6"])] {
        let host = Host::new()?;
        let _internet = host.internet()?;
        let scratch = Scratch::new()?;
        let file = scratch.file("grants.toml", "schema = 1\n")?;
        // The script's own choice of a command needs a grant too: it reads from standard input.
        let nshost = || {
            let nshost = host.nshost()?.args(["run", "--grants"]).arg(&file);
            anyhow::Ok(nshost.arg(component(script)?).args(&arguments))
        };
        let refused = nshost()?.run()?;
        assert_eq!(refused.code(), 122, "{}", refused.text());
        assert!(
            refused.stderr.contains(&*file.to_string_lossy()),
            "the file is not named: {}",
            refused.text()
        );
        let lines = printed_grants(&refused);
        fs::write(&file, format!("schema = 1\n{lines}"))?;
        let allowed = nshost()?.run()?;
        assert_eq!(allowed.code(), 0, "with\n{lines}\n{}", allowed.text());
    }
    Ok(())
}

#[test]
fn suggested_grants_are_enough_and_no_more() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let script = component("tutorial")?;
    let suggested = host.nshost()?.args(["plan", "--suggest-grants"]).arg(&script).run()?;
    let text = suggested.expect(0)?;
    let file = scratch.file("grants.toml", text)?;
    host.nshost()?.args(["run", "--grants"]).arg(&file).arg(&script).run()?.expect(0)?;
    // Without any one of its tables it is refused.
    let tables: Vec<&str> = text.split("\n\n").filter(|part| part.trim_start().starts_with("[[")).collect();
    assert!(tables.len() >= 3, "{text}");
    for table in tables {
        if table.contains("[[namespace]]") {
            continue;
        }
        let file = scratch.file("less.toml", text.replace(table, ""))?;
        let output = host.nshost()?.args(["run", "--grants"]).arg(&file).arg(&script).run()?;
        assert_eq!(output.code(), 122, "without {table}: {}", output.text());
    }
    Ok(())
}

#[test]
fn each_scripts_own_grants_are_enough() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for script in ["tutorial", "nat", "isolated"] {
        let host = Host::new()?;
        let _internet = host.internet()?;
        // Standard input is empty, so the default command, a shell, ends at once.
        host.nshost()?.run_script(script)?.run()?.expect(0)?;
    }
    Ok(())
}

#[test]
fn a_denial_beats_an_allowance() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let grants = fs::read_to_string(scripts().join("tutorial/grants.toml"))?;
    let file =
        scratch.file("grants.toml", grants + "\n[[address]]\nrange = \"169.254.0.0/16\"\ndeny = true\n")?;
    let output = host
        .nshost()?
        .args(["run", "--grants"])
        .arg(&file)
        .arg(component("tutorial")?)
        .args(["--", "true"])
        .run()?;
    assert_eq!(output.code(), 122, "{}", output.text());
    // The table that stands in the way is named, and no line is promised to help.
    assert!(
        output.stderr.contains("[[address]] range = \"169.254.0.0/16\", deny = true denies it"),
        "{}",
        output.text()
    );
    assert!(output.stderr.contains(&format!("{}:", file.display())), "{}", output.text());
    assert!(!output.stderr.contains("would allow"), "{}", output.text());
    Ok(())
}

#[test]
fn the_audit_has_every_check() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let audit = scratch.path().join("audit.jsonl");
    let script = component("tutorial")?;
    let all = &["--allow-all"][..];
    for (options, command, code) in [(all, "true", 0), (&[], "true", 122), (all, "no-such-program", 127)] {
        let run = host.nshost()?.arg("run").args(options).arg("--audit").arg(&audit).arg(&script);
        run.args(["--", command]).run()?.expect(code)?;
    }
    let text = fs::read_to_string(&audit)?;
    let lines: Vec<serde_json::Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    // One line for each step and each namespace that would be shared, in order: of the three launches two are
    // allowed all of it, and the one without grants lacks the link, its three addresses and routes, no more.
    let plan = host.nshost()?.args(["plan", "--json"]).arg(&script).args(["--", "true"]).run()?;
    let plan: serde_json::Value = serde_json::from_str(plan.expect(0)?)?;
    let denied: Vec<u64> = (plan["refusals"].as_array().into_iter().flatten())
        .filter(|refusal| refusal["kind"] == "denied")
        .filter_map(|refusal| refusal["step"].as_u64())
        .collect();
    assert!(!denied.is_empty(), "{plan:#}");
    let steps = plan["steps"].as_array().map_or(0, Vec::len) as u64;
    let checks: Vec<(u64, bool)> = (lines.iter().filter(|line| line["event"] == "check"))
        .map(|line| &line["details"])
        .filter_map(|check| Some((check["step"].as_u64()?, check["allowed"].as_bool()?)))
        .collect();
    let expected = |without_grants: bool| (1..=steps).map(move |step| (step, without_grants));
    let refused = expected(true).map(|(step, _)| (step, !denied.contains(&step)));
    let all: Vec<_> = expected(true).chain(refused).chain(expected(true)).collect();
    assert_eq!(checks, all, "{text}");
    for event in ["permitted", "started", "ended", "refused", "not-started"] {
        assert!(lines.iter().any(|line| line["event"] == event), "no {event}: {text}");
    }
    Ok(())
}

#[test]
fn an_operator_at_a_terminal_is_asked_once() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (answer, code, ran) in [("y", 0, true), ("n", 122, false), ("", 122, false)] {
        let (host, scratch) = (Host::new()?, Scratch::new()?);
        let before = Census::take(&host)?;
        let audit = scratch.path().join("audit.jsonl");
        let nshost = host.nshost()?.args(["run", "--audit"]).arg(&audit).arg(component("tutorial")?);
        let nshost = nshost.args(["--", "echo", "it ran"]);
        let mut terminal = Terminal::start(&nshost.command())?;
        let shown = terminal.expect("[y/N]", SOON)?;
        assert!(shown.contains("veth0") && shown.contains("169.254.1.1/30"), "{shown}");
        assert!(shown.contains("root of the host"), "{shown}");
        terminal.send(&format!("{answer}\n"))?;
        if ran {
            terminal.expect("it ran", SOON)?;
        }
        assert_eq!(terminal.finish(SOON)?, code, "{answer:?}");
        // Whatever the way to a permit was, the audit has it, and what the operator granted on the way.
        let audit = fs::read_to_string(&audit)?;
        let has = |event: &str| audit.contains(&format!("\"event\":\"{event}\""));
        assert_eq!((has("permitted"), has("approved"), has("refused")), (ran, ran, !ran), "{audit}");
        assert_eq!(audit.contains("[[address]]\\nrange = \\\"169.254.1.0/30\\\""), ran, "{audit}");
        before.comes_back(&host, TORN_DOWN)?;
    }
    Ok(())
}
