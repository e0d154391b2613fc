//! The launcher is killed at every system call of a launch: after `nshost gc` the host is as before.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use support::{Census, Host, component, programs, root_or_skip, scripts};

/// How long the kernel may take to remove what nobody holds any more.
const TORN_DOWN: Duration = Duration::from_secs(5);

/// A launch has some hundred calls; one that has this many is not a launch any more.
const TOO_MANY: u32 = 5_000;

const KILLED: i32 = 0;
const ENDED_BEFORE: i32 = 9;

#[test]
fn of_the_tutorial_with_its_plan_remembered() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    sweep(&host, "tutorial", &[])
}

#[test]
fn of_the_tutorial_with_its_script_evaluated() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    sweep(&host, "tutorial", &["--fresh"])
}

#[test]
fn of_a_container_with_nat() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    sweep(&host, "nat", &["--init"])
}

/// Which has a range of user ids, and is cloned from a tree of mounts of its own.
#[test]
fn of_a_container_with_a_user_namespace() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    sweep(&host, "isolated", &[])
}

fn sweep(host: &Host, script: &str, options: &[&str]) -> Result<()> {
    let component = component(script)?;
    let grants = scripts().join(script).join("grants.toml");
    // Once to fill the cache and to make the state directory, which stay.
    launch(host, options, &component, &grants, None)?;
    tidy_up(host)?;
    let before = Census::take(host)?;
    for call in 1..TOO_MANY {
        let ended = launch(host, options, &component, &grants, Some(call))?;
        host.nshost()?
            .arg("gc")
            .run()?
            .expect(0)
            .with_context(|| format!("gc after a kill at call {call}"))?;
        before.comes_back(host, TORN_DOWN).with_context(|| format!("killed at call {call}"))?;
        if ended {
            println!("{script} {options:?}: killed at each of {call} system calls, nothing left");
            assert!(call > 100, "a launch with {call} system calls is not a launch");
            return Ok(());
        }
    }
    bail!("no end after {TOO_MANY} system calls")
}

/// `nshost gc`, when the killed launcher's children have had the time to notice: its container's first
/// process, and the one that it leaves for the kernel's slow work.
fn tidy_up(host: &Host) -> Result<()> {
    host.shell("i=0; while pgrep -x 'nshost|nshost-worker' >/dev/null && [ $i -lt 500 ]; do sleep 0.01; i=$((i + 1)); done")?;
    host.nshost()?.arg("gc").run()?.expect(0)?;
    Ok(())
}

/// Returns whether it came to its end before the kill.
fn launch(host: &Host, options: &[&str], script: &Path, grants: &Path, kill_at: Option<u32>) -> Result<bool> {
    let nshost = programs().join("nshost");
    let mut command = match kill_at {
        Some(call) => {
            let mut command = host.command(env!("CARGO_BIN_EXE_kill-at"));
            command.arg(call.to_string()).arg(&nshost);
            command
        }
        None => host.command(&nshost),
    };
    command.arg("run").args(options).arg("--grants").arg(grants).arg(script).args(["--", "true"]);
    let status = command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status()?;
    match (kill_at, status.code()) {
        (None, Some(0)) => Ok(true),
        (Some(_), Some(KILLED)) => Ok(false),
        (Some(_), Some(ENDED_BEFORE)) => Ok(true),
        _ => bail!("{status}"),
    }
}
