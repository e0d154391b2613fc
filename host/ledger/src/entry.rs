//! What is in an entry's file: a mark of the format, the record, then notes in the order in which
//! they were made. Nothing is ever changed, only added; what was not written to its end does not count.

use std::{
    io::{self, ErrorKind},
    os::fd::OwnedFd,
};

use nix::{
    errno::Errno,
    sys::uio::{pread, pwrite},
    unistd::ftruncate,
};
use nshost_plan::{Place, codec};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{ForwardingHold, Guarding, PassHold, ProcessId, Record, store::EntryName};

/// The file's first bytes; another format gets another number.
const MARK: &[u8] = b"nshost4\n";
/// The most bytes of a file: the record, and some hundred times the notes of a long life.
const MAX_BYTES: usize = codec::MAX_FRAME + (1 << 20);

/// Something that came to be known after the record was written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Note {
    /// All forwarding that is needed from now on.
    Forwarding(Vec<ForwardingHold>),
    /// All chains of other people's firewalls that have to let it through from now on.
    Passing(Vec<PassHold>),
    /// The container's first process.
    Started(ProcessId),
    /// Where the launcher has the socket that owns the firewall's tables.
    Guarding(Guarding),
    /// The container has ended and was undone, as far as the kernel does that at once.
    Gone,
}

/// What a file says.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing, or a record that was not written to its end: nothing was done because of it.
    Claim,
    /// A record, with its notes worked in.
    Full {
        record: Box<Record>,
        gone: bool,
        /// Notes at the end that make no sense.
        damage: Option<String>,
    },
    /// Not a file of this version of ours.
    Foreign(String),
}

/// The bytes of a file with this record; none if it is too large ever to be read again.
pub(crate) fn with_record(record: &Record) -> Result<Vec<u8>, usize> {
    let mut bytes = MARK.to_vec();
    bytes.extend(frame(record)?);
    Ok(bytes)
}

/// The bytes that add a note.
pub(crate) fn note(note: &Note) -> Result<Vec<u8>, usize> {
    frame(note)
}

fn frame<T: Serialize>(value: &T) -> Result<Vec<u8>, usize> {
    let body = codec::encode(value);
    let mut checked = Vec::with_capacity(8 + body.len());
    checked.extend_from_slice(&checksum(&body).to_le_bytes());
    checked.extend_from_slice(&body);
    let mut frame = Vec::with_capacity(4 + checked.len());
    codec::write_frame(&mut frame, &checked).map_err(|_| checked.len())?;
    Ok(frame)
}

/// Reads what `name`'s file says, from bytes that may be anything.
pub(crate) fn parse(name: &EntryName, bytes: &[u8]) -> Content {
    let Some(mut rest) = bytes.strip_prefix(MARK) else {
        return if MARK.starts_with(bytes) {
            Content::Claim
        } else {
            Content::Foreign("not written by this version".into())
        };
    };
    let mut record: Record = match take(&mut rest) {
        Ok(Some(record)) => record,
        Ok(None) => return Content::Claim,
        Err(reason) => return Content::Foreign(reason),
    };
    if record.id != name.id() || record.instance != name.instance {
        return Content::Foreign("it speaks of another container".into());
    }
    if record.macs.len() != record.plan.interfaces_at(Place::Host).count() {
        return Content::Foreign("it has not one address for each link".into());
    }
    let (mut gone, mut damage) = (false, None);
    loop {
        match take(&mut rest) {
            Ok(Some(Note::Forwarding(holds))) => record.forwarding = holds,
            Ok(Some(Note::Passing(holds))) => record.passing = holds,
            Ok(Some(Note::Started(process))) => record.process = Some(process),
            Ok(Some(Note::Guarding(guarding))) => record.guarding = Some(guarding),
            Ok(Some(Note::Gone)) => gone = true,
            Ok(None) => break,
            Err(reason) => {
                damage = Some(format!("its notes are damaged: {reason}"));
                break;
            }
        }
    }
    Content::Full { record: Box::new(record), gone, damage }
}

/// The next value; none at the end, and where writing was interrupted.
fn take<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<Option<T>, String> {
    // As `codec::write_frame` wrote it, but read where it lies: a look decodes every entry of the host.
    let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > codec::MAX_FRAME {
        return Err("a frame announces more than 4 MiB".into());
    }
    let Some((frame, after)) = after.split_at_checked(length) else { return Ok(None) };
    *rest = after;
    let (sum, body) = frame.split_first_chunk::<8>().ok_or("a frame is too short")?;
    if u64::from_le_bytes(*sum) != checksum(body) {
        return Err("a checksum is wrong".into());
    }
    codec::decode("entry", body).map(Some).map_err(|error| error.to_string())
}

