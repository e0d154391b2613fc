//! Bytes from a hostile worker: a plan, an answer, a frame.

use nshost_plan::{Facts, Plan, Topology, codec, show};
use nshost_policy::{Grants, check, lacking, wire::Answer};

/// Whatever decodes is well formed, can be shown, and does not get past the policy.
pub fn run(data: &[u8]) {
    if let Ok(plan) = codec::decode::<Plan>("fuzz", data) {
        well_formed(&plan);
    }
    if let Ok(answer) = codec::decode::<Answer>("fuzz", data) {
        well_formed_answer(&answer);
    }
    let mut from = data;
    while let Ok(frame) = codec::read_frame(&mut from) {
        assert!(frame.len() <= codec::MAX_FRAME && frame.len() <= data.len());
        if let Ok(answer) = codec::decode::<Answer>("fuzz", &frame) {
            well_formed_answer(&answer);
        }
    }
}

fn well_formed_answer(answer: &Answer) {
    if let Ok(plan) = &answer.outcome {
        well_formed(plan);
    }
    let again = codec::decode::<Answer>("again", &codec::encode(answer)).expect("an answer comes back");
    assert_eq!(&again, answer);
    for line in &answer.log {
        assert_harmless(&show::log_line(&line.text));
        assert_harmless(&show::quote(&line.text));
    }
}

fn well_formed(plan: &Plan) {
    let mut again = Plan::default();
    for step in plan.steps() {
        again.push(step.clone()).expect("a decoded step fits the steps before it");
    }
    assert_eq!(&again, plan);
    assert_eq!(codec::decode::<Plan>("again", &codec::encode(plan)).as_ref(), Ok(plan));
    assert_eq!(show::plan(plan).lines().count(), plan.steps().len());
    assert_harmless(&show::plan(plan).replace('\n', " "));
    let topology = Topology::of(plan);
    for drawn in [topology.text(0), topology.text(80), topology.svg(), topology.dot(), topology.mermaid()] {
        assert_harmless(&drawn.replace('\n', " "));
    }
    judged(plan);
}

/// Without grants nothing that needs one passes; with those that were lacking nothing is denied.
fn judged(plan: &Plan) {
    let (none, facts) = (Grants::none(), Facts::default());
    let more = lacking(plan, &none, &facts);
    let denied = |grants: &Grants| match check(plan.clone(), grants, &facts).outcome {
        Ok(permit) => {
            assert_eq!(permit.plan(), plan);
            false
        }
        Err(refused) => refused.refusals.iter().any(|refusal| {
            assert_harmless(&refusal.hint.replace('\n', " "));
            assert_harmless(&refusal.subject);
            refusal.kind.is_denial()
        }),
    };
    assert_eq!(denied(&none), more != none);
    assert!(!denied(&more), "{}", more.to_toml());
    assert_eq!(Grants::parse(&more.to_toml(), "fuzz").as_ref(), Ok(&more));
}

fn assert_harmless(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{text:?}");
}
