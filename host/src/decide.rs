//! From a script and facts to a permit: evaluate, check, and ask the operator where there is one.

use nshost_kernel::probe::facts::HostFacts;
use nshost_plan::{FactKind, Facts, FactsRead, Plan, Taken, show};
use nshost_policy::{
    self as policy, Checked, Grants, Permit, Refusal, RefusalKind,
    wire::{Failure as Answered, ScriptError},
};
use serde_json::json;

use crate::{
    answered::{self, WhoHas},
    approve,
    audit::Audit,
    cache::Cache,
    evaluate::{self, Evaluated, Manner},
    failure::{self, Failure, Status},
    module::{Module, hex, plan_digest},
    print, program,
    request::Request,
    worker::Ending,
};

/// Everything that an evaluation depends on.
pub fn facts(host: HostFacts, request: &Request, instance: u16, taken: Taken, rootless: bool) -> Facts {
    Facts {
        command: request.command.clone(),
        arguments: request.arguments.clone(),
        instance,
        links: host.links,
        addresses: host.addresses,
        routes: host.routes,
        default_routes: host.default_routes,
        trusted: host.trusted,
        name_servers: host.name_servers,
        kernel: host.kernel,
        rootless,
        taken,
    }
}

/// A plan with what policy says of it.
pub struct Opinion {
    /// The plan.
    pub plan: Plan,
    /// What it lacks; empty if all is granted.
    pub refusals: Vec<Refusal>,
    /// What the script said.
    pub log: Vec<policy::wire::LogLine>,
    /// What it looked at.
    pub read: FactsRead,
}

/// A permit for the script's plan, or why there is none. There is no other way to one, so that every launch
/// has its `permitted` in the audit. With it the script's process, which need not be waited for before
/// the container is there.
pub fn permit(
    request: &Request,
    cache: &Cache,
    facts: &Facts,
    audit: &mut Audit,
    who_has: WhoHas<'_>,
) -> Result<(Permit, Option<Ending>), Failure> {
    let mut ending = None;
    let permit = judge(request, cache, facts, audit, who_has, &mut ending)?;
    audit.event("permitted", || json!({ "plan": plan_digest(permit.plan()) }))?;
    Ok((permit, ending))
}

fn judge(
    request: &Request,
    cache: &Cache,
    facts: &Facts,
    audit: &mut Audit,
    who_has: WhoHas<'_>,
    last: &mut Option<Ending>,
) -> Result<Permit, Failure> {
    bound_to(&request.grants, &request.module)?;
    let mut judged = |manner| -> Result<_, Failure> {
        let Evaluated { outcome, log, read, remembered, ending } =
            under_grants(request, cache, facts, manner)?;
        *last = ending;
        if outcome.is_ok() {
            heard(facts, read)?;
        }
        let check = |plan| policy::check(program::found(plan, facts), &request.grants, facts);
        Ok((outcome.map(check), log, read, remembered))
    };
    let (mut judgement, mut log, mut read, remembered) = judged(request.manner)?;
    // The script may know a way around what has come in the way since it was asked.
    if remembered && judgement.as_ref().is_ok_and(does_not_fit) {
        (judgement, log, read, _) = judged(Manner { afresh: true, ..request.manner })?;
    }
    let checked = match judgement {
        Ok(checked) => checked,
        Err(Answered::Script { why: ScriptError::Denied { .. }, .. }) => {
            return without_grants(request, cache, facts, audit, who_has);
        }
        Err(failure) => {
            print::log(&log);
            return Err(answered::of_script_on(
                failure,
                &request.module.name(),
                who_has,
                on_private(facts, read),
            ));
        }
    };
    print::log(&log);
    audit.verdicts(&checked.verdicts)?;
    match checked.outcome {
        Ok(permit) => Ok(permit),
        Err(refused) => refuse(request, facts, refused.plan, &refused.refusals, audit, who_has),
    }
}

fn under_grants(
    request: &Request,
    cache: &Cache,
    facts: &Facts,
    manner: Manner,
) -> Result<Evaluated, Failure> {
    let grants = &request.grants;
    evaluate::evaluate(cache, &request.module, grants, grants.limits(), facts, manner)
}

/// Whether it is the host, and not the operator's word, that stands against the plan.
fn does_not_fit(checked: &Checked) -> bool {
    let refusals = checked.outcome.as_ref().err().map(|refused| &refused.refusals);
    refusals.into_iter().flatten().any(|refusal| !refusal.kind.is_denial())
}

/// The script gave up at a denial. What it would ask for with every grant tells all that is missing
/// at once; it is a pure function, so asking again costs nothing and does nothing.
fn without_grants(
    request: &Request,
    cache: &Cache,
    facts: &Facts,
    audit: &mut Audit,
    who_has: WhoHas<'_>,
) -> Result<Permit, Failure> {
    let opinion = opinion(&request.module, &request.grants, cache, facts, request.manner, who_has)?;
    print::log(&opinion.log);
    let checked = policy::check(opinion.plan, &request.grants, facts);
    audit.verdicts(&checked.verdicts)?;
    match checked.outcome {
        // It asked only for what is granted this time: then it decides by what it was denied before.
        Ok(permit) => Ok(permit),
        Err(refused) => refuse(request, facts, refused.plan, &refused.refusals, audit, who_has),
    }
}

