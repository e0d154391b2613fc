//! The contract with scripts, as wasmtime's macro makes it of `guest-sdk/wit`: the very files that the
//! SDK is made of.
#![allow(missing_docs, clippy::all, reason = "generated; what the items mean is said in the WIT files")]

/// An interface of the plan, in a script's hands. A handle's number names it (see `link.rs`), so there
/// is no table that a script could fill.
pub struct Endpoint;

/// A veth pair of the plan.
pub struct VethPair;

wasmtime::component::bindgen!({
    path: "../../guest-sdk/wit",
    world: "setup-script",
    // Every host function can end the script: that is how a budget ends one.
    imports: { default: trappable },
    with: {
        "nshost:setup/link.endpoint": Endpoint,
        "nshost:setup/link.veth": VethPair,
    },
});
