//! Processes that want the same at the same time.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::Child,
    thread::sleep,
    time::Duration,
};

use crate::{
    child, start,
    support::{self, Scratch, ledger},
};

pub fn claims_at_the_same_time_differ() {
    const CHILDREN: usize = 8;
    const EACH: usize = 50;
    let scratch = Scratch::new();
    let state = scratch.state().display().to_string();
    ledger(&scratch);
    let mut children: Vec<Child> =
        (0..CHILDREN).map(|_| start(&["claims", &state, &EACH.to_string()])).collect();
    children.iter_mut().for_each(|child| child.stdin.as_mut().unwrap().write_all(b"x").unwrap());
    let mut numbers: Vec<Vec<u16>> = children.iter_mut().map(claimed).collect();

    let mut all = numbers.concat();
    all.sort_unstable();
    assert_eq!(all, (0..(CHILDREN * EACH) as u16).collect::<Vec<_>>());

    // A look does not disturb the living; the killed are swept by it, and their numbers come again.
    ledger(&scratch).standing().unwrap();
    assert_eq!(scratch.entries().len(), CHILDREN * EACH);
    children[3].kill().unwrap();
    children[3].wait().unwrap();
    ledger(&scratch).standing().unwrap();
    assert_eq!(scratch.entries().len(), (CHILDREN - 1) * EACH);
    numbers[3].sort_unstable();
    assert_eq!(ledger(&scratch).claim().unwrap().instance(), numbers[3][0]);

    for mut child in children {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    assert!(scratch.entries().is_empty());
}

fn claimed(child: &mut Child) -> Vec<u16> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.skip(1).take_while(|line| line != "waiting").map(|line| line.parse().unwrap()).collect()
}

pub fn nobody_gets_what_another_has() {
    let scratch = Scratch::new();
    let children = churn(&scratch, 6, 150);
    let got: usize = children.into_iter().map(|child| done(child).expect("a child failed")).sum();
    assert!(got >= 150, "only {got} launches");
    assert!(scratch.entries().is_empty(), "{:?}", scratch.entries());
}

pub fn while_some_are_killed() {
    let scratch = Scratch::new();
    let mut killed = 0;
    for round in 0..40 {
        let mut children = churn(&scratch, 4, 60);
        for child in children.iter_mut().skip(1) {
            sleep(Duration::from_micros(500 + 700 * (round % 11)));
            child.kill().unwrap();
        }
        for (index, child) in children.into_iter().enumerate() {
            let got = done(child);
            assert!(index != 0 || got.is_some(), "the one that was spared failed");
            killed += usize::from(got.is_none());
        }
        let standing = ledger(&scratch).standing().unwrap();
        assert!(standing.living.is_empty() && standing.unreadable.is_empty(), "{standing:?}");
    }
    assert!(killed > 40, "only {killed} were killed in time");
    // Whatever was left can be collected, and then nothing is left.
    let ledger = child::open(&scratch.state().display().to_string());
    let lock = ledger.lock().unwrap();
    let collection = ledger.collect(&lock).unwrap();
    collection.dead.into_iter().chain(collection.gone).for_each(|dead| dead.forget().unwrap());
    assert!(scratch.entries().is_empty(), "{:?}", scratch.entries());
    assert_eq!(support::names(&scratch.state()), ["containers", "lock"]);
}

fn churn(scratch: &Scratch, children: u64, rounds: u32) -> Vec<Child> {
    let witness = scratch.path().join("witness");
    fs::create_dir_all(&witness).unwrap();
    let (state, witness) = (scratch.state().display().to_string(), witness.display().to_string());
    let arguments = |seed: u64| [rounds.to_string(), (seed * 7919 + 1).to_string()];
    (1..=children)
        .map(|seed| {
            let [rounds, seed] = arguments(seed);
            start(&["churn", &state, &witness, &rounds, &seed])
        })
        .collect()
}

/// How many launches it made; none if it was killed. A child that failed fails the test.
fn done(mut child: Child) -> Option<usize> {
    drop(child.stdin.take());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success() || status.code().is_none(), "a child failed: {status}");
    status.success().then(|| text.trim().strip_prefix("got ").unwrap().parse().unwrap())
}
