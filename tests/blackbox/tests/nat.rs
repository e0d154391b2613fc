//! The way out and the ways in: a host with an internet behind it.

use std::time::Duration;

use anyhow::Result;
use blackbox::{SOON, Scratch, TORN_DOWN, ask, asking, printed_grants};
use support::{Census, Host, Internet, Running, component, root_or_skip, scripts};

/// A container of the `nat` script that answers one question on port 80.
fn server(host: &Host, arguments: &[&str], answer: &str) -> Result<Running> {
    let serve = format!("echo '{answer}' | nc -n -l -N 80");
    let mut container = host
        .nshost()?
        .run_script("nat")?
        .args(arguments)
        .args(["--", "sh", "-c", &format!("echo ready; {serve}")])
        .start()?;
    container.wait_for("ready", SOON)?;
    Ok(container)
}

#[test]
fn the_container_reaches_the_internet_under_the_hosts_address() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let internet = host.internet()?;
    let before = Census::take(&host)?;
    let mut far = internet.start(&format!("nc -v -n -N -l {} 7000", Internet::FAR))?;
    far.send("from afar\n")?;
    far.close_stdin();
    let client = asking(Internet::FAR, 7000, "from inside");
    let output = host.nshost()?.run_script("nat")?.args(["--", "sh", "-c", &client]).run()?;
    assert_eq!(output.expect(0)?, "from afar\n");
    let heard = far.finish(SOON)?;
    assert_eq!(heard.stdout, "from inside\n");
    assert!(heard.stderr.contains(&format!(" {} ", Internet::HOST)), "{}", heard.text());
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn port_80_answers_from_everywhere() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let internet = host.internet()?;
    let before = Census::take(&host)?;
    let from_internet = |address: &str| {
        let output = internet.shell(&asking(address, 80, "hello"))?;
        anyhow::Ok(output.expect(0)?.to_string())
    };
    let from_host = |address: &str| ask(&host, address, 80, "hello");
    let cases: [(&str, &dyn Fn() -> Result<String>); 3] = [
        ("the internet", &|| from_internet(Internet::HOST)),
        ("the host's own address", &|| from_host(Internet::HOST)),
        ("loopback", &|| from_host("127.0.0.1")),
    ];
    for (from, question) in cases {
        let container = server(&host, &[], "served")?;
        assert_eq!(question()?, "served\n", "from {from}");
        assert_eq!(container.finish(SOON)?.expect(0)?, "ready\nhello\n", "from {from}");
        before.comes_back(&host, TORN_DOWN)?;
    }
    Ok(())
}

#[test]
fn the_argument_chooses_the_port() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let container = host
        .nshost()?
        .args(["run", "--allow-all"])
        .arg(support::component("nat")?)
        .args(["8088", "--", "sh", "-c", "echo served | nc -n -l -N 80"])
        .start()?;
    assert_eq!(ask(&host, "127.0.0.1", 8088, "hello")?, "served\n");
    container.finish(SOON)?.expect(0)?;
    Ok(())
}

#[test]
fn ipv6_when_asked_for() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let internet = host.internet()?;
    let before = Census::take(&host)?;
    let mut far = internet.start(&format!("nc -v -n -N -l {} 7000", Internet::FAR_V6))?;
    far.send("from afar\n")?;
    far.close_stdin();
    let client = asking(Internet::FAR_V6, 7000, "from inside");
    let serve = format!("{{ {client}; }} && true; echo served | nc -6 -n -l -N 80");
    let serve = serve.replace("exit 0", "break").replace("exit 1", "true");
    let container = host
        .nshost()?
        .args(["run", "--allow-all"])
        .arg(support::component("nat")?)
        .args(["v6", "--", "sh", "-c", &serve])
        .start()?;
    let heard = far.finish(SOON)?;
    assert!(heard.stderr.contains(Internet::HOST_V6), "{}", heard.text());
    let answer = internet.shell(&asking(Internet::HOST_V6, 80, "hello"))?;
    assert_eq!(answer.expect(0)?, "served\n");
    container.finish(SOON)?.expect(0)?;
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn name_servers_are_the_containers_own() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let before = host.shell("cat /etc/resolv.conf 2>/dev/null || true")?;
    let cat = ["dns=192.0.2.53,2001:db8::53", "--", "cat", "/etc/resolv.conf"];
    // Others than the script's own are the operator's to grant.
    let refused = host.nshost()?.run_script("nat")?.args(cat).run()?;
    refused.expect(122)?;
    let scratch = Scratch::new()?;
    let grants = std::fs::read_to_string(scripts().join("nat/grants.toml"))? + &printed_grants(&refused);
    let grants = scratch.file("grants.toml", grants)?;
    let nshost = host.nshost()?.args(["run", "--grants"]).arg(grants).arg(component("nat")?);
    let output = nshost.args(cat).run()?;
    assert_eq!(output.expect(0)?, "nameserver 192.0.2.53\nnameserver 2001:db8::53\n");
    assert_eq!(host.shell("cat /etc/resolv.conf 2>/dev/null || true")?, before);
    Ok(())
}

