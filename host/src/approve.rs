//! The question to an operator at a terminal: the plan, what it lacks, and one answer.

use std::io::{BufRead, IsTerminal};

use nshost_plan::{Plan, Topology, show};

use crate::print::{self, Ink};

/// Shows the plan and what it lacks, and asks once. Anything but `y` or `yes` is a no; so is the
/// lack of a terminal.
pub fn ask(plan: &Plan, rootless: bool, message: &str, script: &str) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    print::line(&print::inked(Ink::Bold, &format!("The plan of {script}:")));
    print::line(show::plan(plan).trim_end());
    let topology = Topology::of(plan).text(print::columns(std::io::stderr()));
    if !topology.is_empty() {
        print::line(topology.trim_end());
    }
    let power = print::power(plan, rootless);
    if !power.is_empty() {
        print::line(&print::inked(Ink::Bold, power.trim_end()));
    }
    print::line(&format!("\n{message}\n"));
    let _ = std::io::Write::write_all(&mut std::io::stderr(), b"Allow all of this, this once? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}
