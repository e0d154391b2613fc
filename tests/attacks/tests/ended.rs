//! What is left when a container has ended, and whom it serves next.

use std::time::Duration;

use anyhow::Result;
use attacks::{SOON, TORN_DOWN, World};
use nix::sys::signal::Signal;
use support::{Census, Host, root_or_skip, run};

/// Two hosts with one state directory, both with containers that live: one's tables are not the other's, and are
/// there for as long as somebody needs them.
#[test]
fn each_host_has_its_own_guard() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    for name in ["one", "two"] {
        host.shell(&format!("ip netns add {name}; ip -n {name} link set lo up"))?;
    }
    let tables = |name: &str| host.shell(&format!("ip netns exec {name} nft list ruleset"));
    let launch = |name: &str, number: u8, command: &str| {
        let steps = format!(
            "own=usual private proc lo veth=nsh{number},c0 up host=10.9.{number}.1/30 inside=10.9.{number}.2/30"
        );
        let nshost = host.nshost()?.args(["run", "--allow-all"]).arg(support::wasi_component("asks")?);
        anyhow::Ok(
            nshost
                .args(steps.split_whitespace())
                .args(["--", "sh", "-c", command])
                .under(&["ip", "netns", "exec", name]),
        )
    };
    let mut first = support::Running::start(launch("one", 0, "echo ready; sleep 30")?)?;
    first.wait_for("ready\n", SOON)?;
    run(launch("two", 1, "true")?, SOON)?.expect(0)?;
    let mut second = support::Running::start(launch("two", 2, "echo ready; sleep 30")?)?;
    second.wait_for("ready\n", SOON)?;
    for (name, own, foreign) in [("one", "nsh0", "nsh2"), ("two", "nsh2", "nsh0")] {
        let text = tables(name)?;
        assert!(text.contains(own) && !text.contains(foreign), "{name}: {text}");
    }
    second.signal(Signal::SIGKILL)?;
    drop(second);
    // Longer than a host without containers keeps its tables.
    std::thread::sleep(Duration::from_millis(2500));
    run(host.nshost()?.arg("gc").under(&["ip", "netns", "exec", "two"]), SOON)?.expect(0)?;
    assert_eq!(tables("two")?, "");
    assert!(tables("one")?.contains("nsh0"));
    drop(first);
    Ok(())
}

/// Row 15: a container hands what it has of its end to somebody outside, and ends.
#[test]
fn nobody_sends_by_the_link_of_a_container_that_has_ended() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    let mut heard = world.python_start(
        "host",
        "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 7777)); print('ready')
while True: print(s.recv(100).decode(), flush=True)",
    )?;
    // The accomplice, with the same rights as anybody: it gets a packet socket by a socket in a shared place.
    let accomplice = format!(
        "{}
w = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); w.bind('/run/shared'); os.chmod('/run/shared', 0o777)
print('ready')
data, fds, flags, peer = socket.recv_fds(w, 1000, 4)
wire, kept = socket.socket(fileno=fds[0]), fds[1]
frame = data
print('have it', flush=True)
for line in sys.stdin:
    for _ in range(3):
        try:
            wire.send(frame.replace(b'........', line.strip().encode().ljust(8)))
            print('sent', flush=True)
        except OSError as error:
            print(error, flush=True)
        time.sleep(0.02)
",
        attacks::FRAMES
    );
    let mut outside = world.python_start("host", &accomplice)?;
    let inside = format!(
        "{}
to = neighbour('eth0', '10.9.0.1')
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); wire.bind(('eth0', 0))
frame = to + mac('eth0') + b'\\x08\\x00' + udp4('10.9.0.2', 5555, '10.9.0.1', 7777, b'........')
u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
u.connect('/run/shared')
socket.send_fds(u, [frame], [wire.fileno(), os.open('/proc/self/ns/net', os.O_RDONLY)])
print('ready')
sys.stdin.readline()
",
        attacks::FRAMES
    )
    .replace("\\\\", "\\");
    let steps = "own=usual private proc lo veth=nsh0,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30";
    let container = world.python_container(steps, &inside)?;
    outside.wait_for("have it", SOON)?;
    // The control: while the container lives, what comes by its link is heard.
    outside.send("alive\n")?;
    heard.wait_for("alive", SOON)?;
    container.finish(SOON)?.expect(0)?;
    std::thread::sleep(Duration::from_millis(100));
    outside.send("ended\n")?;
    std::thread::sleep(Duration::from_millis(200));
    assert!(!heard.stdout().contains("ended"), "{}", heard.stdout());
    // Others launch the same at once, and soon nothing is left although somebody still has the namespace.
    world.asks(steps)?.args(["--", "true"]).run()?.expect(0)?;
    attacks::soon(|| Ok(!world.host.shell("ip -o link")?.contains("nsh")))?;
    drop((heard, outside));
    before.without(&["processes"]).comes_back(&world.host, TORN_DOWN)
}

