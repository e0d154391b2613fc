//! What a plan leaves out, so that its command would be in the host's namespace, takes a grant.

use nshost_plan::{Facts, Inside, Namespace, Plan};
use nshost_policy::{Checked, Grants, Refusal, RefusalKind, check, lacking, shared, suggest};

use Namespace::{Cgroup, Ipc, Mount, Network, Pid, Time, User, Uts};

const CONFINING: [Namespace; 5] = [Pid, Mount, Network, Uts, Ipc];

/// A plan with all of these but some.
fn without(missing: &[Namespace]) -> Plan {
    let own = CONFINING.into_iter().filter(|kind| !missing.contains(kind));
    Plan::try_from(own.map(|it| Inside::Namespace(it).of_first()).collect::<Vec<_>>()).unwrap()
}

fn grants(tables: &str) -> Grants {
    Grants::parse(&format!("schema = 1\n{tables}"), "grants.toml").unwrap()
}

fn checked(plan: &Plan, tables: &str) -> Checked {
    check(plan.clone(), &grants(tables), &Facts::default())
}

fn refusals(plan: &Plan, tables: &str) -> Vec<Refusal> {
    checked(plan, tables).outcome.map_or_else(|refused| refused.refusals, |_| Vec::new())
}

#[test]
fn without_a_grant_the_refusal_has_the_lines() {
    for kind in CONFINING {
        let plan = without(&[kind]);
        let refusals = refusals(&plan, "");
        let expected = Refusal {
            step: None,
            kind: RefusalKind::Denied,
            capability: "share",
            subject: format!("the host's {kind} namespace"),
            hint: format!("[[share]]\nkinds = [\"{kind}\"]"),
        };
        assert_eq!(refusals, [expected]);
        assert!(checked(&plan, &refusals[0].hint).outcome.is_ok(), "{kind}");
        let suggested = suggest(&plan, &Facts::default()).to_toml();
        assert_eq!(suggested, format!("schema = 1\n\n{}\n", refusals[0].hint));
    }
}

#[test]
fn there_is_a_verdict_for_each_and_one_table_for_all() {
    let empty = Plan::default();
    assert_eq!(shared(&empty).collect::<Vec<_>>(), CONFINING);
    let refused = checked(&empty, "");
    assert_eq!(refused.outcome.unwrap_err().refusals.len(), 5);
    let all = suggest(&empty, &Facts::default()).tables();
    assert_eq!(all, "\n[[share]]\nkinds = [\"pid\", \"mount\", \"network\", \"uts\", \"ipc\"]\n");
    let permitted = checked(&empty, &all);
    for (verdicts, allowed, rule) in [
        (refused.verdicts, false, "no [[share]] table allows it"),
        (
            permitted.verdicts,
            true,
            "grants.toml:3 [[share]] kinds = [\"pid\", \"mount\", \"network\", \"uts\", \"ipc\"]",
        ),
    ] {
        for (verdict, kind) in verdicts.iter().zip(CONFINING) {
            assert_eq!((verdict.step, verdict.allowed, verdict.rule.as_str()), (None, allowed, rule));
            assert_eq!(verdict.subject, format!("the host's {kind} namespace"));
        }
    }
    assert!(permitted.outcome.is_ok());
    let open = check(empty, &Grants::open(), &Facts::default());
    assert!(open.outcome.is_ok());
}

#[test]
fn what_keeps_all_five_apart_needs_none() {
    let plan = without(&[]);
    assert_eq!(shared(&plan).count(), 0);
    let none = checked(&plan, "[[share]]\nkinds = ['pid', 'mount', 'network', 'uts', 'ipc']\ndeny = true\n");
    assert!(none.outcome.is_ok() && none.verdicts.iter().all(|verdict| verdict.capability == "namespace"));
    assert_eq!(suggest(&plan, &Facts::default()), Grants::none());
    // The other three are free to be shared, and keep nothing else apart.
    let others =
        Plan::try_from([User, Cgroup, Time].map(|it| Inside::Namespace(it).of_first()).to_vec()).unwrap();
    assert_eq!(refusals(&others, "").len(), 5);
}

#[test]
fn a_grant_is_for_its_kinds_alone() {
    let network = "[[share]]\nkinds = ['network']\n";
    for kind in CONFINING {
        let count = usize::from(kind != Network);
        assert_eq!(refusals(&without(&[kind]), network).len(), count, "{kind}");
    }
    let both = without(&[Network, Ipc]);
    let left = refusals(&both, network);
    assert_eq!((left.len(), left[0].hint.as_str()), (1, "[[share]]\nkinds = [\"ipc\"]"));
    let more = lacking(&both, &grants(network), &Facts::default());
    assert_eq!(more.tables(), "\n[[share]]\nkinds = [\"ipc\"]\n");
    assert!(refusals(&both, &format!("{network}{}", more.tables())).is_empty());
    // Having one of its own is another matter than sharing the host's.
    assert_eq!(
        refusals(&both, "[[namespace]]\nkinds = ['pid', 'mount', 'uts', 'network', 'ipc']\n").len(),
        2
    );
}

#[test]
fn a_denial_beats_every_grant() {
    let plan = without(&[Network]);
    let both = "[[share]]\nkinds = ['network', 'ipc']\n[[share]]\nkinds = ['network']\ndeny = true\n";
    let refused = checked(&plan, both);
    let rule = "grants.toml:4 [[share]] kinds = [\"network\"], deny = true";
    assert_eq!(refused.verdicts[4].rule, format!("denied by {rule}"));
    let refusal = &refused.outcome.unwrap_err().refusals[0];
    assert_eq!(
        refusal.hint,
        format!("# {rule} denies it, and a denial beats every grant: take that table out")
    );
    assert_eq!(lacking(&plan, &grants(both), &Facts::default()), Grants::none());
    assert!(refusals(&without(&[Ipc]), both).is_empty());
}
