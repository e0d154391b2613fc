//! The deadline: a timer that was armed before the lock ticks, and each tick makes running code
//! look at the clock.
#![allow(unsafe_code)]

use std::{
    io,
    sync::OnceLock,
    time::{Duration, Instant},
};

use wasmtime::{Engine, Store, UpdateDeadline};

use crate::{budget::Exhausted, state::State};

/// How often a script's time is looked at: what a deadline can be late by. A script that ends before
/// the first tick, as nearly all do, pays nothing.
const TICK: Duration = Duration::from_millis(4);

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// Starts the ticking; before the lock, which forbids it.
pub fn start(engine: &Engine) -> io::Result<()> {
    let _ = ENGINE.set(engine.clone());
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = tick as *const () as usize;
    // Reading the question and writing the answer go on where a tick interrupts them.
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is live; the handler does what a handler may do, see there.
    if unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    unblock()?;
    let interval = libc::timeval { tv_sec: 0, tv_usec: TICK.subsec_micros().into() };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: `timer` is live; the kernel only reads it.
    let armed = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    if armed != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whoever started the launcher may have blocked the signal, and a tick that waits ends nothing.
fn unblock() -> io::Result<()> {
    // SAFETY: the set is live and made valid by `sigemptyset` before it is used.
    let unblocked = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGALRM);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut())
    };
    if unblocked != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Async-signal-safe: two atomic operations. `OnceLock::get` is a load, and `increment_epoch` is an
/// increment whose documentation promises that it may be called here. No allocation, no lock, no
/// system call, `errno` untouched.
extern "C" fn tick(_signal: libc::c_int) {
    if let Some(engine) = ENGINE.get() {
        engine.increment_epoch();
    }
}

/// Ends what runs in `store` when `wall_ms` have passed from now, host functions included.
pub(crate) fn set_deadline(store: &mut Store<State>, wall_ms: u32) {
    let end = Instant::now() + Duration::from_millis(u64::from(wall_ms));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if Instant::now() < end {
            return Ok(UpdateDeadline::Continue(1));
        }
        Err(wasmtime::Error::new(Exhausted::wall_time(wall_ms)))
    });
}
