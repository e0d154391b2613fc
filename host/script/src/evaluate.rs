//! From a question and a compiled script to an answer.

use std::{
    mem::{self, ManuallyDrop},
    time::Instant,
};

use nshost_plan::{FactsRead, Plan, codec, show};
use nshost_policy::wire::{Answer, Failure, Question, Used};
use wasmtime::{Engine, Store};

use crate::{
    artifact::Artifact,
    bindings::{SetupScript, SetupScriptPre, nshost::setup::types},
    budget::Exhausted,
    clock, exports,
    failure::{self, one_line},
    imports,
    state::State,
};

/// Runs the script once. Script and store are left as they are: the process ends after this, and taking
/// them apart would be a tenth of the whole evaluation.
pub fn evaluate(engine: &Engine, artifact: &Artifact, question: Question) -> Answer {
    let script = match load(engine, artifact) {
        Ok(script) => ManuallyDrop::new(script),
        Err(failure) => return Answer::failed(failure),
    };
    let mut store = ManuallyDrop::new(store(engine, question));
    let begun = Instant::now();
    let returned = run(&script, &mut store);
    let took = begun.elapsed();
    let mut answer = answer(store.data_mut(), returned);
    answer.used.wall_us = took.as_micros() as u64;
    answer
}

/// Whether the script could be evaluated: an empty plan, or what [`evaluate`] would say before anything of it runs.
pub fn check(engine: &Engine, artifact: &Artifact) -> Answer {
    let outcome = load(engine, artifact).map(ManuallyDrop::new).map(|_| Plan::default());
    Answer { outcome, log: Vec::new(), read: FactsRead::default(), used: Used::default() }
}

/// Loads the artifact and links what it imports; nothing of the script runs.
fn load(engine: &Engine, artifact: &Artifact) -> Result<SetupScriptPre<State>, Failure> {
    let component = artifact.load(engine).map_err(|error| Failure::Artifact(one_line(&error)))?;
    let linker = ManuallyDrop::new(imports::link(engine, &component).map_err(Failure::Module)?);
    exports::check(engine, &component).map_err(Failure::Module)?;
    let module = |error: wasmtime::Error| Failure::Module(one_line(&error));
    let pre = linker.instantiate_pre(&component).map_err(module)?;
    SetupScriptPre::new(pre).map_err(|_| Failure::Module(OTHER_TYPE.to_string()))
}

const OTHER_TYPE: &str = "its `setup` takes or returns something else than this nshost's does\n\
    build it with the SDK, or the guest-sdk/wit, of this nshost";

/// A store with the question's budgets. The deadline counts from here.
fn store(engine: &Engine, question: Question) -> Store<State> {
    let limits = question.limits;
    let mut store = Store::new(engine, State::new(question));
    store.limiter(|state| &mut state.budget);
    // For each call; all calls together are counted in `Budget::copy`.
    store.set_hostcall_fuel(limits.copied_bytes as usize);
    clock::set_deadline(&mut store, limits.wall_ms);
    store
}

/// What `setup` returned, or what ended the script before it did.
type Returned = wasmtime::Result<Result<(), types::Failure>>;

fn run(script: &SetupScriptPre<State>, store: &mut Store<State>) -> Returned {
    let script: SetupScript = script.instantiate(&mut *store)?;
    script.call_setup(store)
}

fn answer(state: &mut State, returned: Returned) -> Answer {
    let limits = state.budget.limits;
    // What a full log has no room for is what its failure is about.
    let logged = state.end_lines();
    let outcome = match (returned, logged) {
        (Ok(Ok(())), Ok(())) => Ok(mem::take(&mut state.plan)),
        (Ok(Ok(())), Err(full)) => Err(full.into()),
        (Ok(Err(gave_up)), _) => Err(failure::of_script(gave_up, state.taken.take())),
        (Err(error), _) => Err(failure::of_run(&error, &limits)),
    };
    Answer { outcome, log: mem::take(&mut state.log), read: state.read, used: state.budget.used }
}

/// The answer as it is sent. One that does not fit into a frame (many steps with long texts) becomes one
/// that says so.
pub fn encode(mut answer: Answer) -> Vec<u8> {
    let bytes = codec::encode(&answer);
    if bytes.len() <= codec::MAX_FRAME {
        return bytes;
    }
    answer.outcome = Err(Exhausted::answer(codec::MAX_FRAME).into());
    codec::encode(&answer)
}

/// Lines that the launcher should show even though no script has said them.
pub fn warn(answer: &mut Answer, lines: impl IntoIterator<Item = String>) {
    use nshost_policy::wire::{Level, LogLine};
    answer
        .log
        .extend(lines.into_iter().map(|line| LogLine { level: Level::Warn, text: show::log_line(&line) }));
}
