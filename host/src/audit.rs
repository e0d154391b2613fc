//! `--audit FILE`: every check and every outcome, one JSON line each.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use nshost_policy::Verdict;
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    module::{Module, hex},
};

/// Where lines go; without `--audit`, nowhere.
pub struct Audit {
    file: Option<File>,
    script: String,
}

impl Audit {
    /// Appends to the file, which only its owner can read when it is new.
    pub fn open(path: Option<&Path>, module: &Module) -> Result<Audit, Failure> {
        let open = |path: &Path| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
                .open(path)
                .map_err(|error| {
                    Failure::file("audit", path, &error).also("nothing was run: no run without its audit")
                })
        };
        let file = path.map(open).transpose()?;
        Ok(Audit { file, script: hex(module.digest()) })
    }

    /// One line for each check; where there is no step, its number is null.
    pub fn verdicts(&mut self, verdicts: &[Verdict]) -> Result<(), Failure> {
        verdicts.iter().try_for_each(|verdict| {
            self.event("check", || {
                json!({
                    "step": verdict.step.map(|step| step + 1),
                    "capability": verdict.capability,
                    "subject": verdict.subject,
                    "allowed": verdict.allowed,
                    "rule": verdict.rule,
                })
            })
        })
    }

    /// One line for something that happened. `details` are asked for only if there is a file.
    pub fn event(&mut self, event: &str, details: impl FnOnce() -> Value) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = json!({
            "time": format!("{}.{:03}", now.as_secs(), now.subsec_millis()),
            "event": event,
            "script": self.script,
            "details": details(),
        });
        // One write a line: lines of several launches into one file do not mix.
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(|error| Failure::ours(format!("cannot write the audit: {error}")))
    }
}
