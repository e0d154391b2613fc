//! Another firewall on the host, that drops whatever it does not know: Docker's `FORWARD` policy.

use anyhow::Result;
use attacks::{SOON, TORN_DOWN, World};
use nix::sys::signal::Signal;
use support::{Census, Running, Scratch, root_or_skip, run};

/// As Docker leaves a host: its own containers' rules, the operator's chain before them, and nothing else.
const DOCKER: &str = "
    for iptables in iptables ip6tables; do
        $iptables -P FORWARD DROP
        $iptables -N DOCKER-USER
        $iptables -A DOCKER-USER -j RETURN
        $iptables -A FORWARD -j DOCKER-USER
        $iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
        $iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    done";
/// What both say: without counters, which traffic changes.
const RULES: &str = "iptables -S; ip6tables -S";

/// A container behind NAT, of one family.
struct Side {
    steps: [&'static str; 2],
    family: &'static str,
    /// A server on the internet, and the way to the containers' own.
    server: &'static str,
    published: &'static str,
    port: [u16; 2],
    chain: &'static str,
}

const V4: Side = Side {
    steps: [
        "own=usual private proc lo veth=nshA,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 \
         route-inside=0.0.0.0/0,10.9.0.1 masquerade=10.9.0.2,eth0 tcp=8001,10.9.0.2,80",
        "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30 \
         route-inside=0.0.0.0/0,10.9.1.1 masquerade=10.9.1.2,eth0 tcp=8002,10.9.1.2,80",
    ],
    family: "AF_INET",
    server: World::INET,
    published: World::HOST,
    port: [8001, 8002],
    chain: "ip filter FORWARD",
};

const V6: Side = Side {
    steps: [
        "own=usual private proc lo veth=nshA,eth0 up host=fd00:a::1/64 inside=fd00:a::2/64 \
         route-inside=::/0,fd00:a::1 masquerade=fd00:a::2,eth0 tcp=8001,fd00:a::2,80",
        "own=usual private proc lo veth=nshB,eth0 up host=fd00:b::1/64 inside=fd00:b::2/64 \
         route-inside=::/0,fd00:b::1 masquerade=fd00:b::2,eth0 tcp=8002,fd00:b::2,80",
    ],
    family: "AF_INET6",
    server: World::INET_V6,
    published: World::HOST_V6,
    port: [8001, 8002],
    chain: "ip6 filter FORWARD",
};

/// Everything that these plans hold; the second time with the right to pass.
const GRANTS: &str = r#"
[[namespace]]
kinds = ["pid", "mount", "network", "uts", "ipc"]

[[link]]
kind = "veth"
host-name = "nsh*"

[[address]]
range = "10.9.0.0/16"

[[address]]
range = "fd00::/16"

[[route]]
side = "container"
to = "0.0.0.0/0"

[[route]]
side = "container"
to = "::/0"

[[masquerade]]
source = "10.9.0.0/16"
out = "eth0"

[[masquerade]]
source = "fd00::/16"
out = "eth0"

[[forward]]
protocol = "tcp"
host-address = "*"
ports = "8001-8002"
"#;
const PASS: &str = "[firewall]\npass = true\n";

/// Answers every caller of `at`.
fn serve(family: &str, at: &str, port: u16) -> String {
    format!(
        "import socket\ns = socket.socket(socket.{family}, socket.SOCK_STREAM)\n\
         s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\ns.bind(({at:?}, {port}))\ns.listen(20)\nprint('ready')\n\
         while True:\n    c, _ = s.accept()\n    c.sendall(b'served')\n    c.close()"
    )
}

/// Prints `served`, or `deaf` if nothing comes.
fn call(to: &str, port: u16) -> String {
    format!(
        "import socket\ntry:\n    s = socket.create_connection(({to:?}, {port}), 2.5)\n    print(s.recv(100).decode())\n\
         except OSError:\n    print('deaf')"
    )
}

/// What a container with these steps and grants hears of the internet's server, and what it was told.
fn hears(
    world: &World,
    scratch: &Scratch,
    side: &Side,
    which: usize,
    grants: &str,
) -> Result<(String, String)> {
    let program = call(side.server, 7000);
    let nshost = world.asks_granted(scratch, grants, side.steps[which])?;
    let output = nshost.args(["--", "/usr/bin/python3", "-c", &program]).run()?;
    let heard = output.expect(0)?.trim().to_string();
    Ok((heard, output.stderr))
}

/// Starts a server in a container.
fn server(world: &World, scratch: &Scratch, side: &Side, which: usize, grants: &str) -> Result<Running> {
    let any = if side.family == "AF_INET" { "0.0.0.0" } else { "::" };
    let program = serve(side.family, any, 80);
    let nshost = world.asks_granted(scratch, grants, side.steps[which])?;
    let mut running = nshost.args(["--", "/usr/bin/python3", "-uc", &program]).start()?;
    running.wait_for("ready\n", SOON)?;
    Ok(running)
}

fn reached(world: &World, side: &Side, which: usize) -> Result<String> {
    Ok(world.python("inet", &call(side.published, side.port[which]))?.trim().to_string())
}

fn end(container: Running, signal: Signal) -> Result<()> {
    container.signal(signal)?;
    container.finish(SOON)?.expect(128 + signal as i32)?;
    Ok(())
}

#[test]
fn a_firewall_that_drops_is_told_and_passed_by_who_may() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for side in [V4, V6] {
        let (world, scratch) = (World::new()?, Scratch::new()?);
        let pass = format!("{GRANTS}{PASS}");
        let _server = world.python_start("inet", &serve(side.family, side.server, 7000))?;
        let before = Census::take(&world.host)?.without(&["nftables"]);
        // The controls: nothing is told where nothing drops, and a grant to pass changes nothing there.
        for grants in [GRANTS, &pass] {
            let (heard, told) = hears(&world, &scratch, &side, 0, grants)?;
            assert_eq!((heard.as_str(), told.as_str()), ("served", ""), "{grants} {}", side.chain);
        }
        assert!(!world.shell("host", "nft list tables")?.text().contains(" filter"));

        world.host.shell(DOCKER)?;
        let rules = world.host.shell(RULES)?;
        let (heard, told) = hears(&world, &scratch, &side, 0, GRANTS)?;
        assert_eq!(heard, "deaf");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains(side.chain) && told.contains("[firewall] pass = true"), "{told}");
        // A container for which nothing is routed is told nothing.
        let apart = "own=usual private proc lo veth=nshA,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30";
        let apart = world.asks(apart)?.args(["--", "true"]).run()?;
        assert_eq!((apart.expect(0)?, apart.stderr.as_str()), ("", ""));

