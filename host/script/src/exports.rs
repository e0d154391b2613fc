//! Whether a component is a setup script: it exports the `setup` of this contract.

use nshost_plan::show;
use wasmtime::{
    Engine,
    component::{Component, types::ComponentItem},
};

/// What is wrong if it is not; in further lines what to do.
pub(crate) fn check(engine: &Engine, component: &Component) -> Result<(), String> {
    let kind = component.component_type();
    if let Some(export) = kind.get_export(engine, "setup") {
        // Whether its type is right is for the binding to see: it knows the contract's.
        return match export.ty {
            ComponentItem::ComponentFunc(_) => Ok(()),
            _ => {
                Err("its `setup` is not a function; bind to guest-sdk/wit, which says what it is".to_string())
            }
        };
    }
    let names: Vec<&str> = kind.exports(engine).map(|(name, _)| name).collect();
    Err(without_setup(&names))
}

fn without_setup(exports: &[&str]) -> String {
    const ADD: &str = "in Rust add nshost_sdk::setup!(setup);";
    let has = |interface: &str| exports.iter().any(|name| name.starts_with(interface));
    let instead = match exports.first() {
        None => return format!("the script exports no `setup`; {ADD}"),
        Some(_) if has("wasi:cli/run@") => {
            "it is a program with a `main`, which nobody calls here: make it a library (crate-type = [\"cdylib\"])"
                .to_string()
        }
        Some(_) if has("wasi:http/") => "it is the handler of an HTTP server".to_string(),
        Some(other) => format!("what it exports is {}", show::quote(other)),
    };
    format!("the script exports no `setup`; {ADD}\n{instead}")
}
