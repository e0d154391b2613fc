//! Random plans, grants and facts against the model.

mod common;
#[path = "common/model.rs"]
mod model;

use std::{collections::BTreeMap, net::IpAddr, sync::Mutex};

use common::{File, plans};
use model::{Matter, Says, judge, side_of};
use nshost_plan::{Around, Facts, Inside, Plan, Step};
use nshost_policy::{Checked, Grants, Refusal, RefusalKind, check, check_step, lacking, suggest};
use proptest::prelude::*;

fn grants(file: &File) -> Grants {
    Grants::parse(&file.toml(), "grants.toml").unwrap_or_else(|error| panic!("{error}\n{}", file.toml()))
}

/// What the check says of each matter, in the model's words.
fn answers(checked: &Checked) -> Vec<(Matter, Says)> {
    let refusals = match &checked.outcome {
        Ok(_) => &[][..],
        Err(refused) => &refused.refusals[..],
    };
    let said = |matter: Matter| {
        let refusal = refusals.iter().find(|refusal| matter_of(refusal) == matter);
        refusal.map_or(Says::Allowed, |refusal| match refusal.kind {
            RefusalKind::Forbidden => Says::Forbidden,
            RefusalKind::Denied => Says::Lacking,
            RefusalKind::Conflict => Says::Conflict,
            RefusalKind::Unsupported => Says::Unsupported,
        })
    };
    let matters = checked.verdicts.iter().map(|verdict| Matter::of(verdict.step, &verdict.subject));
    matters.map(|matter| (matter, said(matter))).collect()
}

fn matter_of(refusal: &Refusal) -> Matter {
    Matter::of(refusal.step, &refusal.subject)
}

fn denied(plan: &Plan, grants: &Grants, facts: &Facts) -> Vec<Matter> {
    match check(plan.clone(), grants, facts).outcome {
        Ok(_) => Vec::new(),
        Err(refused) => {
            let denied = refused.refusals.iter().filter(|refusal| refusal.kind.is_denial());
            denied.map(matter_of).collect()
        }
    }
}

proptest! {
    #![proptest_config(plans::config(2000))]

    fn the_check_says_what_the_model_says(plan in plans::plan(), file in common::file(), facts in common::facts()) {
        let grants = grants(&file);
        let checked = check(plan.clone(), &grants, &facts);
        let expected: Vec<(Matter, Says)> =
            Matter::all(&plan).into_iter().map(|matter| (matter, judge(&plan, matter, &file, &facts))).collect();
        // The step budget's hint is a comment too where there is a [limits] table.
        let over = file.steps.map_or(plan.steps().len(), |steps| steps as usize);
        let said: Vec<(Matter, Says)> = answers(&checked).into_iter().map(|(matter, said)| match matter {
            Matter::Step(index) if index >= over && said == Says::Forbidden => (matter, Says::Lacking),
            _ => (matter, said),
        }).collect();
        prop_assert_eq!(&said, &expected, "of\n{}\nunder\n{}", nshost_plan::show::plan(&plan), file.toml());
        for (matter, said) in said {
            note(&plan, matter, said);
        }
        for (verdict, (_, expected)) in checked.verdicts.iter().zip(&expected) {
            prop_assert_eq!(verdict.allowed, *expected == Says::Allowed);
        }
        // Nothing outside its grants ever becomes a permit, and what is permitted is what was asked for.
        match checked.outcome {
            Ok(permit) => {
                prop_assert!(expected.iter().all(|(_, says)| *says == Says::Allowed));
                *SEEN.lock().unwrap().entry(("plan", "permitted")).or_default() += u32::from(plan.links().next().is_some());
                prop_assert_eq!(permit.plan(), &plan);
                prop_assert_eq!(permit.into_plan(), plan);
            }
            Err(refused) => {
                prop_assert!(expected.iter().any(|(_, says)| *says != Says::Allowed));
                prop_assert_eq!(refused.plan, plan);
            }
        }
    }
}

/// How often each kind of matter met each answer: a random test that never comes to a case proves nothing
/// of it.
static SEEN: Mutex<BTreeMap<(&str, &str), u32>> = Mutex::new(BTreeMap::new());

