//! From a script to its plan: remembered, or computed by a worker without rights.

use std::{fs::File, time::Duration};

use nshost_plan::{Facts, Limits, Plan};
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
        && let Some((plan, log)) = cache.recall(module, &question)
    {
        return Ok(Evaluated { outcome: Ok(plan), log, remembered: true, ending: None });
    }
    let (answer, ending) = ask_worker(cache, module, &question, manner)?;
    if let (Ok(plan), false) = (&answer.outcome, manner.afresh) {
        cache.remember(module, &question, &answer, plan);
    }
    Ok(Evaluated { outcome: answer.outcome, log: answer.log, remembered: false, ending })
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
    if !manner.afresh
        && let Some(failure) = cache.recall_failure(module, &question.limits)
    {
        return Ok((Answer::failed(failure), None));
    }
    let (limits, name) = (&question.limits, module.name());
    let (source, target) = (module.sealed()?, cache.new_artifact()?);
    let artifact = match worker::compile(source, target, limits, &name, manner.accept_unlocked)? {
        Ok(artifact) => cache.keep_artifact(module, artifact)?,
        Err(failure) => {
            cache.remember_failure(module, limits, &failure);
            return Ok((Answer::failed(failure), None));
        }
    };
    let answered = evaluate(artifact, &|| true)?;
    let (answer, ending) = answered.ok_or_else(|| Failure::ours("the compiled script was not evaluated"))?;
    Ok((answer, Some(ending)))
}
