//! Other people's firewalls, so far as they concern what we route.

use std::ffi::CStr;

use netlink_bindings::nftables::{Nfgenmsg, OpGetchainDump, OpNewchainDo};

use crate::{
    Error,
    netlink::{Batch, Socket, retry},
    nft::message,
    ruleset::TABLES,
};

/// A chain that sees routed packets.
#[derive(Debug)]
pub(crate) struct ForwardChain {
    /// Family and name of its table.
    pub(crate) table: String,
    pub(crate) name: String,
    /// Whether packets that none of its rules accepts are dropped.
    pub(crate) drops: bool,
}

/// Chains of other tables than ours that are hooked into routing, or that Docker has for its operator.
pub(crate) fn forward_chains() -> Result<Vec<ForwardChain>, Error> {
    let mut socket = Socket::netfilter()?;
    retry(|| {
        let (mut batch, mut chains) = (Batch::default(), Vec::new());
        let kind = message(libc::NFT_MSG_GETCHAIN);
        batch.push(kind, libc::NLM_F_DUMP, "list firewall chains", "of the host", |bytes| {
            drop(OpGetchainDump::encode_request(bytes, &Nfgenmsg::new()));
        });
        socket.query(batch, |_, _, body| chains.extend(forward_chain(body)))?;
        Ok(chains)
    })
}

fn forward_chain(body: &[u8]) -> Option<ForwardChain> {
    let (header, chain) = OpNewchainDo::decode_request(body);
    let family = match i32::from(header.nfgen_family) {
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_IPV6 => "ip6",
        libc::NFPROTO_INET => "inet",
        _ => return None,
    };
    let text = |text: &CStr| text.to_string_lossy().into_owned();
    let (table, name) = (chain.get_table().ok()?, text(chain.get_name().ok()?));
    let hooked = chain.get_hook().is_ok_and(|hook| hook.get_num() == Ok(libc::NF_INET_FORWARD as u32));
    if TABLES.iter().any(|ours| ours.name == table) || !(hooked || name == "DOCKER-USER") {
        return None;
    }
    let drops = hooked && chain.get_policy() == Ok(libc::NF_DROP as u32);
    Some(ForwardChain { table: format!("{family} {}", text(table)), name, drops })
}
