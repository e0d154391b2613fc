//! Netlink sockets (`netlink(7)`): several requests in one system call, every answer read.
//!
//! The kernel works through a netlink message inside of `sendmsg(2)`: when that returns, all answers
//! lie in the socket's queue. So nothing here ever waits; an answer that is not there is an error.
//! The layout of messages is `netlink_bindings`'s; the socket is our own, because requests that are
//! answered with data cannot be batched with `netlink_socket2`, and because of [`Socket::linger`].

#![expect(unsafe_code, reason = "nix has no netlink socket options, and receives into zeroed memory only")]

use std::{
    mem,
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use netlink_bindings::{
    builtin::{NlmsgerrAttrs, Nlmsghdr},
    utils,
};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, getsockname, send,
        setsockopt, socket, sockopt,
    },
};

use crate::{Error, namespace};

/// A netlink message's header, in bytes.
const HEADER: usize = 16;
/// What the kernel puts into one datagram at most (`NLMSG_GOODSIZE` for dumps is no more than this).
const RECEIVE_BUFFER: usize = 32 << 10;
/// Batches over this size need a larger send buffer than `net.core.wmem_default` (bytes).
const LARGE_BATCH: usize = 100 << 10;
/// How many answers surely fit into a receive buffer of `net.core.rmem_default`, 208 KiB, of which one that
/// describes a link takes some 4 KiB: requests for more are sent in several calls.
const ANSWERS: usize = 32;

/// Sockets that must not be closed by this process; see [`Socket::linger`].
static LINGERING: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// A netlink socket, bound to the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    next_sequence: u32,
    buffer: Vec<u8>,
}

/// Requests to be sent together.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    requests: Vec<Request>,
    /// Where the last request begins.
    last: usize,
}

/// What one request is about, for its error.
struct Request {
    step: &'static str,
    subject: String,
    answered: bool,
    /// Whether it is answered in any case.
    wants_answer: bool,
}

/// The answer to the request of this index in its batch is an error.
#[derive(Debug)]
pub struct Failure {
    /// Which request, from 0.
    pub index: usize,
    /// Why.
    pub error: Error,
}

impl Batch {
    /// Adds a request of netlink type `kind` that is answered: with an acknowledgement, data, or
    /// (`NLM_F_DUMP`) a list. `payload` writes what follows the header.
    pub fn push(
        &mut self,
        kind: u16,
        flags: i32,
        step: &'static str,
        subject: impl Into<String>,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        self.add(kind, flags | libc::NLM_F_ACK, step, subject.into(), payload);
    }

    /// Adds a request that is answered only if it fails.
    pub fn push_unanswered(
        &mut self,
        kind: u16,
        flags: i32,
        step: &'static str,
        subject: impl Into<String>,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        self.add(kind, flags, step, subject.into(), payload);
    }

