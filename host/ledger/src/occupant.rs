//! Who has what somebody else wants: for people, who can end it or wait for it.

use std::{fmt, fs, time::Duration};

use nshost_plan::{Place, Step};

use crate::{
    ContainerName, Error, Ledger, Life, Record,
    reserve::Reservation,
    standing::{Seen, look},
    store::{EntryName, Store},
};

/// A container that has it. What is told of it was true when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// Its name, or its id if it has none.
    pub name: String,
    /// Its launcher, if that lives and can be told: who ends it ends the container.
    pub launcher: Option<i32>,
    /// For how long it has been there.
    pub age: Option<Duration>,
    /// Whether its launcher was killed, so that what it has is free as soon as it is collected.
    pub dead: bool,
}

impl Occupant {
    pub(crate) fn of(store: &Store, name: &EntryName, life: Life, record: &Record) -> Occupant {
        let dead = life != Life::Living;
        Occupant {
            name: record.name.clone().map_or_else(|| record.id.clone(), ContainerName::into),
            launcher: launcher(record).filter(|_| !dead),
            // An entry is written when its container starts, and then again when it has ended.
            age: store.written(name).and_then(|at| at.elapsed().ok()),
            dead,
        }
    }

    /// What an operator can do about it.
    pub fn remedy(&self) -> String {
        match (self.dead, self.launcher) {
            (true, _) => "its launcher was killed: `nshost gc` removes what it left".to_string(),
            (false, Some(pid)) => format!("end it (`kill {pid}`), or wait until it has ended"),
            (false, None) => "end it, or wait until it has ended".to_string(),
        }
    }
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container {}", self.name)?;
        let pid = self.launcher.map(|pid| format!("pid {pid}"));
        let age = self.age.map(|age| format!("for {}", in_words(age)));
        let known: Vec<String> = pid.into_iter().chain(age).collect();
        if known.is_empty() { Ok(()) } else { write!(f, " ({})", known.join(", ")) }
    }
}

fn in_words(age: Duration) -> String {
    let seconds = age.as_secs();
    let (number, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// With links it left word of itself; without, it is the parent of the container's first process.
fn launcher(record: &Record) -> Option<i32> {
    let noted = record.guarding.map(|guarding| guarding.launcher.pid);
    noted.or_else(|| parent_of(record.process?.pid))
}

/// Field 4 of `/proc/PID/stat`, after the name, which may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

impl Ledger {
    /// Who has what `step` asks for, and what that is; none if nobody here has. `place`: where the interface lives that it
    /// names, if it names one. It looks at all entries: for when
    /// a launch has failed.
    pub fn occupant(&self, step: &Step, place: Option<Place>) -> Result<Option<(String, Occupant)>, Error> {
        let (mine, mut buffer) = (Reservation::of_step(step, place), Vec::new());
        for name in self.store.list()?.entries {
            let seen = look(&self.store, &self.host, &name, &mut buffer)?;
            let Seen::Container { life: life @ (Life::Living | Life::Dead), record, .. } = seen else {
                continue;
            };
            let held = self.host.has(&record).then(|| Reservation::of(&record));
            if let Some(what) = held.and_then(|held| mine.collision(&held)) {
                return Ok(Some((what, Occupant::of(&self.store, &name, life, &record))));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_it_is_told() {
        let occupant = |launcher, age: Option<u64>, dead| Occupant {
            name: "web".into(),
            launcher,
            age: age.map(Duration::from_secs),
            dead,
        };
        for (occupant, words, remedy) in [
            (occupant(Some(7), Some(1), false), "container web (pid 7, for 1 second)", "kill 7"),
            (occupant(None, Some(179), false), "container web (for 2 minutes)", "wait"),
            (occupant(None, Some(7_200), true), "container web (for 2 hours)", "nshost gc"),
            (occupant(Some(7), Some(200_000), false), "container web (pid 7, for 2 days)", "kill 7"),
            (occupant(None, None, false), "container web", "end it"),
        ] {
            assert_eq!(occupant.to_string(), words);
            assert!(occupant.remedy().contains(remedy), "{}", occupant.remedy());
        }
    }

    #[test]
    fn a_process_has_a_parent() {
        assert_eq!(parent_of(std::process::id() as i32), Some(std::os::unix::process::parent_id() as i32));
        assert_eq!(parent_of(i32::MAX), None);
    }
}
