//! What the black-box tests rest on: the disposable host is apart from this machine, it notices what
//! is left on it, and it leaves nothing itself.

use std::{fs, time::Duration};

use anyhow::Result;
use support::{Census, Host, Internet, Terminal, root_or_skip};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_host_is_apart_from_this_machine() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let own = fs::read_link("/proc/self/ns/net")?;
    assert_ne!(host.shell("readlink /proc/self/ns/net")?.trim(), own.to_string_lossy());
    assert_eq!(host.shell("ls /run")?, "");
    assert_eq!(host.shell("ip -brief link | cut -d' ' -f1")?, "lo\n");
    host.shell("touch /run/mark; ip link add mark type veth peer name kram")?;
    assert!(!fs::exists("/run/mark")?);
    assert!(!fs::exists("/sys/class/net/mark")?);
    Ok(())
}

#[test]
fn nothing_outlives_a_host() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    // Nobody's child, in a session of its own: only the host's end can end it.
    host.shell("setsid sleep 4242.25 >/dev/null 2>&1 & sleep 0.1")?;
    let sleeper = |word: &str| {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .any(|line| line.ends_with(word.as_bytes()))
    };
    assert!(sleeper("4242.25\0"));
    drop(host);
    for _ in 0..200 {
        if !sleeper("4242.25\0") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("a process outlived its host");
}

#[test]
fn a_census_notices_whatever_is_left() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    before.comes_back(&host, Duration::ZERO)?;
    for (part, change) in [
        ("links", "ip link add left0 type veth peer name left1"),
        ("addresses", "ip address add 192.0.2.1/32 dev lo"),
        ("routes", "ip route add 192.0.2.0/24 dev lo"),
        ("rules", "ip rule add from 192.0.2.1 lookup 7"),
        ("nftables", "nft add table inet left"),
        ("mounts", "mount -t tmpfs left /mnt"),
        ("sysctls", "echo 1 > /proc/sys/net/ipv4/conf/lo/forwarding"),
        ("processes", "setsid sleep 60 >/dev/null 2>&1 &"),
    ] {
        let before = Census::take(&host)?;
        host.shell(change)?;
        let after = Census::take(&host)?;
        assert_ne!(before.part(part), after.part(part), "{change}");
        assert!(before.changes(&after).contains(part), "{change}");
        assert!(before.comes_back(&host, Duration::ZERO).is_err(), "{change}");
    }
    Ok(())
}

#[test]
fn the_internet_is_behind_the_uplink() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let internet = host.internet()?;
    for (far, own) in [(Internet::FAR, Internet::HOST), (Internet::FAR_V6, Internet::HOST_V6)] {
        let server = internet.start(&format!("nc -v -n -l {far} 80 </dev/null"))?;
        host.shell(&format!(
            "for i in $(seq 50); do echo hello | nc -n -N -w 2 {far} 80 && exit 0; sleep 0.05; done; exit 1"
        ))?;
        let output = server.finish(SOON)?;
        assert_eq!(output.stdout, "hello\n", "{}", output.text());
        assert!(output.stderr.contains(own), "{}", output.text());
    }
    Ok(())
}

#[test]
fn exit_status_and_signal_come_through() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    assert_eq!(host.run(["sh", "-c", "exit 7"])?.code(), 7);
    assert_eq!(host.run(["sh", "-c", "kill -TERM $$"])?.code(), 128 + 15);
    let mut running = host.start([
        "sh",
        "-c",
        "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.01; done",
    ])?;
    running.wait_for("ready", SOON)?;
    running.signal(nix::sys::signal::Signal::SIGUSR1)?;
    let output = running.finish(SOON)?;
    assert_eq!((output.code(), output.stdout.as_str()), (3, "ready\ncaught\n"));
    Ok(())
}

#[test]
fn a_terminal_is_a_terminal() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut shell = host.command("bash");
    shell.args(["--norc", "--noprofile"]).env("PS1", "ready> ");
    let mut terminal = Terminal::start(&shell)?;
    terminal.expect("ready> ", SOON)?;
    terminal.send("stty size; test -t 0 && echo y''es\n")?;
    terminal.expect("24 80", SOON)?;
    terminal.expect("yes", SOON)?;
    terminal.resize(33, 99)?;
    terminal.send("sleep 30\n")?;
    std::thread::sleep(Duration::from_millis(100));
    terminal.send("\x03")?;
    terminal.send("stty size\n")?;
    terminal.expect("33 99", SOON)?;
    terminal.send("exit 9\n")?;
    assert_eq!(terminal.finish(SOON)?, 9);
    Ok(())
}
