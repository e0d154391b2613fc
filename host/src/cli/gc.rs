//! `nshost gc`

use std::fmt::Write;

use nshost_kernel::{
    Socket,
    network::{self, host},
};
use nshost_ledger::Directory;
use serde_json::json;

use crate::{
    cache::Cache,
    collect::{self, Collected},
    failure::Failure,
    print,
};

/// Arguments of `nshost gc`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nshost gc")]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Removes what is left of containers whose launcher is gone, and waits until the kernel has done it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let here = host::current(&Socket::route()?)?;
    let host = here.network;
    let ledger = Directory::usual()?.ledger(here);
    let lock = ledger.lock()?;
    let mut collection = ledger.collect(&lock)?;
    let mut collected: Vec<Collected> = collection.swept.drain(..).map(Collected::swept).collect();
    collected.extend(collect::dead(&mut collection, &lock)?);
    let vanished = collect::gone(&mut collection, &lock)?;
    collected.extend(vanished.into_iter().filter(|entry| !entry.errors.is_empty()));
    let elsewhere = collect::elsewhere(&mut collection).err();
    // Those that a killed child of the last launcher had to take away.
    let sweep = || network::sweep_tables(None, &lock, host, &collection.others());
    let tables = nix::unistd::geteuid().is_root().then(sweep).and_then(Result::err).map(Failure::from);
    let pruned = Cache::open().prune();
    let failed = collected.iter().filter(|entry| !entry.errors.is_empty()).count();
    let running = collection.living.len() + collection.living_elsewhere;
    let told = match arguments.json {
        true => print::result(&as_json(&collected, &collection.unreadable, pruned, running)),
        false => print::result(&as_lines(&collected, &collection.unreadable, pruned, running)),
    };
    let left = (failed > 0).then(|| {
        Failure::ours(format!("{failed} containers could not be removed completely"))
            .hint("what is left is recorded; mend the cause and run `nshost gc` again")
    });
    Failure::all(left.into_iter().chain(elsewhere).chain(tables).chain(told.err()))?;
    Ok(0)
}

fn as_lines(
    collected: &[Collected],
    unreadable: &[(String, String)],
    pruned: usize,
    running: usize,
) -> String {
    let mut text = String::new();
    for entry in collected {
        let name = entry.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        let state = if entry.errors.is_empty() { "removed" } else { "not removed completely" };
        let _ = writeln!(text, "{state}: container {}{name}", entry.id);
        for error in &entry.errors {
            let _ = writeln!(text, "  {error}");
        }
    }
    for (file, reason) in unreadable {
        let _ = writeln!(text, "not understood, left alone: {file}: {reason}");
    }
    let _ =
        writeln!(text, "{} removed, {running} running, {pruned} old cache files removed", collected.len());
    text
}

fn as_json(
    collected: &[Collected],
    unreadable: &[(String, String)],
    pruned: usize,
    running: usize,
) -> String {
    let entries: Vec<_> = collected
        .iter()
        .map(|entry| {
            let errors: Vec<String> = entry.errors.iter().map(ToString::to_string).collect();
            json!({ "id": entry.id, "name": entry.name, "errors": errors })
        })
        .collect();
    let value = json!({
        "schema": 1,
        "collected": entries,
        "unreadable": unreadable,
        "cache-files-removed": pruned,
        "running": running,
    });
    format!("{value:#}\n")
}
