//! `cargo xtask bench packets`: what a packet's way through our tables costs, on hosts with 1, 100 and 1,000
//! containers, on one without a table, and on some that tell where the cost comes from.
//!
//! All hosts of a comparison are there at once, with their real containers, and take turns; what is on them goes
//! with them, however this process ends. A round trip is one thread's: it has sockets in both network namespaces, and
//! what it sends has arrived when it asks for it. So no process is woken, which would take longer, and less evenly,
//! than all that is compared. Each packet's bytes and source are looked at: a way that is not the one that was meant
//! is an error instead of a number.

mod crowd;
mod place;
mod wire;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

use crate::median;
use place::{Kind, Layer, Place};
use wire::{Way, Wire};

pub use crowd::{WORD as CROWD, run as crowd};

/// How many containers a host has.
const CROWDS: [u16; 3] = [1, 100, 1000];

/// Measures, and prints tables.
pub fn measure(rounds: usize) -> Result<()> {
    if rounds == 0 {
        bail!("at least one round");
    }
    if !support::is_root() {
        bail!("this makes network namespaces, which takes root");
    }
    guarded(rounds)?;
    translated(rounds)
}

/// Containers with a link and no NAT: `inet nshost` alone.
fn guarded(rounds: usize) -> Result<()> {
    let crowds = crowds(Kind::Link)?;
    let tables = crowds[0].tables()?;
    let mut places = vec![Place::bare("no table")?];
    places.push(Place::bare("chains without rules")?.with(Layer::Hooks, &tables)?);
    places.push(Place::bare("and the look at the group")?.with(Layer::Groups, &tables)?);
    places.push(Place::bare("the same, without a mask")?.with(Layer::GroupsUnmasked, &tables)?);
    places.extend(crowds);
    println!("Containers with a link: `inet nshost`");
    compare("between the host and a container", &places, Way::ToContainer, rounds)?;
    compare("of the host's own, to and from outside", &places, Way::Own, rounds)?;
    launched(&places);
    Ok(())
}

/// Containers with a way out and a way in: `inet nshost-nat` too.
fn translated(rounds: usize) -> Result<()> {
    let mut places = vec![Place::bare("no table, routed")?];
    places.push(Place::bare("no table, one NAT rule each way")?.with_rules_by_hand()?);
    places.extend(crowds(Kind::Nat)?);
    println!("Containers with NAT: `inet nshost` and `inet nshost-nat`");
    compare("from a container, masqueraded", &places, Way::Out, rounds)?;
    compare("the same, each the first of its flow", &places, Way::OutAnew, rounds)?;
    compare("to a container, by its forward", &places, Way::In, rounds)?;
    compare("the same, each the first of its flow", &places, Way::InAnew, rounds)?;
    compare("of the host's own, to and from outside", &places, Way::Own, rounds)?;
    launched(&places);
    Ok(())
}

fn crowds(kind: Kind) -> Result<Vec<Place>> {
    CROWDS.into_iter().map(|count| Place::crowded(kind, count)).collect()
}

/// One way on all hosts, in turn; each round begins with another one.
fn compare(what: &str, places: &[Place], way: Way, rounds: usize) -> Result<()> {
    let home = Pinned::here()?;
    let mut contenders = Vec::new();
    for place in places {
        let wire = Wire::open(place, way).with_context(|| format!("{what}: {}", place.name))?;
        contenders.push((place, wire, Vec::with_capacity(rounds)));
    }
    for round in 0..rounds {
        let first = round % contenders.len();
        contenders.rotate_left(first);
        for (place, wire, times) in &mut contenders {
            times.push(wire.batch().with_context(|| format!("{what}: {}", place.name))?);
        }
        contenders.rotate_right(first);
    }
    drop(home);
    let mut rows: Vec<_> = contenders.into_iter().map(|(place, _, times)| (place, times)).collect();
    let bare = median(&mut rows[0].1);
    let one = rows.iter_mut().find(|(place, _)| place.containers == 1).map(|(_, times)| median(times));
    println!(
        "\n{:<42} {:>9} {:>9} {:>10} {:>13}",
        format!("  {what}"),
        "median",
        "fastest",
        "÷ no table",
        "÷ 1 container"
    );
    for (place, times) in &mut rows {
        let middle = median(times);
        let to = |base: Duration| format!("{:.3}", middle.as_secs_f64() / base.as_secs_f64());
        let to_one = one.filter(|_| place.containers > 0).map_or_else(String::new, to);
        let (name, fastest) = (&place.name, micros(times[0]));
        println!("  {name:<40} {:>9} {fastest:>9} {:>10} {to_one:>13}", micros(middle), to(bare));
    }
    Ok(())
}

/// What the launch of one more container takes there.
fn launched(places: &[Place]) {
    println!("\n  one more container, plan remembered: from start to exit status");
    for place in places {
        if let Some(took) = place.launch {
            println!("  {:<40} {:>6.2} ms", place.name, took.as_secs_f64() * 1e3);
        }
    }
    println!();
}

fn micros(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}

/// This thread, and those that it starts, on the processor where it is, for as long as this lives: a packet is
/// received on the one that sent it.
struct Pinned(CpuSet);

impl Pinned {
    fn here() -> Result<Pinned> {
        let before = nix::sched::sched_getaffinity(Pid::from_raw(0))?;
        let mut here = CpuSet::new();
        here.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &here)?;
        Ok(Pinned(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}
