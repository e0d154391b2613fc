//! What may lie where the ledger lies.

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use nshost_ledger::{Error, Ledger, Problem};
use support::{Scratch, Want, commit, host, ledger};

fn refused(state: &Path) -> (Problem, &'static str) {
    match Ledger::open(state, host("boot", 1)).expect_err("not refused") {
        error @ Error::Untrusted { problem, .. } => (problem, error.code()),
        other => panic!("{other}"),
    }
}

#[test]
fn made_for_its_owner_alone() {
    let scratch = Scratch::new();
    ledger(&scratch);
    for directory in [scratch.state(), scratch.state().join("containers")] {
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o7777, 0o700);
    }
    let claim = ledger(&scratch).claim().unwrap();
    let entry = scratch.state().join("containers").join(format!("{:04}-{}", claim.instance(), claim.id()));
    assert_eq!(fs::metadata(entry).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_link_is_not_followed() {
    let scratch = Scratch::new();
    let elsewhere = scratch.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, scratch.state()).unwrap();
    assert_eq!(refused(&scratch.state()), (Problem::NotADirectory, "not-a-directory"));
    // A slash at the end would make the kernel follow it.
    assert_eq!(refused(&scratch.state().join("")).0, Problem::NotADirectory);
    assert_eq!(refused(&scratch.state().join(".")).0, Problem::NotADirectory);
    assert!(support::names(&elsewhere).is_empty());

    fs::remove_file(scratch.state()).unwrap();
    ledger(&scratch);
    fs::remove_dir(scratch.state().join("containers")).unwrap();
    symlink(&elsewhere, scratch.state().join("containers")).unwrap();
    assert_eq!(refused(&scratch.state()).0, Problem::NotADirectory);
    assert!(support::names(&elsewhere).is_empty());
}

#[test]
fn others_may_not_write_or_own_it() {
    let scratch = Scratch::new();
    ledger(&scratch);
    for below in ["", "containers"] {
        let directory = scratch.state().join(below);
        for mode in [0o720, 0o702, 0o777] {
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(refused(&scratch.state()), (Problem::Permissions { mode }, "unsafe-permissions"));
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        // Only root can give it away, and then it can be refused.
        let (expected, uid) = (fs::metadata(&directory).unwrap().uid(), 4321);
        if chown(&directory, Some(uid), None).is_ok() {
            assert_eq!(refused(&scratch.state()), (Problem::Owner { uid, expected }, "wrong-owner"));
            chown(&directory, Some(expected), None).unwrap();
        }
    }
    ledger(&scratch);
}

#[test]
fn a_file_or_nothing_there_is_an_error() {
    let scratch = Scratch::new();
    fs::write(scratch.state(), "").unwrap();
    assert_eq!(refused(&scratch.state()).0, Problem::NotADirectory);
    let missing = scratch.path().join("a/b");
    let error = Ledger::open(&missing, host("boot", 1)).unwrap_err();
    assert_eq!((error.code(), error.subject()), ("io", missing.display().to_string()));
}

#[test]
fn the_lock_file_is_not_followed_and_not_waited_for() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let (lock, target) = (scratch.state().join("lock"), scratch.path().join("target"));
    symlink(&target, &lock).unwrap();
    assert_eq!(ledger.lock().unwrap_err().code(), "io");
    assert_eq!(ledger.claim().unwrap_err().code(), "io");
    assert!(!target.exists());
    fs::remove_file(&lock).unwrap();
    mkfifo(&lock, Mode::S_IRWXU).unwrap();
    // It may serve or not; it must come back.
    let _ = ledger.lock();
}

#[test]
fn whatever_lies_among_the_entries_is_reported_and_left() {
    let scratch = Scratch::new();
    let ledger = ledger(&scratch);
    let receipt = commit(&ledger, &Want { links: vec!["veth0"], ..Want::default() }).unwrap();
    let place = scratch.state().join("containers");
    let id = "0123456789abcdef0123456789abcdef";
    let at = |number: u16| place.join(format!("{number:04}-{id}"));
    let record = fs::read(place.join(&scratch.entries()[0])).unwrap();

    symlink("/etc/passwd", at(1)).unwrap();
    mkfifo(&at(2), Mode::S_IRWXU).unwrap();
    fs::create_dir(at(3)).unwrap();
    fs::write(at(4), "garbage, not a record").unwrap();
    fs::write(at(5), &record).unwrap(); // of another number
    fs::write(at(0), &record).unwrap(); // of another id
    fs::write(at(6), [b"nshost3\n".as_slice(), &[0xff; 4]].concat()).unwrap(); // 4 GiB announced
    fs::write(at(7), [b"nshost3\n".as_slice(), &[0; 64]].concat()).unwrap();
    fs::File::create(at(8)).unwrap().set_len(1 << 40).unwrap(); // sparse
    for name in ["x", "0001", "9999-x", "-", "00001-0123456789abcdef0123456789abcdef", "a\u{1b}[2Jb"] {
        fs::write(place.join(name), "").unwrap();
    }
    fs::write(place.join(format!("3840-{id}")), "").unwrap(); // a number too high
    fs::write(place.join(format!("0009-{}", id.to_uppercase())), "").unwrap();

    let before = scratch.entries();
    for _ in 0..2 {
        let standing = ledger.standing().unwrap();
        assert_eq!(standing.living, [receipt.record().clone()]);
        assert!(standing.dead.is_empty() && standing.gone.is_empty());
        assert_eq!(standing.unreadable.len(), 17, "{:#?}", standing.unreadable);
        assert!(standing.unreadable.iter().all(|(name, why)| !name.contains('\u{1b}') && !why.is_empty()));
    }
    assert_eq!(scratch.entries(), before);
    // None of them stands in the way.
    let claims: Vec<_> = (0..4).map(|_| ledger.claim().unwrap()).collect();
    assert_eq!(claims.iter().map(|claim| claim.instance()).collect::<Vec<_>>(), [1, 2, 3, 9]);
    commit(&ledger, &Want { links: vec!["veth1"], ..Want::default() }).unwrap().finish().unwrap();
}
