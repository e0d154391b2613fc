//! A container's part of our tables: put in before its links are up, taken out when it has ended.
//!
//! Every element carries its container's id as a comment. A launch adds its elements in one
//! transaction, which fails as a whole if one is there already: a conflict. Undo deletes what is there
//! and carries the id, so neither a half-made launch nor a foreign hand at the table can make it fail
//! or delete somebody else's. Whoever finds that a table is not there, or nobody's, makes it anew for all
//! who need it: what it held then may have been changed.

pub(crate) mod guard;
pub(crate) mod nat;
pub mod owner;
pub(crate) mod ruleset;

use std::{array, net::IpAddr};

use nshost_ledger::{HostLock, NetworkNamespaceId, Others, Receipt, Record};
use nshost_plan::{Family, InterfaceId, Plan};

use self::{
    owner::{Found, Owner},
    ruleset::TABLES,
};
use crate::{
    Error,
    network::{
        AskOthers,
        forwarding::{self, Closed},
        sysctl::Sysctls,
    },
    nft::{self, Element, Keeping, Transaction},
};

/// Puts the container into the tables; in force when this returns. `others` tells all other containers of this
/// host of which something may exist. Whoever drops the owner gives up the right to change the tables.
pub(crate) fn join(
    receipt: &mut Receipt,
    lock: &HostLock,
    others: &AskOthers<'_>,
    closed: &Closed,
    sysctls: &Sysctls,
) -> Result<Owner, Error> {
    let mut found = owner::find(None, lock, receipt.record().host, others)?;
    receipt
        .guards(lock, found.owner.guarding()?)
        .map_err(|e| Error::new("write down", "the tables' owner", std::io::Error::other(e)))?;
    let record = receipt.record();
    let mine = TABLES.map(|table| needs(record, table));
    // Where all that this container needs is there and ours, so is what the others need.
    let whole =
        found.orphaned == [false; TABLES.len()] && (0..TABLES.len()).all(|i| found.ours[i] || !mine[i]);
    let others = &if whole { Others::default() } else { others()? };
    let needed = TABLES.map(|table| others.iter().chain([record]).any(|record| needs(record, table)));
    let write = |found: &Found, keeping| {
        let mut transaction = Transaction::new();
        complete(&mut transaction, found, needed, keeping, others, sysctls)?;
        transaction.add(&elements(record), &record.id);
        transaction.ensure(&closed.elements());
        Ok(transaction)
    };
    let mut result = write(&found, Keeping::OwnedAndKept)?.commit(found.owner.socket());
    let unknown = |error: &Error| matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::EINVAL));
    if result.as_ref().is_err_and(unknown) {
        result = write(&found, Keeping::Owned)?.commit(found.owner.socket());
    }
    match result {
        Ok(()) => Ok(found.owner),
        Err(error) => {
            // It was left word of this one: whoever undoes this takes it from there.
            found.owner.linger();
            Err(explain(error))
        }
    }
}

/// Takes the container, and the interfaces that `closed` names, out of the tables, which stay. In force when
/// this returns. What the owner has put in, only the owner can have taken out: so it is not looked for.
pub(crate) fn leave(record: &Record, owner: &mut Owner, closed: &Closed) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    transaction.delete(&elements(record));
    transaction.delete(&closed.elements());
    transaction.commit(owner.socket())
}

/// The same for whoever may find them in any state, and takes each table away with the last who needs it.
/// Tables that are nobody's any more are left so: the next launch makes them anew.
pub(crate) fn clear(
    record: &Record,
    owner: Option<Owner>,
    lock: &HostLock,
    others: &Others,
    closed: &Closed,
) -> Result<(), Error> {
    let mut found = owner::find(owner, lock, record.host, &|| Ok(others.clone()))?;
    let kept = found.kept(others);
    let stays = |element: &Element| {
        TABLES.iter().zip(kept).any(|(table, kept)| table.name == element.set.table && kept == Some(true))
    };
    let in_those = |elements: Vec<Element>| elements.into_iter().filter(&stays).collect::<Vec<_>>();
    let (mine, closed) = (in_those(elements(record)), in_those(closed.elements()));
    let socket = found.owner.socket();
    let mut present = nft::present(socket, mine, Some(&record.id))?;
    present.extend(nft::present(socket, closed, None)?);
    let mut transaction = Transaction::new();
    transaction.delete(&present);
    remove_unneeded(transaction, found, kept)
}

