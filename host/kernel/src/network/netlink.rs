//! Netlink sockets (`netlink(7)`): several requests in one system call, every answer read.
//!
//! The kernel works through a netlink message inside of `sendmsg(2)`: when that returns, all answers
//! lie in the socket's queue. So nothing here ever waits; an answer that is not there is an error.
//! The layout of messages is `netlink_bindings`'s; the socket is our own, because requests that are
//! answered with data cannot be batched with `netlink_socket2`, and because of [`Socket::linger`].

#![expect(unsafe_code, reason = "nix has no netlink socket options, and receives into zeroed memory only")]

mod batch;

use std::{
    mem,
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, getsockname, send,
        setsockopt, socket, sockopt,
    },
};

use batch::Messages;
pub use batch::{Batch, Failure};

use crate::{Error, network::enter};

/// What the kernel puts into one datagram at most (`NLMSG_GOODSIZE` for dumps is no more than this).
const RECEIVE_BUFFER: usize = 32 << 10;
/// Batches over this size need a larger send buffer than `net.core.wmem_default` (bytes).
const LARGE_BATCH: usize = 100 << 10;

/// Sockets that must not be closed by this process; see [`Socket::linger`].
static LINGERING: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// A netlink socket, bound to the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    next_sequence: u32,
    buffer: Vec<u8>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// Links, addresses and routes of the caller's network namespace (`rtnetlink(7)`).
    pub fn route() -> Result<Self, Error> {
        Self::open(SockProtocol::NetlinkRoute)
    }

    /// Links, addresses and routes of another network namespace.
    pub fn route_inside(network: BorrowedFd<'_>) -> Result<Self, Error> {
        enter::inside(network, Self::route)?
    }

    /// nftables of the caller's network namespace.
    pub fn netfilter() -> Result<Self, Error> {
        Self::open(SockProtocol::NetlinkNetFilter)
    }

    /// Other sockets of the caller's network namespace (`sock_diag(7)`).
    pub(crate) fn sock_diag() -> Result<Self, Error> {
        Self::open(SockProtocol::NetlinkSockDiag)
    }

    /// A netfilter socket that other processes have too: one uses it at a time, and answers to somebody who was
    /// killed in the middle may lie in its queue. None if it is something else.
    pub(crate) fn shared_netfilter(fd: OwnedFd) -> Option<Self> {
        let netlink = option_of(&fd, libc::SO_DOMAIN).ok()? == libc::AF_NETLINK;
        if !netlink || option_of(&fd, libc::SO_PROTOCOL).ok()? != libc::NETLINK_NETFILTER {
            return None;
        }
        let first = std::process::id().rotate_left(16);
        let mut socket = Socket { fd, next_sequence: first, buffer: Vec::with_capacity(RECEIVE_BUFFER) };
        while receive(&socket.fd, &mut socket.buffer).is_ok() {}
        Some(socket)
    }

    /// Its address: no two open netlink sockets of a protocol have the same in a network namespace.
    pub(crate) fn address(&self) -> Result<u32, Error> {
        let failed = |errno| Error::new("look at", "netlink socket", errno);
        Ok(getsockname::<NetlinkAddr>(self.fd.as_raw_fd()).map_err(failed)?.pid())
    }

    /// Its descriptor's number, for whoever is to take a copy.
    pub(crate) fn number_of_descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    fn open(protocol: SockProtocol) -> Result<Self, Error> {
        let failed = |errno| Error::new("open netlink socket", format!("{protocol:?}"), errno);
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .map_err(failed)?;
        // Why the kernel refuses (text), without a copy of the request, and dumps that heed their filter.
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK, libc::NETLINK_GET_STRICT_CHK] {
            enable(&fd, option).map_err(failed)?;
        }
        // Not zeroed: a page that no answer reaches is never touched.
        Ok(Socket { fd, next_sequence: 1, buffer: Vec::with_capacity(RECEIVE_BUFFER) })
    }

    /// Sends all requests in one system call. Gives each message of data to `reply`, with the index of
    /// its request and its type, and returns what failed.
    pub fn exchange(&mut self, mut batch: Batch, mut reply: impl FnMut(usize, u16, &[u8])) -> Vec<Failure> {
        if batch.is_empty() {
            return Vec::new();
        }
        let first = self.next_sequence;
        self.next_sequence = first.wrapping_add(batch.len() as u32);
        batch.number(first);
        let mut failures = Vec::new();
        for (requests, bytes) in batch.parts() {
            if let Err(errno) = self.send(batch.bytes(bytes)) {
                let error = Error::new(batch.step(requests.start), "send to the kernel", errno);
                failures.push(Failure { index: requests.start, error });
                return failures;
            }
            if let Err(errno) = self.read_answers(&mut batch, first, requests, &mut failures, &mut reply) {
                let index = batch.first_unanswered().unwrap_or(0);
                failures.push(Failure { index, error: batch.error(index, errno) });
                return failures;
            }
        }
        batch.note_unanswered(&mut failures);
        failures
    }

    /// Sends all requests in one system call; the first failure is the result.
    pub fn perform(&mut self, batch: Batch) -> Result<(), Error> {
        self.query(batch, |_, _, _| {})
    }

    /// Like [`Socket::perform`], with replies.
    pub fn query(&mut self, batch: Batch, reply: impl FnMut(usize, u16, &[u8])) -> Result<(), Error> {
        let first = self.exchange(batch, reply).into_iter().next();
        first.map_or(Ok(()), |failure| Err(failure.error))
    }

    /// Gives the socket up without closing it.
    ///
    /// Closing a netfilter socket waits until the kernel has freed whatever nftables has lately deleted
    /// in this network namespace, by whomever: a grace period of some 16 ms, on the way to the
    /// operator's prompt. Whoever takes it by [`take_lingering`] closes it where nobody waits; a process
    /// that exits before waits then.
    pub fn linger(self) {
        LINGERING.lock().unwrap_or_else(PoisonError::into_inner).push(self.fd);
    }

    /// All that lies in the queue, until the last of `requests` has its answer: nothing comes after that.
    fn read_answers(
        &mut self,
        batch: &mut Batch,
        first: u32,
        requests: Range<usize>,
        failures: &mut Vec<Failure>,
        reply: &mut impl FnMut(usize, u16, &[u8]),
    ) -> nix::Result<()> {
        loop {
            let datagram = match receive(&self.fd, &mut self.buffer) {
                Ok(datagram) => datagram,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            };
            for (header, body) in Messages(datagram) {
                let index = header.seq.wrapping_sub(first) as usize;
                if index < batch.len() {
                    batch.take(index, &header, body, failures, reply);
                }
            }
            if failures.is_empty() && batch.acknowledged(&requests) {
                return Ok(());
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> nix::Result<()> {
        if bytes.len() > LARGE_BATCH {
            setsockopt(&self.fd, sockopt::SndBufForce, &(bytes.len() * 2))?;
        }
        match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty())? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(Errno::EMSGSIZE),
        }
    }
}