/// Whoever comes next has the number, the name and the addresses at once. What is left of the former one's link is
/// not heard with them, and hears nothing of what is sent to them.
#[test]
fn nobody_speaks_for_the_next_by_a_link_that_has_ended() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    let mut heard = world.python_start(
        "host",
        "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 7777)); print('ready')
while True:
    data, peer = s.recvfrom(100)
    print(data.decode(), flush=True)
    s.sendto(b'answer to ' + data, peer)",
    )?;
    // In the former's network namespace, with a socket that sends and hears everything there.
    let accomplice = format!(
        "{}
w = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); w.bind('/run/shared'); os.chmod('/run/shared', 0o777)
print('ready')
frame, fds, flags, peer = socket.recv_fds(w, 1000, 4)
wire, kept = socket.socket(fileno=fds[0]), fds[1]
wire.settimeout(0.1)
print('have it', flush=True)
for line in sys.stdin:
    for _ in range(5):
        try:
            wire.send(frame.replace(b'........', line.strip().encode().ljust(8)))
            while True:
                data = wire.recv(2000)
                if b'answer' in data: print('overheard', data, flush=True)
        except OSError as error:
            print(error, flush=True)
    print('done', line.strip(), flush=True)
",
        attacks::FRAMES
    );
    let mut outside = world.python_start("host", &accomplice)?;
    let inside = format!(
        "{}
to = neighbour('eth0', '10.9.0.1')
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); wire.bind(('eth0', 3))
frame = to + mac('eth0') + b'\\x08\\x00' + udp4('10.9.0.2', 5555, '10.9.0.1', 7777, b'........')
u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
u.connect('/run/shared')
socket.send_fds(u, [frame], [wire.fileno(), os.open('/proc/self/ns/net', os.O_RDONLY)])
print('ready')
sys.stdin.readline()
",
        attacks::FRAMES
    );
    let steps = "own=usual private proc lo veth=nsh0,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 \
                 route-inside=0.0.0.0/0,10.9.0.1 masquerade=10.9.0.2,eth0";
    let former = world.python_container(steps, &inside)?;
    outside.wait_for("have it", SOON)?;
    // The control: while it lives, what is sent for it is heard, and the answer comes there.
    outside.send("alive\n")?;
    heard.wait_for("alive", SOON)?;
    outside.wait_for("overheard", SOON)?;
    outside.wait_for("done alive", SOON)?;
    former.finish(SOON)?.expect(0)?;
    let next = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 5555)); s.settimeout(5)
print('ready')
for line in sys.stdin:
    s.sendto(line.strip().encode(), ('10.9.0.1', 7777))
    print(s.recv(100), flush=True)";
    let mut next = world.python_container(steps, next)?;
    let overheard = outside.stdout().matches("overheard").count();
    outside.send("former\n")?;
    for word in ["one", "two"] {
        next.send(&format!("{word}\n"))?;
        next.wait_for(&format!("answer to {word}"), SOON)?;
        heard.wait_for(word, SOON)?;
    }
    outside.wait_for("done former", SOON)?;
    assert!(!heard.stdout().contains("former"), "{}", heard.stdout());
    assert_eq!(outside.stdout().matches("overheard").count(), overheard, "{}", outside.stdout());
    next.finish(SOON)?.expect(0)?;
    drop((heard, outside));
    before.without(&["processes"]).comes_back(&world.host, TORN_DOWN)
}

/// Row 15: nor is a name in the way of what happens to links at their end.
#[test]
fn nobody_squats_the_names_of_links_that_have_ended() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let steps = |name: &str| {
        format!("own=usual private proc lo veth={name},eth0 up host=10.9.0.1/30 inside=10.9.0.2/30")
    };
    for name in ["nshgone", "nshgone5", "nshgone0123"] {
        let output = world.asks(&steps(name))?.args(["--", "true"]).run()?;
        assert_eq!(output.code(), 120, "{name}: {}", output.text());
    }
    // The control: a name like it.
    world.asks(&steps("nshgon"))?.args(["--", "true"]).run()?.expect(0)?;
    Ok(())
}

