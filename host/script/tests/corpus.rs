//! Every file of the fuzz target's corpus, run as an ordinary test.

use std::{fs, path::Path};

#[path = "../../../tests/fuzz/src/module_load.rs"]
mod module_load;

#[test]
fn module_load_holds_for_its_corpus() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/module_load");
    let files = fs::read_dir(&directory).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    let files: Vec<_> = files.collect();
    files.iter().for_each(|data| module_load::run(data));
    let compiler = nshost_script::compile::Compiler::new().unwrap();
    let compiled = files.iter().filter(|data| compiler.compile(data).is_ok());
    assert!(compiled.count() >= 4, "seeds that no longer compile are no seeds");
}
