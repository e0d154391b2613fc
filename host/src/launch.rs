//! A launch, from a script's file to the command's exit status.

use std::{path::Path, thread, time::Duration};

use nix::sys::signal::Signal;
use nshost_kernel::{
    Socket,
    network::{self, Held, host, link},
    probe::facts,
    process::{
        container::{self, End, Running, Settings, Waiting},
        identity,
        leftovers::Leftovers,
        rootless,
        signals::Signals,
        supervise,
        terminal::Terminal,
    },
    table::owner::Owner,
};
use nshost_ledger::{
    Claim, ContainerName, Directory, Gone, Ledger, Origin, Others, Receipt, Record, Standing,
};
use nshost_plan::{Argument, ContainerId, Facts, Namespace, Plan, Taken, Variable, show};
use nshost_policy::{Permit, wire::Asked};
use serde_json::json;

use crate::{
    audit::Audit,
    cache::Cache,
    collect, decide,
    failure::{self, Failure, Status},
    print,
    request::Request,
    start::{self, Start},
};

/// How often a launch that lost a race is planned anew from fresh facts.
const ATTEMPTS: u32 = 8;

/// Everything that stays the same over the attempts of one launch.
struct Launch<'a> {
    request: &'a Request,
    ledger: Ledger,
    cache: Cache,
    rootless: bool,
}

/// A container that runs, with the proof of what has to be undone after it.
struct Launched {
    running: Running,
    command: Vec<Argument>,
    start: Start,
    receipt: Receipt,
    /// What this process has for its network.
    held: Held,
    terminal: Option<Terminal>,
    signals: Signals,
    /// Whether containers that have ended were still being taken down.
    litter: bool,
}

enum Attempt {
    Launched(Box<Launched>),
    /// Somebody else was faster with a name, an address or a port.
    Lost(Failure),
}

/// How a command of nshost ended, and what is left to do when it has.
pub struct Ended {
    /// The exit status, or what failed.
    pub outcome: Result<u8, Failure>,
    /// What failed besides: it is told, and does not take the place of the outcome.
    pub besides: Vec<Failure>,
    /// What nobody has to wait for.
    pub leftovers: Leftovers,
}

impl From<Result<u8, Failure>> for Ended {
    fn from(outcome: Result<u8, Failure>) -> Self {
        Ended { outcome, besides: Vec::new(), leftovers: Leftovers::default() }
    }
}

/// Launches the container and waits for its command: ends with the command's exit status.
pub fn launch(request: &Request) -> Ended {
    let launched = || {
        let mut audit = Audit::open(request.audit.as_deref(), &request.module)?;
        let (launch, host) = Launch::prepare(request)?;
        let launched = launch.until_launched(host, &mut audit)?;
        Ok((launch, launched, audit))
    };
    match launched() {
        Ok((launch, launched, mut audit)) => launch.until_ended(launched, &mut audit),
        Err(failure) => Err(failure).into(),
    }
}

impl<'a> Launch<'a> {
    /// The ledger and cache of this host, and a socket to its network; without root, of one of its own.
    fn prepare(request: &'a Request) -> Result<(Self, Socket), Failure> {
        let cache = Cache::open();
        let state = Directory::usual()?;
        let rootless = !nix::unistd::geteuid().is_root();
        if rootless {
            rootless::enter_private_host()?;
        }
        let socket = Socket::route()?;
        let ledger = state.ledger(host::current(&socket)?);
        Ok((Launch { request, ledger, cache, rootless }, socket))
    }

