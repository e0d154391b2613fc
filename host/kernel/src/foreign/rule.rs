//! One rule of another's firewall: what it says of the packets of containers, and how ours is written.

use std::ffi::{CStr, CString};

use netlink_bindings::nftables::{
    CmpOps, ExprOps, IterableExprAttrs, IterableRuleAttrs, PushExprListAttrs, Registers, VerdictCode,
};

use crate::table::ruleset::PASSING;

/// How our rules are told from others.
const COMMENT: &[u8] = b"nshost";
/// `linux/netfilter/xt_devgroup.h`.
const MATCH_SOURCE: u32 = 1;
const MATCH_DESTINATION: u32 = 4;
/// `XT_MAX_COMMENT_LEN`.
const COMMENT_LENGTH: usize = 256;

/// By which of its links a packet is known to be a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    In,
    Out,
}

/// What is known of a rule.
pub(super) struct Seen {
    pub(super) handle: u64,
    pub(super) meaning: Meaning,
    pub(super) ours: bool,
}

pub(super) enum Meaning {
    /// Accepts whatever is on this side of a link whose group is `group` under `mask`.
    Accepts {
        side: Side,
        group: u32,
        mask: u32,
    },
    AcceptsAll,
    RefusesAll,
    /// Whatever comes to it goes through that chain.
    Visits(CString),
    /// Of some packets only, or of none.
    Other,
}

impl Seen {
    pub(super) fn read(rule: &IterableRuleAttrs<'_>) -> Seen {
        let mut reading = Reading::default();
        for expression in rule.get_expressions().into_iter().flat_map(|list| list.get_elem()) {
            reading.take(&expression);
        }
        let ours = reading.commented
            && matches!(reading.meaning(), Meaning::Accepts { group: PASSING, mask: u32::MAX, .. });
        Seen { handle: rule.get_handle().unwrap_or(0), meaning: reading.meaning(), ours }
    }
}

/// A rule, as far as it was read.
#[derive(Default)]
struct Reading {
    /// The conditions that are understood, each a side, a group and a mask.
    groups: Vec<(Side, u32, u32)>,
    /// Whether there are others.
    narrow: bool,
    /// What was loaded last, if it is an interface's group.
    loaded: Option<Side>,
    commented: bool,
    end: Option<End>,
}

#[derive(Clone)]
enum End {
    Accept,
    Refuse,
    Visit(CString),
}

impl Reading {
    fn take(&mut self, expression: &IterableExprAttrs<'_>) {
        let loaded = self.loaded.take();
        let Ok(data) = expression.get_data() else {
            self.narrow |= expression.get_name() != Ok(c"notrack");
            return;
        };
        match data {
            ExprOps::Counter(_) | ExprOps::Log(_) => self.loaded = loaded,
            ExprOps::Meta(meta) => {
                self.loaded = match meta.get_key().map(|key| key as libc::c_int) {
                    Ok(libc::NFT_META_IIFGROUP) => Some(Side::In),
                    Ok(libc::NFT_META_OIFGROUP) => Some(Side::Out),
                    _ => None,
                };
                self.narrow |= self.loaded.is_none();
            }
            ExprOps::Cmp(compare) => {
                let equal = compare.get_op() == Ok(CmpOps::Eq as u32);
                let value = compare.get_data().and_then(|data| data.get_value()).ok();
                match (loaded, value.and_then(|bytes| bytes.try_into().ok())) {
                    (Some(side), Some(bytes)) if equal => {
                        self.groups.push((side, u32::from_ne_bytes(bytes), u32::MAX));
                    }
                    _ => self.narrow = true,
                }
            }
            ExprOps::Match(of) => {
                let info = of.get_info().unwrap_or_default();
                match of.get_name().map(CStr::to_bytes) {
                    Ok(b"devgroup") => match read_devgroup(info) {
                        Some(groups) => self.groups.extend(groups),
                        None => self.narrow = true,
                    },
                    Ok(b"comment") => self.commented |= info.split(|byte| *byte == 0).next() == Some(COMMENT),
                    _ => self.narrow = true,
                }
            }
            ExprOps::Immediate(immediate) => {
                let verdict = immediate.get_data().and_then(|data| data.get_verdict());
                let code = verdict.clone().and_then(|verdict| verdict.get_code()).ok();
                let to = verdict.and_then(|verdict| verdict.get_chain()).ok();
                self.end = match (code.and_then(|code| VerdictCode::from_value(code.into())), to) {
                    (Some(VerdictCode::Accept), _) => Some(End::Accept),
                    (Some(VerdictCode::Drop), _) => Some(End::Refuse),
                    (Some(VerdictCode::Jump | VerdictCode::Goto), Some(to)) => {
                        Some(End::Visit(to.to_owned()))
                    }
                    _ => None,
                };
            }
            ExprOps::Reject(_) => self.end = Some(End::Refuse),
            ExprOps::Target(target) => {
                let refuses = matches!(target.get_name().map(CStr::to_bytes), Ok(b"REJECT" | b"DROP"));
                self.end = refuses.then_some(End::Refuse);
            }
            _ => self.narrow = true,
        }
    }

