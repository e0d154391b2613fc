//! The command line: typing mistakes, files that are not what they should be, exit codes, JSON.

use std::fs;

use anyhow::Result;
use blackbox::{SOON, Scratch, TORN_DOWN};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use support::{Census, Host, component, root_or_skip, scripts};

#[test]
fn typing_mistakes_are_told_and_nothing_is_run() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let script = component("tutorial")?;
    let script = script.to_string_lossy();
    for (words, told) in [
        (vec!["rnu"], "rnu"),
        (vec!["run"], "SCRIPT"),
        (vec!["run", "--grnats", "x", &script], "--grants"),
        (vec!["run", "--allow-all", "--grants", "x", &script], "--allow-all"),
        (vec!["run", "--name", "a/b", "--allow-all", &script], "name"),
        (vec![], "Usage"),
    ] {
        let output = host.nshost()?.args(&words).run()?;
        assert_eq!(output.code(), 125, "{words:?}: {}", output.text());
        assert!(output.stderr.contains(told), "{words:?}: {}", output.text());
        assert_eq!(output.stdout, "", "{words:?}");
        // As everything else is said, and without advice that would run something else.
        assert_eq!(output.stderr.starts_with("nshost: "), !words.is_empty(), "{words:?}: {}", output.text());
        let ours = !output.stderr.contains("For more") && !output.stderr.contains("to pass");
        assert!(ours, "{words:?}: {}", output.text());
    }
    // A command without the -- before it is an argument, and the shipped scripts say what to do with that.
    for name in ["tutorial", "nat", "isolated"] {
        let output = host.nshost()?.run_script(name)?.arg("true").run()?;
        assert_eq!(output.code(), 120, "{}", output.text());
        assert!(output.stderr.contains("true"), "{}", output.text());
    }
    for word in ["--help", "--version"] {
        let output = host.nshost()?.arg(word).run()?;
        assert!(output.expect(0)?.contains("nshost"));
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_script_is_told() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let text = scratch.file("text.wasm", "not wasm at all")?;
    let empty = scratch.file("empty.wasm", "")?;
    // A core module, not a component.
    let module = scratch.file("module.wasm", b"\0asm\x01\0\0\0")?;
    let nothing = scratch.file("nothing.wasm", b"\0asm\x0d\0\x01\0")?;
    let cut = scratch.file("cut.wasm", &fs::read(component("tutorial")?)?[..5000])?;
    for path in [text, empty, module, nothing, cut] {
        let output = host.nshost()?.args(["run", "--allow-all"]).arg(&path).args(["--", "true"]).run()?;
        assert_eq!(output.code(), 120, "{}: {}", path.display(), output.text());
        assert!(output.stderr.lines().count() <= 4, "{}: {}", path.display(), output.text());
    }
    for path in [scratch.path().join("missing.wasm"), scratch.path().to_path_buf(), "/dev/zero".into()] {
        let output = host.nshost()?.args(["run", "--allow-all"]).arg(&path).args(["--", "true"]).run()?;
        assert_eq!(output.code(), 125, "{}: {}", path.display(), output.text());
        assert!(output.stderr.contains(&*path.to_string_lossy()), "{}", output.text());
    }
    Ok(())
}

#[test]
fn bad_grants_are_told_with_their_place() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    for (text, told) in [
        ("", "schema"),
        ("schema = 2\n", "1"),
        ("schema = 1\n[[lnik]]\n", ":2:"),
        ("schema = 1\n[[link]]\nkind = \"veth\"\nhost_name = \"x\"\n", ":4:"),
        ("schema = 1\n[[address]]\nrange = \"10.0.0.0/33\"\n", ":3:"),
        ("schema = 1\n[[forward]]\nprotocol = \"tcp\"\nports = \"0\"\n", ":4:"),
        ("schema = ", ":1:"),
    ] {
        let file = scratch.file("grants.toml", text)?;
        let output = host
            .nshost()?
            .args(["run", "--grants"])
            .arg(&file)
            .arg(component("tutorial")?)
            .args(["--", "true"])
            .run()?;
        assert_eq!(output.code(), 125, "{text:?}: {}", output.text());
        assert!(output.stderr.contains("grants.toml"), "{text:?}: {}", output.text());
        assert!(output.stderr.contains(told), "{text:?}: {}", output.text());
    }
    let missing = scratch.path().join("missing.toml");
    let output = host.nshost()?.args(["run", "--grants"]).arg(missing).arg(component("tutorial")?).run()?;
    assert_eq!(output.code(), 125, "{}", output.text());
    assert!(output.stderr.contains("plan --suggest-grants"), "{}", output.text());
    Ok(())
}

