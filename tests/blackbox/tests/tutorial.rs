//! The tutorial's container: what it is, that it talks to the host, and that nothing stays behind.

use anyhow::Result;
use blackbox::{SOON, TORN_DOWN, ask, asking};
use support::{Census, Host, root_or_skip};

#[test]
fn names_processes_and_interfaces_are_its_own() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let inside = |words: &[&str]| -> Result<String> {
        let output = host.nshost()?.run_script("tutorial")?.arg("--").args(words).run()?;
        Ok(output.expect(0)?.to_string())
    };
    assert_eq!(inside(&["hostname"])?, "In Namespace\n");
    assert_eq!(inside(&["sh", "-c", "echo $$"])?, "1\n");
    assert_eq!(inside(&["ps", "-e", "-o", "pid=,comm="])?.trim(), "1 ps");
    // Standard input, output, error, and the directory that ls looks at.
    assert_eq!(inside(&["ls", "/proc/self/fd"])?, "0\n1\n2\n3\n");
    let links = inside(&["ip", "-o", "link"])?;
    assert_eq!(links.lines().count(), 2, "{links}");
    for name in [": lo: <", ": veth1@"] {
        let up = links.lines().any(|line| line.contains(name) && line.contains(",UP,LOWER_UP>"));
        assert!(up, "{links}");
    }
    let addresses = inside(&["ip", "-o", "-4", "address"])?;
    for address in ["inet 127.0.0.1/8 ", "inet 169.254.1.2/30 "] {
        assert!(addresses.contains(address), "{addresses}");
    }
    assert_eq!(addresses.lines().count(), 2, "{addresses}");
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn the_container_listens_and_the_host_talks_and_back() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let nc = ["--", "nc", "-n", "-N", "-l", "4242"];
    let mut container = host.nshost()?.run_script("tutorial")?.args(nc).start()?;
    container.send("Bye...\n")?;
    container.close_stdin();
    assert_eq!(ask(&host, "169.254.1.2", 4242, "Hi !")?, "Bye...\n");
    assert_eq!(container.finish(SOON)?.expect(0)?, "Hi !\n");
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn the_host_listens_and_the_container_talks() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut server = host.start(["nc", "-n", "-N", "-l", "4243"])?;
    server.send("hello inside\n")?;
    server.close_stdin();
    let client = asking("169.254.1.1", 4243, "hello outside");
    let output = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", &client]).run()?;
    assert_eq!(output.expect(0)?, "hello inside\n");
    assert_eq!(server.finish(SOON)?.expect(0)?, "hello outside\n");
    Ok(())
}

#[test]
fn while_it_runs_the_host_has_one_end_and_its_guard() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let sleep = ["--", "sh", "-c", "echo ready; read line"];
    let mut container = host.nshost()?.run_script("tutorial")?.args(sleep).start()?;
    container.wait_for("ready", SOON)?;
    let during = Census::take(&host)?;
    assert!(during.part("addresses").contains("169.254.1.1"));
    for part in ["rules", "mounts", "cgroups"] {
        assert_eq!(before.part(part), during.part(part), "{part}");
    }
    // What guards the link, and no NAT: with that, the kernel would track all of the host's connections.
    let tables = during.part("nftables");
    assert_eq!(tables.matches("table ").count(), 1, "{tables}");
    assert!(tables.contains("table inet nshost {") && tables.contains("\"veth0\" . 169.254.1.2"), "{tables}");
    assert_eq!(
        host.shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/veth0/forwarding")?,
        "0\n0\n"
    );
    drop(container);
    host.nshost()?.arg("gc").run()?.expect(0)?;
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn without_a_command_it_is_bash() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut container = host.nshost()?.run_script("tutorial")?.start()?;
    container.send("readlink /proc/$$/exe; hostname; exit 5\n")?;
    let output = container.finish(SOON)?;
    let lines: Vec<&str> = output.expect(5)?.lines().collect();
    assert!(lines[0].ends_with("/bash"), "{}", output.text());
    assert_eq!(lines[1], "In Namespace");
    Ok(())
}
