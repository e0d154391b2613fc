//! The check: a fold of one question, asked of every step, and then of what no step keeps apart.

use nshost_plan::{Address, Around, Facts, Inside, Interface, Namespace, Plan, Route, Step, show};

use crate::{
    Grants, address,
    directory::DirectoryRule,
    limits::LimitRule,
    link,
    mount::{self, ResolvConfRule},
    namespace, nat,
    process::{self, ExecRule},
    route,
    rule::{self, Decision, Noun},
    share::{self, ShareRule},
    side::Side,
    variable::VariableRule,
};

/// A plan of which every step was granted and fits the host, as far as the facts can tell, and so was
/// every namespace that it shares with the host. Only [`check`] makes one:
///
/// ```compile_fail,E0451
/// let forged = nshost_policy::Permit { plan: nshost_plan::Plan::default(), passes: true };
/// ```
#[derive(Debug)]
pub struct Permit {
    plan: Plan,
    passes: bool,
}

impl Permit {
    /// What was permitted.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was permitted, for what takes the permit's place.
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// Whether what it routes may be let through other people's firewalls.
    pub fn passes_firewalls(&self) -> bool {
        self.passes
    }
}

/// What came of a check.
#[derive(Debug)]
pub struct Checked {
    /// One for each step, in order; then one for each namespace of [`shared`](crate::shared).
    pub verdicts: Vec<Verdict>,
    /// The permit, or what stands against it.
    pub outcome: Result<Permit, Refused>,
}

/// A plan that is not permitted.
#[derive(Debug)]
pub struct Refused {
    /// The plan.
    pub plan: Plan,
    /// At least one, in the order of the verdicts.
    pub refusals: Vec<Refusal>,
}

/// What was decided about one step, or about a namespace that is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which step, from 0; none: sharing is what comes of leaving a step out.
    pub step: Option<usize>,
    /// What kind of thing was asked for.
    pub capability: &'static str,
    /// Which one, in words.
    pub subject: String,
    /// Whether it may be done.
    pub allowed: bool,
    /// By which grant, or why not.
    pub rule: String,
}

/// A step that is not permitted, or a namespace that may not be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which step, from 0; none: sharing is what comes of leaving a step out.
    pub step: Option<usize>,
    /// Why.
    pub kind: RefusalKind,
    /// What kind of thing was asked for.
    pub capability: &'static str,
    /// Which one, in words.
    pub subject: String,
    /// Denied: the lines that would allow it at the end of a grants file, or a comment where no line
    /// can. Forbidden: such a comment. Otherwise: what to do instead.
    pub hint: String,
}

/// Why it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// It was not granted.
    Denied,
    /// A denial in the grants touches it, which beats every grant.
    Forbidden,
    /// The host or another container has it.
    Conflict,
    /// This host as it is now, this kernel or this user cannot do it.
    Unsupported,
}

impl RefusalKind {
    /// Whether it is the operator's word, and not the host, that stands against the step.
    pub fn is_denial(self) -> bool {
        matches!(self, RefusalKind::Denied | RefusalKind::Forbidden)
    }

    /// The name in messages and audit lines.
    pub fn name(self) -> &'static str {
        match self {
            RefusalKind::Denied => "denied",
            RefusalKind::Forbidden => "forbidden",
            RefusalKind::Conflict => "conflict",
            RefusalKind::Unsupported => "unsupported",
        }
    }
}

/// What stands against a step that was granted.
pub(crate) struct Hurdle {
    kind: RefusalKind,
    hint: String,
}

impl Hurdle {
    /// Taken.
    pub fn conflict(hint: String) -> Self {
        Hurdle { kind: RefusalKind::Conflict, hint }
    }

    /// Cannot be done here, for want of an interface or address, say.
    pub fn unsupported(hint: String) -> Self {
        Hurdle { kind: RefusalKind::Unsupported, hint }
    }
}