fn note(plan: &Plan, matter: Matter, says: Says) {
    let noun = match matter {
        Matter::Step(index) => nshost_plan::show::noun(&plan.steps()[index]),
        Matter::Share(_) => "share",
    };
    let says = match says {
        Says::Allowed => "allowed",
        Says::Forbidden => "forbidden",
        Says::Lacking => "lacking",
        Says::Conflict => "conflict",
        Says::Unsupported => "unsupported",
    };
    *SEEN.lock().unwrap().entry((noun, says)).or_default() += 1;
}

#[test]
fn the_check_says_what_the_model_says_in_every_case() {
    the_check_says_what_the_model_says();
    // Whoever asks for fewer cases gets fewer.
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return;
    }
    let seen = SEEN.lock().unwrap();
    let all = ["allowed", "forbidden", "lacking"];
    let by_host: [(&str, &[&str]); 5] = [
        ("link", &["conflict"]),
        ("address", &["conflict"]),
        ("route", &["conflict"]),
        ("masquerade", &["unsupported"]),
        ("forward", &["conflict", "unsupported"]),
    ];
    for (noun, by_host) in by_host {
        let all = all.iter().chain(by_host);
        all.for_each(|says| assert!(seen.contains_key(&(noun, *says)), "{noun} {says}: {seen:#?}"));
    }
    for noun in ["namespace", "share", "environment"] {
        all.iter().for_each(|says| assert!(seen.contains_key(&(noun, *says)), "{noun} {says}: {seen:#?}"));
    }
    // Denials of name servers are too rare here; `commands` has one.
    for noun in ["command", "working directory", "resolv.conf"] {
        assert!(seen.contains_key(&(noun, "allowed")) && seen.contains_key(&(noun, "lacking")), "{seen:#?}");
    }
    assert!(seen.contains_key(&("namespace", "unsupported")) && seen.contains_key(&("plan", "permitted")));
    assert!(seen.contains_key(&("command", "unsupported")));
}

