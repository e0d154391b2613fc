//! A kill at every system call.

use std::fs;

use nshost_ledger::{Ledger, Receipt, Record};

use crate::{
    child::want,
    support::{Scratch, commit, ledger},
    tracer::Traced,
};

/// A child is started again and again by `make`, and killed one stop later each time, until it gets to its
/// end. `check` is told its marks.
fn sweep<S>(make: impl Fn() -> (S, Vec<String>), check: impl Fn(S, &[String])) {
    for stops in 0.. {
        let (scene, arguments) = make();
        let mut child = Traced::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let runs = (0..stops).all(|_| child.step());
        check(scene, &child.kill());
        if !runs {
            assert!(stops > 40, "only {stops} stops: the child did not do its work");
            return;
        }
    }
}

/// A directory in which a container lives as number 0.
struct Scene {
    scratch: Scratch,
    ledger: Ledger,
    neighbour: Receipt,
}

impl Scene {
    fn new() -> Scene {
        let scratch = Scratch::new();
        let ledger = ledger(&scratch);
        let neighbour = commit(&ledger, &want(0)).unwrap();
        Scene { scratch, ledger, neighbour }
    }

    fn state(&self) -> String {
        self.scratch.state().display().to_string()
    }

    /// What is dead and gone; all else must be as if the child had never been.
    fn left(&self) -> (Vec<Record>, Vec<Record>) {
        let standing = self.ledger.standing().unwrap();
        assert_eq!(standing.living, [self.neighbour.record().clone()]);
        assert!(standing.unreadable.is_empty() && standing.elsewhere.is_empty(), "{standing:?}");
        let entries = 1 + standing.dead.len() + standing.gone.len();
        assert_eq!(self.scratch.entries().len(), entries, "litter stayed");
        (standing.dead, standing.gone)
    }

    /// The next one can collect everything, and go the whole way itself.
    fn recovers(&self) {
        let lock = self.ledger.lock().unwrap();
        let collection = self.ledger.collect(&lock).unwrap();
        collection.dead.into_iter().chain(collection.gone).for_each(|dead| dead.forget().unwrap());
        assert_eq!(self.scratch.entries().len(), 1);
        drop(lock);
        let next = commit(&self.ledger, &want(1)).unwrap();
        assert_eq!(next.record().instance, 1);
        next.finish().unwrap();
    }
}

pub fn launch() {
    for end in ["let go", "finish"] {
        let make = || {
            let scene = Scene::new();
            let arguments = ["launch", &scene.state(), "1", end].map(str::to_string).to_vec();
            (scene, arguments)
        };
        sweep(make, |scene, marks| {
            launch_is_known(&scene, marks, end);
            scene.recovers();
        });
    }
}

fn launch_is_known(scene: &Scene, marks: &[String], end: &str) {
    let passed = |mark: &str| marks.iter().any(|other| other == mark);
    let (dead, gone) = scene.left();
    if !passed("committing") {
        assert!(dead.is_empty() && gone.is_empty());
    }
    if passed("committed") && !passed("ending") {
        assert_eq!((dead.len(), gone.len()), (1, 0), "the record is lost");
    }
    if passed("ended") {
        assert_eq!((dead.len(), gone.len()), (0, usize::from(end == "let go")));
    }
    assert!(dead.len() + gone.len() <= 1);
    for record in dead.iter().chain(&gone) {
        assert_eq!((record.instance, &record.plan), (1, &want(1).plan()));
        assert_eq!(record.macs.len(), 1);
        assert!(!passed("held") || record.forwarding.len() == 1);
        assert!(!passed("started") || record.process.is_some());
    }
}

pub fn collision() {
    let make = || {
        let scene = Scene::new();
        let arguments = ["launch", &scene.state(), "0", "finish"].map(str::to_string).to_vec();
        (scene, arguments)
    };
    sweep(make, |scene, marks| {
        assert!(!marks.contains(&"committed".to_string()));
        assert_eq!(scene.left(), (Vec::new(), Vec::new()));
        scene.recovers();
    });
}

pub fn collection() {
    let make = || {
        let scene = Scene::new();
        let dead = [want(1), want(2)].map(|want| commit(&scene.ledger, &want).unwrap());
        let gone = commit(&scene.ledger, &want(3)).unwrap();
        drop(gone.let_go().unwrap());
        drop(dead);
        let litter = format!("0100-{:032x}", 1);
        fs::write(scene.scratch.state().join("containers").join(litter), "nsho").unwrap();
        let ids: Vec<String> = scene.scratch.entries().iter().map(|name| name[5..].to_string()).collect();
        let arguments = ["collect".to_string(), scene.state()].to_vec();
        ((scene, ids), arguments)
    };
    sweep(make, |(scene, ids), marks| {
        let (dead, gone) = scene.left();
        let left = |id: &String| dead.iter().chain(&gone).any(|record| record.id == *id);
        for id in &ids[1..4] {
            let passed = |what: &str| marks.contains(&format!("{what} {id}"));
            assert!(passed("forgetting") || left(id), "lost");
            assert!(!passed("forgot") || !left(id), "still there");
        }
        scene.recovers();
    });
}

/// A look meets an entry that its maker has not locked yet, and comes to sweep it when that has happened.
pub fn half_made() {
    let scratch = Scratch::new();
    let state = scratch.state().display().to_string();
    ledger(&scratch);
    let mut maker = Traced::start(&["claims", &state, "1"]);
    while scratch.entries().is_empty() {
        assert!(maker.step());
    }
    let mut looker = Traced::start(&["look", &state]);
    while !looker.has_open("lock") {
        assert!(looker.step(), "the half made entry was not seen as litter");
    }
    while maker.has_open("lock") {
        assert!(maker.step());
    }
    while looker.step() {}
    assert_eq!(scratch.entries().len(), 1, "a claim of a living process was swept");
    maker.kill();
    ledger(&scratch).standing().unwrap();
    assert!(scratch.entries().is_empty());
}

/// System calls of claim, look, lock, commit and end, for a first and each further neighbour.
pub fn cost() {
    let count = |neighbours: usize| {
        let scene = Scene::new();
        let others: Vec<Receipt> =
            (1..neighbours).map(|_| commit(&scene.ledger, &Default::default()).unwrap()).collect();
        let mut child = Traced::start(&["launch", &scene.state(), "1", "at once"]);
        let mut stops = 0;
        while child.step() {
            stops += 1;
        }
        assert_eq!(child.kill().last().unwrap(), "ended");
        drop(others);
        stops / 2
    };
    let (one, many) = (count(1), count(101));
    // Marks, start and end of the process included, and in debug builds a check of each descriptor
    // that is closed. An entry is opened, asked for its owner, read and closed: once, by look or commit.
    println!("system calls: {one} with one neighbour, {many} with 101");
    assert!(one <= 80, "{one} system calls");
    assert!(many - one <= 100 * 6, "{many} system calls with 101 neighbours, {one} with one");
}
