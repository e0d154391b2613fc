//! What the children do.

use std::{
    fs::{File, TryLockError},
    io::{Read, Write, stdin, stdout},
    path::Path,
};

use nshost_ledger::{Claim, Error, ForwardingHold, HostLock, Ledger, ProcessId, Receipt};

use crate::support::{Want, host};

/// Each a set of things that only one container can have.
pub const WANTS: [(&str, &str, &str, &str); 4] = [
    ("one", "veth1", "10.0.1.1/24", "10.0.1.2/24"),
    ("two", "veth2", "10.0.2.1/24", "10.0.2.2/24"),
    ("three", "veth3", "10.0.3.1/24", "10.0.3.2/24"),
    ("four", "veth4", "10.0.4.1/24", "10.0.4.2/24"),
];

pub fn want(number: usize) -> Want {
    let (name, link, at_host, in_container) = WANTS[number];
    Want {
        name: Some(name),
        links: vec![link],
        addresses: Some((at_host, in_container)),
        forward: Some((nshost_plan::Protocol::Tcp, None, 8000 + number as u16, 8000 + number as u16)),
    }
}

pub fn open(state: &str) -> Ledger {
    Ledger::open(Path::new(state), host("boot", 1)).unwrap()
}

pub fn main(arguments: &[String]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["claims", state, count] => claims(state, count.parse().unwrap()),
        ["churn", state, witness, rounds, seed] => {
            churn(&open(state), witness, rounds.parse().unwrap(), seed.parse().unwrap());
        }
        ["launch", state, number, end] => launch(state, number.parse().unwrap(), end),
        ["look", state] => {
            wait();
            open(state).standing().unwrap();
        }
        ["collect", state] => collect(state),
        _ => panic!("unknown child {arguments:?}"),
    }
}

/// One write, so that a kill comes before or after it.
fn mark(text: &str) {
    stdout().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Until the parent says something or goes.
fn wait() {
    mark("waiting");
    let _ = stdin().read(&mut [0]);
}

fn claims(state: &str, count: usize) {
    let ledger = open(state);
    wait();
    let claims: Vec<Claim> = (0..count).map(|_| ledger.claim().unwrap()).collect();
    claims.iter().for_each(|claim| mark(&claim.instance().to_string()));
    wait();
    drop(claims);
}

/// A whole launch with a mark before and after each thing that others can see.
fn launch(state: &str, number: usize, end: &str) {
    let want = want(number);
    let (permit, origin) = (want.permit(), want.origin());
    wait();
    let ledger = open(state);
    mark("opened");
    let claim = ledger.claim().unwrap();
    ledger.standing().unwrap();
    let lock = ledger.lock().unwrap();
    mark("committing");
    let Ok(receipt) = ledger.commit(&lock, claim, permit, origin) else {
        drop(lock);
        mark("refused");
        return;
    };
    mark("committed");
    run(receipt, lock, end);
}

fn run(mut receipt: Receipt, lock: HostLock, end: &str) {
    if end != "at once" {
        let link = "eth0".to_string().try_into().unwrap();
        receipt.holds(&lock, vec![ForwardingHold { link, v6: false, was_on: true }]).unwrap();
        mark("held");
        receipt.started(ProcessId { pid: 1, birth: 2 }).unwrap();
        mark("started");
    }
    drop(lock);
    mark("ending");
    if end == "let go" { receipt.let_go().map(drop) } else { receipt.finish() }.unwrap();
    mark("ended");
}

fn collect(state: &str) {
    wait();
    let ledger = open(state);
    let lock = ledger.lock().unwrap();
    let mut collection = ledger.collect(&lock).unwrap();
    while let Some(dead) = collection.dead.pop().or_else(|| collection.gone.pop()) {
        let id = dead.record().id.clone();
        mark(&format!("forgetting {id}"));
        dead.forget().unwrap();
        mark(&format!("forgot {id}"));
    }
}

/// The right to be the only one, by a lock that the ledger knows nothing of.
fn witness(directory: &str, thing: &str) -> File {
    let file = File::options().create(true).append(true).open(Path::new(directory).join(thing)).unwrap();
    match file.try_lock() {
        Ok(()) => file,
        Err(TryLockError::WouldBlock) => panic!("two have {thing}"),
        Err(TryLockError::Error(error)) => panic!("{error}"),
    }
}

/// Launches again and again, whatever is free; each thing it gets is witnessed.
fn churn(ledger: &Ledger, directory: &str, rounds: usize, mut seed: u64) {
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut got = 0;
    for _ in 0..rounds {
        let number = random(WANTS.len() as u64) as usize;
        let claim = ledger.claim().unwrap();
        let instance = format!("instance {}", claim.instance());
        drop(witness(directory, &instance));
        if random(2) == 0 {
            let standing = ledger.standing().unwrap();
            if !standing.dead.is_empty() || standing.gone.len() > 8 {
                collect_all(ledger);
            }
        }
        let want = want(number);
        let lock = ledger.lock().unwrap();
        let receipt = match ledger.commit(&lock, claim, want.permit(), want.origin()) {
            Ok(receipt) => receipt,
            Err(Error::Taken { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        drop(lock);
        got += 1;
        let witnesses = [witness(directory, WANTS[number].0), witness(directory, &instance)];
        std::thread::yield_now();
        drop(witnesses);
        if random(2) == 0 { receipt.let_go().map(drop) } else { receipt.finish() }.unwrap();
    }
    collect_all(ledger);
    mark(&format!("got {got}"));
}

fn collect_all(ledger: &Ledger) {
    let lock = ledger.lock().unwrap();
    let collection = ledger.collect(&lock).unwrap();
    assert!(collection.unreadable.is_empty(), "{:?}", collection.unreadable);
    collection.dead.into_iter().chain(collection.gone).for_each(|dead| dead.forget().unwrap());
}
