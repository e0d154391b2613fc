//! `nshost gc`

use nshost_kernel::host;
use nshost_ledger::Ledger;
use serde_json::json;

use crate::{
    cache::Cache,
    collect::{self, Collected},
    failure::Failure,
    print,
};

/// Arguments of `nshost gc`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Removes what is left of containers whose launcher is gone, and waits until the kernel has done it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let ledger = Ledger::open(&nshost_ledger::default_directory(), host::current()?)?;
    let lock = ledger.lock()?;
    let mut collection = ledger.collect(&lock)?;
    let mut collected = collect::dead(&mut collection)?;
    let vanished = collect::gone(&mut collection)?;
    collected.extend(vanished.into_iter().filter(|entry| !entry.errors.is_empty()));
    collect::elsewhere(&mut collection)?;
    let pruned = Cache::open().prune();
    let failed = collected.iter().filter(|entry| !entry.errors.is_empty()).count();
    if arguments.json {
        print_json(&collected, &collection.unreadable, pruned);
    } else {
        print_lines(&collected, &collection.unreadable, pruned, collection.living.len());
    }
    match failed {
        0 => Ok(0),
        _ => Err(Failure::ours(format!("{failed} containers could not be removed completely"))
            .hint("what is left is recorded; mend the cause and run `nshost gc` again")),
    }
}

fn print_lines(collected: &[Collected], unreadable: &[(String, String)], pruned: usize, living: usize) {
    for entry in collected {
        let name = entry.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        let state = if entry.errors.is_empty() { "removed" } else { "not removed completely" };
        print::line(&format!("{state}: container {}{name}", entry.id));
        for error in &entry.errors {
            print::line(&format!("  {error}"));
        }
    }
    for (file, reason) in unreadable {
        print::line(&format!("not understood, left alone: {file}: {reason}"));
    }
    print::line(&format!("{} removed, {living} running, {pruned} old cache files removed", collected.len()));
}

fn print_json(collected: &[Collected], unreadable: &[(String, String)], pruned: usize) {
    let entries: Vec<_> = collected
        .iter()
        .map(|entry| {
            let errors: Vec<String> = entry.errors.iter().map(ToString::to_string).collect();
            json!({ "id": entry.id, "name": entry.name, "errors": errors })
        })
        .collect();
    let value =
        json!({ "schema": 1, "collected": entries, "unreadable": unreadable, "cache-files-removed": pruned });
    println!("{value:#}");
}
