//! The types of WASI's interfaces that our functions use.

use wasmtime::component::{ComponentType, Lift, Lower, Resource, ResourceType};

/// Standard input: at its end from the start.
pub(super) struct InputStream;
/// Standard output, or, as number 1, standard error.
pub(super) struct OutputStream;
/// Something that is ready.
pub(super) struct Pollable;
/// What went wrong on a stream; nothing ever does.
pub(super) struct IoError;

/// The type that a resource of this name has in every interface, whichever declares it and whichever
/// use it.
pub(super) fn resource(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "error" => ResourceType::host::<IoError>(),
        "terminal-input" => ResourceType::host::<Terminal<0>>(),
        "terminal-output" => ResourceType::host::<Terminal<1>>(),
        _ => super::unknown(),
    }
}

/// A terminal, in (0) or out (1). There is none.
pub(super) struct Terminal<const DIRECTION: u8>;

/// `wasi:io/streams` `stream-error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

/// `wasi:clocks/wall-clock` `datetime`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Datetime {
    pub(super) seconds: u64,
    pub(super) nanoseconds: u32,
}
