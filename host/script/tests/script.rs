//! Scripts that do what they should, and what the programs say of them.

mod common;

use common::*;

#[test]
fn an_empty_script_makes_an_empty_plan() {
    let answer = evaluate(&plain("(func $setup (result i32) i32.const 16)"), &question());
    assert_eq!(answer.outcome.unwrap().steps(), []);
}
