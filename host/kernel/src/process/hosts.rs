//! The host's names, as a container finds them besides its own (`hosts(5)`).

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

/// As much of the host's file is read, in bytes: lists that block names have up to some megabytes, and nobody waits
/// for those at each launch.
const MAX: usize = 256 << 10;
const CUT: &str = "# nshost: the host's file has more lines, and is too large\n";

/// `own` lines, and then those of the host's file; none where there is no such file that can be read.
///
/// The own come first: by an address the first line that has it tells the name.
pub(crate) fn with(own: String, file: &Path) -> Option<Vec<u8>> {
    let bytes = read(file).ok().flatten()?;
    let mut text = own.into_bytes();
    match bytes.get(..MAX) {
        Some(much) if bytes.len() > MAX => {
            let whole = much.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            text.extend_from_slice(&much[..whole]);
            text.extend_from_slice(CUT.as_bytes());
        }
        _ => text.extend(bytes),
    }
    Some(text)
}

/// What the file begins with, and one byte more than is wanted if there is; none of what is no file. Not waited for,
/// whatever it is.
fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(open(file, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(MAX as u64) as usize + 1);
    file.take(MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::PathBuf};

    use super::*;

    const OWN: &str = "10.0.0.2 box\n";

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("nshost-hosts-{name}-{}", std::process::id()))
    }

    fn text(file: &Path) -> Option<String> {
        with(OWN.to_string(), file).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_hosts_lines_follow_the_own() {
        let (file, link) = (scratch("file"), scratch("link"));
        fs::write(&file, "127.0.0.1 localhost\n").unwrap();
        symlink(&file, &link).unwrap();
        let (direct, linked) = (text(&file), text(&link));
        fs::write(&file, "").unwrap();
        let empty = text(&file);
        fs::remove_file(&link).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(direct.as_deref(), Some("10.0.0.2 box\n127.0.0.1 localhost\n"));
        assert_eq!((linked, empty), (direct, Some(OWN.to_string())));
    }

    #[test]
    fn none_is_made_where_there_is_none() {
        assert_eq!(text(&scratch("none")), None);
        assert_eq!(text(Path::new("/dev/null")), None);
        assert_eq!(text(Path::new("/proc")), None);
    }

    #[test]
    fn a_large_one_is_cut_at_a_line() {
        let (file, line) = (scratch("large"), "0.0.0.0 something.to.be.blocked\n");
        let exactly = line.repeat(MAX / line.len());
        fs::write(&file, &exactly).unwrap();
        let fits = text(&file).unwrap();
        fs::write(&file, line.repeat(MAX / line.len() + 9)).unwrap();
        let cut = text(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(fits, format!("{OWN}{exactly}"));
        assert_eq!(cut, format!("{OWN}{exactly}{CUT}"));
    }
}
