//! `--init`: a first process that reaps orphans and passes signals on.

use core::{
    ffi::{CStr, c_int, c_ulong},
    mem, ptr,
};

use crate::{Orders, Stage, Words, report, stdio};

/// What `ps` shows.
const NAME: &CStr = c"nshost-init";

/// Returns in the command's process only; the first process stays here until the command ends, and
/// then ends with its status (128 + N for signal N: a namespace's first process cannot end by a
/// signal of its own).
///
/// All signals are blocked before the fork, so that none is lost and none arrives in a handler.
pub(crate) fn fork_command(orders: &Orders<'_>) {
    stdio::set_signal_mask(u64::MAX);
    // Before anybody else is there to look.
    call_itself(orders.words);
    // SAFETY: a plain fork by system call; nothing here depends on libc's idea of the process.
    let command = unsafe { libc::syscall(libc::SYS_clone, c_ulong::from(libc::SIGCHLD as u32), 0, 0, 0, 0) };
    match command {
        -1 => report::fail(orders.report, Stage::Reaper),
        0 => command_side(orders),
        pid => reap_until_end_of(pid as c_int, orders.stopped),
    }
}

/// Up to here this process has the broker's name, and what the operator typed: its grants, its other containers'
/// names. Everybody inside can read that.
fn call_itself(words: Option<Words>) {
    // SAFETY: a string that stays.
    unsafe { libc::prctl(libc::PR_SET_NAME, NAME.as_ptr()) };
    let Some(Words { start, arguments_end, end }) = words else { return };
    let (name, room) = (NAME.to_bytes_with_nul(), arguments_end.saturating_sub(start));
    // SAFETY: the kernel's word for where this memory is: on the stack that the broker was started with, above
    // all frames; this process has a copy of it, by clone. libc points into it for variables and arguments,
    // neither of which is asked for again here: the command's are elsewhere.
    unsafe {
        ptr::write_bytes(start as *mut u8, 0, end.saturating_sub(start));
        if name.len() < room {
            ptr::copy_nonoverlapping(name.as_ptr(), start as *mut u8, name.len());
            // By this the kernel knows one text from words that are ended each: no blanks follow it.
            *((arguments_end - 1) as *mut u8) = b'.';
        }
    }
}

/// The command leads a process group of its own and has the terminal's foreground, as under a shell.
fn command_side(orders: &Orders<'_>) {
    // SAFETY: numbers only. SIGTTOU is still blocked, so taking the foreground does not stop us. Without
    // a PID namespace the reaper's end would not end the command; this does.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong);
        libc::setpgid(0, 0);
        if let Some(terminal) = orders.terminal {
            let group = libc::getpid();
            libc::ioctl(terminal, libc::TIOCSPGRP, &raw const group);
        }
    }
    stdio::set_signal_mask(0);
}

fn reap_until_end_of(command: c_int, stopped: Option<c_int>) -> ! {
    // SAFETY: numbers only. Not dumpable: nobody inside reads this process or writes its program
    // through /proc/1 (the CVE-2019-5736 class). The report pipe is closed as well: from
    // here on there is nothing to report but that the command was stopped.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0 as c_ulong);
        let after = stopped.map_or(0, |kept| {
            libc::syscall(libc::SYS_close_range, 0, kept - 1, 0);
            kept + 1
        });
        libc::syscall(libc::SYS_close_range, after, c_int::MAX, 0);
    }
    let all = u64::MAX;
    // Not `sigtimedwait(2)`: while that waits, the signals are not blocked, and the launcher takes this for a
    // process that they would not even reach, and ends it.
    // SAFETY: the kernel's mask is 8 bytes.
    let signals = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const all, 8, 0) } as c_int;
    if signals < 0 {
        // SAFETY: takes any status.
        unsafe { libc::_exit(125) }
    }
    loop {
        // SAFETY: signalfd_siginfo is plain data, and as large as is read.
        let (signal, origin) = unsafe {
            let mut info: libc::signalfd_siginfo = mem::zeroed();
            let size = mem::size_of_val(&info);
            let read = libc::read(signals, (&raw mut info).cast(), size);
            if read.unsigned_abs() == size { (info.ssi_signo as c_int, info.ssi_code) } else { (0, 0) }
        };
        match signal {
            libc::SIGCHLD => collect(command, stopped),
            // The kernel tells the session's leader that the terminal is gone. The command is told by the launcher,
            // if anybody told that.
            libc::SIGHUP if origin == libc::SI_KERNEL => {}
            // A shell stops a job and lets it go on as a whole.
            libc::SIGTSTP | libc::SIGCONT => {
                // SAFETY: `command` is our child and not yet waited for; if it has left its group, that is no
                // more, and the signal is for it alone.
                unsafe {
                    if libc::kill(-command, signal) < 0 {
                        libc::kill(command, signal);
                    }
                }
            }
            1..=64 => {
                // SAFETY: `command` is our child and not yet waited for.
                unsafe { libc::kill(command, signal) };
            }
            _ => {}
        }
    }
}

fn collect(command: c_int, stopped: Option<c_int>) {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a writable int.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
        if pid <= 0 {
            return;
        }
        if libc::WIFSTOPPED(status) {
            if let (true, Some(tell)) = (pid == command, stopped) {
                let once = 1u64;
                // SAFETY: an eventfd takes 8 bytes.
                unsafe { libc::write(tell, (&raw const once).cast(), mem::size_of_val(&once)) };
            }
        } else if pid == command {
            let code = if libc::WIFSIGNALED(status) {
                128 + libc::WTERMSIG(status)
            } else {
                libc::WEXITSTATUS(status)
            };
            // SAFETY: takes any status.
            unsafe { libc::_exit(code) }
        }
    }
}
