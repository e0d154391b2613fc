//! `nshost plan`

use nshost_kernel::{
    Socket,
    network::host,
    probe::facts::{self, HostFacts},
    process::rootless,
};
use nshost_ledger::{Directory, Ledger, Life, Standing};
use nshost_plan::{FactKind, Facts, Namespace, Plan, Topology, show};
use nshost_policy::{self as policy, Grants, wire::Asked};
use serde_json::json;

use crate::{
    answered::WhoHas,
    cache::Cache,
    cli::{
        json,
        shared::{Script, misplaced, of_script},
    },
    decide::{self, Opinion},
    failure::{self, Failure, Status},
    module::{hex, plan_digest},
    print,
    request::Request,
    start::{self, Start},
};

/// Arguments of `nshost plan`.
#[derive(clap::Args)]
#[command(override_usage = "nshost plan [OPTIONS] SCRIPT [ARG]... [-- COMMAND]...", after_help = EXAMPLES)]
pub struct Arguments {
    /// In which form: `text` is for people, `json` for machines, the others draw what is wired to what
    #[arg(long, value_name = "FORM", value_enum, default_value_t, conflicts_with = "suggest_grants")]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with_all = ["suggest_grants", "format"])]
    json: bool,
    /// Print the least grants file under which this plan is allowed
    #[arg(long)]
    suggest_grants: bool,
    /// Show what a launch by root would do; without this, what one by this user does
    #[arg(long)]
    as_root: bool,
    #[command(flatten)]
    script: Script,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Dot,
    Mermaid,
    Svg,
}

const EXAMPLES: &str = "\
Examples:
  nshost plan nat                                         what it would do here, and the grants that it needs
  nshost plan --suggest-grants ./mine.wasm > grants.toml
  nshost plan --grants grants.toml ./mine.wasm            whether these are enough
  nshost plan --format svg nat > nat.svg";

/// Prints the plan. Fails with 122 where grants were given and do not have all of it.
pub fn run(arguments: Arguments) -> Result<u8, Failure> {
    let has_grants = arguments.script.has_grants();
    let request = arguments.script.check()?;
    decide::bound_to(&request.grants, &request.module)?;
    // Who this is decides where the cache lies, and a private host changes that.
    let cache = Cache::open();
    let (facts, ledger, impossible) = host_facts(&request, arguments.as_root)?;
    let who_has = |asked: &Asked| ledger.as_ref()?.occupant(&asked.step, asked.place).ok().flatten();
    let opinion = match has_grants && !arguments.suggest_grants {
        true => decide::opinion_under_grants(&request, &cache, &facts, &who_has),
        false => decide::opinion(&request.module, &request.grants, &cache, &facts, request.manner, &who_has),
    };
    let opinion = opinion.map_err(|failure| of_script(failure, misplaced(&request)))?;
    if arguments.suggest_grants {
        print::result(&suggested(&request, &opinion, &facts))?;
        return Ok(0);
    }
    let format = if arguments.json { Format::Json } else { arguments.format };
    let drawn = || Topology::of(&opinion.plan);
    print::result(&match format {
        Format::Json => as_json(&request, &opinion, &facts),
        Format::Text => {
            print::log(&opinion.log);
            as_text(&request, &opinion, &facts, has_grants)
        }
        Format::Dot => drawn().dot(),
        Format::Mermaid => drawn().mermaid(),
        Format::Svg => drawn().svg(),
    })?;
    let status = verdict(&request, &opinion, &facts, has_grants, &who_has)?;
    impossible.map_or(Ok(status), Err)
}

fn as_text(request: &Request, opinion: &Opinion, facts: &Facts, has_grants: bool) -> String {
    let plan = &opinion.plan;
    [
        show::plan(plan),
        Topology::of(plan).text(print::columns(std::io::stdout())),
        shared_in_words(plan),
        print::power(plan, facts.rootless),
        starts_in(request, opinion, facts),
        format!("plan {}\n", plan_digest(plan)),
        if has_grants { String::new() } else { wanted(request, opinion, facts) },
    ]
    .concat()
}