        let (heard, told) = hears(&world, &scratch, &side, 0, &pass)?;
        assert_eq!((heard.as_str(), told.as_str()), ("served", ""));
        assert_eq!(world.host.shell(RULES)?, rules, "not undone");
        before.comes_back(&world.host, TORN_DOWN)?;

        // Published ports too; and nobody else by the same way.
        let first = server(&world, &scratch, &side, 0, &pass)?;
        assert_eq!(reached(&world, &side, 0)?, "served");
        let (heard, told) = hears(&world, &scratch, &side, 1, GRANTS)?;
        assert_eq!(heard, "deaf", "by another container's grant");
        assert!(told.contains(side.chain), "{told}");
        end(first, Signal::SIGTERM)?;
        assert_eq!(world.host.shell(RULES)?, rules, "not undone");
        before.comes_back(&world.host, TORN_DOWN)?;
    }
    Ok(())
}

/// On a host that routes, only the other firewall stands between the local network and the internet.
#[test]
fn what_it_drops_for_others_it_still_drops() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (side, iptables) in [(V4, "iptables"), (V6, "ip6tables")] {
        let (world, scratch) = (World::new()?, Scratch::new()?);
        world.host.shell("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")?;
        world.host.shell(DOCKER)?;
        let _server = world.python_start("inet", &serve(side.family, side.server, 7000))?;
        let first = server(&world, &scratch, &side, 0, &format!("{GRANTS}{PASS}"))?;
        assert_eq!(reached(&world, &side, 0)?, "served");
        let call = call(side.server, 7000);
        assert_eq!(world.python("lan", &call)?, "deaf\n");
        world.host.shell(&format!("{iptables} -P FORWARD ACCEPT"))?;
        assert_eq!(world.python("lan", &call)?, "served\n", "the control");
        end(first, Signal::SIGTERM)?;
    }
    Ok(())
}

#[test]
fn the_last_who_needs_it_undoes_it_or_gc_does() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for side in [V4, V6] {
        let (world, scratch) = (World::new()?, Scratch::new()?);
        world.host.shell(DOCKER)?;
        let rules = world.host.shell(RULES)?;
        let before = Census::take(&world.host)?.without(&["nftables"]);
        let pass = format!("{GRANTS}{PASS}");
        let first = server(&world, &scratch, &side, 0, &pass)?;
        let second = server(&world, &scratch, &side, 1, &pass)?;
        let both = world.host.shell(RULES)?;
        assert_eq!(both.matches("--comment nshost -j ACCEPT").count(), 2, "two for all containers: {both}");
        end(first, Signal::SIGTERM)?;
        assert_eq!(
            (reached(&world, &side, 0)?, reached(&world, &side, 1)?),
            ("deaf".into(), "served".into())
        );
        assert_eq!(world.host.shell(RULES)?, both);
        second.signal(Signal::SIGKILL)?;
        second.finish(SOON)?;
        assert_eq!(world.host.shell(RULES)?, both, "the control: nobody has undone it");
        run(world.host.nshost()?.arg("gc").command(), SOON)?.expect(0)?;
        assert_eq!(world.host.shell(RULES)?, rules, "not undone");
        before.comes_back(&world.host, TORN_DOWN)?;
    }
    Ok(())
}

