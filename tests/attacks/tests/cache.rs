//! Remembered plans and compiled scripts that are not what was written: whatever is odd is not there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use support::{Host, Nshost, Scratch, component, root_or_skip};

struct Place {
    host: Host,
    scratch: Scratch,
}

impl Place {
    fn new() -> Result<Place> {
        let place = Place { host: Host::new()?, scratch: Scratch::new()? };
        fs::create_dir(place.cache())?;
        Ok(place)
    }

    fn cache(&self) -> PathBuf {
        self.scratch.path().join("cache")
    }

    fn nshost(&self, words: &[&str], script: &str) -> Result<Nshost<'_>> {
        let nshost = self.host.nshost()?.variable("NSHOST_CACHE_DIR", self.cache());
        Ok(nshost.arg("plan").args(words).arg(component(script)?))
    }

    /// The plan, as it is printed.
    fn plan(&self, words: &[&str], script: &str) -> Result<String> {
        Ok(self.nshost(words, script)?.run()?.expect(0)?.to_string())
    }

    /// The only file of this kind.
    fn only(&self, kind: &str) -> Result<PathBuf> {
        let files = fs::read_dir(self.cache())?.flatten().map(|entry| entry.path());
        files.filter(|path| path.extension().is_some_and(|own| own == kind)).last().context("no such file")
    }

    /// Whether a worker was started.
    fn asks_a_worker(&self, script: &str) -> Result<bool> {
        let trace = self.scratch.path().join("trace");
        let strace = ["strace", "-f", "-qq", "--trace=execve", "--output", &trace.to_string_lossy()];
        let output = support::run(self.nshost(&[], script)?.under(&strace), attacks::SOON)?;
        output.expect(0)?;
        Ok(fs::read_to_string(trace)?.contains("nshost-worker"))
    }
}

/// The file with one bit of each of these bytes changed, one after the other.
fn flipped(bytes: &[u8], every: usize) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).step_by(every).map(|at| {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        (at, changed)
    })
}

/// What can stand in a file's place, apart from bytes.
fn put_odd_things(path: &Path, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let shell = |script: &str| {
        let words = ["-euc", script, "sh", &path.to_string_lossy()];
        #[expect(clippy::disallowed_methods, reason = "a test makes a FIFO")]
        let status = std::process::Command::new("sh").args(words).status()?;
        anyhow::ensure!(status.success(), "{script}");
        anyhow::Ok(())
    };
    for (what, script) in [
        ("nothing in it", ": > \"$1\""),
        ("a pipe", "rm -f \"$1\"; mkfifo \"$1\""),
        ("a link", "rm -f \"$1\"; ln -s /etc/passwd \"$1\""),
        ("a device", "rm -f \"$1\"; mknod \"$1\" c 1 5"),
        ("a directory", "rm -f \"$1\"; mkdir \"$1\""),
    ] {
        shell(script)?;
        each(what)?;
        if what == "a directory" {
            shell("rmdir \"$1\"")?;
        }
    }
    Ok(())
}

#[test]
fn a_remembered_plan_with_a_flipped_bit_is_none() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let plan = place.plan(&[], "tutorial")?;
    let file = place.only("plan")?;
    let remembered = fs::read(&file)?;
    assert!(!place.asks_a_worker("tutorial")?, "what is whole is not used");
    let mut wrong = Vec::new();
    for (at, changed) in flipped(&remembered, 1) {
        fs::write(&file, changed)?;
        let output = place.nshost(&[], "tutorial")?.run()?;
        // What is found to be odd is written anew.
        if output.code() != 0 || output.stdout != plan || fs::read(&file)? != remembered {
            wrong.push(at);
        }
    }
    assert!(wrong.is_empty(), "used although altered, of {}: {wrong:?}", remembered.len());
    for length in [0, 1, 31, 32, remembered.len() - 1] {
        fs::write(&file, &remembered[..length])?;
        assert_eq!(place.plan(&[], "tutorial")?, plan, "cut to {length}");
    }
    fs::write(&file, [&remembered[..], b"x"].concat())?;
    assert_eq!(place.plan(&[], "tutorial")?, plan, "with one byte more");
    put_odd_things(&file, |what| {
        assert_eq!(place.plan(&[], "tutorial")?, plan, "{what}");
        Ok(())
    })
}

#[test]
fn a_remembered_plan_under_another_name_is_none() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let isolated = place.plan(&[], "isolated")?;
    let of_isolated = place.only("plan")?;
    let bytes = fs::read(&of_isolated)?;
    fs::remove_file(&of_isolated)?;
    let tutorial = place.plan(&[], "tutorial")?;
    let of_tutorial = place.only("plan")?;
    assert_ne!(isolated, tutorial);
    fs::write(&of_tutorial, bytes)?;
    assert_eq!(place.plan(&[], "tutorial")?, tutorial);
    Ok(())
}

#[test]
fn a_compiled_script_with_a_flipped_bit_is_none() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let plan = place.plan(&[], "tutorial")?;
    let file = place.only("artifact")?;
    let compiled = fs::read(&file)?;
    let mut wrong = Vec::new();
    for (at, changed) in flipped(&compiled, compiled.len() / 60) {
        fs::write(&file, changed)?;
        let output = place.nshost(&["--fresh"], "tutorial")?.run()?;
        if output.code() != 0 || output.stdout != plan || fs::read(&file)? != compiled {
            wrong.push(at);
        }
        fs::write(&file, &compiled)?;
    }
    assert!(wrong.is_empty(), "used although altered, of {}: {wrong:?}", compiled.len());
    put_odd_things(&file, |what| {
        assert_eq!(place.plan(&["--fresh"], "tutorial")?, plan, "{what}");
        Ok(())
    })?;
    // Whole, it is used: nothing is written that is there.
    fs::write(&file, &compiled)?;
    let before = fs::metadata(&file)?.modified()?;
    assert_eq!(place.plan(&["--fresh"], "tutorial")?, plan);
    assert_eq!(fs::metadata(&file)?.modified()?, before, "what is whole is not used");
    Ok(())
}
