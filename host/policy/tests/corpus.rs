//! Every file of the fuzz targets' corpora, run as an ordinary test.

use std::{fs, path::Path};

#[path = "../../../tests/fuzz/src/grants.rs"]
mod grants;
#[path = "../../../tests/fuzz/src/plan_decode.rs"]
mod plan_decode;

use nshost_plan::{Plan, codec};
use nshost_policy::{Grants, wire::Answer};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn plan_decode_holds_for_its_corpus() {
    let files = corpus("plan_decode");
    files.iter().for_each(|data| plan_decode::run(data));
    // Seeds that no longer decode would be no seeds: they are to be written anew.
    let plans = files.iter().filter(|data| codec::decode::<Plan>("seed", data).is_ok());
    let answers = files.iter().filter(|data| codec::decode::<Answer>("seed", data).is_ok());
    assert!(plans.count() >= 4 && answers.count() >= 6);
}

#[test]
fn grants_hold_for_their_corpus() {
    let files = corpus("grants");
    files.iter().for_each(|data| grants::run(data));
    let read = files.iter().filter(|data| Grants::parse(&String::from_utf8_lossy(data), "seed").is_ok());
    assert!(read.count() >= 4);
}
