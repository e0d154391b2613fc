//! Without root the launcher is root over a host of its own, and the rest is the same.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use anyhow::Result;
use blackbox::Scratch;
use support::{Census, Host, Running, Terminal, component, root_or_skip, tested_programs};

const USER: &str = "54321";

/// The launcher as an ordinary user, with copies of everything that it can reach.
fn as_user(host: &Host, scratch: &Scratch) -> Result<Command> {
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))?;
    for name in ["nshost", "nshost-worker", "nshost-compiler"] {
        let copy = scratch.path().join(name);
        // One that still runs cannot be written to.
        if copy.exists() {
            fs::remove_file(&copy)?;
        }
        fs::copy(tested_programs().join(name), copy)?;
    }
    let home = scratch.path().join("home");
    fs::create_dir_all(&home)?;
    std::os::unix::fs::chown(&home, Some(54321), Some(54321))?;
    let mut command = host.command("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "env"]);
    command.arg(format!("HOME={}", home.display())).arg(format!("XDG_RUNTIME_DIR={}", home.display()));
    command.arg(scratch.path().join("nshost"));
    Ok(command)
}

fn script(scratch: &Scratch, name: &str) -> Result<std::path::PathBuf> {
    let path = scratch.file(name, fs::read(component(name)?)?)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    Ok(path)
}

#[test]
fn an_ordinary_user_launches_and_the_host_is_as_it_was() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let before = Census::take(&host)?;
    for (name, look) in [
        ("isolated", "id -u; hostname; ip -brief address show lo"),
        ("tutorial", "id -u; hostname; ip -brief address show veth1"),
    ] {
        let mut command = as_user(&host, &scratch)?;
        command.args(["run", "--allow-all"]).arg(script(&scratch, name)?).args(["--", "sh", "-c", look]);
        let output = support::run(command, Duration::from_secs(30))?;
        let lines: Vec<&str> = output.expect(0)?.lines().collect();
        assert_eq!(lines[0], "0", "{}", output.text());
        assert_eq!(lines[1], if name == "tutorial" { "In Namespace" } else { "isolated" });
        let address = if name == "tutorial" { "169.254.1.2/30" } else { "127.0.0.1/8" };
        assert!(lines[2].contains(address), "{}", output.text());
    }
    before.comes_back(&host, Duration::from_secs(3))
}

/// The same facts for both: those of a host of its own, whatever the machine has.
#[test]
fn a_plan_says_what_a_launch_by_the_same_user_does() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let _internet = host.internet()?;
    // In the way of root's launch of the tutorial, and of nobody else's.
    host.shell("ip address add 169.254.1.9/24 dev eth0")?;
    let (tutorial, nat) = (script(&scratch, "tutorial")?, script(&scratch, "nat")?);
    let both = |script: &std::path::Path, arguments: &[&str]| {
        let nshost = |verb: &str| {
            let mut command = as_user(&host, &scratch)?;
            command.args([verb, "--allow-all"]).arg(script).args(arguments).args(["--", "true"]);
            support::run(command, Duration::from_secs(30))
        };
        anyhow::Ok((nshost("plan")?, nshost("run")?))
    };
    let (plan, run) = both(&tutorial, &[])?;
    run.expect(0)?;
    assert!(plan.expect(0)?.contains("a private host"), "{}", plan.text());
    for arguments in [&["8080"][..], &["8080", "out=eth0"]] {
        let (plan, run) = both(&nat, arguments)?;
        assert!(run.code() != 0 && run.stderr.contains("without root"), "{}", run.text());
        assert_eq!((plan.code(), &plan.stderr), (run.code(), &run.stderr), "{arguments:?}");
    }
    let root = host.nshost()?.args(["plan", "--allow-all"]).arg(&tutorial).run()?;
    assert_eq!(root.code(), 125, "{}", root.text());
    assert!(root.stderr.contains("169.254.1.9/24") && !root.stdout.contains("a private host"));
    Ok(())
}