    /// Lets the last request be answered in any case.
    pub fn answer_last(&mut self) {
        if let Some(request) = self.requests.last_mut() {
            (request.answered, request.wants_answer) = (false, true);
            let flags = utils::parse_u16(&self.bytes[self.last + 6..]).unwrap_or(0) | libc::NLM_F_ACK as u16;
            self.bytes[self.last + 6..self.last + 8].copy_from_slice(&flags.to_ne_bytes());
        }
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn add(
        &mut self,
        kind: u16,
        flags: i32,
        step: &'static str,
        subject: String,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        self.last = start;
        self.bytes.extend([0; HEADER]);
        payload(&mut self.bytes);
        utils::align(&mut self.bytes);
        let mut header = Nlmsghdr::new();
        header.len = (self.bytes.len() - start) as u32;
        header.r#type = kind;
        header.flags = (flags | libc::NLM_F_REQUEST) as u16;
        // Made absolute when it is sent.
        header.seq = self.requests.len() as u32;
        self.bytes[start..start + HEADER].copy_from_slice(header.as_slice());
        let wants_answer = flags & libc::NLM_F_ACK != 0;
        self.requests.push(Request { step, subject, answered: !wants_answer, wants_answer });
    }
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
        namespace::inside(network, Self::route)?
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
        let netlink = option_of::<libc::c_int>(&fd, libc::SO_DOMAIN).ok()? == libc::AF_NETLINK;
        if !netlink || option_of::<libc::c_int>(&fd, libc::SO_PROTOCOL).ok()? != libc::NETLINK_NETFILTER {
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

    /// What no other socket has in the same boot, whoever has a descriptor of it.
    pub(crate) fn cookie(&self) -> Result<u64, Error> {
        let failed = |errno| Error::new("look at", "netlink socket", errno);
        option_of(&self.fd, libc::SO_COOKIE).map_err(failed)
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
        let first = self.number(&mut batch);
        let mut failures = Vec::new();
        for (requests, bytes) in batch.parts() {
            if let Err(errno) = self.send(&batch.bytes[bytes]) {
                let error = Error::new(batch.requests[requests.start].step, "send to the kernel", errno);
                failures.push(Failure { index: requests.start, error });
                return failures;
            }
            if let Err(errno) = self.read_answers(&mut batch, first, requests, &mut failures, &mut reply) {
                let index = batch.requests.iter().position(|request| !request.answered).unwrap_or(0);
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

    /// Makes the batch's sequence numbers unique for this socket; returns the first.
    fn number(&mut self, batch: &mut Batch) -> u32 {
        let first = self.next_sequence;
        self.next_sequence = first.wrapping_add(batch.requests.len() as u32);
        let mut start = 0;
        for index in 0..batch.requests.len() {
            let sequence = first.wrapping_add(index as u32);
            batch.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
            start += utils::parse_u32(&batch.bytes[start..]).map_or(0, |length| length as usize);
        }
        first
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
                if index < batch.requests.len() {
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

impl Batch {
    /// What is sent together: which requests, and which bytes. Requests that are answered only if they fail
    /// do not count, so a transaction is one part.
    fn parts(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let mut parts = Vec::new();
        let (mut begin, mut begin_bytes, mut end_bytes, mut answers) = (0, 0, 0, 0);
        for (index, request) in self.requests.iter().enumerate() {
            if answers >= ANSWERS {
                parts.push((begin..index, begin_bytes..end_bytes));
                (begin, begin_bytes, answers) = (index, end_bytes, 0);
            }
            answers += usize::from(!request.answered);
            end_bytes += utils::parse_u32(&self.bytes[end_bytes..]).map_or(0, |length| length as usize);
        }
        parts.push((begin..self.requests.len(), begin_bytes..self.bytes.len()));
        parts
    }

    /// Whether the last request of a part wants an answer, and all that do have theirs.
    fn acknowledged(&self, part: &Range<usize>) -> bool {
        let requests = &self.requests[part.clone()];
        requests.last().is_some_and(|last| last.wants_answer)
            && requests.iter().all(|request| request.answered)
    }

    /// Takes one message that answers request `index`.
    fn take(
        &mut self,
        index: usize,
        header: &Nlmsghdr,
        body: &[u8],
        failures: &mut Vec<Failure>,
        reply: &mut impl FnMut(usize, u16, &[u8]),
    ) {
        if header.flags & libc::NLM_F_DUMP_INTR as u16 != 0 {
            failures.push(Failure { index, error: self.error(index, Errno::EAGAIN) });
        }
        let done = i32::from(header.r#type) == libc::NLMSG_DONE;
        if !done && i32::from(header.r#type) != libc::NLMSG_ERROR {
            return reply(index, header.r#type, body);
        }
        self.requests[index].answered = true;
        let errno = utils::parse_i32(body).map_or(libc::EBADMSG, |code| -code);
        if errno > 0 {
            let mut error = self.error(index, Errno::from_raw(errno));
            if header.flags & libc::NLM_F_ACK_TLVS as u16 != 0 {
                // After the code; in an error, the header of the request comes between.
                let text = body.get(if done { 4 } else { 4 + HEADER }..).unwrap_or_default();
                if let Ok(text) = NlmsgerrAttrs::new(text).get_msg() {
                    error = error.hint(format!("the kernel says: {}", text.to_string_lossy()));
                }
            }
            failures.push(Failure { index, error });
        }
    }

    fn note_unanswered(&self, failures: &mut Vec<Failure>) {
        if failures.is_empty()
            && let Some(index) = self.requests.iter().position(|request| !request.answered)
        {
            failures.push(Failure { index, error: self.error(index, Errno::ENOMSG) });
        }
    }

    fn error(&self, index: usize, errno: Errno) -> Error {
        let request = &self.requests[index];
        Error::new(request.step, request.subject.as_str(), errno)
    }
}

/// The messages of one datagram; what is not a whole message ends it.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (Nlmsghdr, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Nlmsghdr::new_from_slice(self.0.get(..HEADER)?)?;
        let body = self.0.get(HEADER..header.len as usize)?;
        self.0 = self.0.get(utils::nla_align_up(header.len as usize)..).unwrap_or_default();
        Some((header, body))
    }
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
/// A socket option that is a number of this kind.
fn option_of<T: From<bool>>(fd: &OwnedFd, option: libc::c_int) -> nix::Result<T> {
    let mut value = T::from(false);
    let mut length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: an open descriptor, and a writable number with its size, which live through the call.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(requests: usize) -> Batch {
        let mut batch = Batch::default();
        for index in 0..requests {
            batch.push(16, 0, "step", format!("subject {index}"), |bytes| bytes.extend(vec![7; index]));
        }
        batch
    }

    #[test]
    fn requests_are_aligned_and_numbered() {
        let mut batch = batch(4);
        let sequence = |message: (Nlmsghdr, &[u8])| (message.0.seq, message.1.len());
        assert_eq!(batch.bytes.len() % 4, 0);
        let expected = [(0, 0), (1, 4), (2, 4), (3, 4)];
        assert_eq!(Messages(&batch.bytes).map(sequence).collect::<Vec<_>>(), expected);
        batch.answer_last();
        let flags = Messages(&batch.bytes).last().map(|(header, _)| header.flags);
        assert_eq!(flags, Some((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16));
    }

    #[test]
    fn what_many_answers_come_to_is_sent_in_parts() {
        let mut batch = batch(2 * ANSWERS + 1);
        batch.push_unanswered(16, 0, "step", "quiet", |_| {});
        let parts = batch.parts();
        let requests: Vec<_> = parts.iter().map(|(requests, _)| requests.clone()).collect();
        assert_eq!(requests, [0..ANSWERS, ANSWERS..2 * ANSWERS, 2 * ANSWERS..2 * ANSWERS + 2]);
        let messages: usize =
            parts.iter().map(|(_, bytes)| Messages(&batch.bytes[bytes.clone()]).count()).sum();
        assert_eq!(messages, 2 * ANSWERS + 2);
        assert_eq!(parts.last().map(|(_, bytes)| bytes.end), Some(batch.bytes.len()));
    }

    #[test]
    fn what_is_not_a_whole_message_ends_the_list() {
        let bytes = batch(2).bytes;
        for length in 0..bytes.len() {
            assert!(Messages(&bytes[..length]).count() <= 1, "{length} bytes");
        }
        for wrong in [0u32, 1, 15, u32::MAX] {
            let mut bytes = bytes.clone();
            bytes[..4].copy_from_slice(&wrong.to_ne_bytes());
            assert_eq!(Messages(&bytes).count(), 0, "length {wrong}");
        }
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_an_error() {
        let (mut batch, mut failures) = (batch(1), Vec::new());
        let mut header = Nlmsghdr::new();
        header.r#type = libc::NLMSG_ERROR as u16;
        batch.take(0, &header, &[1, 2], &mut failures, &mut |_, _, _| {});
        assert_eq!(failures[0].error.errno(), Some(libc::EBADMSG));
    }

    #[test]
    fn no_answer_is_an_error() {
        let (batch, mut failures) = (batch(2), Vec::new());
        batch.note_unanswered(&mut failures);
        assert_eq!(failures[0].error.errno(), Some(libc::ENOMSG));
    }
}
