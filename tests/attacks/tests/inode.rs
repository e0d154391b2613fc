//! A network namespace that has what another one had. Alone in its file: whoever makes namespaces meanwhile
//! would take the inode.

use anyhow::{Context, Result};
use attacks::SOON;
use support::{Host, root_or_skip, run};

/// Row 10: a network namespace that has the inode of one that has ended.
#[test]
fn undo_happens_in_the_namespace_that_it_was_done_in() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let furnish = |name: &str| {
        host.shell(&format!(
            "ip netns add {name}; ip -n {name} link set lo up
            ip -n {name} link add eth0 type veth peer name far
            ip -n {name} address add 192.0.2.1/24 dev eth0; ip -n {name} link set eth0 up; ip -n {name} link set far up
            ip -n {name} route add default via 192.0.2.2
            stat -L -c %i /run/netns/{name}"
        ))
    };
    let forwarding =
        |name: &str| host.shell(&format!("ip netns exec {name} cat /proc/sys/net/ipv4/conf/eth0/forwarding"));
    // Namespaces of tests before this one may still vanish, and leave numbers that are given first.
    let probe =
        || host.shell("ip netns add probe; stat -L -c %i /run/netns/probe; ip netns del probe; sleep 0.3");
    attacks::soon(|| Ok(probe()? == probe()? && probe()? == probe()?))?;
    let inode = furnish("first")?;
    let steps = "own=usual private proc lo veth=nsh0,c0 up host=10.9.0.1/30 inside=10.9.0.2/30 masquerade=10.9.0.2,eth0";
    let launch = || {
        let nshost = host.nshost()?.args(["run", "--allow-all"]).arg(support::wasi_component("asks")?);
        anyhow::Ok(nshost.args(steps.split_whitespace()).args(["--", "sh", "-c", "echo ready; sleep 30"]))
    };
    let mut running = support::Running::start(launch()?.under(&["ip", "netns", "exec", "first"]))?;
    running.wait_for("ready\n", SOON)?;
    assert_eq!(forwarding("first")?, "1\n");
    host.shell("kill -KILL $(pgrep -x nshost)")?;
    drop(running);
    host.shell("ip netns del first; sleep 0.3")?;
    // The lowest that is free is given: those below stay until it is that one.
    let mut found = None;
    for number in 0..200 {
        let name = format!("n{number}");
        if host.shell(&format!("ip netns add {name}; stat -L -c %i /run/netns/{name}"))? == inode {
            found = Some(name);
            break;
        }
    }
    let name = found.context("the inode did not come again")?;
    host.shell(&format!(
        "ip -n {name} link set lo up; ip -n {name} link add eth0 type veth peer name far
        ip netns exec {name} sh -c 'echo 1 > /proc/sys/net/ipv4/conf/eth0/forwarding'"
    ))?;
    run(host.nshost()?.arg("gc").under(&["ip", "netns", "exec", &name]), SOON)?.expect(0)?;
    assert_eq!(forwarding(&name)?, "1\n", "somebody else's setting was put back");
    // Nor does what can never be undone keep its number.
    assert_eq!(host.shell("ls /run/nshost/containers")?, "");
    Ok(())
}