#[test]
fn exit_codes_are_the_documented_ones() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let plain = scratch.file("plain", "no program")?;
    let plain = plain.to_string_lossy();
    for (command, code) in [
        (vec!["true"], 0),
        (vec!["sh", "-c", "exit 42"], 42),
        (vec!["sh", "-c", "exit 255"], 255),
        (vec![&*plain], 126),
        (vec!["/etc"], 126),
        (vec!["/no/such/program"], 127),
        (vec!["no-such-program"], 127),
    ] {
        let output = host.nshost()?.run_script("tutorial")?.arg("--").args(&command).run()?;
        assert_eq!(output.code(), code, "{command:?}: {}", output.text());
        if code == 126 || code == 127 {
            assert!(output.stderr.contains(command[0]), "{}", output.text());
        }
    }
    // The command itself is killed: by itself where a reaper is the first process, from outside where it is.
    for (signal, code) in [("KILL", 128 + 9), ("SEGV", 128 + 11), ("TERM", 128 + 15)] {
        let script = component("tutorial")?;
        let run = host.nshost()?.args(["run", "--allow-all", "--init"]).arg(script);
        let output = run.args(["--", "sh", "-c", &format!("kill -{signal} $$; echo lives on")]).run()?;
        assert_eq!(output.expect(code)?, "", "{signal}");
    }
    let command = ["--", "sh", "-c", "echo ready; read line; echo lives on"];
    let mut running = host.nshost()?.run_script("tutorial")?.args(command).start()?;
    running.wait_for("ready", SOON)?;
    kill(first_process(running.pid()?)?, Signal::SIGKILL)?;
    assert_eq!(running.finish(SOON)?.expect(128 + 9)?, "ready\n");
    // With a reaper it is not the first process that fails to execute.
    for (command, code) in [(&*plain, 126), ("no-such-program", 127)] {
        let script = component("tutorial")?;
        let run = host.nshost()?.args(["run", "--allow-all", "--init"]).arg(script).args(["--", command]);
        let output = run.run()?;
        assert_eq!(output.code(), code, "{command:?}: {}", output.text());
        assert!(output.stderr.contains("cannot execute"), "{}", output.text());
    }
    let gave_up = host.nshost()?.run_script("nat")?.args(["nonsense", "--", "true"]).run()?;
    assert_eq!(gave_up.code(), 120, "{}", gave_up.text());
    assert!(gave_up.stderr.contains("nonsense"), "{}", gave_up.text());
    Ok(())
}

/// The container's first process, as the outside sees it: the launcher's only child.
fn first_process(launcher: i32) -> Result<Pid> {
    let children = fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children"))?;
    Ok(Pid::from_raw(children.trim().parse()?))
}

