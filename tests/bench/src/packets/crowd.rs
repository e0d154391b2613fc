//! Many real containers on one host: launched, and waited for, by a process in there.

use std::{
    fs,
    io::{Read, Write},
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use support::{Host, Running};

use super::place::{FORWARDED, Kind, PORT};
use crate::median;

/// By which the benchmark starts itself in a host.
pub const WORD: &str = "crowd";
/// For a thousand.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often one more container is launched, to see what that takes among them.
const LAUNCHES: usize = 20;

/// A crowd that is there.
pub struct Started {
    pub running: Running,
    /// The first process of the last container, as the host sees it.
    pub last: u32,
    /// What one more launch takes.
    pub launch: Duration,
}

/// Launches so many containers on this host, which stay until it is dropped.
pub fn start(host: &Host, kind: Kind, count: u16) -> Result<Started> {
    eprintln!("launching {count} of kind {kind:?}");
    let launcher = support::programs().join("nshost");
    let script = support::wasi_component("asks")?;
    let own = std::env::current_exe()?;
    let mut command = host.command(own);
    command.args([WORD, &format!("{kind:?}"), &count.to_string()]).arg(launcher).arg(script);
    // The cache goes with the host, like its state.
    command.env("NSHOST_CACHE_DIR", "/run/cache").stdin(Stdio::piped());
    let mut running = Running::start(command)?;
    running.wait_for("ready\n", PATIENCE).with_context(|| format!("{count} containers"))?;
    let said = running.stdout();
    let number = |word: &str| -> Result<u64> {
        let line = said.lines().find_map(|line| line.strip_prefix(word));
        line.and_then(|line| line.trim().parse().ok()).with_context(|| format!("no {word} in {said:?}"))
    };
    let (last, launch) = (number("last ")? as u32, Duration::from_nanos(number("launch ")?));
    Ok(Started { running, last, launch })
}

/// The process in there: `KIND COUNT LAUNCHER SCRIPT`. Its containers live as long as its standard input.
pub fn run(words: &[&str]) -> Result<()> {
    let [kind, count, launcher, script] = words else { bail!("KIND COUNT LAUNCHER SCRIPT") };
    let kind = if *kind == "Nat" { Kind::Nat } else { Kind::Link };
    let count: u16 = count.parse()?;
    let launch = |number: u16, words: &[&str]| {
        let mut command = Command::new(launcher);
        command.args(["run", "--allow-all", script]).args(steps(kind, number)).arg("--").args(words);
        command.stdin(Stdio::null());
        command
    };
    let mut crowd = Vec::new();
    for number in 0..count {
        let words = ["/bin/sh", "-c", "echo; exec sleep 1000000"];
        let child = launch(number, &words).stdout(Stdio::piped()).spawn()?;
        crowd.push(Guard(child));
        let Some(Guard(child)) = crowd.last_mut() else { continue };
        let mut byte = [0];
        let heard = child.stdout.take().map_or(Ok(0), |mut pipe| pipe.read(&mut byte))?;
        if heard == 0 {
            bail!("container {number} of {count} did not start: {}", child.wait()?);
        }
    }
    let last = crowd.last().map_or(0, |Guard(child)| child.id());
    let children = fs::read_to_string(format!("/proc/{last}/task/{last}/children"))?;
    let first_process = children.split_whitespace().next().context("the last container has no process")?;
    let mut times = Vec::with_capacity(LAUNCHES);
    for round in 0..=LAUNCHES {
        let begin = Instant::now();
        let status = launch(count, &["/bin/true"]).status()?;
        let took = begin.elapsed();
        if !status.success() {
            bail!("one more container: {status}");
        }
        // The first one's plan was not remembered yet.
        times.extend((round > 0).then_some(took));
        // The kernel takes down its link, and would do that in the next one's time.
        thread::sleep(Duration::from_millis(50));
    }
    let mut out = std::io::stdout();
    writeln!(out, "last {first_process}\nlaunch {}\nready", median(&mut times).as_nanos())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Ended with us, also after an error.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the script is asked for: each container has a network of four addresses, and with NAT the way out and
/// a port of the host's.
fn steps(kind: Kind, number: u16) -> Vec<String> {
    let (outside, inside) = (address(number, 1), address(number, 2));
    let link = format!("own=usual private proc veth=b{number},eth0 host={outside}/30 inside={inside}/30 up");
    let port = FORWARDED + number;
    let nat =
        format!(" route-inside=0.0.0.0/0,{outside} masquerade={inside},eth0 udp={port},{inside},{PORT}");
    let all = if kind == Kind::Nat { link + &nat } else { link };
    all.split_whitespace().map(str::to_string).collect()
}

/// An address of a container's network: 1 is the host's end, 2 the container's.
pub fn address(number: u16, which: u8) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(10, 88, 0, 0)) + 4 * u32::from(number);
    Ipv4Addr::from(first + u32::from(which))
}

/// The host's end of a container's link.
pub fn neighbour(container: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(container) - 1)
}
