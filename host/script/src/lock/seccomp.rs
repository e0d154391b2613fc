//! From a table of system calls to a program for `seccomp(2)`.
//!
//! An assembler of our own: the table's rules need five instructions of classic BPF, and a reader can
//! check all of it here. (`seccompiler` would do as well; it is made for filters from JSON and for several
//! threads, and its tables have no place for a reason.)
#![allow(unsafe_code)]

use std::io;

use super::{
    check,
    filter::{Row, Rule},
};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64 of linux/audit.h
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

// Offsets into `struct seccomp_data` (linux/seccomp.h): nr, arch, instruction pointer, six arguments.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

const fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

const fn jump_if(test: u32, value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | test | libc::BPF_K, then, otherwise, value)
}

const fn end(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, action)
}

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

const ALLOW: libc::sock_filter = end(libc::SECCOMP_RET_ALLOW);
const KILL: libc::sock_filter = end(libc::SECCOMP_RET_KILL_PROCESS);

/// The program: what is not in the table, or not by its rule, kills the process.
///
/// When it is put in force the kernel runs it once for each system call there is, to remember which are
/// always allowed; so the many numbers above the table's (those of the x32 ABI too, which have a bit of
/// their own) leave it first: 10 µs of 45.
pub(super) fn assemble(table: &[Row]) -> Vec<libc::sock_filter> {
    let highest = table.iter().map(|row| row.number as u32).max().unwrap_or(0);
    let mut program = vec![
        load(ARCH),
        jump_if(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        KILL,
        load(NUMBER),
        jump_if(libc::BPF_JGT, highest, 0, 1),
        KILL,
    ];
    for row in table {
        let rule = match row.rule {
            Rule::Always => vec![ALLOW],
            Rule::Argument { index, is } => {
                vec![load(ARGUMENTS + 8 * u32::from(index)), jump_if(libc::BPF_JEQ, is, 1, 0), KILL, ALLOW]
            }
            Rule::ArgumentWithout { index, bits } => {
                vec![load(ARGUMENTS + 8 * u32::from(index)), jump_if(libc::BPF_JSET, bits, 0, 1), KILL, ALLOW]
            }
        };
        program.push(jump_if(libc::BPF_JEQ, row.number as u32, 0, rule.len() as u8));
        program.extend(rule);
    }
    program.push(KILL);
    program
}

/// Puts the filter in force for this thread, which is the only one.
pub(super) fn install(table: &[Row]) -> io::Result<()> {
    let mut program = assemble(table);
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `program` points to `len` live instructions; the kernel copies and checks them.
    check(unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program) })?;
    Ok(())
}
