//! nftables messages: one transaction is one system call (`nf_tables` over `nfnetlink`).

mod place;
pub(crate) mod rule;
mod seen;
mod set;

use std::ffi::CStr;

use netlink_bindings::{
    nftables::{
        Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDelruleDo, OpDelsetelemDo, OpDeltableDo, OpNewchainDo,
        OpNewruleDo, OpNewsetDo, OpNewsetelemDo, OpNewtableDo, PushSetelemListAttrs, TableFlags,
    },
    traits::Pusher,
    utils,
};
use set::{length_of, marks, padded, type_of};
pub(crate) use {
    seen::{TableSeen, present, tables},
    set::{Element, Field, Set},
};

use crate::{
    Error,
    network::netlink::{Batch, Socket},
    nft::rule::Rule,
};

/// IPv4 and IPv6 in one table (`NFPROTO_INET`).
const INET: u8 = 1;
const CREATE: i32 = libc::NLM_F_CREATE;
const STEP: &str = "nftables transaction";
/// The most bytes of a message's elements: they are one attribute, whose length has 16 bits.
const MESSAGE: usize = 60_000;

/// A chain that packets come to by themselves.
pub(crate) struct Hook {
    pub(crate) number: libc::c_int,
    pub(crate) priority: i32,
    pub(crate) kind: &'static CStr,
}

/// Changes that happen all or not at all.
pub(crate) struct Transaction {
    batch: Batch,
    /// Where chains, rules and sets are made.
    table: &'static CStr,
    sets: u32,
}

impl Transaction {
    pub(crate) fn new() -> Self {
        let mut batch = Batch::default();
        batch.push_unanswered(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, STEP, "begin", |bytes| {
            drop(OpBatchBeginDo::encode_request(bytes, &batch_header()));
        });
        Transaction { batch, table: c"", sets: 0 }
    }

    /// Makes a table, which must not be there; what comes after it is made in it.
    pub(crate) fn table(&mut self, name: &'static CStr, comment: &str, keeping: Keeping) {
        self.table = name;
        self.push(libc::NFT_MSG_NEWTABLE, CREATE | libc::NLM_F_EXCL, "table", |bytes| {
            OpNewtableDo::encode_request(bytes, &header())
                .push_name(name)
                .push_flags(keeping.flags())
                .push_userdata(&comment_data(comment));
        });
    }

    pub(crate) fn delete_table(&mut self, name: &CStr) {
        self.push(libc::NFT_MSG_DELTABLE, 0, "table", |bytes| {
            OpDeltableDo::encode_request(bytes, &header()).push_name(name);
        });
    }

    pub(crate) fn chain(&mut self, name: &CStr, hook: Option<&Hook>) {
        let table = self.table;
        self.push(libc::NFT_MSG_NEWCHAIN, CREATE, format!("chain {}", name.to_string_lossy()), |bytes| {
            let chain = OpNewchainDo::encode_request(bytes, &header()).push_table(table).push_name(name);
            if let Some(hook) = hook {
                chain
                    .nested_hook()
                    .push_num(hook.number as u32)
                    .push_priority(hook.priority)
                    .end_nested()
                    .push_policy(libc::NF_ACCEPT as u32)
                    .push_type(hook.kind);
            }
        });
    }

    pub(crate) fn rule(&mut self, chain: &CStr, rule: &Rule) {
        let table = self.table;
        let flags = CREATE | libc::NLM_F_APPEND;
        self.push(libc::NFT_MSG_NEWRULE, flags, format!("rule in {}", chain.to_string_lossy()), |bytes| {
            let mut attributes =
                OpNewruleDo::encode_request(bytes, &header()).push_table(table).push_chain(chain);
            if !rule.comment().is_empty() {
                attributes = attributes.push_userdata(&comment_data(rule.comment()));
            }
            attributes.nested_expressions().as_vec_mut().extend(rule.expressions());
        });
    }

    /// Puts a rule of these expressions before all others of a chain that is not ours.
    pub(crate) fn insert_foreign(&mut self, family: u8, table: &CStr, chain: &CStr, expressions: &[u8]) {
        let subject = format!("rule in {}", chain.to_string_lossy());
        self.push(libc::NFT_MSG_NEWRULE, CREATE, subject, |bytes| {
            let rule =
                OpNewruleDo::encode_request(bytes, &header_of(family)).push_table(table).push_chain(chain);
            rule.nested_expressions().as_vec_mut().extend(expressions);
        });
    }

    /// Takes a rule out of such a chain; one that is not there fails the transaction.
    pub(crate) fn delete_foreign(&mut self, family: u8, table: &CStr, chain: &CStr, handle: u64) {
        let subject = format!("rule in {}", chain.to_string_lossy());
        self.push(libc::NFT_MSG_DELRULE, 0, subject, |bytes| {
            let rule =
                OpDelruleDo::encode_request(bytes, &header_of(family)).push_table(table).push_chain(chain);
            drop(rule.push_handle(handle));
        });
    }

