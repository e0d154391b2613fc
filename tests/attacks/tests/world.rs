//! The world of the attacks itself: what must work for an attack's failure to mean anything.

use anyhow::Result;
use attacks::World;
use support::{Census, root_or_skip};

#[test]
fn the_host_reaches_both_its_neighbours_and_they_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    for (from, to) in [
        ("host", World::INET),
        ("host", World::LAN),
        ("inet", World::HOST),
        ("lan", World::HOST_LAN),
        ("host", World::INET_V6),
        ("lan", World::HOST_LAN_V6),
    ] {
        let server = if from == "host" { if to == World::LAN { "lan" } else { "inet" } } else { "host" };
        let _server = world.python_start(
            server,
            &format!(
                "import socket\ns = socket.create_server(({to:?}, 9), family=socket.{})\nprint('ready')\ns.accept()",
                if to.contains(':') { "AF_INET6" } else { "AF_INET" }
            ),
        )?;
        world.python(from, &format!("import socket\nsocket.create_connection(({to:?}, 9), 3)"))?;
    }
    before.comes_back(&world.host, attacks::TORN_DOWN)
}

#[test]
fn a_script_can_ask_for_any_plan() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let steps = "own=usual private proc lo veth=nsh0,eth0 host=10.9.0.1/30 inside=10.9.0.2/30 up";
    let output = world.asks(steps)?.args(["--", "ip", "-br", "-4", "address"]).run()?;
    assert!(output.expect(0)?.contains("10.9.0.2/30"), "{}", output.text());
    Ok(())
}