/// Takes away the tables that none of the `others` needs: all who are on record for this host.
pub(crate) fn sweep(
    owner: Option<Owner>,
    lock: &HostLock,
    host: NetworkNamespaceId,
    others: &Others,
) -> Result<(), Error> {
    let found = owner::find(owner, lock, host, &|| Ok(others.clone()))?;
    let kept = found.kept(others);
    remove_unneeded(Transaction::new(), found, kept)
}

fn remove_unneeded(
    mut transaction: Transaction,
    mut found: Found,
    kept: [Option<bool>; TABLES.len()],
) -> Result<(), Error> {
    for (table, kept) in TABLES.iter().zip(kept) {
        if kept == Some(false) {
            transaction.delete_table(table.name);
        }
    }
    if transaction.is_empty() { Ok(()) } else { transaction.commit(found.owner.socket()) }
}

impl Found {
    /// Of each table that is there, whether somebody needs it, or may.
    fn kept(&self, others: &Others) -> [Option<bool>; TABLES.len()] {
        array::from_fn(|index| {
            let there = self.ours[index] || self.orphaned[index];
            there.then(|| others.unknown() || others.iter().any(|other| needs(other, TABLES[index])))
        })
    }
}

/// Makes the tables that are needed and not there, with all that `others` have in them; takes away those that
/// are nobody's.
fn complete(
    transaction: &mut Transaction,
    found: &Found,
    needed: [bool; TABLES.len()],
    keeping: Keeping,
    others: &Others,
    sysctls: &Sysctls,
) -> Result<(), Error> {
    for (index, table) in TABLES.iter().enumerate() {
        if found.orphaned[index] {
            transaction.delete_table(table.name);
        }
        if !needed[index] || found.ours[index] {
            continue;
        }
        table.create(transaction, keeping);
        let its = |element: &Element| element.set.table == table.name;
        for other in others.iter() {
            let lost: Vec<Element> = elements(other).into_iter().filter(its).collect();
            transaction.add(&lost, &other.id);
            let closed = forwarding::closed(sysctls, &other.forwarding)?.elements();
            transaction.ensure(&closed.into_iter().filter(its).collect::<Vec<_>>());
        }
    }
    Ok(())
}

fn explain(error: Error) -> Error {
    match error.errno() {
        Some(libc::EEXIST) => error.hint("another container has this already"),
        Some(libc::ENOENT | libc::EOPNOTSUPP) => error.hint(
            "this kernel lacks a part of nftables (nf_tables with owned tables, Linux 5.12; nft_nat, nft_masq, \
             nft_fib_inet, nft_ct); see `nshost doctor`",
        ),
        _ => error,
    }
}

/// Whether the container has something in this table.
fn needs(record: &Record, table: &ruleset::Table) -> bool {
    if table.name == ruleset::guard::TABLE.name { record.has_links() } else { record.has_nat() }
}

/// All that a container puts into the tables, each element once, those of a set together.
fn elements(record: &Record) -> Vec<Element> {
    let mut all = guard::elements(&record.plan);
    all.extend(nat::elements(record));
    // Several forwards to one address need the way back only once.
    all.sort_by(|a, b| (a.set.table, a.set.name, &a.key).cmp(&(b.set.table, b.set.name, &b.key)));
    all.dedup_by(|a, b| a.set == b.set && a.key == b.key);
    all
}

/// The name of the host's end of the link on which this interface is.
pub(crate) fn host_end(plan: &Plan, at: InterfaceId) -> &str {
    plan.host_end(at).map_or("?", |(_, end)| end.name.as_str())
}

/// The fields one after the other, each filled up to a multiple of four bytes.
pub(crate) fn join_fields(fields: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    for field in fields {
        key.extend_from_slice(field);
        key.resize(key.len().next_multiple_of(4), 0);
    }
    key
}

pub(crate) fn interface(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(libc::IFNAMSIZ, 0);
    bytes
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(crate) fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_key_start_at_multiples_of_four() {
        assert_eq!(join_fields(&[&[6], &80u16.to_be_bytes()]), [6, 0, 0, 0, 0, 80, 0, 0]);
    }
}
