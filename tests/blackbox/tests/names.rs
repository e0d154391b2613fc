//! Names: a container's own, and whom it asks for others.

use anyhow::Result;
use blackbox::Scratch;
use support::{Host, Internet, Output, component, root_or_skip, scripts, wasi_component};

/// A host whose `/etc` is a copy: what is done there is gone with it.
fn host_with_etc() -> Result<Host> {
    let host = Host::new()?;
    host.shell("mkdir /run/etc; cp -a /etc/. /run/etc; mount --bind /run/etc /etc")?;
    host.shell("rm -f /etc/hosts; printf '127.0.0.1 localhost\n192.0.2.7 known\n' > /etc/hosts")?;
    Ok(host)
}

fn asks(host: &Host, steps: &str, command: &str) -> Result<Output> {
    let nshost = host.nshost()?.args(["run", "--allow-all"]).arg(wasi_component("asks")?);
    nshost.args(steps.split_whitespace()).args(["--", "sh", "-c", command]).run()
}

const HOSTS: &str = "127.0.0.1 localhost\n192.0.2.7 known\n";

#[test]
fn a_container_knows_its_own_name() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = host_with_etc()?;
    let link = "veth=nsh0,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30";
    for (steps, own) in [
        (format!("own=usual hostname=box private proc lo {link}"), "10.9.0.2 box\n"),
        (format!("own=usual hostname=box private proc {link} resolv=192.0.2.53"), "10.9.0.2 box\n"),
        (
            format!("own=usual hostname=box private {link} inside=fd00:9::2/64"),
            "10.9.0.2 box\nfd00:9::2 box\n",
        ),
        ("own=usual hostname=box".to_string(), "127.0.1.1 box\n"),
        ("own=uts,mount private hostname=box".to_string(), "127.0.1.1 box\n"),
        ("own=all private proc hostname=box lo resolv=192.0.2.53".to_string(), "127.0.1.1 box\n"),
        ("own=all hostname=box.example.org".to_string(), "127.0.1.1 box.example.org\n"),
    ] {
        let output = asks(&host, &steps, "umask >&2; cat /etc/hosts; getent hosts $(hostname) known >&2")?;
        assert_eq!(output.expect(0)?, format!("{own}{HOSTS}"), "{steps}");
        assert!(output.stderr.contains("192.0.2.7"), "{}", output.text());
        // The host's is as it was, and a container can have its own: nothing comes through.
        assert_eq!(host.shell("cat /etc/hosts")?, HOSTS);
    }
    let other =
        asks(&host, "own=usual private hostname=box", "echo 192.0.2.8 mine >> /etc/hosts; cat /etc/hosts")?;
    assert_eq!(other.expect(0)?, format!("127.0.1.1 box\n{HOSTS}192.0.2.8 mine\n"));
    assert_eq!(host.shell("cat /etc/hosts")?, HOSTS);
    // Root in the container may add to it, whoever that is on the host.
    let added = asks(
        &host,
        "own=all private proc hostname=box",
        "echo 192.0.2.8 mine >> /etc/hosts; cat /etc/hosts",
    )?;
    assert_eq!(added.expect(0)?, format!("127.0.1.1 box\n{HOSTS}192.0.2.8 mine\n"));
    // What is not for a name, or not for the container alone, stays the host's.
    for steps in [
        "own=usual private",
        "own=usual private hostname=b#x",
        "own=uts,network hostname=box",
        "own=uts,mount,network hostname=box",
    ] {
        assert_eq!(asks(&host, steps, "cat /etc/hosts")?.expect(0)?, HOSTS, "{steps}");
    }
    let tutorial = host.nshost()?.run_script("tutorial")?.args(["--", "cat", "/etc/hosts"]).run()?;
    assert_eq!(tutorial.expect(0)?, HOSTS, "a name with a space");
    Ok(())
}