    pub(crate) fn set(&mut self, set: &Set) {
        let table = set.table;
        self.sets += 1;
        let id = self.sets;
        self.push(libc::NFT_MSG_NEWSET, CREATE, format!("set {}", set.name.to_string_lossy()), |bytes| {
            let mut attributes = OpNewsetDo::encode_request(bytes, &header())
                .push_table(table)
                .push_name(set.name)
                .push_flags(set.flags())
                .push_key_type(type_of(set.key))
                .push_key_len(length_of(set.key))
                .push_id(id)
                .push_userdata(&marks(set.key));
            if !set.value.is_empty() {
                attributes =
                    attributes.push_data_type(type_of(set.value)).push_data_len(length_of(set.value));
            }
            if set.ranges {
                let mut fields = attributes.nested_desc().nested_concat();
                for field in set.key {
                    fields = fields.nested_elem().push_len(padded(field.length())).end_nested();
                }
            }
        });
    }

    /// Adds elements, each marked as `owner`'s; one that is there already fails the transaction.
    pub(crate) fn add(&mut self, elements: &[Element], owner: &str) {
        self.elements(libc::NFT_MSG_NEWSETELEM, CREATE | libc::NLM_F_EXCL, elements, Some(owner));
    }

    /// Adds elements that may be there already and are nobody's in particular.
    pub(crate) fn ensure(&mut self, elements: &[Element]) {
        self.elements(libc::NFT_MSG_NEWSETELEM, CREATE, elements, None);
    }

    /// Deletes elements; one that is not there fails the transaction.
    pub(crate) fn delete(&mut self, elements: &[Element]) {
        self.elements(libc::NFT_MSG_DELSETELEM, 0, elements, None);
    }

    /// A message for each run of the same set and subject, so that an error tells which.
    fn elements(&mut self, kind: libc::c_int, flags: i32, elements: &[Element], owner: Option<&str>) {
        let alike = |a: &Element, b: &Element| a.set == b.set && a.subject == b.subject;
        let size = |one: &Element| 64 + 2 * one.key.len() + one.value.as_ref().map_or(0, Vec::len);
        let size = elements.iter().map(size).max().unwrap_or(1) + owner.map_or(0, str::len);
        for chunk in elements.chunk_by(alike).flat_map(|run| run.chunks((MESSAGE / size).max(1))) {
            self.push(kind, flags, &chunk[0].subject, |bytes| match kind {
                libc::NFT_MSG_DELSETELEM => {
                    push_elements(OpDelsetelemDo::encode_request(bytes, &header()), chunk, None);
                }
                _ => push_elements(OpNewsetelemDo::encode_request(bytes, &header()), chunk, owner),
            });
        }
    }

    fn push(
        &mut self,
        kind: libc::c_int,
        flags: i32,
        subject: impl Into<String>,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        self.batch.push_unanswered(message(kind), flags, STEP, subject, body);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.len() == 1
    }

    /// Does it. In force when this returns.
    pub(crate) fn commit(mut self, socket: &mut Socket) -> Result<(), Error> {
        // Success is acknowledged by the last request: by the end mark only since Linux 6.10.
        self.batch.answer_last();
        self.batch.push_unanswered(libc::NFNL_MSG_BATCH_END as u16, 0, STEP, "end", |bytes| {
            drop(OpBatchEndDo::encode_request(bytes, &batch_header()));
        });
        socket.perform(self.batch)
    }
}

/// Who may change a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Only whoever has the socket that made it; when that is closed, the table stays and is anybody's
    /// (Linux 6.9).
    OwnedAndKept,
    /// Only whoever has the socket that made it; with that it goes (Linux 5.12).
    Owned,
}

impl Keeping {
    fn flags(self) -> u32 {
        let (owner, persist) = (TableFlags::Owner as u32, TableFlags::Persist as u32);
        match self {
            Keeping::OwnedAndKept => owner | persist,
            Keeping::Owned => owner,
        }
    }
}

fn push_elements(list: PushSetelemListAttrs<&mut Vec<u8>>, elements: &[Element], owner: Option<&str>) {
    let Some(first) = elements.first() else { return };
    let mut list = list.push_table(first.set.table).push_set(first.set.name).nested_elements();
    for element in elements {
        let mut one = list.nested_elem().nested_key().push_value(&element.key).end_nested();
        if let Some(end) = &element.end {
            push_key_end(one.as_vec_mut(), end);
        }
        if let Some(value) = &element.value {
            one = one.nested_data().push_value(value).end_nested();
        }
        if let Some(owner) = owner {
            one = one.push_userdata(&comment_data(owner));
        }
        list = one.end_nested();
    }
}

/// `netlink_bindings` 0.3 numbers these differently from the kernel's `enum nft_set_elem_attributes`.
fn push_key_end(bytes: &mut Vec<u8>, end: &[u8]) {
    const KEY_END: u16 = 10;
    const DATA_VALUE: u16 = 1;
    let key_end = utils::push_nested_header(bytes, KEY_END);
    utils::push_header(bytes, DATA_VALUE, end.len() as u16);
    bytes.extend(end);
    utils::finalize_nested_header(bytes, key_end);
}

/// A comment as `nft` stores it: type 0, length with the final NUL, text.
fn comment_data(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    let text = text.bytes().take(usize::from(length) - 1);
    [0, length].into_iter().chain(text).chain([0]).collect()
}

fn comment_in(data: &[u8]) -> Option<String> {
    let text = data.strip_prefix(&[0])?.get(1..)?;
    Some(CStr::from_bytes_until_nul(text).ok()?.to_str().ok()?.to_string())
}

pub(crate) fn message(kind: libc::c_int) -> u16 {
    (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16
}

fn header() -> Nfgenmsg {
    header_of(INET)
}

fn header_of(family: u8) -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = family;
    header
}

fn batch_header() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header._res_id_be = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be();
    header
}