#[test]
fn nothing_is_routed_that_no_plan_asked_for() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let internet = host.internet()?;
    // A neighbour of the host on another interface, as a second network card has.
    host.shell(
        "ip netns add neighbour
        ip link add lan0 type veth peer name lan1 netns neighbour
        ip address add 192.0.2.1/24 dev lan0
        ip link set lan0 up
        ip -n neighbour address add 192.0.2.2/24 dev lan1
        ip -n neighbour link set lan1 up
        ip -n neighbour route add default via 192.0.2.1
        ip -n internet route add 10.87.0.0/16 via 198.51.100.2
        ip -n internet route add 192.0.2.0/24 via 198.51.100.2",
    )?;
    let hold = "echo ready; nc -n -l -k 81 >/dev/null & nc -n -l -k 80 >/dev/null & read line";
    let mut container = host.nshost()?.run_script("nat")?.args(["--", "sh", "-c", hold]).start()?;
    container.wait_for("ready", SOON)?;
    let inside = host.shell("ip -4 -o route show dev nsh0 | cut -d' ' -f1")?;
    let inside = inside.trim().replace(".0/30", ".2");
    // The host itself reaches it there.
    ask(&host, &inside, 81, "hello")?;
    let reaches = |namespace: &str, address: &str, port: u16| {
        let nc = format!("ip netns exec {namespace} nc -n -z -w 1 {address} {port}");
        anyhow::Ok(host.run(["sh", "-c", &nc])?.code() == 0)
    };
    assert!(reaches("internet", Internet::HOST, 80)?, "the forward");
    assert!(!reaches("internet", &inside, 81)?, "the internet comes in past the forward");
    assert!(!reaches("neighbour", &inside, 81)?, "a neighbour comes in");
    internet.start("nc -n -l -k 7000 >/dev/null")?.finish(Duration::from_millis(200)).ok();
    let far = internet.start("nc -n -l -k 203.0.113.9 7001 >/dev/null")?;
    std::thread::sleep(Duration::from_millis(200));
    assert!(!reaches("neighbour", Internet::FAR, 7001)?, "a neighbour goes out by us");
    container.send("\n")?;
    container.finish(SOON)?.expect(0)?;
    // The control: without us the same neighbour goes out, once the host routes.
    host.shell("echo 1 > /proc/sys/net/ipv4/ip_forward")?;
    assert!(reaches("neighbour", Internet::FAR, 7001)?, "a neighbour of a host that routes");
    drop(far);
    Ok(())
}

#[test]
fn a_port_has_one_owner() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let before = Census::take(&host)?;
    let first = server(&host, &[], "first")?;
    let second = host.nshost()?.run_script("nat")?.args(["--", "true"]).run()?;
    assert_eq!(second.code(), 125, "{}", second.text());
    assert!(second.stderr.contains("80") && second.stderr.contains("taken"), "{}", second.text());
    assert_eq!(ask(&host, "127.0.0.1", 80, "hello")?, "first\n");
    first.finish(SOON)?.expect(0)?;
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn a_host_without_a_way_out_is_told_so() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let output = host.nshost()?.run_script("nat")?.args(["--", "true"]).run()?;
    assert_eq!(output.code(), 120, "{}", output.text());
    assert!(
        output.stderr.contains("no default route") && output.stderr.contains("out=INTERFACE"),
        "{}",
        output.text()
    );
    let output =
        host.nshost()?.args(["plan", "--allow-all"]).arg(component("nat")?).arg("out=wlan9").run()?;
    assert_eq!(output.code(), 125, "{}", output.text());
    assert!(output.stderr.contains("the host has no interface wlan9"), "{}", output.text());
    assert!(!output.stderr.contains("taken"), "{}", output.text());
    Ok(())
}

#[test]
fn an_argument_that_means_nothing_is_named() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    for (argument, told) in [
        ("0", "0 is not a port: 1 to 65535"),
        ("65536", "65536 is not a port: 1 to 65535"),
        ("dns=9.9.9.9,x", "\"dns=9.9.9.9,x\": \"x\" is not an address"),
    ] {
        let output = host.nshost()?.arg("plan").arg(component("nat")?).arg(argument).run()?;
        assert_eq!(output.code(), 120, "{}", output.text());
        assert!(output.stderr.contains(told), "{}", output.text());
    }
    host.nshost()?.arg("plan").arg(component("nat")?).args(["65535", "dns=9.9.9.9,::1"]).run()?.expect(0)?;
    Ok(())
}