/// What the operator typed, and has in the environment, is not for those inside to read.
#[test]
fn a_reaper_has_a_short_name_and_nothing_of_the_launchers() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let run = host.nshost()?.args(["run", "--allow-all", "--init"]).arg(component("tutorial")?);
    let look =
        "ps -o args= -p 1; ps -o comm= -p 1; tr '\\0' '+' </proc/1/cmdline; echo; wc -c </proc/1/cmdline";
    let output = run.args(["--", "sh", "-c", look]).run()?;
    assert_eq!(output.expect(0)?, "nshost-init\nnshost-init\nnshost-init+\n12\n");
    // The environment is not even root's to read there; what the kernel would show of it is seen from outside.
    let run = host.nshost()?.args(["run", "--allow-all", "--init"]).arg(component("tutorial")?);
    let run = run.variable("SECRET_OF_THE_OPERATOR", "77").args(["--", "sh", "-c", "echo ready; read line"]);
    let mut running = run.start()?;
    running.wait_for("ready", SOON)?;
    let variables = |pid: i32| fs::read(format!("/proc/{pid}/environ"));
    let secret = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("SECRET_OF");
    let launcher = running.pid()?;
    assert!(secret(&variables(launcher)?), "the launcher's own are its own");
    assert!(!secret(&variables(first_process(launcher)?.as_raw())?), "the reaper has them");
    running.send("\n")?;
    running.finish(SOON)?.expect(0)?;
    Ok(())
}

/// And does not take those for lost that it passes on.
#[test]
fn a_reaper_passes_signals_on() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    for (signal, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGHUP, "HUP"), (Signal::SIGUSR1, "USR1")] {
        let command = format!("trap 'echo got it; exit 3' {name}; echo ready; while :; do sleep 0.01; done");
        let run = host.nshost()?.args(["run", "--allow-all", "--init"]).arg(component("tutorial")?);
        let mut running = run.args(["--", "sh", "-c", &command]).start()?;
        running.wait_for("ready", SOON)?;
        running.signal(signal)?;
        assert_eq!(running.finish(SOON)?.expect(3)?, "ready\ngot it\n", "{name}");
    }
    Ok(())
}

/// The kernel gives a first process no signal that it does not handle: the launcher sees to the end. That is not
/// for one that waits for signals, and is for one that only happens to block them when they come.
#[test]
fn a_signal_to_the_first_process_arrives_or_ends_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let wait = "import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('ready', flush=True)
signal.sigwait([signal.SIGTERM]); sys.exit(3)";
    let block = "import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('ready', flush=True); time.sleep(0.7)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM]); time.sleep(100)";
    for (program, code) in [(wait, 3), (block, 128 + 15)] {
        let command = ["--", "/usr/bin/python3", "-c", program];
        let mut running = host.nshost()?.run_script("tutorial")?.args(command).start()?;
        running.wait_for("ready", SOON)?;
        std::thread::sleep(std::time::Duration::from_millis(200));
        running.signal(Signal::SIGTERM)?;
        running.finish(SOON)?.expect(code)?;
    }
    Ok(())
}

/// As of a shell that ends by the same hangup as its terminal.
#[test]
fn a_second_signal_while_the_launcher_ends_changes_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let census = Census::take(&host)?;
    for _ in 0..10 {
        let mut running = host
            .nshost()?
            .run_script("tutorial")?
            .args(["--", "sh", "-c", "echo ready; sleep 100"])
            .start()?;
        running.wait_for("ready", SOON)?;
        let launcher = Pid::from_raw(running.pid()?);
        for _ in 0..2_000 {
            if kill(launcher, Signal::SIGHUP).is_err() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_micros(20));
        }
        running.finish(SOON)?.expect(128 + 1)?;
    }
    census.comes_back(&host, SOON)
}

#[test]
fn output_that_nobody_gets_is_a_failure() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let script = component("tutorial")?;
    let script = script.to_string_lossy();
    for words in [
        &["plan", "--allow-all", &script][..],
        &["plan", "--json", "--allow-all", &script],
        &["plan", "--suggest-grants", &script],
        &["inspect", &script],
        &["inspect", "--json", &script],
        &["gc"],
        &["gc", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["scripts"],
        &["--help"],
        &["--version"],
    ] {
        let into = |file: &str| {
            let shell = format!("exec \"$@\" > {file}");
            let nshost = host.nshost()?.args(words);
            support::run(nshost.under(&["sh", "-c", &shell, "sh"]), SOON)
        };
        let full = into("/dev/full")?;
        assert_eq!(full.code(), 125, "{words:?}: {}", full.text());
        assert!(full.stderr.contains("No space left"), "{words:?}: {}", full.text());
        into("/dev/null")?.expect(0)?;
    }
    Ok(())
}