/// Whatever the host has there, or has not.
#[test]
fn no_hosts_file_keeps_a_container_from_starting() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = host_with_etc()?;
    let steps = "own=usual private proc hostname=box resolv=192.0.2.53";
    let look = "cat /etc/hosts || echo none; cat /etc/resolv.conf >&2";
    let shown = |prepare: &str| {
        host.shell(prepare)?;
        let output = asks(&host, steps, look)?;
        assert!(output.stderr.contains("nameserver 192.0.2.53"), "{}", output.text());
        anyhow::Ok(output.expect(0)?.to_string())
    };
    assert_eq!(shown("rm /etc/hosts")?, "none\n");
    assert_eq!(shown("ln -s /run/nowhere /etc/hosts")?, "none\n");
    assert_eq!(
        shown("printf '::1 six\n' > /run/elsewhere; ln -sf /run/elsewhere /etc/hosts")?,
        "127.0.1.1 box\n::1 six\n"
    );
    assert_eq!(shown("rm /etc/hosts; : > /etc/hosts")?, "127.0.1.1 box\n");
    assert_eq!(shown("rm /etc/hosts; mkdir /etc/hosts")?, "none\n");
    // One that is waited for by whoever opens it to read.
    host.shell("rmdir /etc/hosts; mkfifo /etc/hosts")?;
    asks(&host, steps, "true")?.expect(0)?;
    Ok(())
}

/// A name server that does not answer: the own name is found at once, where another's takes its time.
#[test]
fn the_own_name_does_not_wait_for_a_name_server() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    host.shell("ip -n internet route add blackhole 203.0.113.77/32")?;
    host.resolv_conf("nameserver 203.0.113.77\n")?;
    let look = |name: &str| {
        let look = format!("timeout 2 getent ahosts {name} >/dev/null; echo $?");
        let nshost = host.nshost()?.args(["run", "--allow-all"]).arg(component("nat")?);
        let output = nshost.args(["--", "sh", "-c", &look]).run()?;
        anyhow::Ok(output.expect(0)?.to_string())
    };
    assert_eq!(look("nat")?, "0\n");
    assert_eq!(look("other.example.org")?, "124\n");
    Ok(())
}

/// The name servers of a `nat` container, and what was said of them.
fn servers(host: &Host, arguments: &[&str]) -> Result<(String, String)> {
    let nshost = host.nshost()?.run_script("nat")?.args(arguments);
    let output = nshost.args(["--", "cat", "/etc/resolv.conf"]).run()?;
    Ok((output.expect(0)?.to_string(), output.stderr))
}

#[test]
fn nat_asks_whom_the_host_asks() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    assert_eq!(servers(&host, &[])?, (format!("nameserver {}\n", Internet::FAR), String::new()));
    // Remembered, and the host asks somebody else now: at once, and under the same grants.
    host.resolv_conf(
        "search example.org\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.1\n",
    )?;
    let two = "nameserver 192.0.2.1\nnameserver 192.0.2.2\n".to_string();
    assert_eq!(servers(&host, &[])?, (two.clone(), String::new()));
    assert_eq!(servers(&host, &[])?, (two, String::new()));
    // systemd's resolver, that none but the host can ask; behind it more than a resolver asks.
    host.resolv_conf("nameserver 127.0.0.53\noptions edns0 trust-ad\n")?;
    let behind: String = (1..=5).map(|number| format!("nameserver 192.0.2.5{number}\n")).collect();
    host.shell(&format!(
        "mkdir -p /run/systemd/resolve; printf '{behind}' > /run/systemd/resolve/resolv.conf"
    ))?;
    let three: String = (1..=3).map(|number| format!("nameserver 192.0.2.5{number}\n")).collect();
    assert_eq!(servers(&host, &[])?, (three, String::new()));
    Ok(())
}

