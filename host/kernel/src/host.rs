//! Which host this is.

#![expect(unsafe_code, reason = "nix has no SO_NETNS_COOKIE")]

use std::{
    fs, io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::Path,
};

use nix::{errno::Errno, sys::stat::stat};
use nshost_ledger::{Host, NetworkNamespaceId};

use crate::{Error, Socket, namespace};

/// `SO_NETNS_COOKIE` (`asm-generic/socket.h`), which libc does not have.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// This kernel and the network namespace that the calling thread is in.
pub fn current() -> Result<Host, Error> {
    let failed = |error| Error::new("look at", "this host", io::Error::other(error));
    Host::of(network(&Socket::route()?)?).map_err(failed)
}

/// The network namespace that the calling thread is in, of which `socket` is.
fn network(socket: &Socket) -> Result<NetworkNamespaceId, Error> {
    let file = Path::new(namespace::own());
    let of = stat(file).map_err(|errno| Error::new("look at", namespace::own(), errno))?;
    Ok(match cookie(socket.as_fd())? {
        Some(cookie) => NetworkNamespaceId::Cookie { cookie, inode: of.st_ino },
        None => NetworkNamespaceId::File { device: of.st_dev, inode: of.st_ino },
    })
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
    let (NetworkNamespaceId::Cookie { inode, .. } | NetworkNamespaceId::File { inode, .. }) = network;
    let name = format!("net:[{inode}]");
    let is_it = |path: &Path| match fs::read_link(path) {
        // An inode comes again.
        Ok(target) => target.as_os_str() == name.as_str() && may_be(path, network),
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
            let fields = |line: &str| {
                line.split(' ').nth(3) == Some(&name)
                    && line
                        .split(' ')
                        .nth(4)
                        .is_some_and(|at| may_be(&root.join(at.trim_start_matches('/')), network))
            };
            mounts.lines().any(fields)
        };
        let open = || match fs::read_dir(path.join("fd")) {
            Ok(files) => files.flatten().any(|file| is_it(&file.path())),
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        if is_it(&path.join("ns/net")) || mounted() || open() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether this file is that namespace, of which it has the inode. What cannot be looked into may be.
fn may_be(file: &Path, network: NetworkNamespaceId) -> bool {
    let NetworkNamespaceId::Cookie { cookie: wanted, .. } = network else { return true };
    let inside = || {
        let file = fs::File::open(file).ok()?;
        let socket = namespace::inside(file.as_fd(), Socket::route).ok()?.ok()?;
        cookie(socket.as_fd()).ok()?
    };
    inside().is_none_or(|its| its == wanted)
}
