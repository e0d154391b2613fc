//! The functions: one row each.

use std::fmt;

use nshost_plan::FactKind;
use nshost_policy::wire::Level;
use wasmtime::component::{ComponentNamedList, Lift, LinkerInstance, Lower, Resource};

use super::types::{Datetime, InputStream, IoError, OutputStream, Pollable, StreamError, Terminal};
use crate::state::State;

/// What a script may write at once, in bytes; it may do so again at once.
const WRITE: u64 = 64 << 10;

/// A script left by `exit` instead of returning from `setup`.
#[derive(Debug)]
pub(crate) struct Exited(pub(crate) u8);

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the script exited with status {} instead of returning from setup", self.0)
    }
}

impl std::error::Error for Exited {}

type Streamed<T = ()> = wasmtime::Result<(Result<T, StreamError>,)>;
type Input = Resource<InputStream>;
type Output = Resource<OutputStream>;

/// Defines the function if it is one of ours.
pub(super) fn define(
    into: &mut LinkerInstance<State>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<bool> {
    let define = Define { into, name };
    let defined = match interface {
        "cli/environment" | "cli/exit" | "cli/stdin" | "cli/stdout" | "cli/stderr" => cli(define),
        "cli/terminal-stdin" | "cli/terminal-stdout" | "cli/terminal-stderr" => terminal(define),
        "clocks/monotonic-clock" => monotonic_clock(define),
        "clocks/wall-clock" => wall_clock(define),
        "random/random" | "random/insecure" | "random/insecure-seed" => random(define),
        "io/error" | "io/poll" => poll(define),
        "io/streams" => stream(define),
        "filesystem/preopens" => directories(define),
        _ => None,
    };
    defined.transpose().map(|ours| ours.is_some())
}

struct Define<'a, 'b> {
    into: &'a mut LinkerInstance<'b, State>,
    name: &'a str,
}

impl Define<'_, '_> {
    /// By `function`, which is given the state after the call was counted.
    fn by<P, R>(
        self,
        function: impl Fn(&mut State, P) -> wasmtime::Result<R> + Send + Sync + 'static,
    ) -> Option<wasmtime::Result<()>>
    where
        P: ComponentNamedList + Lift + 'static,
        R: ComponentNamedList + Lower + 'static,
    {
        Some(self.into.func_wrap(self.name, move |mut store, parameters: P| {
            let state: &mut State = store.data_mut();
            state.call(())?;
            function(state, parameters)
        }))
    }
}

fn cli(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "get-environment" => define.by(|_, ()| Ok((Vec::<(String, String)>::new(),))),
        "get-arguments" => define.by(|state, ()| {
            state.note(FactKind::Arguments);
            let arguments = state.facts.arguments.iter().map(|argument| argument.as_str().to_string());
            Ok((["setup".to_string()].into_iter().chain(arguments).collect::<Vec<_>>(),))
        }),
        "initial-cwd" => define.by(|_, ()| Ok((None::<String>,))),
        "exit" => define.by(|_, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(Exited(status.is_err().into())))
        }),
        "exit-with-code" => define
            .by(|_, (status,): (u8,)| -> wasmtime::Result<()> { Err(wasmtime::Error::new(Exited(status))) }),
        "get-stdin" => define.by(|_, ()| Ok((Input::new_own(0),))),
        "get-stdout" => define.by(|_, ()| Ok((Output::new_own(0),))),
        "get-stderr" => define.by(|_, ()| Ok((Output::new_own(1),))),
        _ => None,
    }
}

fn terminal(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "get-terminal-stdin" => define.by(|_, ()| Ok((None::<Resource<Terminal<0>>>,))),
        "get-terminal-stdout" | "get-terminal-stderr" => {
            define.by(|_, ()| Ok((None::<Resource<Terminal<1>>>,)))
        }
        _ => None,
    }
}

/// No time passes: a wait is over when it begins.
fn monotonic_clock(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "now" => define.by(|_, ()| Ok((0_u64,))),
        "resolution" => define.by(|_, ()| Ok((1_u64,))),
        "subscribe-instant" | "subscribe-duration" => {
            define.by(|_, (_time,): (u64,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        _ => None,
    }
}

/// It is the first moment of 1970 and stays so.
fn wall_clock(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "now" => define.by(|_, ()| Ok((Datetime { seconds: 0, nanoseconds: 0 },))),
        "resolution" => define.by(|_, ()| Ok((Datetime { seconds: 1, nanoseconds: 0 },))),
        _ => None,
    }
}

/// The same numbers in each run.
fn random(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "get-random-bytes" | "get-insecure-random-bytes" => define.by(|state, (length,): (u64,)| {
            // Counted like bytes that the script hands in: it is the host that sets them aside.
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            state.budget.copy(length)?;
            Ok(((0..length).map(|_| state.wasi.random() as u8).collect::<Vec<u8>>(),))
        }),
        "get-random-u64" | "get-insecure-random-u64" => define.by(|state, ()| Ok((state.wasi.random(),))),
        "insecure-seed" | "get-insecure-seed" => {
            define.by(|state, ()| Ok(((state.wasi.random(), state.wasi.random()),)))
        }
        _ => None,
    }
}

/// Everything is ready, always.
fn poll(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "poll" => define.by(|state, (asked,): (Vec<Resource<Pollable>>,)| {
            state.budget.copy(asked.len() * size_of::<Resource<Pollable>>())?;
            Ok(((0..asked.len() as u32).collect::<Vec<u32>>(),))
        }),
        "[method]pollable.ready" => define.by(|_, (_pollable,): (Resource<Pollable>,)| Ok((true,))),
        "[method]pollable.block" => define.by(|_, (_pollable,): (Resource<Pollable>,)| Ok(())),
        "[method]error.to-debug-string" => {
            define.by(|_, (_error,): (Resource<IoError>,)| Ok(("no error".to_string(),)))
        }
        _ => None,
    }
}

fn stream(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            define.by(|_, (_stream, _length): (Input, u64)| -> Streamed<Vec<u8>> {
                Ok((Err(StreamError::Closed),))
            })
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => define
            .by(|_, (_stream, _length): (Input, u64)| -> Streamed<u64> { Ok((Err(StreamError::Closed),)) }),
        "[method]input-stream.subscribe" => {
            define.by(|_, (_stream,): (Input,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        "[method]output-stream.subscribe" => {
            define.by(|_, (_stream,): (Output,)| Ok((Resource::<Pollable>::new_own(0),)))
        }
        "[method]output-stream.check-write" => {
            define.by(|_, (_stream,): (Output,)| -> Streamed<u64> { Ok((Ok(WRITE),)) })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            define.by(|_, (_stream,): (Output,)| -> Streamed { Ok((Ok(()),)) })
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => define.by(write),
        _ => None,
    }
}

fn write(state: &mut State, (stream, bytes): (Output, Vec<u8>)) -> Streamed {
    state.budget.copy(bytes.len())?;
    let level = if stream.rep() == 0 { Level::Out } else { Level::Err };
    state.write(level, &bytes)?;
    Ok((Ok(()),))
}

/// No directory is open.
fn directories(define: Define) -> Option<wasmtime::Result<()>> {
    match define.name {
        "get-directories" => define.by(|_, ()| Ok((Vec::<(Resource<super::Unknown>, String)>::new(),))),
        _ => None,
    }
}
