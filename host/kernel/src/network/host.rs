//! Which host this is.

#![expect(unsafe_code, reason = "nix has no SO_NETNS_COOKIE")]

use std::{
    cell::RefCell,
    collections::HashSet,
    fs, io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::Path,
};

use nix::{errno::Errno, sys::stat::stat};
use nshost_ledger::{Host, NetworkNamespaceId};

use crate::{Error, Socket, network::enter};

/// `SO_NETNS_COOKIE` (`asm-generic/socket.h`), which libc does not have.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// This kernel and the network namespace that `socket` is of, which is to be the caller's.
pub fn current(socket: &Socket) -> Result<Host, Error> {
    Host::of(network(socket)?).map_err(|error| Error::new("look at", "this host", io::Error::other(error)))
}

/// The network namespace that a socket is of; where the kernel does not tell, the caller's.
pub(crate) fn network(socket: &Socket) -> Result<NetworkNamespaceId, Error> {
    if let Some(cookie) = cookie(socket.as_fd())? {
        return Ok(NetworkNamespaceId::Cookie(cookie));
    }
    let failed = |errno| Error::new("look at", enter::own(), errno);
    let of = stat(Path::new(enter::own())).map_err(failed)?;
    Ok(NetworkNamespaceId::File { device: of.st_dev, inode: of.st_ino })
}

/// Whether a network namespace has a cookie, which no other one has had in the same boot.
pub(crate) fn has_cookies() -> Result<bool, Error> {
    Ok(cookie(Socket::route()?.as_fd())?.is_some())
}

/// The cookie of the network namespace that a socket is of; none before Linux 5.14.
fn cookie(socket: BorrowedFd<'_>) -> Result<Option<u64>, Error> {
    let mut cookie = 0u64;
    let mut length = mem::size_of_val(&cookie) as libc::socklen_t;
    // SAFETY: an open socket, and a writable u64 with its size, which live through the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    match Errno::result(result) {
        Ok(_) => Ok(Some(cookie)),
        Err(Errno::ENOPROTOOPT) => Ok(None),
        Err(errno) => Err(Error::new("look at", "network namespace", errno)),
    }
}

/// Whether a network namespace may still be there: whether some process is in it, has it open, or sees it
/// mounted. What is held by a socket alone looks as if it had ended; nobody can go there any more. Where this
/// process may not look, it may be there.
pub fn may_exist(network: NetworkNamespaceId) -> Result<bool, Error> {
    // Most processes are in the same few: each is looked into once.
    let known = RefCell::new(HashSet::new());
    let is_it = |link: &str, file: &Path| {
        let inode = link.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode: u64| known.borrow_mut().insert(inode) && is_that(file, inode, network))
    };
    let leads_to_it = |file: &Path| match fs::read_link(file) {
        Ok(target) => is_it(&target.to_string_lossy(), file),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    for process in fs::read_dir("/proc").map_err(|e| Error::new("list", "/proc", e))?.flatten() {
        let path = process.path();
        if !process.file_name().as_encoded_bytes()[0].is_ascii_digit() {
            continue;
        }
        let mounted = || {
            let mounts = fs::read_to_string(path.join("mountinfo")).unwrap_or_default();
            let root = path.join("root");
            // Fields 4 and 5: what is mounted, and where.
            mounts.lines().any(|line| {
                let mut fields = line.split(' ').skip(3);
                let (Some(what), Some(place)) = (fields.next(), fields.next()) else { return false };
                is_it(what, &root.join(place.trim_start_matches('/')))
            })
        };
        let open = || match fs::read_dir(path.join("fd")) {
            Ok(files) => files.flatten().any(|file| leads_to_it(&file.path())),
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        if leads_to_it(&path.join("ns/net")) || mounted() || open() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether this file, which has that inode, is that namespace. What cannot be looked into may be.
fn is_that(file: &Path, inode: u64, network: NetworkNamespaceId) -> bool {
    let wanted = match network {
        NetworkNamespaceId::Cookie(cookie) => cookie,
        NetworkNamespaceId::File { inode: wanted, .. } => return inode == wanted,
    };
    let inside = || {
        let file = fs::File::open(file).ok()?;
        let socket = enter::inside(file.as_fd(), Socket::route).ok()?.ok()?;
        cookie(socket.as_fd()).ok()?
    };
    inside().is_none_or(|its| its == wanted)
}