/// Checks a whole plan: permitted if every step is, and every namespace that it would share.
pub fn check(plan: Plan, grants: &Grants, facts: &Facts) -> Checked {
    let steps = plan.steps().iter().enumerate().map(|(index, step)| {
        Case { plan: &plan, before: &plan.steps()[..index], step, grants, facts }.judge()
    });
    let shares = share::shared(&plan).map(|kind| judge_share(kind, grants));
    let (verdicts, refusals): (Vec<Verdict>, Vec<Option<Refusal>>) = steps.chain(shares).unzip();
    let refusals: Vec<Refusal> = refusals.into_iter().flatten().collect();
    let passes = grants.passes_firewalls();
    let outcome =
        if refusals.is_empty() { Ok(Permit { plan, passes }) } else { Err(Refused { plan, refusals }) };
    Checked { verdicts, outcome }
}

/// Checks the step that comes after `so_far`.
pub fn check_step(so_far: &Plan, step: &Step, grants: &Grants, facts: &Facts) -> Result<Verdict, Refusal> {
    let case = Case { plan: so_far, before: so_far.steps(), step, grants, facts };
    match case.judge() {
        (_, Some(refusal)) => Err(refusal),
        (verdict, None) => Ok(verdict),
    }
}

type Judged = (Verdict, Option<Refusal>);

/// What is judged.
struct Subject {
    step: Option<usize>,
    capability: &'static str,
    words: String,
}

impl Subject {
    /// Only what is granted learns anything about the host.
    fn judged(self, decision: Decision, hurdle: impl FnOnce() -> Option<Hurdle>) -> Judged {
        match decision {
            Decision::Allowed(rule) => match hurdle() {
                None => (self.verdict(true, rule), None),
                Some(Hurdle { kind, hint }) => self.refused(format!("{}: {hint}", kind.name()), kind, hint),
            },
            Decision::Lacking(why, table) => self.refused(why, RefusalKind::Denied, table),
            Decision::Unfit(hint) => {
                let kind = RefusalKind::Unsupported;
                self.refused(format!("{}: {hint}", kind.name()), kind, hint)
            }
            Decision::Forbidden(rule) => {
                let hint = format!("# {rule} denies it, and a denial beats every grant: take that table out");
                self.refused(format!("denied by {rule}"), RefusalKind::Forbidden, hint)
            }
        }
    }

    fn verdict(&self, allowed: bool, rule: String) -> Verdict {
        let Subject { step, capability, ref words } = *self;
        Verdict { step, capability, subject: words.clone(), allowed, rule }
    }

    fn refused(self, why: String, kind: RefusalKind, hint: String) -> Judged {
        let verdict = self.verdict(false, why);
        let Subject { step, capability, words: subject } = self;
        (verdict, Some(Refusal { step, kind, capability, subject, hint }))
    }
}

fn judge_share(kind: Namespace, grants: &Grants) -> Judged {
    let subject = Subject { step: None, capability: ShareRule::SECTION, words: share::subject(kind) };
    subject.judged(rule::decide(&grants.shares, kind, grants.file()), || None)
}

/// One step before the judge.
pub(crate) struct Case<'a> {
    /// What names the interfaces.
    pub plan: &'a Plan,
    pub before: &'a [Step],
    pub step: &'a Step,
    pub grants: &'a Grants,
    pub facts: &'a Facts,
}

