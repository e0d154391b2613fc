//! The least grants that a plan needs.

use nshost_plan::{Around, Facts, Inside, Plan, Step};

use crate::{
    Grants,
    address::AddressRule,
    check::Case,
    directory::DirectoryRule,
    limits::Key,
    link::{Asked, LinkRule},
    mount::{self, ResolvConfRule},
    namespace::NamespaceRule,
    nat::{ForwardRule, MasqueradeRule},
    process::ExecRule,
    route::RouteRule,
    rule::{self, Decision, Noun, Rule, merge},
    share::{self, ShareRule},
    variable::VariableRule,
};

/// The least grants with which nothing of the plan is denied.
pub fn suggest(plan: &Plan, facts: &Facts) -> Grants {
    lacking(plan, &Grants::none(), facts)
}

/// The least that is to be added to `grants` so that nothing of the plan is denied; what a denial
/// touches stays denied.
pub fn lacking(plan: &Plan, grants: &Grants, facts: &Facts) -> Grants {
    let steps = plan.steps();
    let mut wanted = Grants::none();
    let count = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if count > grants.limits().steps {
        wanted.limits.set(Key::Steps, count);
    }
    let enough = grants.clone().and(wanted.clone());
    for (index, step) in steps.iter().enumerate() {
        let case = Case { plan, before: &steps[..index], step, grants: &enough, facts };
        if let Decision::Lacking(..) = case.decide() {
            want(&mut wanted, &case);
        }
    }
    for kind in share::shared(plan) {
        if let Decision::Lacking(..) = rule::decide(&grants.shares, kind, None) {
            wanted.shares.push(Rule::allow(ShareRule::least(kind)));
        }
    }
    merged(wanted)
}

fn want(grants: &mut Grants, case: &Case<'_>) {
    match case.step {
        Step::Inside(_, inside) => want_inside(grants, inside, case.facts),
        Step::Around(around) => want_around(grants, around, case),
    }
}

fn want_inside(grants: &mut Grants, inside: &Inside, facts: &Facts) {
    match inside {
        Inside::Namespace(kind) => grants.namespaces.push(Rule::allow(NamespaceRule::least(*kind))),
        Inside::Command(command) => grants.execs.push(Rule::allow(ExecRule::least(command))),
        Inside::Variable(variable) => grants.variables.push(Rule::allow(VariableRule::least(variable))),
        Inside::WorkingDirectory(path) => grants.directories.push(Rule::allow(DirectoryRule::least(path))),
        Inside::ResolvConf(conf) => {
            let asked = mount::Asked { conf, host: &facts.name_servers };
            grants.resolvers.push(Rule::allow(ResolvConfRule::least(asked)));
        }
        // Nothing is ever lacking for these but room for one step more.
        Inside::Hostname(_) | Inside::DomainName(_) | Inside::PrivatePropagation | Inside::Proc => {}
    }
}

fn want_around(grants: &mut Grants, around: &Around, case: &Case<'_>) {
    match around {
        Around::Link(link) => {
            grants.links.push(Rule::allow(LinkRule::least(Asked { link, before: &[] })));
        }
        Around::Address(address) => {
            grants.addresses.push(Rule::allow(AddressRule::least(case.address(address))));
        }
        Around::Route(route) => grants.routes.push(Rule::allow(RouteRule::least(case.route(route)))),
        Around::Masquerade(masquerade) => {
            grants.masquerades.push(Rule::allow(MasqueradeRule::least(masquerade)));
        }
        Around::Forward(forward) => grants.forwards.push(Rule::allow(ForwardRule::least(forward))),
        Around::Up(_) => {}
    }
}

fn merged(grants: Grants) -> Grants {
    Grants {
        namespaces: merged_rules(grants.namespaces),
        shares: merged_rules(grants.shares),
        links: merged_rules(grants.links),
        addresses: merged_rules(grants.addresses),
        routes: merged_rules(grants.routes),
        masquerades: merged_rules(grants.masquerades),
        forwards: merged_rules(grants.forwards),
        execs: merged_rules(grants.execs),
        variables: merged_rules(grants.variables),
        directories: merged_rules(grants.directories),
        resolvers: merged_rules(grants.resolvers),
        ..grants
    }
}

fn merged_rules<T: Noun>(rules: Vec<Rule<T>>) -> Vec<Rule<T>> {
    merge(rules.into_iter().map(|rule| rule.what).collect()).into_iter().map(Rule::allow).collect()
}
