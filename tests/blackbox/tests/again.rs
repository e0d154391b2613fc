//! Again and again, and many at once.

use std::time::Duration;

use anyhow::Result;
use blackbox::{SOON, Scratch, TORN_DOWN, ask};
use support::{Census, Host, Running, component, root_or_skip};

#[test]
fn fifty_launches_one_after_the_other() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    for round in 0..50 {
        let check = "ip -brief address show veth1 | grep -q 169.254.1.2/30";
        let output = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", check]).run()?;
        assert_eq!(output.code(), 0, "launch {round}: {}", output.text());
    }
    before.comes_back(&host, TORN_DOWN)?;
    host.nshost()?.arg("gc").run()?.expect(0)?;
    assert_eq!(host.shell("find /run/nshost/containers -type f")?, "");
    Ok(())
}

/// Somebody keeps each one's network namespace, so that the kernel removes no link of it for two seconds.
#[test]
fn launched_again_at_once_it_gets_the_same_network() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let before = Census::take(&host)?;
    let look = "ip -4 -brief address show eth0; exec sleep 4321";
    let mut keepers = Vec::new();
    for round in 0..6 {
        let mut container = host.nshost()?.run_script("nat")?.args(["--", "sh", "-c", look]).start()?;
        container.wait_for("10.87.", SOON)?;
        assert!(container.stdout().contains(" 10.87.0.2/30"), "launch {round}: {}", container.stdout());
        // The one that is asleep, and no shell or launcher that speaks of it.
        let sleeper = "until pid=$(pgrep -f '^sleep 4321'); do sleep 0.01; done
            exec 9</proc/$pid/ns/net; kill -9 $pid; echo kept; read line";
        let mut keeper = host.start(["sh", "-c", sleeper])?;
        keeper.wait_for("kept\n", SOON)?;
        keepers.push(keeper);
        container.finish(SOON)?;
    }
    // The control: who lives has its own, and so does the next.
    let mut first = host.nshost()?.run_script("nat")?.args(["--", "sh", "-c", look]).start()?;
    first.wait_for("10.87.0.2/30", SOON)?;
    let nshost = host.nshost()?.args(["run", "--allow-all"]).arg(component("nat")?).arg("8080");
    let second = nshost.args(["--", "ip", "-4", "-brief", "address", "show", "eth0"]).run()?;
    assert!(second.expect(0)?.contains("10.87.0.6/30"), "{}", second.text());
    host.shell("pkill -9 -f '^sleep 4321'")?;
    drop((keepers, first));
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn sixteen_at_once_each_with_its_own_network_and_port() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let scratch = Scratch::new()?;
    let grants = std::fs::read_to_string(support::scripts().join("nat/grants.toml"))?;
    let grants = scratch.file("grants.toml", grants.replace("\"80\"", "\"8000-8015\""))?;
    let before = Census::take(&host)?;
    let start = |number: u16| -> Result<Running> {
        let serve = format!("echo 'number {number}' | nc -n -l -N 80");
        let nshost = host.nshost()?.args(["run", "--grants"]).arg(&grants).arg(component("nat")?);
        nshost.arg((8000 + number).to_string()).args(["--", "sh", "-c", &serve]).start()
    };
    let containers = (0..16).map(start).collect::<Result<Vec<_>>>()?;
    for number in 0..16 {
        assert_eq!(ask(&host, "127.0.0.1", 8000 + number, "hello")?, format!("number {number}\n"));
    }
    for container in containers {
        assert_eq!(container.finish(SOON)?.expect(0)?, "hello\n");
    }
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn of_sixteen_that_want_one_name_one_gets_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let hold = ["--", "sh", "-c", "echo ready; read line"];
    let start = |_| host.nshost()?.run_script("tutorial")?.args(hold).start();
    let mut containers = (0..16).map(start).collect::<Result<Vec<_>>>()?;
    let mut won = 0;
    for container in &mut containers {
        // A loser ends by itself, with its reason; the winner waits for a line.
        won += usize::from(container.wait_for("ready", Duration::from_secs(5)).is_ok());
    }
    assert_eq!(won, 1);
    let outputs =
        containers.into_iter().map(|container| container.finish(SOON)).collect::<Result<Vec<_>>>()?;
    let losers = outputs.iter().filter(|output| output.stdout.is_empty());
    for loser in losers {
        assert_eq!(loser.code(), 125, "{}", loser.text());
        assert!(loser.stderr.contains("veth0") || loser.stderr.contains("169.254.1"), "{}", loser.text());
    }
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn a_killed_launcher_leaves_nothing_after_gc() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for script in ["tutorial", "nat"] {
        let host = Host::new()?;
        let _internet = host.internet()?;
        let before = Census::take(&host)?;
        let hold = ["--", "sh", "-c", "echo ready; sleep 1000"];
        let mut container = host.nshost()?.run_script(script)?.args(hold).start()?;
        container.wait_for("ready", SOON)?;
        container.signal(nix::sys::signal::Signal::SIGKILL)?;
        assert_eq!(container.finish(SOON)?.code(), 128 + 9);
        host.nshost()?.arg("gc").run()?.expect(0)?;
        before.comes_back(&host, Duration::ZERO)?;
        assert_eq!(host.shell("find /run/nshost/containers -type f")?, "");
    }
    Ok(())
}

#[test]
fn the_launch_after_a_killed_launcher_works_at_once() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    for _ in 0..5 {
        let hold = ["--", "sh", "-c", "echo ready; sleep 1000"];
        let mut container = host.nshost()?.run_script("tutorial")?.args(hold).start()?;
        container.wait_for("ready", SOON)?;
        container.signal(nix::sys::signal::Signal::SIGKILL)?;
        container.finish(SOON)?;
        host.nshost()?.run_script("tutorial")?.args(["--", "true"]).run()?.expect(0)?;
    }
    before.comes_back(&host, TORN_DOWN)
}

/// Ended, and started again by the same name before it is gone.
#[test]
fn a_name_is_free_again_at_once() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let launch = |command: &str| {
        let nshost = host.nshost()?.args(["run", "--allow-all", "--name", "web"]).arg(component("tutorial")?);
        anyhow::Ok(nshost.args(["--", "sh", "-c", command]))
    };
    for _ in 0..20 {
        let mut first = launch("echo ready; exec sleep 100")?.start()?;
        first.wait_for("ready", Duration::from_secs(10))?;
        first.signal(nix::sys::signal::Signal::SIGTERM)?;
        launch("true")?.run()?.expect(0)?;
        first.finish(Duration::from_secs(10))?;
    }
    Ok(())
}
