//! Native code in the worker's place, after the lock: what an escape from wasmtime would find.
//!
//! Each attempt is a process of its own, started and locked as the worker is, which then tries one thing.
//! Tried twice: behind the whole lock, where every attempt has to fail, and behind everything but the
//! system call filter, where the layers beneath have to stop what would reach anything. The table is
//! printed.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "breaking rules is what this program does"
)]
#![allow(clippy::disallowed_methods, reason = "stands in for the launcher")]

mod attempts;

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::ExitStatusExt},
    process::{Command, ExitCode, ExitStatus, Stdio},
};

use attempts::{ATTEMPTS, Beneath, LEAKED};
use libc::c_int;
use nshost_script::{
    lock::{Ceilings, Profile, filter, lock, lock_without_filter},
    station::Station,
};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match &words[..] {
        [_, mode, number, parent] if mode == "attempt" || mode == "attempt-unfiltered" => {
            attempt(mode == "attempt", number.parse().unwrap(), parent.parse().unwrap())
        }
        // The test harness's own options (a filter, `--nocapture`) are of no meaning here.
        _ => table(),
    }
}

/// The child: as the worker, up to the lock. Its exit status is the errno, or 0 for an attempt that worked.
fn attempt(filtered: bool, number: usize, parent: c_int) -> ! {
    let station = Station::enter().unwrap();
    drop((station.input, station.output));
    let ceilings = Ceilings { address_space: 2 << 30, data: 256 << 20, cpu_seconds: 5, file_size: 0 };
    let profile = Profile { filter: filter::WORKER, ceilings };
    let missing = if filtered { lock(&profile) } else { lock_without_filter(&profile) };
    let errno = match missing.first() {
        Some(_) => 254,
        None if ATTEMPTS[number].2(parent) == -1 => unsafe { *libc::__errno_location() },
        None => 0,
    };
    unsafe { libc::_exit(errno) }
}

/// The parent: every attempt, twice.
fn table() -> ExitCode {
    let leaked = File::open("/dev/null").unwrap();
    // Not closed on exec, as a launcher with a bug would have it.
    assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&leaked), LEAKED) }, LEAKED);
    let mut failed = 0;
    println!("{:34} {:28} beneath the filter", "attempt", "behind the whole lock");
    for (number, (name, beneath, _)) in ATTEMPTS.iter().enumerate() {
        let (whole, without) = (start(number, "attempt"), start(number, "attempt-unfiltered"));
        let bad = !refused(whole) || (*beneath == Beneath::Refused && !refused(without));
        println!("{name:34} {:28} {}{}", tell(whole), tell(without), if bad { "   <- ESCAPED" } else { "" });
        failed += usize::from(bad);
    }
    println!("{} attempts, {failed} escaped", ATTEMPTS.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn start(number: usize, mode: &str) -> ExitStatus {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args([mode, &number.to_string(), &std::process::id().to_string()])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(File::open("/dev/null").unwrap())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

fn refused(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGSYS) || !matches!(status.code(), Some(0 | 101 | 254) | None)
}

fn tell(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(libc::SIGSYS), _) => "killed (SIGSYS)".into(),
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(0)) => "allowed".into(),
        (None, Some(254)) => "NOT LOCKED".into(),
        (None, Some(errno)) => std::io::Error::from_raw_os_error(errno).to_string(),
        (None, None) => "?".into(),
    }
}