/// Row 16: a launcher that is stopped in the middle.
#[test]
fn a_stopped_launcher_does_not_hang_the_others() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let steps = |name: &str, net: u8| {
        format!(
            "own=usual private proc lo veth={name},eth0 up host=10.9.{net}.1/30 inside=10.9.{net}.2/30 masquerade=10.9.{net}.2,eth0"
        )
    };
    // Compiled and remembered, so that what is stopped is a launch and no evaluation.
    world.asks(&steps("nshA", 0))?.args(["--", "true"]).run()?.expect(0)?;
    world.asks(&steps("nshB", 1))?.args(["--", "true"]).run()?.expect(0)?;
    let mut named = 0;
    for step in 0..120u64 {
        // Each that holds the lock costs others a second.
        if named == 3 {
            break;
        }
        let stopped = world.asks(&steps("nshA", 0))?.args(["--", "true"]).start()?;
        std::thread::sleep(Duration::from_micros(step % 40 * 200));
        // It may have ended.
        let Ok(()) = stopped.signal(Signal::SIGSTOP) else { continue };
        let begin = std::time::Instant::now();
        let other = world.asks(&steps("nshB", 1))?.args(["--", "true"]).run()?;
        assert!(begin.elapsed() < Duration::from_secs(5), "after {step}: {:?}", begin.elapsed());
        if other.code() != 0 {
            assert_eq!(other.code(), 125, "{}", other.text());
            let pid = stopped.pid()?;
            assert!(
                other.stderr.contains("stopped") && other.stderr.contains("process "),
                "{pid}: {}",
                other.text()
            );
            named += 1;
        }
        let _ = stopped.resume();
        stopped.finish(SOON)?;
    }
    assert!(named > 0, "none was stopped while it held the lock");
    // The control: with nobody stopped it is launched.
    world.asks(&steps("nshB", 1))?.args(["--", "true"]).run()?.expect(0)?;
    Ok(())
}

/// A launcher killed in its last milliseconds, when a child of its own takes over what is left: within two seconds
/// nobody is shut out by it.
#[test]
fn a_launcher_killed_at_its_end_shuts_nobody_out() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    let program = "
import random, subprocess, sys, time
quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
def launch():
    begin = time.monotonic()
    done = subprocess.run(sys.argv[1:], **quiet)
    if done.returncode:
        sys.exit('after %.1f s: %s' % (time.monotonic() - begin, done.stderr.decode()))
    return time.monotonic() - begin
launch()
usual = sorted(launch() for _ in range(11))[5]
killed = longest = 0
for _ in range(40):
    process = subprocess.Popen(sys.argv[1:], **quiet)
    time.sleep(usual * random.uniform(0.6, 1.05))
    process.kill()
    killed += process.wait() == -9
    longest = max(longest, launch())
print(killed, longest)
";
    let steps = "own=usual private proc lo veth=nsh0,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 masquerade=10.9.0.2,eth0";
    let command = world.asks(steps)?.args(["--", "true"]).under(&["/usr/bin/python3", "-c", program]);
    let output = run(command, Duration::from_secs(100))?;
    let words: Vec<f64> = output.expect(0)?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [killed, longest] = words[..] else { anyhow::bail!("{}", output.text()) };
    // The control: some were killed, and not all of them ended before.
    assert!(killed >= 10.0, "{killed} of 40");
    assert!(longest < 2.5, "{longest} seconds after one that was killed");
    world.host.nshost()?.arg("gc").run()?.expect(0)?;
    before.comes_back(&world.host, TORN_DOWN)
}

/// A launch that fails while the child of another still has the right to change the tables.
#[test]
fn a_failed_launch_is_undone_beside_one_that_ends() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let good = "own=usual private proc lo veth=nshA,eth0 up host=10.9.0.1/30 inside=10.9.0.2/30 masquerade=10.9.0.2,eth0";
    // The kernel refuses the second link: its name is another one's second name, which nobody looks for before.
    world.host.shell("ip link property add dev eth1 altname nshC")?;
    let before = Census::take(&world.host)?;
    let bad = "own=usual private proc lo veth=nshB,eth0 up host=10.9.1.1/30 inside=10.9.1.2/30 masquerade=10.9.1.2,eth0 veth=nshC,eth1";
    for _ in 0..5 {
        // The control: what is not wrong is launched.
        world.asks(good)?.args(["--", "true"]).run()?.expect(0)?;
        let output = world.asks(bad)?.args(["--", "true"]).run()?;
        assert_eq!(output.code(), 125, "{}", output.text());
        assert!(!output.stderr.contains("undo"), "{}", output.text());
        let left = world.host.shell("ip -o link; nft list ruleset")?;
        assert!(!left.contains("nshB"), "{left}");
    }
    before.comes_back(&world.host, TORN_DOWN)
}

/// Row 19: as many links as a plan can have.
#[test]
fn as_many_links_as_a_plan_can_have() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let before = Census::take(&world.host)?;
    let links: String =
        (0..64).map(|n| format!(" veth=nsh{n},c{n} up host=10.9.{n}.1/30 inside=10.9.{n}.2/30")).collect();
    let steps = format!("own=usual private proc lo{links}");
    // More steps than are usual take a limit, which goes with the grants.
    let scratch = support::Scratch::new()?;
    let grants = "[[link]]\nkind = 'veth'\nhost-name = 'nsh*'\n[[address]]\nrange = '10.9.0.0/16'\n[limits]\nsteps = 1000\n";
    let output =
        world.asks_granted(&scratch, grants, &steps)?.args(["--", "sh", "-c", "ip -o link | wc -l"]).run()?;
    assert_eq!(output.expect(0)?, "65\n");
    before.comes_back(&world.host, TORN_DOWN)
}