    /// Tries again from fresh facts when another launch was faster, a bounded number of times.
    fn until_launched(&self, mut host: Socket, audit: &mut Audit) -> Result<Launched, Failure> {
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            match self.attempt(&mut host, audit)? {
                Attempt::Launched(launched) => return Ok(*launched),
                Attempt::Lost(failure) => lost = Some(failure),
            }
        }
        Err(lost.unwrap_or_else(|| Failure::ours("no attempt was made")))
    }

    fn attempt(&self, host: &mut Socket, audit: &mut Audit) -> Result<Attempt, Failure> {
        if let Some(name) = &self.request.name {
            self.wait_for_name(name)?;
        }
        // Records of all who live are not kept for as long as this one does.
        let Standing { gone, taken, .. } = self.standing()?;
        // After that look: the numbers of those that are gone are free.
        let claim = self.ledger.claim()?;
        let facts = self.facts(host, &claim, &gone, taken)?;
        let who_has = |asked: &Asked| self.ledger.occupant(&asked.step, asked.place).ok().flatten();
        let (permit, _ending) = decide::permit(self.request, &self.cache, &facts, audit, &who_has)?;
        let command = command_of(permit.plan(), &facts)?;
        if permit.plan().command(ContainerId::FIRST).is_some()
            && !facts.command.is_empty()
            && command != facts.command
        {
            print::line("nshost: the script chose another command than the one that was typed");
        }
        let start = start::find(self.request.directory.as_ref(), permit.plan(), self.rootless);
        if let Some(because) = &start.because {
            print::progress(&format!("the command starts in {}: {because}", start.directory));
        }
        print::private_host(permit.plan(), self.rootless).into_iter().for_each(print::progress);
        // Until here a signal ends this process, and nothing is lost; from here on it waits its turn.
        let signals = Signals::block()?;
        let mut receipt = match self.commit(claim, permit)? {
            Ok(receipt) => receipt,
            Err(lost) => return Ok(Attempt::Lost(lost)),
        };
        let settings = Settings {
            command: &command,
            by_script: command != self.request.command,
            directory: &start.directory,
            variables: &self.request.variables,
            terminal: None,
            term: None,
            ignored: signals.ignored(),
            reaper: self.request.reaper,
        };
        match self.start(&mut receipt, settings, host, &gone, audit) {
            Ok((running, held, terminal)) => {
                let litter = !gone.is_empty();
                Ok(Attempt::Launched(Box::new(Launched {
                    running,
                    command,
                    start,
                    receipt,
                    held,
                    terminal,
                    signals,
                    litter,
                })))
            }
            Err(stopped) => {
                let left = self.abandon(receipt);
                match stopped {
                    Stopped::Lost(error) if left.is_empty() => Ok(Attempt::Lost(error.into())),
                    Stopped::Lost(error) => Err(Failure::from(error).besides(left)),
                    Stopped::Failed(failure) => Err(failure.besides(left)),
                }
            }
        }
    }

    /// Whoever has the name may just have been told to end, and takes some milliseconds to.
    fn wait_for_name(&self, name: &ContainerName) -> Result<(), Failure> {
        const TICK: Duration = Duration::from_millis(5);
        for _ in 0..40 {
            match self.ledger.check_name(name) {
                Err(error) if error.is_conflict() => thread::sleep(TICK),
                other => return Ok(other?),
            }
        }
        Ok(self.ledger.check_name(name)?)
    }

    /// What others hold, after what killed launchers have left is removed.
    fn standing(&self) -> Result<Standing, Failure> {
        let standing = self.ledger.standing()?;
        if standing.dead.is_empty() {
            return Ok(standing);
        }
        let lock = self.ledger.lock()?;
        collect::dead_at_once(&self.ledger, &lock)?;
        Ok(self.ledger.standing()?)
    }

    fn facts(
        &self,
        host: &mut Socket,
        claim: &Claim,
        gone: &[Record],
        taken: Taken,
    ) -> Result<Facts, Failure> {
        let gone: Vec<_> = gone.iter().flat_map(|record| record.macs.iter().copied()).collect();
        let host = facts::gather(host, &gone)?;
        Ok(decide::facts(host, self.request, claim.instance(), taken, self.rootless))
    }

    /// Writes down what is about to be, if nobody else has reserved any of it.
    fn commit(&self, claim: Claim, permit: Permit) -> Result<Result<Receipt, Failure>, Failure> {
        let own_ids = permit.plan().namespaces(ContainerId::FIRST).contains(Namespace::User);
        let has_one_id = self.rootless || (own_ids && !identity::has_ranges());
        let origin = Origin { name: self.request.name.clone(), host_is_private: self.rootless, has_one_id };
        let lock = self.ledger.lock()?;
        match self.ledger.commit(&lock, claim, permit, origin) {
            Ok(receipt) => Ok(Ok(receipt)),
            Err(error) if error.is_conflict() => Ok(Err(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    /// Clone, network, gate. Whatever fails on the way, the child ends without having run anything.
    fn start(
        &self,
        receipt: &mut Receipt,
        settings: Settings<'_>,
        host: &mut Socket,
        gone: &[Record],
        audit: &mut Audit,
    ) -> Result<(Running, Held, Option<Terminal>), Stopped> {
        let terminal = Terminal::for_operator()?;
        let term = std::env::var("TERM").ok().filter(|_| terminal.is_some());
        let settings = Settings { terminal: terminal.as_ref(), term: term.as_deref(), ..settings };
        let waiting = container::clone(receipt, &settings)?;
        if let (Some(terminal), true) =
            (&terminal, receipt.plan().namespaces(ContainerId::FIRST).contains(Namespace::User))
        {
            terminal.give_to(identity::host_root(receipt.record()))?;
        }
        let held = self.connect(receipt, &waiting, host, gone)?;
        tell_firewalls(receipt.record(), &held, audit).map_err(Stopped::Failed)?;
        Ok((waiting.open_gate()?, held, terminal))
    }

    /// The names of links that the kernel is still removing are taken from them first.
    fn connect(
        &self,
        receipt: &mut Receipt,
        waiting: &Waiting,
        host: &mut Socket,
        gone: &[Record],
    ) -> Result<Held, Stopped> {
        let Some(network) = waiting.network() else { return Ok(Held::default()) };
        if let Some(error) = link::clear_dying(gone).into_iter().next() {
            return Err(error.into());
        }
        let lock = self.ledger.lock().map_err(|error| Stopped::Failed(error.into()))?;
        let id = receipt.record().id.clone();
        let others = || match self.ledger.standing() {
            Ok(standing) => Ok(standing.others(&id)),
            Err(error) => {
                Err(nshost_kernel::Error::new("look at", "other containers", std::io::Error::other(error)))
            }
        };
        Ok(network::set_up(receipt, &lock, &others, host, network)?)
    }

    /// Whatever fails from here on, the container is waited for and undone first.
    fn until_ended(&self, launched: Launched, audit: &mut Audit) -> Ended {
        let Launched { running, command, start, receipt, held, terminal, mut signals, litter } = launched;
        let noted = audit.event("started", || {
            let variables = self.request.variables.iter().map(Variable::name).collect::<Vec<_>>();
            let id = &receipt.record().id;
            json!({ "pid": running.pid(), "id": id, "directory": start.directory, "variables": variables })
        });
        let tidied = if litter { collect::forget_vanished(&self.ledger) } else { Ok(()) };
        let end = supervise::until_end(&running, &mut signals, terminal);
        let Undone { gone, tables, left } = self.undo(receipt, held);
        let mut besides: Vec<Failure> = noted.err().into_iter().chain(tidied.err()).chain(left).collect();
        let interrupted = matches!(end, Ok(End::Killed(Signal::SIGINT)));
        let not_started = matches!(end, Ok(End::NotStarted(_)));
        let outcome = match end {
            Ok(End::Status(status)) => Ok(status),
            Ok(End::Killed(signal)) => Ok(128 + signal as u8),
            Ok(End::NotStarted(not_started)) => Err(of_command(not_started, &command, &start)),
            Err(error) => Err(error.into()),
        };
        besides.extend(
            match &outcome {
                Ok(status) => audit.event("ended", || json!({ "status": status })),
                Err(failure) if not_started => {
                    audit.event("not-started", || json!({ "reason": failure.message }))
                }
                // How it ended is not known.
                Err(_) => Ok(()),
            }
            .err(),
        );
        let mounts = running.into_mounts();
        Ended {
            outcome,
            besides,
            leftovers: Leftovers { mounts, gone, tables, interrupted, signals: Some(signals) },
        }
    }

    /// Undoes a launch that failed: nobody waits for a prompt, so nothing is left to anybody. Returns what
    /// could not be undone.
    fn abandon(&self, receipt: Receipt) -> Vec<Failure> {
        let taken_down = || -> Result<_, Failure> {
            let lock = self.ledger.lock()?;
            Ok(network::take_down(receipt.record(), &lock, &self.others(receipt.record())?))
        };
        let left: Vec<Failure> = match taken_down() {
            Ok(errors) => errors.into_iter().map(left_behind).collect(),
            Err(failure) => vec![left_behind(failure)],
        };
        match left.is_empty() {
            true => receipt.finish().err().map(left_behind).into_iter().collect(),
            false => left,
        }
    }

    /// Removes everything outside the container. What the kernel removes by itself it is left to.
    fn undo(&self, receipt: Receipt, held: Held) -> Undone {
        let let_go = || -> Result<_, Failure> {
            let _lock = self.ledger.lock()?;
            // Who else there is matters to what all share: forwarding, and ways through other firewalls.
            let others = self.ledger.sharers(receipt.record())?;
            Ok(network::let_go(receipt.record(), &others, held))
        };
        let (tables, left) = match let_go() {
            Ok((tables, errors)) => (tables, errors.into_iter().map(left_behind).collect::<Vec<_>>()),
            Err(failure) => (None, vec![left_behind(failure)]),
        };
        if !left.is_empty() {
            // The entry stays, without an owner: the next command finds it and tries again.
            return Undone { gone: None, tables: None, left };
        }
        let done = match receipt.record().has_links() {
            false => receipt.finish().map(|()| None),
            true => receipt.let_go().map(Some),
        };
        match done {
            Ok(gone) => Undone { gone, tables, left },
            Err(error) => Undone { gone: None, tables, left: vec![left_behind(error)] },
        }
    }

    /// Everybody else of whom something may exist on this host, if that matters to this container; to be
    /// asked under the host's lock.
    fn others(&self, record: &Record) -> Result<Others, Failure> {
        match record.has_links() {
            true => Ok(self.ledger.standing()?.others(&record.id)),
            false => Ok(Others::default()),
        }
    }
}

/// What came of undoing a container that has ended.
struct Undone {
    /// Its entry, where the kernel still has something to do.
    gone: Option<Gone>,
    /// The right to the tables, for whoever comes next.
    tables: Option<Owner>,
    /// What could not be undone.
    left: Vec<Failure>,
}

enum Stopped {
    Lost(nshost_kernel::Error),
    Failed(Failure),
}

impl From<nshost_kernel::Error> for Stopped {
    fn from(error: nshost_kernel::Error) -> Self {
        if error.is_conflict() { Stopped::Lost(error) } else { Stopped::Failed(error.into()) }
    }
}

/// Before the command starts: else it would be deaf, and nobody knew why.
fn tell_firewalls(record: &Record, held: &Held, audit: &mut Audit) -> Result<(), Failure> {
    if held.refusing().is_empty() && record.passing.is_empty() {
        return Ok(());
    }
    held.refusing().iter().for_each(print::refusing);
    audit.event("firewall", || {
        let refusing = held.refusing().iter().map(|it| json!({ "what": it.what, "remedy": it.remedy }));
        let passing = record.passing.iter().map(|hold| json!({ "v6": hold.v6, "chain": hold.chain }));
        json!({ "refusing": refusing.collect::<Vec<_>>(), "passing": passing.collect::<Vec<_>>() })
    })
}

/// What was not undone, and who will.
fn left_behind(failure: impl Into<Failure>) -> Failure {
    let failure = failure.into();
    let also = "what is left is recorded: the next command tries again, and `nshost gc` tells";
    let hint = if failure.hint.is_empty() { also.to_string() } else { format!("{}\n{also}", failure.hint) };
    Failure { message: format!("not undone: {}", failure.message), hint, ..failure }
}

/// What the script chose, else what the operator typed.
fn command_of(plan: &Plan, facts: &Facts) -> Result<Vec<Argument>, Failure> {
    let command =
        plan.command(ContainerId::FIRST).map_or(facts.command.as_slice(), |command| command.arguments());
    if command.is_empty() {
        return Err(Failure::ours("no command: the script chose none, and none was typed after --")
            .hint("nshost run SCRIPT -- COMMAND"));
    }
    Ok(command.to_vec())
}

/// As a shell says it: 127 where the command is not there, 126 where it cannot be run.
fn of_command(not_started: container::NotStarted, command: &[Argument], start: &Start) -> Failure {
    let mut error = not_started.error;
    if not_started.stage == container::Stage::WorkingDirectory {
        error.subject = show::quote(&start.directory);
    }
    if not_started.stage != container::Stage::Exec {
        return error.into();
    }
    let missing = error.errno() == Some(nix::libc::ENOENT);
    let status = if missing { Status::NotFound } else { Status::CannotRun };
    let name = container::show_command(&command[..command.len().min(1)]);
    let meant = command.first().filter(|_| missing).and_then(|program| meant(program.as_str(), start));
    Failure::new(status, format!("cannot execute {name}: {}", failure::reason(&error.source)))
        .hint(meant.unwrap_or(error.hint))
}

/// Why a program is not there whose name leads to a file, if one begins where the operator is.
fn meant(program: &str, start: &Start) -> Option<String> {
    let Start { directory, because } = start;
    if program.starts_with('-') {
        return Some(
            "what comes after -- is the command; nshost's own options stand before the script".into(),
        );
    }
    let path = std::path::absolute(program).ok()?;
    let (there, path) = (path.is_file(), show::log_line(&path.to_string_lossy()));
    // A whole path stays as it is.
    let there_it_begins = program.contains('/') && Path::new(directory).join(program).is_file();
    if program.starts_with('/') || there_it_begins {
        return Some(match there_it_begins {
            true => "the file is there: what is missing is the interpreter in its first line, or its loader"
                .into(),
            false => "nothing is at this path: is it installed?".into(),
        });
    }
    let whole =
        if there { format!("write its whole path, {path}") } else { "write its whole path".to_string() };
    match program.contains('/') {
        true => Some(format!(
            "it is looked for in {}, where the command starts{}; {whole}",
            show::log_line(directory),
            because.as_ref().map_or(String::new(), |because| format!(" ({because})"))
        )),
        false => there.then(|| format!("a bare name is looked for in the usual directories only; {whole}")),
    }
}