#[test]
fn without_user_namespaces_a_plan_is_shown_and_said_to_be_in_vain() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let _internet = host.internet()?;
    let script = script(&scratch, "tutorial")?;
    // Below another root directory nobody gets a user namespace.
    host.shell("mkdir /run/root; mount --rbind / /run/root")?;
    let without = |words: &[&str]| {
        let mut command = host.command("chroot");
        command
            .arg("/run/root")
            .arg("setpriv")
            .args(as_user(&host, &scratch)?.get_args().skip_while(|word| *word != "--reuid"));
        command.args(words).arg(&script);
        support::run(command, Duration::from_secs(30))
    };
    let plan = without(&["plan", "--allow-all"])?;
    assert_eq!(plan.code(), 125, "{}", plan.text());
    assert!(plan.stdout.contains("169.254.1.1/30"), "{}", plan.text());
    assert!(plan.stderr.contains("unprivileged user namespaces"), "{}", plan.text());
    let run = without(&["run", "--allow-all"])?;
    assert_eq!((run.code(), run.stderr), (125, plan.stderr));
    // What it would need somewhere else can be asked anywhere.
    without(&["plan", "--suggest-grants"])?.expect(0)?;
    Ok(())
}

#[test]
fn what_the_script_may_execute_runs() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    for name in ["isolated", "tutorial"] {
        let grants =
            scratch.file("grants.toml", fs::read(support::scripts().join(name).join("grants.toml"))?)?;
        fs::set_permissions(&grants, fs::Permissions::from_mode(0o644))?;
        let mut command = as_user(&host, &scratch)?;
        // Its input is empty, so that the shell ends at once.
        command.args(["run", "--grants"]).arg(grants).arg(script(&scratch, name)?);
        support::run(command, Duration::from_secs(30))?.expect(0)?;
    }
    Ok(())
}

#[test]
fn its_root_has_no_more_rights_than_the_user() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let secret = scratch.file("secret", "for root only")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let mut command = as_user(&host, &scratch)?;
    command.args(["run", "--allow-all"]).arg(script(&scratch, "tutorial")?).args(["--", "cat"]).arg(&secret);
    let output = support::run(command, Duration::from_secs(30))?;
    assert_eq!(output.code(), 1, "{}", output.text());
    assert!(output.stderr.contains("Permission denied"), "{}", output.text());
    Ok(())
}

#[test]
fn a_squatted_directory_is_told_with_its_owner() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let launch = || {
        let mut command = as_user(&host, &scratch)?;
        command.args(["run", "--allow-all"]).arg(script(&scratch, "tutorial")?).args(["--", "true"]);
        support::run(command, Duration::from_secs(30))
    };
    launch()?.expect(0)?;
    let state = scratch.path().join("home/nshost");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755))?;
    std::os::unix::fs::chown(state, Some(1234), None)?;
    let refused = launch()?;
    assert_eq!(refused.code(), 125, "{}", refused.text());
    assert!(refused.stderr.contains("belongs to uid 1234, not to uid 54321"), "{}", refused.text());
    Ok(())
}

