//! `cargo xtask bench`: whole-process wall time of a launch, against a floor and against what people
//! use today. All commands take turns within one run, in a host namespace of their own; medians.
//! `cargo xtask bench packets`: what a packet's way through our tables costs ([`packets`]).

#![expect(clippy::disallowed_methods, reason = "this is not the launcher")]

mod host;
mod packets;
mod peers;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// One command of the comparison.
struct Contender {
    name: &'static str,
    note: &'static str,
    command: Vec<String>,
    /// Fewer rounds for what takes a tenth of a second.
    slow: bool,
    times: Vec<Duration>,
}

/// How often each contender has its turn, if nobody says.
const ROUNDS: usize = 200;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["packets", rest @ ..] => packets::measure(rounds(rest)?),
        [packets::CROWD, rest @ ..] => packets::crowd(rest),
        rest => launches(rounds(rest)?),
    }
}

fn rounds(words: &[&str]) -> Result<usize> {
    match words {
        [] => Ok(ROUNDS),
        [text] => text.parse().context("how many rounds, a number"),
        _ => bail!("how many rounds, and nothing else"),
    }
}

fn launches(rounds: usize) -> Result<()> {
    host::enter_disposable()?;
    let results = PathBuf::from(std::env::var("NSHOST_RESULTS").unwrap_or_else(|_| "target".to_string()));
    let scratch = host::Scratch::new()?;
    let mut contenders = contenders(&results, &scratch)?;
    for contender in &mut contenders {
        once(contender).with_context(|| format!("the first run of {}", contender.name))?;
    }
    for round in 0..rounds {
        for contender in contenders.iter_mut().filter(|contender| !contender.slow || round % 10 == 0) {
            let took = once(contender)?;
            contender.times.push(took);
        }
    }
    print_table(&mut contenders);
    print_back_to_back(&results, &contenders[0].command, rounds.min(50))?;
    print_memory(&results)
}

fn contenders(results: &std::path::Path, scratch: &host::Scratch) -> Result<Vec<Contender>> {
    let path = |name: &str| results.join(name).to_string_lossy().into_owned();
    let nshost = path("release/nshost");
    let script = path("scripts/tutorial.wasm");
    let run = |extra: &[&str]| {
        let words =
            [&[nshost.as_str(), "run", "--allow-all"], extra, &[script.as_str(), "--", "/bin/true"]].concat();
        words.into_iter().map(str::to_string).collect::<Vec<_>>()
    };
    let nat = |program: &str, script: &str| {
        let words = [program, "run", "--allow-all", script, "8080", "--", "/bin/true"];
        words.map(str::to_string).to_vec()
    };
    let new = |name, note, command, slow| Contender { name, note, command, slow, times: Vec::new() };
    let mut list = vec![
        new(
            "floor",
            "the same system calls, settings in the source",
            vec![path("release/floor"), "/bin/true".into()],
            false,
        ),
        new(
            "floor, one queue",
            "the same, with links of one queue, which nshost asks for too",
            vec![path("release/floor"), "--one-queue".into(), "/bin/true".into()],
            false,
        ),
        new("nshost", "plan remembered", run(&[]), false),
        new("nshost --fresh", "script evaluated", run(&["--fresh"]), false),
        new(
            "nshost, NAT",
            "the script `nat`: masquerade and a forward; plan remembered",
            nat(&nshost, &path("scripts/nat.wasm")),
            false,
        ),
    ];
    for peer in peers::all(scratch)? {
        let contender = new(peer.name, peer.note, peer.command, true);
        match once(&contender) {
            Ok(_) => list.push(contender),
            Err(error) => println!("not compared: {}: {error:#}", peer.name),
        }
    }
    Ok(list)
}

/// Runs it, from spawn to exit; then waits, untimed, until the kernel has removed its links.
fn once(contender: &Contender) -> Result<Duration> {
    let begin = Instant::now();
    let output = Command::new(&contender.command[0])
        .args(&contender.command[1..])
        .stdin(Stdio::null())
        .output()
        .with_context(|| contender.command[0].clone())?;
    let took = begin.elapsed();
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    host::settle();
    Ok(took)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn print_table(contenders: &mut [Contender]) {
    let floor = median(&mut contenders[0].times);
    println!("{:<16} {:>9} {:>9} {:>9} {:>8}  ", "", "median", "fastest", "slowest", "÷ floor");
    for contender in contenders {
        let middle = median(&mut contender.times);
        let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        println!(
            "{:<16} {:>9} {:>9} {:>9} {:>8.2}  {} ({} runs)",
            contender.name,
            ms(middle),
            ms(contender.times[0]),
            ms(contender.times[contender.times.len() - 1]),
            middle.as_secs_f64() / floor.as_secs_f64(),
            contender.note,
            contender.times.len(),
        );
    }
}

/// Without a pause: the next launch finds the last one's link still being taken down.
fn print_back_to_back(results: &std::path::Path, floor: &[String], runs: usize) -> Result<()> {
    let nshost = results.join("release/nshost");
    let script = results.join("scripts/tutorial.wasm");
    let (mut times, mut floor_failures) = (Vec::new(), 0);
    for _ in 0..runs {
        let begin = Instant::now();
        let status = Command::new(&nshost)
            .args(["run", "--allow-all"])
            .arg(&script)
            .args(["--", "/bin/true"])
            .stdin(Stdio::null())
            .status()?;
        times.push(begin.elapsed());
        if !status.success() {
            bail!("a launch right after another failed: {status}");
        }
    }
    host::settle();
    for _ in 0..runs {
        let status =
            Command::new(&floor[0]).args(&floor[1..]).stdin(Stdio::null()).stderr(Stdio::null()).status()?;
        floor_failures += usize::from(!status.success());
    }
    host::settle();
    println!(
        "\n{runs} launches without a pause: nshost median {:.2} ms, none failed; of the floor's {floor_failures} failed (name still taken)",
        median(&mut times).as_secs_f64() * 1e3
    );
    Ok(())
}

/// The launcher that waits for a command: what it alone costs (PSS of smaps_rollup).
fn print_memory(results: &std::path::Path) -> Result<()> {
    let mut child = Command::new(results.join("release/nshost"))
        .args(["run", "--allow-all"])
        .arg(results.join("scripts/tutorial.wasm"))
        .args(["--", "/bin/sleep", "1"])
        .stdin(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(300));
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id()))?;
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().to_string()
    };
    println!("waiting launcher: PSS {}, of it anonymous {}", field("Pss:"), field("Pss_Anon:"));
    child.wait()?;
    host::settle();
    Ok(())
}