/// Reads lists again that changed while the kernel gave them out (`NLM_F_DUMP_INTR`), some times.
pub(crate) fn retry<T>(mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match read() {
            Err(error) if error.errno() == Some(libc::EAGAIN) && tries < 5 => tries += 1,
            result => return result,
        }
    }
}

/// The sockets that were given up, to be closed where nobody waits.
pub(crate) fn take_lingering() -> Vec<OwnedFd> {
    mem::take(&mut *LINGERING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One datagram, which takes the place of what was in the buffer.
fn receive<'b>(fd: &OwnedFd, buffer: &'b mut Vec<u8>) -> nix::Result<&'b [u8]> {
    buffer.clear();
    let room = buffer.spare_capacity_mut();
    // With MSG_TRUNC the length is that of the datagram, even if it does not fit.
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: an open socket, and memory of ours that is as long as said.
    let received = unsafe { libc::recv(fd.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
    let length = Errno::result(received)? as usize;
    if length > room.len() {
        return Err(Errno::EMSGSIZE);
    }
    // SAFETY: the kernel has written that many bytes, which lie within the capacity.
    unsafe { buffer.set_len(length) };
    Ok(buffer)
}

/// An option of any socket that is a number (`socket(7)`).
fn option_of(fd: &OwnedFd, option: libc::c_int) -> nix::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: an open descriptor, and a writable int with its size, which live through the call.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut length)
    };
    Errno::result(result).map(|_| value)
}

fn enable(fd: &OwnedFd, option: libc::c_int) -> nix::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: an open socket, and a pointer to an int that lives through the call, with its size.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
