//! WASI 0.2 for a program that may not have any: standard output becomes log lines, there are arguments,
//! everything else is there and inert.
//!
//! Our own instead of `wasmtime-wasi`, which brings an asynchronous runtime, directory capabilities and a
//! quarter of a millisecond into a process that may neither clone nor open. Time stands still and random
//! numbers are always the same ones, so that the same script and facts give the same plan.

mod function;
mod stream;
mod types;

pub(crate) use function::Exited;
pub(crate) use stream::Inert;

use nshost_plan::show;
use wasmtime::{
    Engine, bail,
    component::{LinkerInstance, ResourceType, types::ComponentInstance, types::ComponentItem},
};

use crate::state::State;

/// Fills in an imported instance: each function that it is asked for is one of ours, or one that ends
/// the script when it is called. `interface` is its name without `wasi:` and version.
pub(crate) fn stand_in(
    into: &mut LinkerInstance<State>,
    interface: &str,
    asked: &ComponentInstance,
    engine: &Engine,
) -> wasmtime::Result<()> {
    for (name, export) in asked.exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(_) if function::define(into, interface, name)? => {}
            ComponentItem::ComponentFunc(_) => refuse(into, interface, name)?,
            ComponentItem::Resource(_) => {
                into.resource(name, types::resource(name), |mut store, _| store.data_mut().call(()))?
            }
            _ => {}
        }
    }
    Ok(())
}

/// A runtime may import what its script never calls: so it is linked, and the call is what fails.
fn refuse(into: &mut LinkerInstance<State>, interface: &str, name: &str) -> wasmtime::Result<()> {
    let called = show::log_line(&format!("wasi:{interface} {name}"));
    into.func_new(name, move |_, _, _, _| bail!("a setup script has no {called}"))
}

/// All resources that we do not know are one type: nothing ever has a handle of it.
struct Unknown;

fn unknown() -> ResourceType {
    ResourceType::host::<Unknown>()
}
