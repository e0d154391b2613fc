//! Requests to the kernel and its answers to them, as bytes.

#![deny(unsafe_code)]

use std::ops::Range;

use netlink_bindings::{
    builtin::{NlmsgerrAttrs, Nlmsghdr},
    utils,
};
use nix::errno::Errno;

use crate::Error;

/// A netlink message's header, in bytes.
const HEADER: usize = 16;
/// How many answers surely fit into a receive buffer of `net.core.rmem_default`, 208 KiB, of which one that
/// describes a link takes some 4 KiB: requests for more are sent in several calls.
const ANSWERS: usize = 32;

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

    /// Makes the sequence numbers those from `first` on.
    pub(super) fn number(&mut self, first: u32) {
        let mut start = 0;
        for index in 0..self.requests.len() {
            let sequence = first.wrapping_add(index as u32);
            self.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
            start += utils::parse_u32(&self.bytes[start..]).map_or(0, |length| length as usize);
        }
    }

    /// What is sent together: which requests, and which bytes. Requests that are answered only if they fail
    /// do not count, so a transaction is one part.
    pub(super) fn parts(&self) -> Vec<(Range<usize>, Range<usize>)> {
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
    pub(super) fn acknowledged(&self, part: &Range<usize>) -> bool {
        let requests = &self.requests[part.clone()];
        requests.last().is_some_and(|last| last.wants_answer)
            && requests.iter().all(|request| request.answered)
    }

    /// Takes one message that answers request `index`.
    pub(super) fn take(
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

    pub(super) fn note_unanswered(&self, failures: &mut Vec<Failure>) {
        if failures.is_empty()
            && let Some(index) = self.first_unanswered()
        {
            failures.push(Failure { index, error: self.error(index, Errno::ENOMSG) });
        }
    }

    pub(super) fn first_unanswered(&self) -> Option<usize> {
        self.requests.iter().position(|request| !request.answered)
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// What the request of this index does.
    pub(super) fn step(&self, index: usize) -> &'static str {
        self.requests[index].step
    }

    pub(super) fn error(&self, index: usize, errno: Errno) -> Error {
        let request = &self.requests[index];
        Error::new(request.step, request.subject.as_str(), errno)
    }
}

/// The messages of one datagram; what is not a whole message ends it.
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (Nlmsghdr, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Nlmsghdr::new_from_slice(self.0.get(..HEADER)?)?;
        let body = self.0.get(HEADER..header.len as usize)?;
        self.0 = self.0.get(utils::nla_align_up(header.len as usize)..).unwrap_or_default();
        Some((header, body))
    }
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
