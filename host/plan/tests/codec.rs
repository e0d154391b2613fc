//! Decoding: what comes back, and that nothing else gets in.

mod common;

use std::{cell::Cell, time::Instant};

use nshost_plan::{
    Argument, Command, Inside, Limits, Namespace, Plan, ResolvConf, Step, Variable,
    codec::{self, AtMost},
};
use proptest::prelude::*;
use serde::{Deserialize, de::value::SeqDeserializer};

/// A plan that was decoded is one that could have been pushed, step by step.
fn assert_well_formed(plan: &Plan) {
    let mut again = Plan::default();
    for step in plan.steps() {
        again.push(step.clone()).expect("a decoded plan holds a step that does not fit");
    }
    assert_eq!(&again, plan);
    assert_eq!(codec::decode::<Plan>("plan", &codec::encode(plan)).as_ref(), Ok(plan));
}

proptest! {
    #![proptest_config(common::config(256))]

    #[test]
    fn a_plan_comes_back(plan in common::plan()) {
        assert_well_formed(&plan);
    }

    #[test]
    fn steps_that_do_not_fit_are_refused(steps in proptest::collection::vec(common::step(), 0..12)) {
        let fits = steps.iter().try_fold(Plan::default(), |mut plan, step| plan.push(step.clone()).map(|()| plan));
        let decoded = codec::decode::<Plan>("plan", &codec::encode(&steps));
        prop_assert_eq!(decoded.ok(), fits.ok());
    }

    #[test]
    fn any_bytes_are_a_plan_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(plan) = codec::decode::<Plan>("bytes", &bytes) {
            assert_well_formed(&plan);
        }
    }

    #[test]
    fn damaged_bytes_are_a_plan_or_an_error(
        plan in common::plan(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = codec::encode(&plan);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(plan) = codec::decode::<Plan>("bytes", bytes) {
                assert_well_formed(&plan);
            }
        }
    }

    #[test]
    fn frames_come_back(one in proptest::collection::vec(any::<u8>(), 0..300), two in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut pipe = Vec::new();
        codec::write_frame(&mut pipe, &one).unwrap();
        codec::write_frame(&mut pipe, &two).unwrap();
        let mut from = &pipe[..];
        prop_assert_eq!(codec::read_frame(&mut from).unwrap(), one);
        prop_assert_eq!(codec::read_frame(&mut from).unwrap(), two);
        prop_assert!(codec::read_frame(&mut from).is_err());
    }
}

#[test]
fn bytes_left_over_are_an_error() {
    let mut bytes = codec::encode(&Plan::default());
    bytes.push(0);
    let error = codec::decode::<Plan>("plan", &bytes).unwrap_err();
    assert_eq!(error.code.as_str(), "undecodable");
}

#[test]
fn a_frame_is_bounded_both_ways() {
    let announced = [0xff, 0xff, 0xff, 0xff, 1, 2, 3];
    assert!(codec::read_frame(&announced[..]).is_err());
    assert!(codec::write_frame(Vec::new(), &vec![0; codec::MAX_FRAME + 1]).is_err());
    let short = [8, 0, 0, 0, 1, 2, 3];
    assert_eq!(codec::read_frame(&short[..]).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(codec::decode::<Plan>("plan", &vec![0; codec::MAX_FRAME + 1]).is_err());
}

/// Lists of the smallest elements, as long as a frame can be.
#[test]
fn long_lists_are_refused() {
    let count = codec::MAX_FRAME - 8;
    let length = codec::encode(&(count as u64));
    let list = |element: u8| [length.clone(), vec![element; count]].concat();
    // Variant 3 of a step: private propagation, one byte.
    assert!(codec::decode::<Plan>("plan", &list(3)).is_err());
    assert!(codec::decode::<Command>("command", &list(0)).is_err());
    assert!(codec::decode::<ResolvConf>("servers", &list(0)).is_err());
}

#[test]
fn a_long_list_is_read_no_further_than_its_maximum() {
    let read = Cell::new(0);
    let elements = (0..1000u32).inspect(|_| read.set(read.get() + 1));
    let list = SeqDeserializer::<_, serde::de::value::Error>::new(elements);
    assert!(AtMost::<u32, 3>::deserialize(list).is_err());
    assert_eq!(read.get(), 4);
    let three = SeqDeserializer::<_, serde::de::value::Error>::new(0..3u32);
    assert_eq!(AtMost::<u32, 3>::deserialize(three).unwrap().0, [0, 1, 2]);
}

#[test]
fn the_largest_plan_is_decoded_in_bounded_time() {
    let variable = |n| Inside::Variable(Variable::new(format!("V{n}"), "x".to_string()).unwrap()).of_first();
    let steps: Vec<Step> = (0..Limits::MAX.steps).map(variable).collect();
    let bytes = codec::encode(&steps);
    let start = Instant::now();
    let plan = codec::decode::<Plan>("plan", &bytes).unwrap();
    assert_eq!(plan.steps().len(), Limits::MAX.steps as usize);
    // Each step is compared with those before it: milliseconds, and never minutes.
    assert!(start.elapsed().as_secs() < 20);
    let one_more = codec::encode(&[steps, vec![variable(Limits::MAX.steps)]].concat());
    assert!(codec::decode::<Plan>("plan", &one_more).is_err());
}

#[test]
fn the_largest_values_are_held_to() {
    let argument = |n: usize| Argument::try_from("x".repeat(n));
    assert!(argument(Argument::MAX).is_ok() && argument(Argument::MAX + 1).is_err());
    assert!(Command::parse(["x".repeat(4095)]).is_ok() && Command::parse(["x".repeat(4096)]).is_err());
    assert!(Command::parse(vec!["x".to_string(); Command::MAX]).is_ok());
    assert!(Command::parse(vec!["x".to_string(); Command::MAX + 1]).is_err());
    assert!(Command::parse(vec!["x".repeat(30_000); 5]).is_err());
    assert!(Command::parse([String::new()]).is_err() && Command::parse([]).is_err());
}

#[test]
fn a_second_namespace_of_a_kind_is_refused() {
    let user = Inside::Namespace(Namespace::User).of_first();
    assert!(codec::decode::<Plan>("plan", &codec::encode(&vec![user.clone()])).is_ok());
    assert!(codec::decode::<Plan>("plan", &codec::encode(&vec![user; 2])).is_err());
}
