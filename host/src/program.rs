//! A script's bare program name becomes the file that it means, before anybody judges it: so what is shown,
//! granted, and executed is one thing.

use std::os::unix::fs::PermissionsExt;

use nshost_plan::{Argument, Command, Facts, Inside, Plan, Step};

/// The plan with the path of its command in place of a bare name, if there is a file of that name in the
/// usual directories, whatever `PATH` the script sets. What the operator typed stays as it is.
pub fn found(plan: Plan, facts: &Facts) -> Plan {
    let bare = |command: &Command| {
        !command.program().contains('/') && command.arguments() != facts.command.as_slice()
    };
    if !plan.containers().any(|container| plan.command(container).is_some_and(bare)) {
        return plan;
    }
    let mut steps = Vec::<Step>::from(plan.clone());
    for step in &mut steps {
        match step {
            Step::Inside(_, Inside::Command(command)) if bare(command) => {
                if let Some(there) = at_its_path(command) {
                    *command = there;
                }
            }
            Step::Inside(..) | Step::Around(_) => {}
        }
    }
    Plan::try_from(steps).unwrap_or(plan)
}

fn at_its_path(command: &Command) -> Option<Command> {
    let mut paths = Command::PATH.split(':').map(|directory| format!("{directory}/{}", command.program()));
    let path = paths.find(|path| {
        std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })?;
    let rest = command.arguments().iter().skip(1).cloned();
    let words: Vec<Argument> = Argument::try_from(path).into_iter().chain(rest).collect();
    Command::try_from(words).ok()
}
