//! By `listmount(2)` and `statmount(2)` (Linux 6.8): only the paths that matter are written out, which on a
//! host with many mounts is the difference between microseconds and a millisecond.

use core::{
    ffi::{CStr, c_int, c_long},
    mem::offset_of,
};

use super::MAGIC;
use crate::report;

const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;
/// All mounts of the namespace (`LSMT_ROOT`).
const ALL: u64 = u64::MAX;
/// `STATMOUNT_SB_BASIC`, `STATMOUNT_MNT_POINT`.
const KIND: u64 = 0x01;
const PLACE: u64 = 0x10;
/// How many are listed at once.
const MANY: usize = 64;
/// The longest path, with the byte that ends it.
const PATH: usize = 4096;

/// The kernel's `struct mnt_id_req`, first version.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    /// Which mount, or [`ALL`].
    mount: u64,
    /// What is asked of it; of a list, after which mount it goes on.
    parameter: u64,
}

/// The kernel's `struct statmount`, so far as it is read here.
#[repr(C)]
struct Answer {
    _size: u32,
    _options: u32,
    /// What of the rest is there.
    mask: u64,
    _device: [u32; 2],
    magic: u64,
    _before: [u32; 19],
    /// Where in `strings` the mount point begins.
    place: u32,
    _after: [u64; 50],
    strings: [u8; PATH],
}

/// The answer's fixed part has 512 bytes.
const _: () = assert!(offset_of!(Answer, place) == 108 && offset_of!(Answer, strings) == 512);

/// As [`super::each`]; false if this kernel does not tell, or not all.
pub(super) fn each(visit: &mut dyn FnMut(&CStr) -> Result<(), c_int>) -> Result<bool, c_int> {
    let (mut mounts, mut last, mut answer) = ([0; MANY], 0, Answer::EMPTY);
    loop {
        let Some(listed) = list(last, &mut mounts) else { return Ok(false) };
        let Some(newest) = listed.last() else { return Ok(true) };
        last = *newest;
        for mount in listed {
            let Some(told) = ask(*mount, KIND, &mut answer) else { return Ok(false) };
            if told && answer.magic != MAGIC as u64 {
                continue;
            }
            let Some(told) = ask(*mount, KIND | PLACE, &mut answer) else { return Ok(false) };
            match answer.place() {
                _ if !told => {}
                // Not beneath this root: nobody in the container comes to it.
                Some(path) if path.is_empty() => {}
                Some(path) => visit(path)?,
                None => return Ok(false),
            }
        }
    }
}

/// The mounts that are newer than `after`, oldest first, as many as there is room for.
fn list(after: u64, mounts: &mut [u64; MANY]) -> Option<&[u64]> {
    let request = Request { size: size_of::<Request>() as u32, spare: 0, mount: ALL, parameter: after };
    // SAFETY: a request of the size that it names; pointer and length are of one array.
    let count = unsafe { libc::syscall(LISTMOUNT, &raw const request, mounts.as_mut_ptr(), mounts.len(), 0) };
    mounts.get(..usize::try_from(count).ok()?)
}

/// Whether the mount is still there, of which then all of `what` is told; none if the kernel refuses.
fn ask(mount: u64, what: u64, answer: &mut Answer) -> Option<bool> {
    let request = Request { size: size_of::<Request>() as u32, spare: 0, mount, parameter: what };
    // SAFETY: a request of the size that it names; the kernel writes no more than the answer's size to it, and
    // an answer is numbers only.
    let asked =
        unsafe { libc::syscall(STATMOUNT, &raw const request, &raw mut *answer, size_of::<Answer>(), 0) };
    match asked {
        0 => (answer.mask & what == what).then_some(true),
        _ => (report::errno() == libc::ENOENT).then_some(false),
    }
}

impl Answer {
    const EMPTY: Answer = Answer {
        _size: 0,
        _options: 0,
        mask: 0,
        _device: [0; 2],
        magic: 0,
        _before: [0; 19],
        place: 0,
        _after: [0; 50],
        strings: [0; PATH],
    };

    /// The mount point, as it is written there.
    fn place(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(self.strings.get(self.place as usize..)?).ok()
    }
}
