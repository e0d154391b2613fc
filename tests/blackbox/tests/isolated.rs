//! The container for code that nobody trusts.

use anyhow::Result;
use blackbox::TORN_DOWN;
use support::{Census, Host, root_or_skip};

#[test]
fn every_namespace_is_its_own_and_lo_is_all_its_network() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let before = Census::take(&host)?;
    let kinds = ["user", "pid", "mnt", "net", "uts", "ipc", "cgroup", "time"];
    let look: String = kinds.iter().map(|kind| format!("readlink /proc/self/ns/{kind}; ")).collect();
    let outside = host.shell(&look)?;
    let inside = format!("{look} ip -brief address; hostname; cat /proc/self/uid_map");
    let output = host.nshost()?.run_script("isolated")?.args(["--", "sh", "-c", &inside]).run()?;
    let lines: Vec<&str> = output.expect(0)?.lines().collect();
    for (kind, (outside, inside)) in kinds.iter().zip(outside.lines().zip(&lines)) {
        assert!(inside.starts_with(kind), "{}", output.text());
        assert_ne!(outside, *inside, "the {kind} namespace is the host's");
    }
    assert!(lines[8].starts_with("lo ") && lines[8].contains("127.0.0.1/8"), "{}", output.text());
    assert_eq!(lines[lines.len() - 2], "isolated", "{}", output.text());
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn its_root_is_not_the_hosts() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    // What root of the host may and root of a user namespace may not; harmless where it succeeds.
    for attempt in [
        "v=$(cat /proc/sys/kernel/sysrq); echo $v > /proc/sys/kernel/sysrq",
        "mknod /run/device c 1 3",
        "chown 1234 /run",
        "kill -0 -1",
    ] {
        let output = host.nshost()?.run_script("isolated")?.args(["--", "sh", "-c", attempt]).run()?;
        assert_ne!(output.code(), 0, "{attempt}: {}", output.text());
    }
    Ok(())
}
