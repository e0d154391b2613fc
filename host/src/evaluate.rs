//! From a script to its plan: remembered, or computed by a worker without rights.

use std::{fs::File, time::Duration};

use nshost_plan::{Facts, FactsRead, Limits, Plan};
use nshost_policy::{
    Grants,
    wire::{Answer, Failure as Answered, LogLine, Question},
};

use crate::{
    cache::Cache,
    failure::Failure,
    module::Module,
    worker::{self, Ending},
};

/// How a worker is run.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// Do not use or make a remembered plan, nor go by a remembered failure to compile.
    pub afresh: bool,
    /// Go on if the worker's lock-down cannot be applied.
    pub accept_unlocked: bool,
}

/// What came of it.
pub struct Evaluated {
    /// The plan, or why there is none.
    pub outcome: Result<Plan, Answered>,
    /// What the script said.
    pub log: Vec<LogLine>,
    /// What it looked at.
    pub read: FactsRead,
    /// Whether it was said before, and not now.
    pub remembered: bool,
    /// The script's process, where it was asked now.
    pub ending: Option<Ending>,
}

/// Evaluates the script against facts and grants, within limits.
pub fn evaluate(
    cache: &Cache,
    module: &Module,
    grants: &Grants,
    limits: Limits,
    facts: &Facts,
    manner: Manner,
) -> Result<Evaluated, Failure> {
    let question = Question { facts: facts.clone(), grants: grants.clone(), limits };
    if !manner.afresh
        && let Some((plan, log, read)) = cache.recall(module, &question)
    {
        return Ok(Evaluated { outcome: Ok(plan), log, read, remembered: true, ending: None });
    }
    let (answer, ending) = ask_worker(cache, module, &question, manner)?;
    if let (Ok(plan), false) = (&answer.outcome, manner.afresh) {
        cache.remember(module, &question, &answer, plan);
    }
    let Answer { outcome, log, read, .. } = answer;
    Ok(Evaluated { outcome, log, read, remembered: false, ending })
}

/// From the cached artifact; where there is none, or it is of another build or processor, from a new one.
fn ask_worker(
    cache: &Cache,
    module: &Module,
    question: &Question,
    manner: Manner,
) -> Result<(Answer, Option<Ending>), Failure> {
    let deadline = Duration::from_millis(u64::from(question.limits.wall_ms));
    let evaluate = |artifact: File, is_sound: &dyn Fn() -> bool| {
        worker::evaluate(artifact, question, deadline, manner.accept_unlocked, is_sound)
    };
    if let Some((file, artifact)) = cache.artifact(module)
        && let Some((answer, ending)) = evaluate(file, &|| artifact.is_sound())?
        && !matches!(answer.outcome, Err(Answered::Artifact(_)))
    {
        return Ok((answer, Some(ending)));
    }
    let artifact = match compile(cache, module, &question.limits, manner)? {
        Ok(artifact) => artifact,
        Err(failure) => return Ok((Answer::failed(failure), None)),
    };
    let answered = evaluate(artifact, &|| true)?;
    let (answer, ending) = answered.ok_or_else(|| Failure::ours("the compiled script was not evaluated"))?;
    Ok((answer, Some(ending)))
}

/// A new artifact, and into the cache with it. What could not be compiled before is not tried again.
fn compile(
    cache: &Cache,
    module: &Module,
    limits: &Limits,
    manner: Manner,
) -> Result<Result<File, Answered>, Failure> {
    if !manner.afresh
        && let Some(failure) = cache.recall_failure(module, limits)
    {
        return Ok(Err(failure));
    }
    let (source, target) = (module.sealed()?, cache.new_artifact()?);
    match worker::compile(source, target, limits, &module.name(), manner.accept_unlocked)? {
        Ok(artifact) => cache.keep_artifact(module, artifact).map(Ok),
        Err(failure) => {
            cache.remember_failure(module, limits, &failure);
            Ok(Err(failure))
        }
    }
}

/// Whether something had to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// The artifact was there.
    Before,
    /// It was made.
    Now,
}

/// Sees to it that the cache has the script's artifact, and that it is one of a setup script, which is not asked
/// anything.
pub fn prepare(
    cache: &Cache,
    module: &Module,
    limits: &Limits,
    manner: Manner,
) -> Result<Result<Prepared, Answered>, Failure> {
    let check = |artifact: File| worker::check(artifact, manner.accept_unlocked);
    if !manner.afresh
        && let Some((file, artifact)) = cache.artifact(module)
        && artifact.is_sound()
    {
        match check(file)? {
            // Of another build or processor.
            Err(Answered::Artifact(_)) => {}
            checked => return Ok(checked.map(|()| Prepared::Before)),
        }
    }
    match compile(cache, module, limits, manner)? {
        Ok(artifact) => Ok(check(artifact)?.map(|()| Prepared::Now)),
        Err(failure) => Ok(Err(failure)),
    }
}
