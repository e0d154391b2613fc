//! The lock on other machines: a kernel without a layer, a launcher that is no root or a root of little.
#![allow(unsafe_code)]

mod common;

use std::{
    ffi::CStr,
    io,
    os::unix::{net::UnixStream, process::CommandExt},
    process::{Command, Stdio},
};

use common::*;
use nshost_policy::wire::{Answer, Failure, Level};

/// The worker on a script that does nothing, to be started after `before` has run in the process.
fn worker(
    mode: &str,
    before: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> (Command, UnixStream) {
    let artifact = file(&compile(&plain("(func $setup (result i32) i32.const 16)")).unwrap());
    let (mut command, socket) = helper(&program("nshost-worker"), mode, artifact.into(), Stdio::null());
    // SAFETY: what the tests pass makes system calls only.
    unsafe { command.pre_exec(before) };
    (command, socket)
}

fn answer(helper: (Command, UnixStream)) -> Answer {
    let ran = run::<Answer>(helper, Some(&frame(&question())));
    ran.answer.unwrap_or_else(|| panic!("{}", ran.status))
}

/// From here on the kernel says that it has no Landlock.
fn without_landlock() -> io::Result<()> {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            libc::SYS_landlock_create_ruleset as u32,
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: integers, and a live program of four instructions.
    let refused = unsafe {
        libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1_usize, 0_usize, 0_usize, 0_usize) != 0
            || libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) != 0
    };
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[test]
fn a_layer_that_the_kernel_lacks_ends_the_evaluation() {
    let answer = answer(worker("evaluate", without_landlock));
    assert_eq!(answer.outcome, Err(Failure::Lock { what: "Landlock".into(), errno: libc::ENOSYS }));
}

#[test]
fn an_operator_can_go_on_without_a_layer_and_is_told() {
    let answer = answer(worker("evaluate-unlocked", without_landlock));
    assert!(answer.outcome.is_ok(), "{:?}", answer.outcome);
    assert!(answer.log.iter().any(|line| line.level == Level::Warn && line.text.contains("Landlock")));
}

#[test]
fn the_compiler_needs_the_lock_as_well() {
    let compiler = |mode: &str| {
        let module = file(&plain("(func $setup (result i32) i32.const 16)"));
        let (mut command, socket) =
            helper(&program("nshost-compiler"), mode, module.into(), file(&[]).into());
        // SAFETY: makes system calls only.
        unsafe { command.pre_exec(without_landlock) };
        run::<nshost_policy::wire::CompileAnswer>((command, socket), None).answer.unwrap().outcome
    };
    assert_eq!(compiler("compile"), Err(Failure::Lock { what: "Landlock".into(), errno: libc::ENOSYS }));
    assert!(compiler("compile-unlocked").is_ok());
}

#[test]
fn a_user_without_privileges_can_evaluate() {
    let before = || {
        // SAFETY: integers only.
        let failed = unsafe {
            libc::geteuid() == 0
                && (libc::setresgid(65534, 65534, 65534) != 0 || libc::setresuid(65534, 65534, 65534) != 0)
        };
        if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // The program has to be where others can read it; a build directory may be private.
    let place = std::env::temp_dir().join(format!("nshost-worker-{}", std::process::id()));
    std::fs::copy(program("nshost-worker"), &place).unwrap();
    let artifact = file(&compile(&plain("(func $setup (result i32) i32.const 16)")).unwrap());
    let (mut command, socket) = helper(&place, "evaluate", artifact.into(), Stdio::null());
    // SAFETY: makes system calls only.
    unsafe { command.pre_exec(before) };
    let answer = answer((command, socket));
    std::fs::remove_file(&place).unwrap();
    assert!(answer.outcome.is_ok(), "{:?}", answer.outcome);
}

#[test]
fn root_of_a_user_namespace_with_nobody_else_in_it_can_evaluate() {
    // As rootless: one id inside, root, which outside is the caller.
    // SAFETY: no arguments.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let (uids, gids) = (format!("0 {uid} 1"), format!("0 {gid} 1"));
    let before = move || {
        // SAFETY: integers only.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
            return Err(io::Error::last_os_error());
        }
        write(c"/proc/self/setgroups", "deny")?;
        write(c"/proc/self/uid_map", &uids)?;
        write(c"/proc/self/gid_map", &gids)
    };
    let answer = answer(worker("evaluate", before));
    assert!(answer.outcome.is_ok(), "{:?}", answer.outcome);
}

/// Writes by system calls alone, as the time between fork and exec demands.
fn write(path: &CStr, text: &str) -> io::Result<()> {
    // SAFETY: a path that ends in NUL, and `text.len()` bytes; the descriptor is this function's own.
    let written = unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        libc::close(fd);
        written
    };
    if written == text.len() as isize { Ok(()) } else { Err(io::Error::last_os_error()) }
}