    fn meaning(&self) -> Meaning {
        match (&self.end, &self.groups[..]) {
            (Some(End::Accept), [(side, group, mask)]) if !self.narrow => {
                Meaning::Accepts { side: *side, group: *group, mask: *mask }
            }
            (Some(End::Accept), []) if !self.narrow => Meaning::AcceptsAll,
            (Some(End::Refuse), []) if !self.narrow => Meaning::RefusesAll,
            (Some(End::Visit(to)), []) if !self.narrow => Meaning::Visits(to.clone()),
            _ => Meaning::Other,
        }
    }
}

/// `struct xt_devgroup_info`; none if it asks for what a group is not.
fn read_devgroup(info: &[u8]) -> Option<Vec<(Side, u32, u32)>> {
    let word = |at: usize| Some(u32::from_ne_bytes(*info.get(at * 4..)?.first_chunk()?));
    let flags = word(0)?;
    if flags & !(MATCH_SOURCE | MATCH_DESTINATION) != 0 {
        return None;
    }
    let mut groups = Vec::new();
    if flags & MATCH_SOURCE != 0 {
        groups.push((Side::In, word(1)?, word(2)?));
    }
    if flags & MATCH_DESTINATION != 0 {
        groups.push((Side::Out, word(3)?, word(4)?));
    }
    Some(groups)
}

/// `-m devgroup --src-group PASSING -m comment --comment nshost -j ACCEPT`, or `--dst-group`.
pub(super) fn accepting(side: Side) -> Vec<u8> {
    let all = u32::MAX;
    let words = match side {
        Side::In => [MATCH_SOURCE, PASSING, all, 0, 0],
        Side::Out => [MATCH_DESTINATION, 0, 0, PASSING, all],
    };
    let mut group: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    // `XT_ALIGN`.
    group.resize(group.len().next_multiple_of(align_of::<u64>()), 0);
    let mut comment = COMMENT.to_vec();
    comment.resize(COMMENT_LENGTH, 0);
    let mut bytes = Vec::with_capacity(512);
    for (name, info) in [(c"devgroup", &group), (c"comment", &comment)] {
        let list = PushExprListAttrs::new(&mut bytes);
        drop(list.nested_elem().nested_data_match().push_name(name).push_rev(0).push_info(info));
    }
    drop(PushExprListAttrs::new(&mut bytes).nested_elem().nested_data_counter());
    let immediate = PushExprListAttrs::new(&mut bytes).nested_elem().nested_data_immediate();
    let verdict = immediate.push_dreg(Registers::RegVerdict as u32).nested_data().nested_verdict();
    drop(verdict.push_code(VerdictCode::Accept as u32));
    bytes
}
