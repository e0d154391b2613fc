//! The attempts: each is one thing that native code could try.

use std::{
    ffi::{c_long, c_void},
    ptr,
};

use libc::{c_int, syscall};

/// What a process tries: a system call's answer.
pub type Try = fn(c_int) -> c_long;

/// Whether the layers beneath the filter have to refuse it as well.
#[derive(Clone, Copy, PartialEq)]
pub enum Beneath {
    /// It would reach something, so they do.
    Refused,
    /// It reaches nothing outside of the process, or only some kernels' settings refuse it.
    FilterOnly,
}
use Beneath::{FilterOnly, Refused};

/// A descriptor that the parent forgot to close on exec.
pub const LEAKED: c_int = 50;

/// Name, what the layers beneath the filter have to do, and the attempt, which is given the launcher's
/// process id.
pub const ATTEMPTS: &[(&str, Beneath, Try)] = &[
    ("open /etc/passwd", Refused, |_| unsafe {
        syscall(libc::SYS_openat, libc::AT_FDCWD, c"/etc/passwd".as_ptr(), libc::O_RDONLY)
    }),
    ("openat2 /", Refused, |_| {
        let how = [libc::O_PATH as u64, 0, 0];
        unsafe { syscall(libc::SYS_openat2, libc::AT_FDCWD, c"/".as_ptr(), how.as_ptr(), 24_usize) }
    }),
    ("create /tmp/escaped", Refused, |_| unsafe {
        syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            c"/tmp/escaped".as_ptr(),
            libc::O_CREAT | libc::O_WRONLY,
            0o600,
        )
    }),
    ("truncate /etc/passwd", Refused, |_| unsafe {
        syscall(libc::SYS_truncate, c"/etc/passwd".as_ptr(), 0_i64)
    }),
    ("mkdir /tmp/escaped", Refused, |_| unsafe {
        syscall(libc::SYS_mkdirat, libc::AT_FDCWD, c"/tmp/escaped".as_ptr(), 0o700)
    }),
    ("chmod /etc/passwd", Refused, |_| unsafe {
        syscall(libc::SYS_fchmodat, libc::AT_FDCWD, c"/etc/passwd".as_ptr(), 0o666)
    }),
    ("readlink /proc/self/exe", FilterOnly, |_| {
        let mut buffer = [0_u8; 64];
        unsafe {
            syscall(
                libc::SYS_readlinkat,
                libc::AT_FDCWD,
                c"/proc/self/exe".as_ptr(),
                buffer.as_mut_ptr(),
                64_usize,
            )
        }
    }),
    ("socket inet", Refused, |_| socket(libc::AF_INET)),
    ("socket inet6", Refused, |_| socket(libc::AF_INET6)),
    ("socket unix", Refused, |_| socket(libc::AF_UNIX)),
    ("socket netlink", Refused, |_| socket(libc::AF_NETLINK)),
    ("socket packet", Refused, |_| socket(libc::AF_PACKET)),
    ("socket vsock", Refused, |_| socket(libc::AF_VSOCK)),
    ("socket alg", Refused, |_| socket(libc::AF_ALG)),
    ("socketpair", Refused, |_| {
        let mut pair = [0_i32; 2];
        unsafe { syscall(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()) }
    }),
    ("pipe", Refused, |_| {
        let mut pair = [0_i32; 2];
        unsafe { syscall(libc::SYS_pipe2, pair.as_mut_ptr(), 0) }
    }),
    ("dup of the socket", Refused, |_| unsafe { syscall(libc::SYS_dup, 0) }),
    ("receive a descriptor", FilterOnly, |_| {
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        unsafe { syscall(libc::SYS_recvmsg, 0, &raw mut message, libc::MSG_DONTWAIT) }
    }),
    ("execve /bin/true", Refused, |_| {
        let none = [ptr::null::<u8>()];
        unsafe { syscall(libc::SYS_execve, c"/bin/true".as_ptr(), none.as_ptr(), none.as_ptr()) }
    }),
    ("execveat itself", Refused, |_| {
        let none = [ptr::null::<u8>()];
        unsafe {
            syscall(
                libc::SYS_execveat,
                libc::AT_FDCWD,
                c"/proc/self/exe".as_ptr(),
                none.as_ptr(),
                none.as_ptr(),
                0,
            )
        }
    }),
    ("fork", Refused, |_| unsafe { syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }),
    ("vfork", Refused, |_| unsafe {
        syscall(libc::SYS_clone, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0)
    }),
    ("thread", Refused, |_| unsafe {
        let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
        // Without the filter the thread would go on here, on the same stack: it ends by itself.
        let thread = syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        if thread == 0 {
            syscall(libc::SYS_exit, 0);
        }
        thread
    }),
    ("clone3", Refused, |_| {
        let mut arguments = [0_u64; 8];
        arguments[4] = libc::SIGCHLD as u64;
        unsafe { syscall(libc::SYS_clone3, arguments.as_mut_ptr(), 64_usize) }
    }),
    ("kill the launcher", Refused, |parent| unsafe { syscall(libc::SYS_kill, parent, libc::SIGTERM) }),
    ("look for the launcher", Refused, |parent| unsafe { syscall(libc::SYS_kill, parent, 0) }),
    // By itself, kill(2) says ok for -1 even where every process refused the signal.
    ("kill everybody", FilterOnly, |_| unsafe { syscall(libc::SYS_kill, -1, 0) }),
    ("tgkill the launcher", Refused, |parent| unsafe {
        syscall(libc::SYS_tgkill, parent, parent, libc::SIGTERM)
    }),
    ("queue a signal to the launcher", Refused, |parent| {
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        info.si_code = -1; // SI_QUEUE
        unsafe { syscall(libc::SYS_rt_sigqueueinfo, parent, libc::SIGTERM, &raw const info) }
    }),
    ("pidfd of the launcher", Refused, |parent| unsafe { syscall(libc::SYS_pidfd_open, parent, 0) }),
    ("ptrace the launcher", Refused, |parent| unsafe {
        syscall(libc::SYS_ptrace, libc::PTRACE_SEIZE, parent, 0_usize, 0_usize)
    }),
    ("be traced", FilterOnly, |_| unsafe {
        syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0_usize, 0_usize)
    }),
    ("read the launcher's memory", Refused, |parent| {
        let mut buffer = [0_u8; 8];
        let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: 8 };
        let remote = libc::iovec { iov_base: 0x40_0000 as *mut c_void, iov_len: 8 };
        unsafe {
            syscall(
                libc::SYS_process_vm_readv,
                parent,
                &raw const local,
                1_usize,
                &raw const remote,
                1_usize,
                0_usize,
            )
        }
    }),
    ("write the launcher's memory", Refused, |parent| {
        let mut buffer = [0_u8; 8];
        let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: 8 };
        let remote = libc::iovec { iov_base: 0x40_0000 as *mut c_void, iov_len: 8 };
        unsafe {
            syscall(
                libc::SYS_process_vm_writev,
                parent,
                &raw const local,
                1_usize,
                &raw const remote,
                1_usize,
                0_usize,
            )
        }
    }),
    ("change the launcher's limits", Refused, |parent| {
        let limit = [1_u64, 1];
        unsafe {
            syscall(libc::SYS_prlimit64, parent, libc::RLIMIT_NOFILE, limit.as_ptr(), ptr::null::<u64>())
        }
    }),
    ("raise a limit", Refused, |_| raise(libc::RLIMIT_NOFILE as c_int)),
    ("raise the memory limit", Refused, |_| raise(libc::RLIMIT_AS as c_int)),
    ("allocate beyond the limit", Refused, |_| {
        map(4 << 40, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
    }),
    ("map memory to write and execute", Refused, |_| {
        map(
            4096,
            libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        )
    }),
    // Beneath the filter: without a way to write it first, an executable page of zeroes is no code.
    ("map memory to execute", FilterOnly, |_| {
        map(4096, libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
    }),
    ("make written memory executable", Refused, |_| {
        let page = map(4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        unsafe { syscall(libc::SYS_mprotect, page, 4096_usize, libc::PROT_READ | libc::PROT_EXEC) }
    }),
    ("the same by a key", Refused, |_| {
        let page = map(4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        unsafe { syscall(libc::SYS_pkey_mprotect, page, 4096_usize, libc::PROT_READ | libc::PROT_EXEC, -1) }
    }),
    ("make static data executable", Refused, |_| {
        let page = (&raw const page_marker).addr() & !4095;
        unsafe {
            syscall(
                libc::SYS_mprotect,
                page,
                4096_usize,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            )
        }
    }),
    ("memfd_create", Refused, |_| unsafe { syscall(libc::SYS_memfd_create, c"x".as_ptr(), 0) }),
    ("shared memory of System V", FilterOnly, |_| unsafe {
        syscall(libc::SYS_shmget, 0, 4096_usize, 0o1600)
    }),
    ("be root again", Refused, |_| unsafe { syscall(libc::SYS_setresuid, 0, 0, 0) }),
    ("have a group", Refused, |_| {
        let group = [0_u32];
        unsafe { syscall(libc::SYS_setgroups, 1_usize, group.as_ptr()) }
    }),
    ("have capabilities", Refused, |_| {
        let header = [0x2008_0522_u32, 0];
        let all = [u32::MAX; 6];
        unsafe { syscall(libc::SYS_capset, header.as_ptr(), all.as_ptr()) }
    }),
    ("unshare user", FilterOnly, |_| unsafe { syscall(libc::SYS_unshare, libc::CLONE_NEWUSER) }),
    ("unshare network", Refused, |_| unsafe { syscall(libc::SYS_unshare, libc::CLONE_NEWNET) }),
    ("unshare mount", Refused, |_| unsafe { syscall(libc::SYS_unshare, libc::CLONE_NEWNS) }),
    ("join a namespace by the socket", Refused, |_| unsafe { syscall(libc::SYS_setns, 0, 0) }),
    ("mount", Refused, |_| unsafe {
        syscall(
            libc::SYS_mount,
            c"none".as_ptr(),
            c"/tmp".as_ptr(),
            c"tmpfs".as_ptr(),
            0_usize,
            ptr::null::<u8>(),
        )
    }),
    ("open_tree", Refused, |_| unsafe { syscall(libc::SYS_open_tree, libc::AT_FDCWD, c"/".as_ptr(), 1) }),
    ("chroot", Refused, |_| unsafe { syscall(libc::SYS_chroot, c"/".as_ptr()) }),
    ("sethostname", Refused, |_| unsafe { syscall(libc::SYS_sethostname, c"escaped".as_ptr(), 7_usize) }),
    ("bpf", Refused, |_| {
        let attributes = [1_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        unsafe { syscall(libc::SYS_bpf, 0, attributes.as_ptr(), 72_u32) }
    }),
    ("io_uring", Refused, |_| {
        let mut parameters = [0_u8; 120];
        unsafe { syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) }
    }),
    ("userfaultfd", Refused, |_| unsafe { syscall(libc::SYS_userfaultfd, 1) }),
    ("perf_event_open", Refused, |_| {
        let mut attributes = [0_u8; 128];
        attributes[4] = 128;
        unsafe { syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0_usize) }
    }),
    ("epoll", Refused, |_| unsafe { syscall(libc::SYS_epoll_create1, 0) }),
    ("inotify", Refused, |_| unsafe { syscall(libc::SYS_inotify_init1, 0) }),
    ("add a key", FilterOnly, |_| unsafe {
        syscall(libc::SYS_add_key, c"user".as_ptr(), c"x".as_ptr(), c"y".as_ptr(), 1_usize, -2)
    }),
    ("keyctl", FilterOnly, |_| unsafe { syscall(libc::SYS_keyctl, 0, -3, 0) }),
    ("prctl: dumpable", FilterOnly, |_| unsafe {
        syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1_usize, 0_usize, 0_usize, 0_usize)
    }),
    ("prctl: write and execute", Refused, |_| unsafe {
        syscall(libc::SYS_prctl, 65, 0_usize, 0_usize, 0_usize, 0_usize)
    }),
    ("personality", FilterOnly, |_| unsafe { syscall(libc::SYS_personality, 0x040_0000_usize) }),
    ("nice", Refused, |_| unsafe { syscall(libc::SYS_setpriority, 0, 0, -1) }),
    ("a real-time scheduler", Refused, |_| {
        let priority = 1_i32;
        unsafe { syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const priority) }
    }),
    ("set the clock", Refused, |_| {
        let time = [0_i64, 0];
        unsafe { syscall(libc::SYS_clock_settime, 0, time.as_ptr()) }
    }),
    ("load a kernel module", Refused, |_| unsafe { syscall(libc::SYS_finit_module, 0, c"".as_ptr(), 0) }),
    ("reboot", Refused, |_| unsafe { syscall(libc::SYS_reboot, 0, 0, 0, 0_usize) }),
    ("write to a leaked descriptor", Refused, |_| write(LEAKED)),
    ("read from a leaked descriptor", Refused, |_| read(LEAKED)),
    ("write to the artifact", Refused, |_| write(1)),
    ("read the artifact again", Refused, |_| read(1)),
    ("write to the terminal", Refused, |_| write(2)),
    ("put into the terminal", Refused, |_| unsafe {
        syscall(libc::SYS_ioctl, 2, libc::TIOCSTI, c"x".as_ptr())
    }),
    ("ask who the peer is", FilterOnly, |_| unsafe {
        let (mut credentials, mut length) = ([0_u32; 3], 12_u32);
        syscall(
            libc::SYS_getsockopt,
            0,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            credentials.as_mut_ptr(),
            &raw mut length,
        )
    }),
    ("take the filter off", FilterOnly, |_| unsafe { syscall(libc::SYS_seccomp, 0, 0, 0_usize) }),
];