proptest! {
    #![proptest_config(plans::config(200))]

    #[test]
    fn check_is_a_fold_of_check_step(plan in plans::plan(), file in common::file(), facts in common::facts()) {
        let grants = grants(&file);
        let checked = check(plan.clone(), &grants, &facts);
        let refusals = checked.outcome.map_or_else(|refused| refused.refusals, |_| Vec::new());
        let mut so_far = Plan::default();
        for (step, verdict) in plan.steps().iter().zip(&checked.verdicts) {
            let refusal = refusals.iter().find(|refusal| refusal.step == verdict.step);
            let expected = refusal.map_or(Ok(verdict.clone()), |refusal| Err(refusal.clone()));
            prop_assert_eq!(check_step(&so_far, step, &grants, &facts), expected);
            so_far.push(step.clone()).unwrap();
        }
        let (steps, shares) = checked.verdicts.split_at(plan.steps().len());
        prop_assert!(steps.iter().enumerate().all(|(index, verdict)| verdict.step == Some(index)));
        prop_assert!(shares.iter().all(|verdict| verdict.step.is_none() && verdict.capability == "share"));
    }

    #[test]
    fn another_table_moves_one_way_only(
        plan in plans::plan(), file in common::file(), more in common::table(), facts in common::facts(),
    ) {
        // The first list of namespaces that are allowed takes the others away.
        let first_list = |table: &common::Table| matches!(table.rule, common::Rule::Namespace { .. }) && !table.deny;
        prop_assume!(!first_list(&more) || file.tables.iter().any(first_list));
        let before = denied(&plan, &grants(&file), &facts);
        let after = denied(&plan, &grants(&file.with(&more)), &facts);
        if more.deny {
            prop_assert!(before.iter().all(|matter| after.contains(matter)), "a denial allowed something");
        } else {
            prop_assert!(after.iter().all(|matter| before.contains(matter)), "a grant refused something");
        }
    }

    #[test]
    fn the_order_of_tables_says_nothing(
        plan in plans::plan(), file in common::file(), by in 0usize..16, facts in common::facts(),
    ) {
        let rotated = grants(&file.rotated(by));
        prop_assert_eq!(denied(&plan, &grants(&file), &facts), denied(&plan, &rotated, &facts));
    }

    #[test]
    fn a_denial_of_everything_beats_every_grant(plan in plans::plan(), facts in common::facts()) {
        let open = Grants::open();
        let denials = open.to_toml().split("\n\n").map(|table| match table.trim() {
            "schema = 1" => "schema = 1\n".to_string(),
            table if table.starts_with("[[exec]]") || table.starts_with("[[working-directory]]") => String::new(),
            table => format!("{table}\ndeny = true\n\n"),
        }).collect::<String>();
        let both = open.and(Grants::parse(&denials, "").unwrap());
        let refused = denied(&plan, &both, &facts);
        for matter in Matter::all(&plan) {
            let outward = match matter {
                Matter::Step(index) => matches!(plan.steps()[index], Step::Around(Around::Link(_)) | Step::Around(Around::Address(_)) | Step::Around(Around::Route(_)) | Step::Around(Around::Masquerade(_)) | Step::Around(Around::Forward(_)) | Step::Inside(_, Inside::Variable(_)) | Step::Inside(_, Inside::ResolvConf(_))),
                Matter::Share(_) => true,
            };
            prop_assert!(!outward || refused.contains(&matter));
        }
    }

    #[test]
    fn open_grants_deny_nothing(plan in plans::plan(), facts in common::facts()) {
        prop_assert_eq!(denied(&plan, &Grants::open(), &facts), Vec::<Matter>::new());
    }

    #[test]
    fn a_hint_allows_what_it_is_for(plan in plans::plan(), file in common::file(), facts in common::facts()) {
        let before = grants(&file);
        let Err(refused) = check(plan.clone(), &before, &facts).outcome else { return Ok(()) };
        for refusal in refused.refusals.iter().filter(|refusal| refusal.kind.is_denial()) {
            let appended = format!("{}\n{}\n", file.toml(), refusal.hint);
            let still = denied(&plan, &Grants::parse(&appended, "grants.toml").unwrap(), &facts);
            let comment = refusal.hint.lines().all(|line| line.starts_with('#'));
            prop_assert_eq!(still.contains(&matter_of(refusal)), comment);
            if !comment {
                let alone = Grants::parse(&format!("schema = 1\n{}", refusal.hint), "new.toml").unwrap();
                prop_assert!(!denied(&plan, &alone, &facts).contains(&matter_of(refusal)));
            }
        }
    }

    #[test]
    fn what_was_lacking_allows_all_that_no_denial_touches(
        plan in plans::plan(), file in common::file(), facts in common::facts(),
    ) {
        let mut file = file;
        let budget = file.steps.take();
        let before = grants(&file);
        let more = lacking(&plan, &before, &facts);
        let expected: Vec<Matter> = Matter::all(&plan)
            .into_iter()
            .filter(|matter| judge(&plan, *matter, &file, &facts) == Says::Forbidden)
            .collect();
        let appended = Grants::parse(&format!("{}{}", file.toml(), more.tables()), "grants.toml").unwrap();
        prop_assert_eq!(denied(&plan, &appended, &facts), expected.clone());
        prop_assert_eq!(denied(&plan, &before.and(more), &facts), expected.clone());
        // With a budget in the file, the greater one of both counts.
        let tight = grants(&File { steps: budget, ..file });
        let more = lacking(&plan, &tight, &facts);
        prop_assert_eq!(denied(&plan, &tight.and(more), &facts), expected);
    }

    #[test]
    fn suggestions_are_enough_and_nothing_in_them_is_too_much(plan in plans::plan(), facts in common::facts()) {
        let suggested = suggest(&plan, &facts);
        prop_assert_eq!(denied(&plan, &suggested, &facts), Vec::<Matter>::new());
        let text = suggested.to_toml();
        prop_assert_eq!(&suggest(&plan, &facts).to_toml(), &text);
        let parts: Vec<&str> = text.split("\n\n").collect();
        for leave_out in 1..parts.len() {
            let kept: Vec<&str> = parts.iter().enumerate().filter(|(index, _)| *index != leave_out).map(|(_, part)| *part).collect();
            let fewer = Grants::parse(&kept.join("\n\n"), "fewer.toml").unwrap();
            prop_assert!(!denied(&plan, &fewer, &facts).is_empty(), "not needed:\n{}\nof\n{text}", parts[leave_out], text = text);
        }
    }

    #[test]
    fn a_suggestion_allows_nothing_else(plan in plans::plan(), other in plans::plan(), facts in common::facts()) {
        let suggested = suggest(&plan, &facts);
        let refused = denied(&other, &suggested, &facts);
        for matter in Matter::all(&other) {
            let is_part = match matter {
                // The operator's own command, and one that no grant can be for.
                Matter::Step(index) if matches!(&other.steps()[index], Step::Inside(_, Inside::Command(_))) => {
                    judge(&other, matter, &File { tables: Vec::new(), steps: Some(4096) }, &facts) != Says::Lacking
                        || is_part_of(&other.steps()[index], &plan)
                }
                Matter::Step(index) => is_part_of(&other.steps()[index], &plan)
                    || all_of_the_host(&other, &facts) && all_of_the_host(&plan, &facts),
                Matter::Share(_) => Matter::all(&plan).contains(&matter),
            };
            prop_assert!(refused.contains(&matter) || is_part, "{:?}\n{}", matter, suggested.to_toml());
        }
    }
}