/// Executes what follows after a line of Python.
fn after(line: &str) -> Vec<String> {
    let program = format!("import os, resource, signal, sys\n{line}\nos.execvp(sys.argv[1], sys.argv[1:])");
    ["/usr/bin/python3", "-c", &program].map(String::from).to_vec()
}

#[test]
fn what_a_parent_left_does_not_change_the_outcome() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let run = |line: &str| {
        let run = host.nshost()?.args(["run", "--allow-all", "--fresh"]).arg(component("tutorial")?);
        let words = after(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        support::run(run.args(["--", "sh", "-c", "exit 7"]).under(&words), SOON)
    };
    run("pass")?.expect(7)?;
    run("signal.signal(signal.SIGCHLD, signal.SIG_IGN)")?.expect(7)?;
    let limited = run(
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    )?;
    assert_eq!(limited.code(), 125, "{}", limited.text());
    assert!(limited.stderr.contains("ulimit -f"), "{}", limited.text());
    Ok(())
}

#[test]
fn a_failing_undo_does_not_change_the_outcome() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let command = ["--", "sh", "-c", "echo ready; read line; exit 7"];
    let mut running = host.nshost()?.run_script("tutorial")?.args(command).start()?;
    running.wait_for("ready", SOON)?;
    // From now on it can write nothing down.
    let launcher = running.pid()?.to_string();
    Host::here().run(["prlimit", "--fsize=0", "--pid", &launcher])?.expect(0)?;
    running.send("\n")?;
    let output = running.finish(SOON)?;
    output.expect(7)?;
    assert!(output.stderr.contains("not undone: failed: write"), "{}", output.text());
    // What it left is found, and said to be removed.
    let gc = host.nshost()?.arg("gc").run()?;
    gc.expect(0)?;
    assert!(gc.stdout.contains("removed: container"), "{}", gc.text());
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn paths_are_told_without_their_control_characters() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let script = component("tutorial")?;
    let file = scratch.file("grants\x1b]0;owned\x07\x1b[31m.toml", "schema = 1\n")?;
    let wrong = scratch.file("wrong\x1b[31m.toml", "schema = 2\n")?;
    let missing = scratch.path().join("missing\x1b[31m");
    let outputs = [
        host.nshost()?.args(["run", "--grants"]).arg(&file).arg(&script).args(["--", "true"]).run()?,
        host.nshost()?.args(["plan", "-w", "/", "--grants"]).arg(&file).arg(&script).run()?,
        host.nshost()?.args(["run", "--grants"]).arg(&wrong).arg(&script).run()?,
        host.nshost()?.args(["run", "--grants"]).arg(&missing).arg(&script).run()?,
        host.nshost()?.args(["run", "--allow-all"]).arg(&missing).run()?,
        host.nshost()?.arg(&file).run()?,
        host.nshost()?
            .args(["run", "--allow-all"])
            .arg(&script)
            .variable("NSHOST_STATE_DIR", missing.join("x"))
            .run()?,
    ];
    for output in outputs {
        assert!(matches!(output.code(), 122 | 125), "{}", output.text());
        assert!(!output.stderr.contains(['\x1b', '\x07']), "{:?}", output.stderr);
        assert!(output.stderr.contains(".toml") || output.stderr.contains("missing"), "{}", output.text());
    }
    Ok(())
}

#[test]
fn a_plan_is_the_golden_one_and_does_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for script in ["tutorial", "nat", "isolated"] {
        let host = Host::new()?;
        let _internet = host.internet()?;
        let before = Census::take(&host)?;
        let grants = scripts().join(script).join("grants.toml");
        let output =
            host.nshost()?.args(["plan", "-w", "/", "--grants"]).arg(grants).arg(component(script)?).run()?;
        let golden = fs::read_to_string(scripts().join(script).join("plan.golden"))?;
        assert_eq!(output.expect(0)?, golden, "`cargo xtask bless` rewrites it");
        let drawn = host.nshost()?.args(["plan", "--format", "svg"]).arg(component(script)?).run()?;
        let golden = fs::read_to_string(scripts().join(script).join("plan.svg"))?;
        assert_eq!(drawn.expect(0)?, golden, "`cargo xtask bless` rewrites it");
        before.comes_back(&host, std::time::Duration::ZERO)?;
        assert_eq!(host.shell("ls -d /run/nshost || true")?, "", "a directory was made");
    }
    Ok(())
}

