//! What a component imports, and nothing else, is linked.

use nshost_plan::show;
use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker, types::ComponentItem},
};

use crate::{
    bindings::nshost::setup::{address, container, facts, filesystem, link, log, nat, process, route, types},
    failure::one_line,
    state::State,
    wasi,
};

/// A linker with each interface that the component imports, or why there is none.
pub(crate) fn link(engine: &Engine, component: &Component) -> Result<Linker<State>, String> {
    let mut linker = Linker::new(engine);
    for (name, import) in component.component_type().imports(engine) {
        let (interface, version) = name.split_once('@').unwrap_or((name, CONTRACT));
        if interface.starts_with("nshost:setup/") && !is_ours(version) {
            return Err(format!(
                "it was built for nshost:setup {}, and this nshost has {CONTRACT}\n\
                 build it with the SDK, or the guest-sdk/wit, of this nshost",
                show::quote(version)
            ));
        }
        let known = match (interface.split_once(':'), &import.ty) {
            (Some(("nshost", _)), _) => ours(&mut linker, interface),
            (Some(("wasi", interface)), ComponentItem::ComponentInstance(asked)) => linker
                .instance(name)
                .and_then(|mut into| wasi::stand_in(&mut into, interface, asked, engine))
                .map(|()| true),
            _ => Ok(false),
        };
        if !known.map_err(|error| format!("cannot link {}: {}", show::quote(name), one_line(&error)))? {
            return Err(format!(
                "it imports {}, which this host does not have\na setup script imports nshost:setup/… and wasi:…",
                show::quote(name)
            ));
        }
    }
    Ok(linker)
}

/// The version of the contract in `guest-sdk/wit`.
const CONTRACT: &str = "0.1.0";

/// Whether a script of this version of the contract finds in ours what it knows (semver: of 0.1.x, all).
fn is_ours(version: &str) -> bool {
    version.rsplit_once('.').map(|(minor, _)| minor) == CONTRACT.rsplit_once('.').map(|(minor, _)| minor)
}

/// Links an interface of the contract; false if there is none of that name.
fn ours(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<bool> {
    type Own = HasSelf<State>;
    match interface {
        "nshost:setup/types" => types::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/container" => container::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/filesystem" => filesystem::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/process" => process::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/link" => link::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/address" => address::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/route" => route::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/nat" => nat::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/facts" => facts::add_to_linker::<_, Own>(linker, |state| state)?,
        "nshost:setup/log" => log::add_to_linker::<_, Own>(linker, |state| state)?,
        _ => return Ok(false),
    }
    Ok(true)
}