#[test]
fn a_name_server_that_cannot_be_reached_is_left_out_and_told() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    // One behind another interface, one by IPv6, one that is the host itself.
    host.shell(
        "ip link add vpn0 type veth peer name vpn1; ip address add 10.99.0.1/24 dev vpn0; ip link set vpn0 up
        ip link set vpn1 up; ip route add 10.98.0.0/16 via 10.99.0.9",
    )?;
    let all =
        "nameserver 10.98.0.53\nnameserver 2001:db8:9::53\nnameserver 10.99.0.1\nnameserver 192.0.2.53\n";
    host.resolv_conf(all)?;
    let (asked, told) = servers(&host, &[])?;
    assert_eq!(asked, "nameserver 10.99.0.1\nnameserver 192.0.2.53\n");
    let by_vpn = "10.98.0.53 is left out: the host reaches it by vpn0, and the container's way out is eth0";
    assert!(told.contains(by_vpn) && told.contains("2001:db8:9::53 is left out"), "{told}");
    // The control: with a way to it, it is asked.
    let scratch = Scratch::new()?;
    let grants = std::fs::read_to_string(scripts().join("nat/grants.toml"))?.replace("eth*", "vpn0");
    let grants = scratch.file("grants.toml", grants)?;
    let by = |words: &[&str]| {
        let nshost = host.nshost()?.args(["run", "--grants"]).arg(&grants).arg(component("nat")?);
        nshost.args(words).args(["--", "cat", "/etc/resolv.conf"]).run()
    };
    assert_eq!(by(&["out=vpn0"])?.expect(0)?, "nameserver 10.98.0.53\nnameserver 10.99.0.1\n");
    let v6 = host.nshost()?.args(["run", "--allow-all"]).arg(component("nat")?);
    let v6 = v6.args(["v6", "--", "cat", "/etc/resolv.conf"]).run()?;
    assert!(v6.expect(0)?.starts_with("nameserver 2001:db8:9::53\n"), "{}", v6.text());
    // Where none is left, public ones are asked, and it says so.
    host.resolv_conf("nameserver 10.98.0.53\nnameserver ::1\n")?;
    let (asked, told) = servers(&host, &[])?;
    assert_eq!(asked, "nameserver 9.9.9.9\nnameserver 149.112.112.112\n");
    assert!(told.contains("10.98.0.53 is left out") && told.contains("(public, of Quad9)"), "{told}");
    Ok(())
}

/// The grant is for the host's name servers, whoever they are, and for nobody else.
#[test]
fn the_word_host_grants_the_hosts_name_servers() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let scratch = Scratch::new()?;
    let grants = scratch.file("grants.toml", "schema = 1\n[[resolv-conf]]\nservers = ['host']\n")?;
    let ask = |server: &str| {
        let nshost = host.nshost()?.args(["run", "--grants"]).arg(&grants).arg(wasi_component("asks")?);
        let steps = ["own=usual", "private", &format!("resolv={server}")];
        nshost.args(steps).args(["--", "cat", "/etc/resolv.conf"]).run()
    };
    ask(Internet::FAR)?.expect(0)?;
    let refused = ask("192.0.2.53")?;
    refused.expect(122)?;
    assert!(refused.stderr.contains("servers = [\"192.0.2.53\"]"), "{}", refused.text());
    host.resolv_conf("nameserver 192.0.2.53\n")?;
    ask("192.0.2.53")?.expect(0)?;
    ask(Internet::FAR)?.expect(122)?;
    Ok(())
}

/// The host's name servers change with its network: what is suggested goes on to fit.
#[test]
fn the_word_host_is_suggested() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let suggested = host.nshost()?.args(["plan", "--suggest-grants"]).arg(component("nat")?).run()?;
    assert!(suggested.expect(0)?.contains("servers = [\"host\"]"), "{}", suggested.text());
    let named = ["plan", "--suggest-grants"];
    let named = host.nshost()?.args(named).arg(component("nat")?).arg("dns=192.0.2.53").run()?;
    assert!(named.expect(0)?.contains("servers = [\"192.0.2.53\"]"), "{}", named.text());
    Ok(())
}
