//! `nshost plan`

use nshost_kernel::{
    Socket,
    facts::{self, HostFacts},
    host, rootless,
};
use nshost_ledger::{Directory, Ledger, Standing};
use nshost_plan::{Facts, Namespace, Plan, Step, show};
use nshost_policy::{self as policy, Grants};
use serde_json::json;

use crate::{
    answered::WhoHas,
    cache::Cache,
    cli::{json, shared::Script},
    decide::{self, Opinion},
    failure::{Failure, Status},
    module::{hex, plan_digest},
    print,
    request::Request,
};

/// Arguments of `nshost plan`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long, conflicts_with = "suggest_grants")]
    json: bool,
    /// Print the least grants file under which this plan is allowed
    #[arg(long)]
    suggest_grants: bool,
    #[command(flatten)]
    script: Script,
}

/// Prints the plan. Fails with 122 where grants were given and do not have all of it.
pub fn run(arguments: Arguments) -> Result<u8, Failure> {
    let has_grants = arguments.script.has_grants();
    let request = arguments.script.check()?;
    decide::bound_to(&request.grants, &request.module)?;
    // Who this is decides where the cache lies, and a private host changes that.
    let cache = Cache::open();
    let (facts, ledger, impossible) = host_facts(&request)?;
    let who_has = |step: &Step| ledger.as_ref()?.occupant(step).ok().flatten();
    let opinion =
        decide::opinion(&request.module, &request.grants, &cache, &facts, request.manner, &who_has)?;
    if arguments.suggest_grants {
        let grants = policy::suggest(&opinion.plan, &facts).for_script(*request.module.digest());
        print::result(&grants.to_toml())?;
        return Ok(0);
    }
    if arguments.json {
        print::result(&as_json(&request, &opinion, &facts))?;
    } else {
        print::log(&opinion.log);
        let plan = &opinion.plan;
        print::result(
            &[
                show::plan(plan),
                show::topology(plan),
                shared_in_words(plan),
                print::power(plan, facts.rootless),
                format!("plan {}\n", plan_digest(plan)),
            ]
            .concat(),
        )?;
    }
    let status = verdict(&request, &opinion, &facts, has_grants, &who_has)?;
    impossible.map_or(Ok(status), Err)
}

/// What no line of the plan says; empty for a plan that keeps everything apart.
fn shared_in_words(plan: &Plan) -> String {
    let kinds: Vec<&str> = policy::shared(plan).map(Namespace::name).collect();
    if kinds.is_empty() { String::new() } else { format!("shares with the host: {}\n", kinds.join(", ")) }
}

/// Without any grants given, a plan is only shown; what it would need is `--suggest-grants`' to say.
fn verdict(
    request: &Request,
    opinion: &Opinion,
    facts: &Facts,
    has_grants: bool,
    who_has: WhoHas<'_>,
) -> Result<u8, Failure> {
    let denied = opinion.refusals.iter().any(|refusal| refusal.kind.is_denial());
    let refused: Vec<_> =
        opinion.refusals.iter().filter(|r| has_grants || !r.kind.is_denial()).cloned().collect();
    if refused.is_empty() {
        return Ok(0);
    }
    let lacking = match has_grants {
        true => policy::lacking(&opinion.plan, &request.grants, facts),
        false => Grants::none(),
    };
    let (message, hint) =
        print::refusals(&opinion.plan, &refused, &request.grants, &lacking, &request.module, who_has);
    let status = if denied && has_grants { Status::Denied } else { Status::Nshost };
    Err(Failure::new(status, message).hint(hint))
}

/// What a launch by the same user would know, without reserving anything; and why there can be none.
fn host_facts(request: &Request) -> Result<(Facts, Option<Ledger>, Option<Failure>), Failure> {
    let rootless = !nix::unistd::geteuid().is_root();
    let state = nshost_ledger::default_directory();
    // Where nothing was launched so far, no directory is made only to look.
    let state = if state.exists() { Directory::open(&state).ok() } else { None };
    let entered = if rootless { rootless::enter_private_host() } else { Ok(()) };
    let mut socket = Socket::route()?;
    let ledger = state.zip(host::current(&socket).ok()).map(|(state, here)| state.ledger(here));
    let standing = match &ledger {
        Some(ledger) => ledger.standing()?,
        None => Standing::default(),
    };
    let gone: Vec<_> = standing.gone.iter().flat_map(|record| record.macs.iter().copied()).collect();
    let mut host = facts::gather(&mut socket, &gone)?;
    if entered.is_err() {
        host = like_a_private_one(host);
    }
    let facts = decide::facts(host, request, lowest_free(&standing), standing.taken, rootless);
    Ok((facts, ledger, entered.err().map(Failure::from)))
}

/// Where no private host can be made, a plan can still be looked at: with nothing there but the loopback.
fn like_a_private_one(host: HostFacts) -> HostFacts {
    const LOOPBACK: &str = "lo";
    HostFacts {
        links: host.links.into_iter().filter(|link| link.name == LOOPBACK).collect(),
        addresses: host.addresses.into_iter().filter(|address| address.link == LOOPBACK).collect(),
        routes: Vec::new(),
        default_routes: Vec::new(),
        ..host
    }
}

/// The instance number that a launch would get now.
fn lowest_free(standing: &Standing) -> u16 {
    let here = [&standing.living, &standing.dead, &standing.gone].into_iter().flatten();
    let all: Vec<u16> = here
        .chain(standing.elsewhere.iter().map(|(_, record)| record))
        .map(|record| record.instance)
        .collect();
    (0..).find(|number| !all.contains(number)).unwrap_or_default()
}

fn as_json(request: &Request, opinion: &Opinion, facts: &Facts) -> String {
    let plan = &opinion.plan;
    let value = json!({
        "schema": 1,
        "script": hex(request.module.digest()),
        "plan": plan_digest(plan),
        "steps": plan.steps().iter().map(|step| json::step(plan, step)).collect::<Vec<_>>(),
        "shares": policy::shared(plan).map(Namespace::name).collect::<Vec<_>>(),
        "private-host": facts.rootless,
        "root-of-the-host": print::is_root_of_the_host(plan, facts.rootless),
        "refusals": opinion.refusals.iter().map(json::refusal).collect::<Vec<_>>(),
        "log": opinion.log.iter().map(|line| &line.text).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}