#[allow(non_upper_case_globals)]
static mut page_marker: [u8; 8192] = [0; 8192];

fn socket(family: c_int) -> c_long {
    let kind =
        if family == libc::AF_INET || family == libc::AF_INET6 { libc::SOCK_STREAM } else { libc::SOCK_RAW };
    let kind = if family == libc::AF_ALG { libc::SOCK_SEQPACKET } else { kind };
    let kind = if family == libc::AF_UNIX || family == libc::AF_VSOCK { libc::SOCK_STREAM } else { kind };
    unsafe { syscall(libc::SYS_socket, family, kind, 0) }
}

fn map(length: usize, protection: c_int, flags: c_int) -> c_long {
    unsafe { syscall(libc::SYS_mmap, 0_usize, length, protection, flags, -1, 0_usize) }
}

fn raise(limit: c_int) -> c_long {
    let more = [1_u64 << 40; 2];
    unsafe { syscall(libc::SYS_prlimit64, 0, limit, more.as_ptr(), ptr::null::<u64>()) }
}

fn write(fd: c_int) -> c_long {
    unsafe { syscall(libc::SYS_write, fd, c"escaped".as_ptr(), 7_usize) }
}

fn read(fd: c_int) -> c_long {
    let mut byte = 0_u8;
    unsafe { syscall(libc::SYS_read, fd, &raw mut byte, 1_usize) }
}