/// What a user sees without root is not what there is: that is said wherever something comes to nothing for it, and what
/// root would get can be asked.
#[test]
fn what_a_private_host_lacks_is_explained_and_roots_plan_can_be_seen() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let _internet = host.internet()?;
    let nat = script(&scratch, "nat")?;
    let asks = scratch.file("asks.wasm", fs::read(support::wasi_component("asks")?)?)?;
    fs::set_permissions(&asks, fs::Permissions::from_mode(0o644))?;
    let user = |verb: &[&str], script: &Path, arguments: &[&str]| {
        let mut command = as_user(&host, &scratch)?;
        command.args(verb).arg("--allow-all").arg(script).args(arguments).args(["--", "true"]);
        support::run(command, Duration::from_secs(30))
    };
    let route = "own=usual veth=nsh0,eth0 inside=10.9.0.2/30 host=10.9.0.1/30 masquerade=10.9.0.2,eth0";
    let route: Vec<&str> = route.split(' ').collect();
    for (script, arguments) in [(&nat, &[][..]), (&nat, &["out=eth0"]), (&asks, &route)] {
        for verb in ["plan", "run"] {
            let output = user(&[verb], script, arguments)?;
            assert!(output.code() >= 120, "{}", output.text());
            assert!(output.stderr.contains("its host is a private one"), "{verb}: {}", output.text());
            assert!(output.stderr.contains("nshost plan --as-root"), "{verb}: {}", output.text());
        }
        let as_root = user(&["plan", "--as-root"], script, arguments)?;
        let root = host.nshost()?.args(["plan", "--allow-all"]).arg(script).args(arguments);
        let root = root.args(["--", "true"]).run()?;
        assert_eq!(as_root.expect(0)?, root.expect(0)?);
        assert!(as_root.stderr.contains("what root's containers hold cannot be seen"), "{}", as_root.text());
        assert!(!root.stderr.contains("private"), "{}", root.text());
    }
    // For root it is the same; and what a script forbids itself has nothing to do with the host.
    let both = ["plan", "--allow-all", "--as-root"];
    let root = host.nshost()?.args(both).arg(&nat).run()?;
    assert!(root.expect(0)?.contains("masquerade") && root.stderr.is_empty(), "{}", root.text());
    let mut denied = as_user(&host, &scratch)?;
    denied.arg("run").arg(&asks).args(["own=usual", "private", "variable=A,b", "--", "true"]);
    let denied = support::run(denied, Duration::from_secs(30))?;
    denied.expect(122)?;
    assert!(!denied.stderr.contains("private one"), "{}", denied.text());
    Ok(())
}

/// A launch says it too, to somebody who is there, where the container meets its host at all.
#[test]
fn a_launch_at_a_terminal_tells_of_its_private_host() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    for (name, meets) in [("tutorial", true), ("isolated", false)] {
        let mut command = as_user(&host, &scratch)?;
        command.args(["run", "--allow-all"]).arg(script(&scratch, name)?).args(["--", "echo", "it runs"]);
        let mut terminal = Terminal::start(&command)?;
        let before = terminal.expect("it runs", Duration::from_secs(10))?;
        assert_eq!(before.contains("a private host: without root"), meets, "{name}: {before}");
        assert_eq!(terminal.finish(Duration::from_secs(10))?, 0);
    }
    Ok(())
}

/// One that waits for a line.
fn held(host: &Host, scratch: &Scratch, name: &str) -> Result<Running> {
    let mut command = as_user(host, scratch)?;
    command.args(["run", "--allow-all", "--name", name]).arg(script(scratch, "isolated")?);
    command.args(["--", "sh", "-c", "echo ready; read line"]).stdin(std::process::Stdio::piped());
    let mut running = Running::start(command)?;
    running.wait_for("ready\n", Duration::from_secs(10))?;
    Ok(running)
}

#[test]
fn a_name_is_given_once_and_gc_tells_of_ones_own() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let first = held(&host, &scratch, "web")?;
    let launch = |name: &str| {
        let mut command = as_user(&host, &scratch)?;
        command.args(["run", "--allow-all", "--name", name]).arg(script(&scratch, "isolated")?);
        command.args(["--", "true"]);
        support::run(command, Duration::from_secs(30))
    };
    let refused = launch("web")?;
    assert_eq!(refused.code(), 125, "{}", refused.text());
    let told = refused.stderr.split_once("container name web belongs to container web (pid ");
    let pid = told.and_then(|(_, rest)| rest.split_once(", for ")?.0.parse::<u32>().ok());
    let pid = pid.ok_or_else(|| anyhow::anyhow!("{}", refused.text()))?;
    // It is the launcher, as this user sees it: who ends that ends the container.
    let what = host.shell(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline"))?;
    assert!(what.contains("nshost run") && what.contains("--name web"), "{what}");
    // The controls: another name, and root's own.
    launch("other")?.expect(0)?;
    let root = host.nshost()?.args(["run", "--allow-all", "--name", "web"]).arg(component("isolated")?);
    root.args(["--", "true"]).run()?.expect(0)?;
    let gc = || {
        let mut command = as_user(&host, &scratch)?;
        command.arg("gc");
        let output = support::run(command, Duration::from_secs(30))?;
        output.expect(0)?;
        anyhow::Ok(output.stdout + &output.stderr)
    };
    assert!(gc()?.contains("0 removed, 1 running"), "{}", gc()?);
    first.signal(nix::sys::signal::Signal::SIGKILL)?;
    drop(first);
    let told = gc()?;
    assert!(told.contains("(web)") && told.contains("1 removed, 0 running"), "{told}");
    assert!(gc()?.contains("0 removed, 0 running"));
    launch("web")?.expect(0)?;
    Ok(())
}

