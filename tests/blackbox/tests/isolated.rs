//! The container for code that nobody trusts.

use anyhow::Result;
use blackbox::{SOON, TORN_DOWN};
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
    let mut bystander = host.start(["sh", "-c", "echo $$; exec sleep 100"])?;
    bystander.wait_for("\n", SOON)?;
    let bystander = bystander.stdout().trim().to_string();
    // What root of the host may and root of a user namespace may not; harmless where it succeeds.
    let attempts = [
        ("v=$(cat /proc/sys/kernel/panic); echo $v > /proc/sys/kernel/panic".to_string(), "denied"),
        ("mknod /run/device c 1 3 && rm /run/device".to_string(), "denied"),
        ("mkdir /run/made && rmdir /run/made".to_string(), "denied"),
        ("umask 077; : > /run/secret; cat /run/secret".to_string(), "denied"),
        (format!("kill -0 {bystander}"), "No such process"),
    ];
    for (attempt, refused) in attempts {
        let output = host.nshost()?.run_script("isolated")?.args(["--", "sh", "-ec", &attempt]).run()?;
        assert!(!output.status.success(), "{attempt}: {}", output.text());
        assert!(output.stderr.contains(refused), "{attempt}: {}", output.text());
        // The control: to the host's root it happens.
        host.run(["sh", "-ec", &attempt])?.expect(0)?;
    }
    Ok(())
}