/// The plan that a launch under these grants would have: a script may go on without what it is denied. If it gives
/// up, all that it would ask for.
pub fn opinion_under_grants(
    request: &Request,
    cache: &Cache,
    facts: &Facts,
    who_has: WhoHas<'_>,
) -> Result<Opinion, Failure> {
    let Evaluated { outcome, log, read, .. } = under_grants(request, cache, facts, request.manner)?;
    match outcome {
        Ok(plan) => {
            heard(facts, read)?;
            let plan = program::found(plan, facts);
            let checked = policy::check(plan.clone(), &request.grants, facts);
            let refusals = checked.outcome.err().map_or(Vec::new(), |refused| refused.refusals);
            Ok(Opinion { plan, refusals, log, read })
        }
        Err(Answered::Script { why: ScriptError::Denied { .. }, .. }) => {
            opinion(&request.module, &request.grants, cache, facts, request.manner, who_has)
        }
        Err(failure) => {
            print::log(&log);
            Err(answered::of_script_on(failure, &request.module.name(), who_has, on_private(facts, read)))
        }
    }
}

/// Whether the script has looked at a host that is a private one.
fn on_private(facts: &Facts, read: FactsRead) -> bool {
    let of_host = [FactKind::Links, FactKind::Addresses, FactKind::DefaultRoutes, FactKind::NameServers];
    facts.rootless && of_host.iter().any(|kind| read.contains(*kind))
}

/// Words that were typed and that nobody looked at were meant for somebody else: the command, usually.
fn heard(facts: &Facts, read: FactsRead) -> Result<(), Failure> {
    if facts.arguments.is_empty() || read.contains(FactKind::Arguments) {
        return Ok(());
    }
    let words: Vec<String> = facts.arguments.iter().map(|word| show::quote(word.as_str())).collect();
    let message = format!("the script takes no arguments, and was given {}", words.join(" "));
    Err(Failure::ours(message).hint("a command comes after --: nshost run SCRIPT -- COMMAND"))
}

/// The whole plan under open grants, and what `grants` lack of it.
pub fn opinion(
    module: &Module,
    grants: &Grants,
    cache: &Cache,
    facts: &Facts,
    manner: Manner,
    who_has: WhoHas<'_>,
) -> Result<Opinion, Failure> {
    let open = Grants::open().within_limits_of(grants);
    let evaluated = evaluate::evaluate(cache, module, &open, grants.limits(), facts, manner)?;
    let plan = match evaluated.outcome {
        Ok(plan) => {
            heard(facts, evaluated.read)?;
            program::found(plan, facts)
        }
        Err(failure) => {
            print::log(&evaluated.log);
            let private = on_private(facts, evaluated.read);
            return Err(answered::of_script_on(failure, &module.name(), who_has, private));
        }
    };
    let refusals = match policy::check(plan.clone(), grants, facts).outcome {
        Ok(_) => Vec::new(),
        Err(refused) => refused.refusals,
    };
    Ok(Opinion { plan, refusals, log: evaluated.log, read: evaluated.read })
}

/// Asks at a terminal, once, if grants are all that is missing.
fn refuse(
    request: &Request,
    facts: &Facts,
    plan: Plan,
    refusals: &[Refusal],
    audit: &mut Audit,
    who_has: WhoHas<'_>,
) -> Result<Permit, Failure> {
    let script = request.module.name();
    let lacking = policy::lacking(&plan, &request.grants, facts);
    let (message, hint) =
        print::refusals(&plan, refusals, &request.grants, &lacking, &request.module, who_has);
    let only_grants = refusals.iter().all(|refusal| refusal.kind == RefusalKind::Denied);
    let beside = request.module.grants_beside().filter(|_| request.grants.file().is_none());
    let beside =
        beside.map_or(String::new(), |path| format!("\n\nthis grants file is for it: --grants {path}"));
    let lacks = print::lacks(&plan, refusals, &request.grants, who_has);
    if only_grants && approve::ask(&plan, facts.rootless, &format!("{lacks}{beside}"), &script) {
        let granted = lacking.tables();
        let checked = policy::check(plan.clone(), &request.grants.clone().and(lacking), facts);
        if let Ok(permit) = checked.outcome {
            audit.event("approved", || json!({ "plan": plan_digest(&plan), "granted": granted.trim() }))?;
            audit.verdicts(&checked.verdicts)?;
            return Ok(permit);
        }
    }
    audit.event("refused", || json!({ "plan": plan_digest(&plan) }))?;
    let denied = refusals.iter().any(|refusal| refusal.kind.is_denial());
    let status = if denied { Status::Denied } else { Status::Nshost };
    let not_here = refusals.iter().any(|refusal| !refusal.kind.is_denial());
    Err(failure::on_host(Failure::new(status, message).hint(hint), facts.rootless && not_here))
}

/// Grants that name a script are for exactly that one.
pub fn bound_to(grants: &Grants, module: &Module) -> Result<(), Failure> {
    match grants.script() {
        Some(digest) if digest != *module.digest() => {
            let (script, file) = (module.name(), grants.file().unwrap_or("the grants file"));
            let message =
                format!("denied: {script} is not the script that {file} is for, or has changed since");
            Err(Failure::new(Status::Denied, message).hint(format!(
                "{file} is for   script = \"sha256:{}\"\n\
                 this script is  script = \"sha256:{}\"\n\
                 `nshost plan` without --grants shows what it asks for; if it may have these grants, \
                 put its line in the place of the other",
                hex(&digest),
                hex(module.digest()),
            )))
        }
        _ => Ok(()),
    }
}