/// FNV-1a: finds a damaged file, which is then reported instead of acted upon. Nobody but the
/// directory's owner can write one on purpose.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The file from its start; one call to the kernel for an entry of common size. `buffer` is used again
/// from entry to entry. An error for what is larger than any entry.
pub(crate) fn read_whole<'b>(file: &OwnedFd, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    if buffer.is_empty() {
        buffer.resize(16 << 10, 0);
    }
    let mut filled = 0;
    loop {
        match pread(file, &mut buffer[filled..], filled as i64) {
            Ok(0) => return Ok(&buffer[..filled]),
            Ok(n) => filled += n,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        if filled < buffer.len() {
            return Ok(&buffer[..filled]);
        }
        if filled > MAX_BYTES {
            return Err(io::Error::new(ErrorKind::InvalidData, "larger than any entry"));
        }
        buffer.resize(buffer.len() * 2, 0);
    }
}

/// Adds `bytes` at `end`, all of them or nothing.
///
/// Without fsync: a loss of power takes the kernel's state with it, and the boot's id in the record then
/// says that nothing is left to undo. A killed process loses nothing that `write(2)` has taken.
pub(crate) fn append(file: &OwnedFd, end: u64, bytes: &[u8]) -> Result<(), Errno> {
    let mut written = 0;
    while written < bytes.len() {
        match pwrite(file, &bytes[written..], (end as usize + written) as i64) {
            Ok(0) => return undo_append(file, end, Errno::EIO),
            Ok(n) => written += n,
            Err(Errno::EINTR) => continue,
            Err(errno) => return undo_append(file, end, errno),
        }
    }
    Ok(())
}

fn undo_append(file: &OwnedFd, end: u64, errno: Errno) -> Result<(), Errno> {
    // Should this fail too, what is left is an interrupted write to every reader, or damage.
    let _ = ftruncate(file, end as i64);
    Err(errno)
}

#[cfg(test)]
mod tests {
    use nshost_plan::Plan;

    use super::*;
    use crate::NetworkNamespaceId;

    fn example() -> (EntryName, Record, Vec<u8>) {
        let name = EntryName { instance: 7, id: 0x0123456789abcdef0123456789abcdef };
        let record = Record {
            id: name.id(),
            name: Some("web".parse().unwrap()),
            instance: name.instance,
            ids: Some(5),
            boot: "boot".into(),
            host: NetworkNamespaceId::Cookie(1),
            zone: 1,
            host_is_private: false,
            plan: Plan::default(),
            macs: Vec::new(),
            forwarding: Vec::new(),
            passes: false,
            passing: Vec::new(),
            process: None,
            guarding: None,
        };
        let bytes = with_record(&record).unwrap();
        (name, record, bytes)
    }

    #[test]
    fn a_write_cut_short_does_not_count() {
        let (name, record, mut bytes) = example();
        let after_record = bytes.len();
        bytes.extend(note(&Note::Started(ProcessId { pid: 5, birth: 6 })).unwrap());
        let after_start = bytes.len();
        bytes.extend(note(&Note::Gone).unwrap());
        for length in 0..=bytes.len() {
            match parse(&name, &bytes[..length]) {
                Content::Claim => assert!(length < after_record),
                Content::Full { record: read, gone, damage: None } => {
                    assert!(length >= after_record);
                    assert_eq!(read.process.is_some(), length >= after_start);
                    assert_eq!(gone, length == bytes.len());
                    assert_eq!(Record { process: None, ..*read }, record);
                }
                other => panic!("{length}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_damaged_byte_is_never_acted_upon() {
        let (name, record, mut bytes) = example();
        let after_record = bytes.len();
        bytes.extend(note(&Note::Gone).unwrap());
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                match parse(&name, &damaged) {
                    // A length that now announces more than there is looks like a write cut short.
                    Content::Claim => assert!((MARK.len()..MARK.len() + 4).contains(&at)),
                    Content::Foreign(reason) => assert!(at < after_record && !reason.is_empty()),
                    Content::Full { record: read, gone, .. } => {
                        assert!(at >= after_record);
                        assert_eq!((*read, gone), (record.clone(), false));
                    }
                }
            }
        }
    }

    #[test]
    fn what_no_reader_would_take_is_not_written() {
        let (_, record, _) = example();
        let boot = "x".repeat(codec::MAX_FRAME);
        assert!(with_record(&Record { boot, ..record }).unwrap_err() > codec::MAX_FRAME);
    }
}
