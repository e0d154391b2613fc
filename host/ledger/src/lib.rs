//! What exists on this host because of us.
//!
//! Everything that a launch makes outside of its container is written down before it is made, so that
//! whoever comes next can undo it, whatever became of the launcher. There is no daemon: the ledger is a
//! directory, and the launchers agree by the locks on its files.
//!
//! # The way of a launch
//!
//! ```no_run
//! # use nshost_ledger::*; use nshost_policy::Permit;
//! # fn launch(host: Host, permit: impl Fn(&Standing, u16) -> Permit, process: ProcessId) -> Result<(), Error> {
//! let ledger = Directory::usual()?.ledger(host);
//! let standing = ledger.standing()?; //       facts: what others hold
//! let claim = ledger.claim()?; //             a number and an id of its own
//! let permit = permit(&standing, claim.instance());
//! let lock = ledger.lock()?;
//! let mut receipt = ledger.commit(&lock, claim, permit, Origin::default())?;
//! // … now things are made, first those that need the host's lock …
//! drop(lock);
//! receipt.started(process)?;
//! // … the container runs, ends, and is undone …
//! let gone = receipt.let_go()?; //             or finish, if the kernel has nothing left to do
//! gone.forget() //                            when the kernel has taken down the rest
//! # }
//! ```
//!
//! # Files
//!
//! | path | what |
//! |---|---|
//! | `.` and `containers/` | mode 0700, the caller's own; opened once without following links, then reached by descriptor |
//! | `lock` | made once; byte 0 is the host's lock, byte 1 the claims lock; from byte 8 on the pid of who took each last, from byte 64 on who had the firewall's tables last: words that decide nothing but for how long others wait |
//! | `ids` | when each range of user ids was last in use; byte N is locked by who has range N, for its life |
//! | `containers/NNNN-ID` | an entry: instance number and 128 random bits; byte 0 is locked by its owner for its life |
//!
//! An entry is created, added to, and removed; it is never renamed and nothing in it is changed, so that
//! no reader meets it half way between two states. It holds a mark of the format and then frames, each
//! with its length and a checksum: the [`Record`], and notes (forwarding held, who has the firewall's tables,
//! first process, gone). A frame that was not written to its end does not count, and need not: what it
//! announces is only done after it was written. A file that makes no sense is reported and left alone.
//!
//! # Life of an entry
//!
//! | owner's lock | content | it is | it holds | what happens to it |
//! |---|---|---|---|---|
//! | held | no whole record | a claim | its number | commit, or drop |
//! | free | no whole record | litter | its number | removed by the next look |
//! | held | record | living | number, names, networks, addresses, ports, conntrack zone | |
//! | free | record | dead | the same | undone by [`Ledger::collect`], then forgotten |
//! | any | record, gone | gone | nothing | forgotten when the kernel has taken down the rest |
//! | free | record of another boot, or private | litter | its number | removed by the next look |
//!
//! A dead container keeps what it holds, since that still exists. A gone one does not, and that is what
//! makes a launch right after the last one possible, with the same number: two entries may have it, of which one is
//! gone. Only entries of the same boot and the same network
//! namespace compete for names, networks, addresses, ports and zones; instance numbers and ranges of user ids
//! are one space for all.
//!
//! # Locks
//!
//! Three kinds, taken in this order: the host's lock, the claims lock, an entry's own.
//! - The host's lock is needed to commit, to collect, and to change the firewall's tables or a sysctl. What
//!   is read under it stays true while it is held, but for owners that die.
//! - The claims lock covers the moments in which an entry exists that its owner has not locked yet. Making
//!   an entry and sweeping litter exclude each other by it.
//! - An entry's lock is taken once, by its owner, at its birth. All others only ask whether it is held, so
//!   that looking has no side effect; once it is free, it is free for good.
//!
//! Nobody waits for one who has the first two for longer than seconds, and who does in vain is told who it is.
//!
//! All are open-file-description locks: the kernel drops them with the last descriptor, however the
//! process ends. A forked child shares them until it executes a program (every descriptor here is
//! close-on-exec) or closes them: a child that does neither keeps a killed broker's entry alive. Dropping a
//! lock here releases it whatever children there are.
//!
//! # Killed at any moment
//!
//! Between any two system calls the directory is one of the states above. Nothing is synced to a disk: a
//! kill does not lose what `write(2)` has taken, and a loss of power takes the kernel's state along.

mod claim;
mod collect;
mod entry;
mod error;
mod host;
mod ids;
mod ledger;
mod lock;
mod name;
mod occupant;
mod others;
mod place;
mod receipt;
mod record;
mod reserve;
mod standing;
mod store;

pub use claim::Claim;
pub use collect::{Collection, Dead};
pub use error::{Error, Holder, Problem};
pub use host::Host;
pub use ledger::{Directory, Ledger, Origin};
pub use lock::HostLock;
pub use name::ContainerName;
pub use occupant::Occupant;
pub use others::Others;
pub use place::default as default_directory;
pub use receipt::{Gone, Receipt};
pub use record::*;
pub use standing::{Life, Standing};