/// Root's containers in two network namespaces of one state directory, likewise.
#[test]
fn a_name_is_given_once_in_all_networks() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    host.shell("ip netns add one; ip netns add two")?;
    let launch = |network: &str, name: &str, command: &str| {
        let nshost = host.nshost()?.args(["run", "--allow-all", "--name", name]).arg(component("isolated")?);
        anyhow::Ok(nshost.args(["--", "sh", "-c", command]).under(&["ip", "netns", "exec", network]))
    };
    let mut first = Running::start(launch("one", "web", "echo ready; sleep 30")?)?;
    first.wait_for("ready\n", Duration::from_secs(10))?;
    let refused = support::run(launch("two", "web", "true")?, Duration::from_secs(30))?;
    assert_eq!(refused.code(), 125, "{}", refused.text());
    assert!(refused.stderr.contains("container name web belongs to container web"), "{}", refused.text());
    support::run(launch("two", "other", "true")?, Duration::from_secs(30))?.expect(0)?;
    drop(first);
    Ok(())
}

/// In a container with a user namespace, root's and a user's: the usual state directory is somebody else's there.
#[test]
fn a_container_is_a_host_for_others() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    // What is left in /tmp goes with this host; the scratch directory is there too.
    let own = scratch.path().display();
    host.shell(&format!(
        "mkdir /run/own; mount --bind {own} /run/own; mount -t tmpfs -o mode=1777 tmpfs /tmp
        mkdir -p {own}; mount --bind /run/own {own}"
    ))?;
    let (isolated, tutorial) = (script(&scratch, "isolated")?, script(&scratch, "tutorial")?);
    let nshost = scratch.path().join("nshost");
    let [nshost, isolated, tutorial] = [&nshost, &isolated, &tutorial].map(|path| path.display().to_string());
    let inside = format!(
        "set -e
        {nshost} run --allow-all {tutorial} -- sh -c 'ip -brief address show veth1; ls -d /proc/[0-9]*'
        {nshost} run --allow-all {isolated} -- id -u
        mkfifo /tmp/line; {nshost} run --allow-all --name web {isolated} -- sh -c 'echo up; read line' < /tmp/line & exec 8> /tmp/line
        until {nshost} run --allow-all --name web {isolated} -- true 2>&1 | grep -o 'container name web belongs to'; do sleep 0.02; done
        echo down >&8; wait; rm /tmp/line
        {nshost} gc 2>&1; {nshost} doctor 2>&1 | grep -E 'state directory|ids for'"
    );
    let launched = |mut command: Command| {
        command.args(["run", "--allow-all", &isolated, "--", "sh", "-c", &inside]);
        support::run(command, Duration::from_secs(30))
    };
    let user = as_user(&host, &scratch)?;
    let root = host.command(&nshost);
    for (who, command) in [("user", user), ("root", root)] {
        let output = launched(command)?;
        let text = output.expect(0)?;
        assert!(text.contains("169.254.1.2/30"), "{who}: {}", output.text());
        // The shell and what it starts; nobody of the containers around it.
        let processes = text.matches("/proc/").count();
        assert!((1..4).contains(&processes), "{who}: {}", output.text());
        assert!(text.contains("\n0\n") && text.contains("name web belongs to"), "{who}: {}", output.text());
        assert!(text.contains("0 removed, 0 running"), "{who}: {}", output.text());
        assert!(text.contains("present    /tmp/nshost-0-"), "{who}: {}", output.text());
        assert!(text.contains("has none to give"), "{who}: {}", output.text());
    }
    Ok(())
}
