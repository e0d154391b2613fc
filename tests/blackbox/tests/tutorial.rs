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
    let look =
        "hostname; echo $$; ps -e -o pid=,comm= | sed 's/^ *//'; ip -brief address; ls /proc/self/fd | wc -l";
    let output = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", look]).run()?;
    let lines: Vec<&str> = output.expect(0)?.lines().collect();
    assert_eq!(lines[..2], ["In Namespace", "1"], "{}", output.text());
    assert!(lines.contains(&"1 sh"), "{}", output.text());
    // The shell, ps and sed: of the host's processes not one.
    assert_eq!(lines.iter().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count(), 5);
    let interface =
        |name: &str| lines.iter().find(|line| line.starts_with(name)).copied().unwrap_or_default();
    assert!(interface("lo ").contains("127.0.0.1/8"), "{}", output.text());
    assert!(
        interface("veth1@").contains(" UP ") && interface("veth1@").contains("169.254.1.2/30"),
        "{}",
        output.text()
    );
    assert_eq!(lines.iter().filter(|line| line.contains("@") || line.starts_with("lo ")).count(), 2);
    // Standard input, output, error, and the directory that ls looks at.
    assert_eq!(lines.last(), Some(&"4"), "a file descriptor leaked: {}", output.text());
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn the_container_listens_and_the_host_talks_and_back() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let nc = ["--", "nc", "-n", "-l", "4242"];
    let mut container = host.nshost()?.run_script("tutorial")?.args(nc).start()?;
    container.send("Bye...\n")?;
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
    let mut server = host.start(["nc", "-n", "-l", "4243"])?;
    server.send("hello inside\n")?;
    let client = asking("169.254.1.1", 4243, "hello outside");
    let output = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", &client]).run()?;
    assert_eq!(output.expect(0)?, "hello inside\n");
    assert_eq!(server.finish(SOON)?.expect(0)?, "hello outside\n");
    Ok(())
}

#[test]
fn while_it_runs_the_host_has_one_end_and_nothing_more() -> Result<()> {
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
    for part in ["rules", "nftables", "mounts", "cgroups"] {
        assert_eq!(before.part(part), during.part(part), "{part}");
    }
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
