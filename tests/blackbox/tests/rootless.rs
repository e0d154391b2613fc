//! Without root the launcher is root over a host of its own, and the rest is the same.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use anyhow::Result;
use blackbox::Scratch;
use support::{Census, Host, component, root_or_skip, tested_programs};

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
