//! The floor: the tutorial's container with every setting fixed in the source.
//!
//! A plain program that makes the system calls that the launch needs and nothing else: no script, no
//! policy, no ledger, no undo. What nshost takes beyond this is what its safety costs.
//!
//! `floor --one-queue COMMAND` asks for links with one queue, as nshost does: the kernel then does not make
//! one for each processor, of which it gives back all but one while the caller waits.

#![expect(unsafe_code, reason = "system calls are all that it is")]

use std::{ffi::CString, mem, ptr};

const HOST_ADDRESS: [u8; 4] = [169, 254, 1, 1];
const CONTAINER_ADDRESS: [u8; 4] = [169, 254, 1, 2];

const ACKED: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const CREATE: u16 = ACKED | (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

fn main() {
    let one_queue = std::env::args().nth(1).is_some_and(|word| word == "--one-queue");
    let words = std::env::args().skip(if one_queue { 2 } else { 1 });
    let command: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
    let arguments: Vec<_> = command.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: plain system calls of a single-threaded program; the child does nothing but exec or exit;
    // the arguments are a null-terminated array that lives through the call.
    unsafe {
        let mut gate = [0; 2];
        must(libc::pipe2(gate.as_mut_ptr(), libc::O_CLOEXEC));
        let pid = clone();
        if pid == 0 {
            child(gate, &arguments);
        }
        network(pid, one_queue);
        must(libc::write(gate[1], [1u8].as_ptr().cast(), 1) as i32);
        let mut status = 0;
        must(libc::waitpid(pid, &raw mut status, 0));
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

fn must(result: i32) -> i32 {
    if result < 0 {
        let error = std::io::Error::last_os_error();
        eprintln!("floor: {error}");
        // SAFETY: nothing is left to flush.
        unsafe { libc::_exit(125) }
    }
    result
}

unsafe fn clone() -> i32 {
    let flags =
        libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWNET;
    let mut arguments = [0u64; 8];
    arguments[0] = flags as u64;
    arguments[4] = libc::SIGCHLD as u64;
    // SAFETY: a clone_args of 64 bytes, like fork.
    must(unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), mem::size_of_val(&arguments)) } as i32)
}

unsafe fn child(gate: [i32; 2], arguments: &[*const libc::c_char]) -> ! {
    let mut byte = 0u8;
    // SAFETY: open descriptors, C strings, a null-terminated array.
    unsafe {
        libc::close(gate[1]);
        if libc::read(gate[0], (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(125);
        }
        must(libc::sethostname(c"In Namespace".as_ptr(), 12));
        must(libc::mount(
            ptr::null(),
            c"/".as_ptr(),
            ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            ptr::null(),
        ));
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        must(libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), flags, ptr::null()));
        libc::setsid();
        let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(), ptr::null()];
        libc::execve(arguments[0], arguments.as_ptr(), environment.as_ptr());
        libc::_exit(127)
    }
}

/// veth0 here with its address and up, veth1 there with its address and up, and lo up there.
unsafe fn network(pid: i32, one_queue: bool) {
    let path = CString::new(format!("/proc/{pid}/ns/net")).unwrap_or_default();
    // SAFETY: C strings and open descriptors.
    let (own, other) = unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        (must(libc::open(c"/proc/self/ns/net".as_ptr(), flags)), must(libc::open(path.as_ptr(), flags)))
    };
    let here = Netlink::open();
    // SAFETY: both are network namespaces.
    let there = unsafe {
        must(libc::setns(other, libc::CLONE_NEWNET));
        let there = Netlink::open();
        must(libc::setns(own, libc::CLONE_NEWNET));
        there
    };
    here.request(&veth(other, one_queue));
    here.request(&address(HOST_ADDRESS, index(c"veth0")));
    there.request(&address(CONTAINER_ADDRESS, 2));
    there.request(&up(2));
    there.request(&up(1));
}

fn index(name: &std::ffi::CStr) -> u32 {
    // SAFETY: a C string.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

struct Netlink(i32);

impl Netlink {
    fn open() -> Netlink {
        // SAFETY: numbers only.
        Netlink(must(unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
        }))
    }

    fn request(&self, message: &[u8]) {
        let mut answer = [0u8; 4096];
        // SAFETY: pointers and lengths of two slices.
        let length = unsafe {
            must(libc::send(self.0, message.as_ptr().cast(), message.len(), 0) as i32);
            must(libc::recv(self.0, answer.as_mut_ptr().cast(), answer.len(), 0) as i32)
        };
        let error = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
        if length < 20 || error != 0 {
            eprintln!("floor: netlink: {}", std::io::Error::from_raw_os_error(-error));
            // SAFETY: nothing is left to flush.
            unsafe { libc::_exit(125) }
        }
    }
}

fn message(kind: u16, flags: u16, header: &[u8], attributes: &[u8]) -> Vec<u8> {
    let length = (16 + header.len() + attributes.len()) as u32;
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], header, attributes]
        .concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value, &padding].concat()
}

fn link_header(index: u32, flags: u32) -> Vec<u8> {
    [&[0u8; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &flags.to_ne_bytes()].concat()
}

fn veth(other: i32, one_queue: bool) -> Vec<u8> {
    let queue = |kind| if one_queue { attribute(kind, &1u32.to_ne_bytes()) } else { Vec::new() };
    let queues = [queue(libc::IFLA_NUM_TX_QUEUES), queue(libc::IFLA_NUM_RX_QUEUES)].concat();
    let peer = [
        link_header(0, 0),
        attribute(libc::IFLA_IFNAME, b"veth1\0"),
        attribute(libc::IFLA_NET_NS_FD, &other.to_ne_bytes()),
        queues.clone(),
    ]
    .concat();
    let data = attribute(IFLA_INFO_DATA, &attribute(VETH_INFO_PEER, &peer));
    let info = [attribute(IFLA_INFO_KIND, b"veth\0"), data].concat();
    let attributes =
        [attribute(libc::IFLA_IFNAME, b"veth0\0"), queues, attribute(libc::IFLA_LINKINFO, &info)].concat();
    message(libc::RTM_NEWLINK, CREATE, &link_header(0, libc::IFF_UP as u32), &attributes)
}

fn address(address: [u8; 4], index: u32) -> Vec<u8> {
    let header = [&[libc::AF_INET as u8, 30, 0, 0][..], &index.to_ne_bytes()].concat();
    let broadcast = [address[0], address[1], address[2], address[3] | 3];
    let attributes = [
        attribute(libc::IFA_LOCAL, &address),
        attribute(libc::IFA_ADDRESS, &address),
        attribute(libc::IFA_BROADCAST, &broadcast),
    ]
    .concat();
    message(libc::RTM_NEWADDR, CREATE, &header, &attributes)
}

fn up(index: u32) -> Vec<u8> {
    message(libc::RTM_NEWLINK, ACKED, &link_header(index, libc::IFF_UP as u32), &[])
}