/// What no line of the plan says; empty for a plan that keeps everything apart.
fn shared_in_words(plan: &Plan) -> String {
    let kinds: Vec<&str> = policy::shared(plan).map(Namespace::name).collect();
    if kinds.is_empty() { String::new() } else { format!("shares with the host: {}\n", kinds.join(", ")) }
}

/// Where the command would start, and why not where the operator stands.
fn starts_in(request: &Request, opinion: &Opinion, facts: &Facts) -> String {
    let Start { directory, because } = start::find(request.directory.as_ref(), &opinion.plan, facts.rootless);
    let because = because.map_or(String::new(), |because| format!(": {because}"));
    format!("starts in {}{because}\n", show::log_line(&directory))
}

/// Where no grants were given: what a launch would lack, as a file that allows it, and whether there is one.
fn wanted(request: &Request, opinion: &Opinion, facts: &Facts) -> String {
    let denied = opinion.refusals.iter().filter(|refusal| refusal.kind.is_denial()).count();
    if denied == 0 {
        return "needs no grants\n".to_string();
    }
    let file = suggested(request, opinion, facts);
    let beside = request
        .module
        .grants_beside()
        .map_or(String::new(), |path| format!("; for this script there is {path}"));
    format!("\nneeds grants{beside}; the least (--suggest-grants prints it alone):\n\n{file}")
}

/// The least grants file for the plan, which says so where another launch would have another plan.
fn suggested(request: &Request, opinion: &Opinion, facts: &Facts) -> String {
    let others = [FactKind::Instance, FactKind::Addresses, FactKind::Links];
    let depends = others.iter().any(|kind| opinion.read.contains(*kind));
    let note = match depends {
        true => {
            "# For a launch as things are now: the script looks at which number it has, or what is free. For others too,\n\
             # write wider names and ranges: host-name = \"web*\", range = \"10.87.0.0/16\".\n"
        }
        false => "",
    };
    let grants = policy::suggest(&opinion.plan, facts).for_script(*request.module.digest());
    format!("{note}{}", grants.to_toml())
}

/// Without any grants given, a plan is only shown.
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
    let not_here = refused.iter().any(|refusal| !refusal.kind.is_denial());
    Err(failure::on_host(Failure::new(status, message).hint(hint), facts.rootless && not_here))
}

/// What a launch by the same user, or by root, would know, without reserving anything; and why there can be none.
fn host_facts(request: &Request, as_root: bool) -> Result<(Facts, Option<Ledger>, Option<Failure>), Failure> {
    let is_root = nix::unistd::geteuid().is_root();
    let rootless = !is_root && !as_root;
    // Where nothing was launched so far, no directory is made only to look. Root's is closed to others.
    let state = if as_root && !is_root {
        print::line("as root: what root's containers hold cannot be seen by you");
        None
    } else {
        Directory::usual_if_there().ok().flatten()
    };
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
        name_servers: Vec::new(),
        ..host
    }
}

/// The instance number that a launch would get now.
fn lowest_free(standing: &Standing) -> u16 {
    let here = [&standing.living, &standing.dead].into_iter().flatten();
    let elsewhere = standing.elsewhere.iter().filter(|(life, _)| *life != Life::Gone);
    let all: Vec<u16> =
        here.chain(elsewhere.map(|(_, record)| record)).map(|record| record.instance).collect();
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
        "starts-in": start::find(request.directory.as_ref(), plan, facts.rootless).directory,
        "private-host": facts.rootless,
        "root-of-the-host": print::is_root_of_the_host(plan, facts.rootless),
        "refusals": opinion.refusals.iter().map(json::refusal).collect::<Vec<_>>(),
        "log": opinion.log.iter().map(|line| &line.text).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}