/// A firewall that is loaded anew while containers run: nothing of ours is there to be undone, and the next
/// launch puts it in again.
#[test]
fn rules_that_others_took_away_are_nobodys_error() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch, pass) = (World::new()?, Scratch::new()?, format!("{GRANTS}{PASS}"));
    world.host.shell(DOCKER)?;
    let rules = world.host.shell(RULES)?;
    let first = server(&world, &scratch, &V4, 0, &pass)?;
    world.host.shell("iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN")?;
    assert_eq!(reached(&world, &V4, 0)?, "deaf");
    let second = server(&world, &scratch, &V4, 1, &pass)?;
    assert_eq!((reached(&world, &V4, 0)?, reached(&world, &V4, 1)?), ("served".into(), "served".into()));
    end(first, Signal::SIGTERM)?;
    world.host.shell("iptables -F; iptables -X; iptables -P FORWARD ACCEPT")?;
    end(second, Signal::SIGTERM)?;
    world.host.shell("ip6tables -F; ip6tables -X; ip6tables -P FORWARD ACCEPT; nft delete table ip filter; nft delete table ip6 filter")?;
    world.host.shell(DOCKER)?;
    assert_eq!(world.host.shell(RULES)?, rules);
    Ok(())
}

/// What lets every container through already is not told, nor touched: the operator's own rules, before what
/// refuses the rest. In `FORWARD`, where there is no Docker.
#[test]
fn the_operators_own_rules_are_enough() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch, pass) = (World::new()?, Scratch::new()?, format!("{GRANTS}{PASS}"));
    let _server = world.python_start("inet", &serve(V4.family, V4.server, 7000))?;
    let heard = |grants: &str| hears(&world, &scratch, &V4, 0, grants);
    // A policy, and a last rule to the same effect.
    for refusing in ["-P FORWARD DROP", "-A FORWARD -j REJECT", "-A FORWARD -j DROP"] {
        world.host.shell(&format!("iptables {refusing}"))?;
        let rules = world.host.shell(RULES)?;
        let (answer, told) = heard(GRANTS)?;
        assert!(answer == "deaf" && told.contains("ip filter FORWARD"), "{refusing}: {answer}, {told}");
        assert_eq!(heard(&pass)?, ("served".to_string(), String::new()), "{refusing}");
        assert_eq!(world.host.shell(RULES)?, rules);
        world.host.shell(
            "iptables -I FORWARD -m devgroup --src-group 0x6e73 -j ACCEPT
            iptables -I FORWARD -m devgroup --dst-group 0x6e73 -j ACCEPT",
        )?;
        let own = world.host.shell(RULES)?;
        assert_eq!(heard(GRANTS)?, ("served".to_string(), String::new()), "{refusing}");
        assert_eq!(world.host.shell(RULES)?, own);
        world.host.shell("iptables -F FORWARD; iptables -P FORWARD ACCEPT")?;
    }
    Ok(())
}

/// Chains that iptables does not know are not changed.
#[test]
fn a_native_chain_is_told_and_left_alone() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    let _server = world.python_start("inet", &serve(V4.family, V4.server, 7000))?;
    world.host.shell(
        "nft add table inet site
        nft add chain inet site routed '{ type filter hook forward priority 0; policy drop; }'",
    )?;
    let ruleset = world.host.shell("nft list table inet site")?;
    for (grants, group) in [(GRANTS.to_string(), "0x6e73"), (format!("{GRANTS}{PASS}"), "0x16e73")] {
        let (heard, told) = hears(&world, &scratch, &V4, 0, &grants)?;
        assert_eq!(heard, "deaf");
        let says = |what: &str| told.contains(what);
        assert!(says("inet site routed") && says(&format!("`iifgroup {group}`")), "{told}");
        assert_eq!(world.host.shell("nft list table inet site")?, ruleset);
        // What it says to do is what helps.
        world.host.shell(&format!("nft add rule inet site routed iifgroup {group} accept; nft add rule inet site routed oifgroup {group} accept"))?;
        assert_eq!(hears(&world, &scratch, &V4, 0, &grants)?, ("served".to_string(), String::new()));
        world.host.shell("nft flush chain inet site routed")?;
    }
    Ok(())
}