/// Whether all name servers of a plan are the host's: they are granted by one word.
fn all_of_the_host(plan: &Plan, facts: &Facts) -> bool {
    let of_host = |server: &IpAddr| facts.name_servers.iter().any(|own| own.address == *server);
    plan.steps()
        .iter()
        .any(|step| matches!(step, Step::Inside(_, Inside::ResolvConf(conf)) if conf.nameservers().iter().all(of_host)))
}

/// Whether a step asks for no more than the steps of a plan that are like it.
fn is_part_of(step: &Step, plan: &Plan) -> bool {
    let any = |part: &dyn Fn(&Step) -> bool| plan.steps().iter().any(part);
    match step {
        Step::Around(Around::Link(_)) | Step::Around(Around::Masquerade(_)) | Step::Inside(_, Inside::Variable(_)) => any(&|other| other == step),
        Step::Inside(_, Inside::Command(asked)) => any(
            &|other| matches!(other, Step::Inside(_, Inside::Command(had)) if had == asked || had.arguments()[1..] == asked.arguments()[1..] && could_be(had.program(), asked.program())),
        ),
        Step::Inside(_, Inside::WorkingDirectory(asked)) => {
            any(&|other| matches!(other, Step::Inside(_, Inside::WorkingDirectory(had)) if had.plain() == asked.plain()))
        }
        Step::Inside(_, Inside::ResolvConf(asked)) => asked.nameservers().iter().all(|server| {
            any(&|other| matches!(other, Step::Inside(_, Inside::ResolvConf(had)) if had.nameservers().contains(server)))
        }),
        Step::Around(Around::Address(asked)) => any(
            &|other| matches!(other, Step::Around(Around::Address(had)) if side_of(had.interface) == side_of(asked.interface) && had.cidr.contains(asked.cidr)),
        ),
        Step::Around(Around::Route(asked)) => any(
            &|other| matches!(other, Step::Around(Around::Route(had)) if side_of(had.interface) == side_of(asked.interface) && had.to.contains(asked.to)),
        ),
        Step::Around(Around::Forward(asked)) => common::each_port(asked.ports).all(|port| {
            any(&|other| {
                matches!(other, Step::Around(Around::Forward(had)) if had.protocol == asked.protocol
                    && had.host_address.is_none_or(|address| Some(address) == asked.host_address)
                    && common::each_port(had.ports).any(|other| other == port))
            })
        }),
        Step::Inside(_, Inside::Namespace(_))
        | Step::Inside(_, Inside::Hostname(_))
        | Step::Inside(_, Inside::DomainName(_))
        | Step::Inside(_, Inside::PrivatePropagation)
        | Step::Inside(_, Inside::Proc)
        | Step::Around(Around::Up(_)) => true,
    }
}

/// A bare name is where most programs are, as long as nobody has looked.
fn could_be(had: &str, asked: &str) -> bool {
    let path = |program: &str| {
        if program.contains('/') { program.to_string() } else { format!("/usr/bin/{program}") }
    };
    path(had) == path(asked)
}
