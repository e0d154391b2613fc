//! Takes the first Rust program out of the README.

use std::{env, fs, path::Path};

const README: &str = "../../README.md";

fn main() {
    println!("cargo::rerun-if-changed={README}");
    let readme = fs::read_to_string(README).expect("the README");
    let program = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("first.rs"), program.expect("a program in the README")).expect("written");
}