impl Case<'_> {
    fn judge(&self) -> Judged {
        let subject = Subject {
            step: Some(self.before.len()),
            capability: capability(self.step),
            words: show::subject(self.plan, self.step),
        };
        subject.judged(self.decide(), || self.hurdle())
    }

    /// What the grants say.
    pub fn decide(&self) -> Decision {
        if let Some(lacking) = self.one_too_many() {
            return lacking;
        }
        match self.step {
            Step::Inside(_, inside) => self.decide_inside(inside),
            Step::Around(around) => self.decide_around(around),
        }
    }

    fn decide_inside(&self, inside: &Inside) -> Decision {
        let (grants, file) = (self.grants, self.grants.file());
        match inside {
            Inside::Namespace(kind) => namespace::decide(&grants.namespaces, *kind, file),
            Inside::Command(command) => process::decide(&grants.execs, command, self.facts, file),
            Inside::Variable(variable) => rule::decide(&grants.variables, variable, file),
            Inside::WorkingDirectory(path) => rule::decide(&grants.directories, path, file),
            Inside::ResolvConf(conf) => {
                rule::decide(&grants.resolvers, mount::Asked { conf, host: &self.facts.name_servers }, file)
            }
            Inside::Hostname(_) | Inside::DomainName(_) | Inside::PrivatePropagation | Inside::Proc => {
                stays()
            }
        }
    }

    fn decide_around(&self, around: &Around) -> Decision {
        let (grants, file) = (self.grants, self.grants.file());
        match around {
            Around::Link(link) => {
                rule::decide(&grants.links, link::Asked { link, before: self.before }, file)
            }
            Around::Address(address) => rule::decide(&grants.addresses, self.address(address), file),
            Around::Route(route) => rule::decide(&grants.routes, self.route(route), file),
            Around::Masquerade(masquerade) => rule::decide(&grants.masquerades, masquerade, file),
            Around::Forward(forward) => rule::decide(&grants.forwards, forward, file),
            Around::Up(_) => stays(),
        }
    }

    pub fn address(&self, address: &Address) -> address::Asked {
        address::Asked { cidr: address.cidr, side: self.side(address.interface) }
    }

    pub fn route(&self, route: &Route) -> route::Asked {
        route::Asked { to: route.to, side: self.side(route.interface) }
    }

    /// A step that fits names an interface that is there.
    fn side(&self, interface: Interface) -> Side {
        self.plan.place(interface).map_or(Side::Host, Side::of)
    }

    /// What stands against it on this host.
    fn hurdle(&self) -> Option<Hurdle> {
        match self.step {
            // Inside nothing is taken, and its files are looked at when it is there.
            Step::Inside(_, inside) => match inside {
                Inside::Namespace(kind) => namespace::hurdle(*kind, self.facts),
                Inside::Hostname(_)
                | Inside::DomainName(_)
                | Inside::PrivatePropagation
                | Inside::Proc
                | Inside::ResolvConf(_)
                | Inside::Command(_)
                | Inside::Variable(_)
                | Inside::WorkingDirectory(_) => None,
            },
            Step::Around(around) => match around {
                Around::Link(link) => link::hurdle(link, self.facts),
                Around::Address(address) => address::hurdle(self.address(address), self.facts),
                Around::Route(route) => route::hurdle(self.route(route), self.facts),
                Around::Masquerade(masquerade) => nat::masquerade_hurdle(masquerade, self.facts),
                Around::Forward(forward) => nat::forward_hurdle(forward, self.facts),
                Around::Up(_) => None,
            },
        }
    }

    /// A plan has no more steps than its budget, whoever composed it.
    fn one_too_many(&self) -> Option<Decision> {
        let (count, limit) = (self.before.len() + 1, self.grants.limits().steps);
        if count <= limit as usize {
            return None;
        }
        let why = format!("a plan may have {limit} steps");
        // A file has one table of this name; if it is there, a line has to go into it.
        let there = self.grants.limits != LimitRule::default();
        let hint = if there { "# in the [limits] table:\n# " } else { "[limits]\n" };
        Some(Decision::Lacking(why, format!("{hint}steps = {count}")))
    }
}

fn stays() -> Decision {
    Decision::Allowed("needs no grant: it stays in the container".to_string())
}

/// The name of what is asked for; where it takes a grant, the name of the grant's table.
fn capability(step: &Step) -> &'static str {
    match step {
        Step::Inside(_, inside) => match inside {
            Inside::Command(_) => ExecRule::SECTION,
            Inside::Variable(_) => VariableRule::SECTION,
            Inside::WorkingDirectory(_) => DirectoryRule::SECTION,
            Inside::ResolvConf(_) => ResolvConfRule::SECTION,
            Inside::Namespace(_)
            | Inside::Hostname(_)
            | Inside::DomainName(_)
            | Inside::PrivatePropagation
            | Inside::Proc => show::noun(step),
        },
        Step::Around(_) => show::noun(step),
    }
}
