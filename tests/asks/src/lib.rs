//! A setup script for tests: each argument is a step, `WORD` or `WORD=VALUE,VALUE…`, asked for in this
//! order. So a test can have any plan, well meant or not, without a script of its own.
//!
//! | argument | step |
//! |---|---|
//! | `own=pid,mount,…` | namespaces; `own=usual`: the tutorial's five; `own=all`: all eight |
//! | `hostname=NAME` · `domain=NAME` · `private` · `proc` · `resolv=ADDRESS,…` | |
//! | `lo` | the loopback set up |
//! | `veth=HOST,CONTAINER` | a link; what follows is about the latest |
//! | `host=ADDRESS/N` · `inside=ADDRESS/N` | an address of one of its ends |
//! | `up` · `up-host` · `up-inside` | its ends set up |
//! | `route-host=NETWORK[,VIA]` · `route-inside=NETWORK[,VIA]` | |
//! | `masquerade=SOURCE,OUT` | |
//! | `tcp=PORT[-PORT],TO,PORT[,ON]` · `udp=…` | a forward, on the host's address `ON` |
//! | `variable=NAME,VALUE` · `directory=PATH` | |
//! | `command=PROGRAM,ARGUMENT,…` | what is executed, whatever was typed |
//! | `free=RANGE,PREFIX` | a line in the log: the free network that the facts tell |

use nshost_sdk::prelude::*;

fn setup() -> Result {
    let mut veth = None;
    for argument in facts::arguments() {
        let (word, value) = argument.split_once('=').unwrap_or((&argument, ""));
        let values: Vec<&str> = value.split(',').collect();
        step(word, &values, &mut veth).inspect_err(|_| warn!("at {argument}"))?;
    }
    if !facts::arguments().iter().any(|argument| argument.starts_with("command=")) {
        process::command_or("/bin/true", &[])?;
    }
    Ok(())
}

fn step(word: &str, values: &[&str], veth: &mut Option<link::Veth>) -> Result {
    let first = values.first().copied().unwrap_or("");
    let second = || values.get(1).copied().ok_or_else(|| format!("{word} wants two values"));
    match (word, &*veth) {
        ("own", _) => namespaces(values),
        ("hostname", _) => container::hostname(first),
        ("domain", _) => container::domain_name(first),
        ("private", _) => filesystem::private_propagation(),
        ("proc", _) => filesystem::mount_proc(),
        ("resolv", _) => filesystem::resolv_conf(values),
        ("variable", _) => process::variable(first, second()?),
        ("directory", _) => process::working_directory(first),
        ("command", _) => process::command(first, &values[1..]),
        ("lo", _) => link::loopback()?.up().map(drop),
        ("free", _) => {
            let free = facts::free_network(first, second()?.parse()?);
            info!("{}", free.map_or("none is free".to_string(), |network| network.to_string()));
            Ok(())
        }
        ("veth", _) => {
            *veth = Some(link::veth(first, second()?)?);
            Ok(())
        }
        ("masquerade", _) => nat::masquerade(first, second()?),
        ("tcp" | "udp", _) => forward(word, values),
        ("host", Some(veth)) => veth.host().address(first).map(drop),
        ("inside", Some(veth)) => veth.container().address(first).map(drop),
        ("up", Some(veth)) => veth.host().up().and_then(|_| veth.container().up()).map(drop),
        ("up-host", Some(veth)) => veth.host().up().map(drop),
        ("up-inside", Some(veth)) => veth.container().up().map(drop),
        ("route-host", Some(veth)) => route(veth.host(), values),
        ("route-inside", Some(veth)) => route(veth.container(), values),
        _ => Err(format!("{word:?} means nothing here").into()),
    }
}

fn namespaces(names: &[&str]) -> Result {
    for name in names {
        container::unshare(match *name {
            "usual" => vec![UTS, IPC, PID, MOUNT, NETWORK],
            "all" => vec![USER, PID, MOUNT, NETWORK, UTS, IPC, CGROUP, TIME],
            "user" => vec![USER],
            "pid" => vec![PID],
            "mount" => vec![MOUNT],
            "network" => vec![NETWORK],
            "uts" => vec![UTS],
            "ipc" => vec![IPC],
            "cgroup" => vec![CGROUP],
            "time" => vec![TIME],
            other => return Err(format!("{other:?} is no namespace").into()),
        })?;
    }
    Ok(())
}

fn route(endpoint: link::Endpoint, values: &[&str]) -> Result {
    match values {
        [to, via] => endpoint.route(to, via).map(drop),
        [to] => endpoint.direct_route(to).map(drop),
        _ => Err("a route has a network and perhaps a next hop".into()),
    }
}

fn forward(protocol: &str, values: &[&str]) -> Result {
    let [ports, to, port, on @ ..] = values else {
        return Err("a forward is PORT[-PORT],TO,PORT[,ON]".into());
    };
    let ports = argument::ports(ports)?;
    let forward = if protocol == "tcp" { nat::tcp(ports) } else { nat::udp(ports) };
    let forward = match on {
        [address] => forward.on(address),
        _ => forward,
    };
    forward.to(to, argument::port(port)?)
}

nshost_sdk::setup!(setup);
