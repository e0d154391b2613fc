//! What crosses between broker and worker.

mod common;

use common::plans;
use nshost_plan::{FactsRead, Plan, codec};
use nshost_policy::{
    Grants,
    wire::{Answer, Asked, Failure, Level, LogLine, MAX_LINES, Question, ScriptError, Used},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

fn failure() -> impl Strategy<Value = Failure> {
    let text = || ".{0,12}";
    let script = prop_oneof![
        (text(), text(), text()).prop_map(|(capability, subject, hint)| ScriptError::Denied {
            capability,
            subject,
            hint
        }),
        (text(), text(), text()).prop_map(|(code, subject, hint)| ScriptError::Invalid {
            code,
            subject,
            hint
        }),
        (text(), text(), text()).prop_map(|(code, subject, hint)| ScriptError::Conflict {
            code,
            subject,
            hint
        }),
        (text(), text(), text()).prop_map(|(code, subject, hint)| ScriptError::Unsupported {
            code,
            subject,
            hint
        }),
        option::of(text()).prop_map(ScriptError::Other),
    ];
    prop_oneof![
        (script, option::of(text()), option::of(plans::plan())).prop_map(|(why, at, plan)| {
            let asked = plan.and_then(|plan| Some(Box::new(Asked::of(&plan, plan.steps().last()?))));
            Failure::Script { why, at, asked }
        }),
        (text(), option::of(text())).prop_map(|(message, at)| Failure::Panic { message, at }),
        any::<u8>().prop_map(Failure::Exit),
        (text(), any::<u64>(), text()).prop_map(|(name, limit, unit)| Failure::Budget { name, limit, unit }),
        text().prop_map(Failure::Trap),
        text().prop_map(Failure::Module),
        text().prop_map(Failure::Artifact),
        (text(), any::<i32>()).prop_map(|(what, errno)| Failure::Lock { what, errno }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let outcome = prop_oneof![plans::plan().prop_map(Ok), failure().prop_map(Err)];
    let level = select(vec![Level::Info, Level::Warn, Level::Out, Level::Err]);
    let log = vec((level, ".{0,12}").prop_map(|(level, text)| LogLine { level, text }), 0..4);
    let used = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u64>(), any::<u32>()).prop_map(
        |(wall_us, host_calls, copied_bytes, memory_bytes, log_bytes)| Used {
            wall_us,
            host_calls,
            copied_bytes,
            memory_bytes,
            log_bytes,
        },
    );
    (outcome, log, used).prop_map(|(outcome, log, used)| Answer { outcome, log, read: FactsRead::ALL, used })
}

/// Whatever an answer's plan is, each of its steps could have been asked for in this order.
fn assert_well_formed(answer: &Answer) {
    let Ok(plan) = &answer.outcome else { return };
    let mut again = Plan::default();
    for step in plan.steps() {
        again.push(step.clone()).expect("a decoded plan holds a step that does not fit");
    }
}

proptest! {
    #![proptest_config(plans::config(400))]

    #[test]
    fn an_answer_comes_back(answer in answer()) {
        prop_assert_eq!(codec::decode::<Answer>("answer", &codec::encode(&answer)), Ok(answer));
    }

    #[test]
    fn a_question_comes_back(file in common::file(), facts in common::facts()) {
        let grants = Grants::parse(&file.toml(), "g").unwrap();
        let question = Question { facts, limits: grants.limits(), grants };
        prop_assert_eq!(codec::decode::<Question>("question", &codec::encode(&question)), Ok(question));
    }

    #[test]
    fn a_damaged_answer_is_an_answer_or_an_error(
        answer in answer(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = codec::encode(&answer);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        if let Ok(answer) = codec::decode::<Answer>("answer", &bytes) {
            assert_well_formed(&answer);
        }
    }
}

#[test]
fn a_log_has_a_last_line() {
    let lines = |count| Answer {
        outcome: Err(Failure::Trap(String::new())),
        log: vec![LogLine { level: Level::Out, text: String::new() }; count],
        read: FactsRead::default(),
        used: Used::default(),
    };
    assert!(codec::decode::<Answer>("answer", &codec::encode(&lines(MAX_LINES))).is_ok());
    assert!(codec::decode::<Answer>("answer", &codec::encode(&lines(MAX_LINES + 1))).is_err());
}