#[test]
fn a_plan_needs_no_root() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    host.shell(&format!(
        "install -m 644 {} /run/script.wasm; mkdir -m 777 /run/home",
        component("tutorial")?.display()
    ))?;
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let plan = host.nshost()?.readable_by_all()?.args(["plan", "--allow-all", "/run/script.wasm"]);
    let plan = plan.variable("NSHOST_CACHE_DIR", "/run/home/cache").variable("HOME", "/run/home");
    let output = support::run(plan.under(&nobody), SOON)?;
    assert!(output.expect(0)?.contains("169.254.1.1/30"));
    Ok(())
}

#[test]
fn machines_read_json() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let script = component("tutorial")?;
    let json = |words: &[&str], with_script: bool| -> Result<Value> {
        let nshost = host.nshost()?.args(words);
        let nshost = if with_script { nshost.arg(&script) } else { nshost };
        Ok(serde_json::from_str(nshost.run()?.expect(0)?)?)
    };
    let plan = json(&["plan", "--json", "--allow-all"], true)?;
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(15), "{plan:#}");
    let inspected = json(&["inspect", "--json"], true)?;
    let digest = host.run(["sha256sum".as_ref(), script.as_os_str()])?;
    assert!(digest.stdout.starts_with(inspected["script"].as_str().unwrap_or("?")), "{inspected:#}");
    let imports: Vec<&str> =
        inspected["imports"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(imports.iter().any(|import| import.starts_with("nshost:setup/link@")), "{inspected:#}");
    assert!(!imports.iter().any(|import| import.starts_with("nshost:setup/nat@")), "{inspected:#}");
    assert!(!imports.iter().any(|import| import.starts_with("wasi:")), "{inspected:#}");
    assert!(json(&["doctor", "--json"], false)?["probes"].as_array().is_some_and(|list| !list.is_empty()));
    assert_eq!(json(&["gc", "--json"], false)?["collected"], serde_json::json!([]));
    Ok(())
}

#[test]
fn people_read_calm_lines_without_colour_where_there_is_no_terminal() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let script = component("tutorial")?;
    for (words, code, told) in [
        (vec!["doctor"], 0, "present"),
        (vec!["gc"], 0, "0 removed, 0 running"),
        (vec!["inspect", "S"], 0, "a setup script"),
        (vec!["plan", "S"], 0, "veth0"),
        (vec!["run", "S"], 122, "denied"),
    ] {
        let words = words.iter().map(|word| if *word == "S" { script.as_os_str() } else { word.as_ref() });
        let output = host.nshost()?.args(words).limit(SOON).run()?;
        let text = output.text();
        assert_eq!(output.code(), code, "{text}");
        assert!(text.contains(told), "no {told:?}: {text}");
        assert!(!text.contains('\x1b'), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    Ok(())
}

#[test]
fn two_with_one_name_do_not_run() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let isolated = |command: &str| {
        let grants = scripts().join("isolated/grants.toml");
        let nshost = host.nshost()?.args(["run", "--name", "one", "--grants"]).arg(grants);
        anyhow::Ok(nshost.arg(component("isolated")?).args(["--", "sh", "-c", command]))
    };
    let mut first = isolated("echo ready; read line")?.start()?;
    first.wait_for("ready", SOON)?;
    let second = isolated("true")?.run()?;
    assert_eq!(second.code(), 125, "{}", second.text());
    assert!(second.stderr.contains("one"), "{}", second.text());
    first.send("\n")?;
    first.finish(SOON)?.expect(0)?;
    isolated("true")?.run()?.expect(0)?;
    Ok(())
}
