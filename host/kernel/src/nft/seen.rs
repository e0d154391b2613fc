//! What is there already.

use std::ffi::CStr;

use netlink_bindings::nftables::{OpGetsetelemDo, OpGettableDo, OpNewsetelemDo, OpNewtableDo};

use super::{Element, comment_in, header, message, push_elements};
use crate::{
    Error,
    network::netlink::{Batch, Failure, Socket},
};

/// A table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableSeen {
    pub(crate) comment: String,
    /// The address of the netlink socket that alone may change it; none: anybody.
    pub(crate) owner: Option<u32>,
}

/// The tables of these names, none for one that is not there.
pub(crate) fn tables<const N: usize>(
    socket: &mut Socket,
    names: [&'static CStr; N],
) -> Result<[Option<TableSeen>; N], Error> {
    let mut batch = Batch::default();
    for name in names {
        // The table is the answer; an acknowledgement besides would be one more to read.
        let kind = message(libc::NFT_MSG_GETTABLE);
        batch.push_unanswered(kind, 0, "look at nftables", name.to_string_lossy(), |bytes| {
            OpGettableDo::encode_request(bytes, &header()).push_name(name);
        });
    }
    let mut seen = [const { None }; N];
    let failures = socket.exchange(batch, |index, _, body| {
        let (_, attributes) = OpNewtableDo::decode_request(body);
        let comment = attributes.get_userdata().ok().and_then(comment_in).unwrap_or_default();
        seen[index] = Some(TableSeen { comment, owner: attributes.get_owner().ok() });
    });
    match failures.into_iter().find(|failure| failure.error.errno() != Some(libc::ENOENT)) {
        Some(failure) => Err(failure.error),
        None => Ok(seen),
    }
}

/// Which of the elements are there and marked as `owner`'s (none: whoever's).
pub(crate) fn present(
    socket: &mut Socket,
    elements: Vec<Element>,
    owner: Option<&str>,
) -> Result<Vec<Element>, Error> {
    let mut found = Vec::with_capacity(elements.len());
    // Each answer takes about 1 KiB of the socket's 208 KiB queue.
    for chunk in elements.chunks(64) {
        let mut batch = Batch::default();
        for element in chunk {
            // The element is the answer; an acknowledgement besides would be one more to read.
            batch.push_unanswered(
                message(libc::NFT_MSG_GETSETELEM),
                0,
                "look at nftables",
                &element.subject,
                |bytes| {
                    let one = std::slice::from_ref(element);
                    push_elements(OpGetsetelemDo::encode_request(bytes, &header()), one, None);
                },
            );
        }
        let failures = socket.exchange(batch, |index, _, body| {
            if owner.is_none_or(|owner| element_comment(body).as_deref() == Some(owner)) {
                found.push(chunk[index].clone());
            }
        });
        let missing = |failure: &Failure| failure.error.errno() == Some(libc::ENOENT);
        if let Some(failure) = failures.into_iter().find(|failure| !missing(failure)) {
            return Err(failure.error);
        }
    }
    Ok(found)
}

fn element_comment(body: &[u8]) -> Option<String> {
    let (_, attributes) = OpNewsetelemDo::decode_request(body);
    let element = attributes.get_elements().ok()?.get_elem().next()?;
    comment_in(element.get_userdata().ok()?)
}
