//! What broker and worker say to each other: one question, one answer, as postcard in the frames of
//! [`nshost_plan::codec`]. The answer comes from a process that nobody trusts.

use nshost_plan::{Around, Facts, FactsRead, Limits, Place, Plan, Step, codec};
use serde::{Deserialize, Serialize};

use crate::Grants;

/// What the worker needs to evaluate a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What the script can know.
    pub facts: Facts,
    /// What each call is checked against, so that the script gets a good answer at the call. The
    /// broker checks the plan again.
    pub grants: Grants,
    /// The budgets.
    pub limits: Limits,
}

/// The most log lines of an answer; a worker ends a script for its log when it has more.
pub const MAX_LINES: usize = 65_536;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The plan, or why there is none.
    pub outcome: Result<Plan, Failure>,
    /// What the script said, in order, at most [`MAX_LINES`]. Not yet safe on a terminal:
    /// [`nshost_plan::show::log_line`].
    #[serde(deserialize_with = "codec::at_most::<_, _, MAX_LINES>")]
    pub log: Vec<LogLine>,
    /// Which facts the script has looked at.
    pub read: FactsRead,
    /// How much of its budgets it used.
    pub used: Used,
}

/// A line of a script's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// By which way it came.
    pub level: Level,
    /// The line, without its end.
    pub text: String,
}

/// Where a log line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// `log.info`.
    Info,
    /// `log.warn`.
    Warn,
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What an evaluation has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Wall-clock time, in microseconds.
    pub wall_us: u64,
    /// Calls into the host.
    pub host_calls: u32,
    /// Bytes copied out of the script.
    pub copied_bytes: u32,
    /// Linear memory at its largest, in bytes.
    pub memory_bytes: u64,
    /// Bytes of log lines.
    pub log_bytes: u32,
}

/// The name of the compiler's budget of time.
pub const COMPILE_TIME: &str = "compile time";
/// The name of the compiler's budget of memory.
pub const COMPILE_MEMORY: &str = "compile memory";

/// With this exit status the compiler says that its memory is used up: it has none left to answer.
pub const OUT_OF_MEMORY: i32 = 3;

/// What a script had asked for and another container has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The step.
    pub step: Step,
    /// Where the interface lives that it names, if it names one.
    pub place: Option<Place>,
}

impl Asked {
    /// A step that fits the plan, or is in it.
    pub fn of(plan: &Plan, step: &Step) -> Asked {
        let place = match step {
            Step::Around(Around::Address(address)) => plan.place(address.interface),
            Step::Around(Around::Route(route)) => plan.place(route.interface),
            Step::Around(Around::Up(interface)) => plan.place(*interface),
            Step::Around(Around::Link(_) | Around::Masquerade(_) | Around::Forward(_)) | Step::Inside(..) => {
                None
            }
        };
        Asked { step: step.clone(), place }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// `setup` returned an error.
    Script {
        /// Which.
        why: ScriptError,
        /// Where in the script, as it says itself.
        at: Option<String>,
        /// What it had asked for, where the error is that it is taken. Boxed, since few failures have one.
        asked: Option<Box<Asked>>,
    },
    /// The script found a mistake of its own.
    Panic {
        /// Its last words.
        message: String,
        /// Where in the script, as it says itself.
        at: Option<String>,
    },
    /// A budget was used up.
    Budget {
        /// Which: "wall time", "memory", "table elements", "instances", "host calls", "copied
        /// bytes", "steps", "log", or of the compiler's [`COMPILE_TIME`] and [`COMPILE_MEMORY`].
        name: String,
        /// How much there was.
        limit: u64,
        /// In what.
        unit: String,
    },
    /// The guest trapped; one line.
    Trap(String),
    /// The script left by WASI's `exit`, with this status.
    Exit(u8),
    /// Not a component, or without a `setup` of the right type, or with imports that the host does
    /// not have: what it is, and in further lines what to do.
    Module(String),
    /// The compiled artifact is for another worker: compile again.
    Artifact(String),
    /// The lock-down could not be applied.
    Lock {
        /// Which part of it.
        what: String,
        /// The system call's error number.
        errno: i32,
    },
}

/// The error of `nshost:setup/types`, as a script returned it. Texts may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptError {
    /// Something was not granted, and the script cannot go on without.
    Denied {
        /// The kind of grant.
        capability: String,
        /// What was asked for.
        subject: String,
        /// What would allow it.
        hint: String,
    },
    /// Something was not well formed.
    Invalid {
        /// A stable name of the problem.
        code: String,
        /// What was asked for.
        subject: String,
        /// What to do instead.
        hint: String,
    },
    /// Something is taken.
    Conflict {
        /// A stable name of the problem.
        code: String,
        /// What was asked for.
        subject: String,
        /// What to do instead.
        hint: String,
    },
    /// Something cannot be done here.
    Unsupported {
        /// A stable name of the problem.
        code: String,
        /// What was asked for.
        subject: String,
        /// What to do instead.
        hint: String,
    },
    /// Anything else.
    Other(Option<String>),
}

impl Answer {
    /// No plan, and nothing to say about the way there.
    pub fn failed(failure: Failure) -> Answer {
        Answer { outcome: Err(failure), log: Vec::new(), read: FactsRead::default(), used: Used::default() }
    }
}

/// What the compiler answers: the artifact's length in bytes, or [`Failure::Module`] or
/// [`Failure::Lock`]. It is asked nothing: the module is a file that it was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileAnswer {
    /// The length of what it wrote.
    pub outcome: Result<u64, Failure>,
}

/// What a component says about itself. The answer to "inspect" is this or a [`Failure`]. Texts are the
/// module's, bounded in number and length, and may hold any character.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What it imports, in order: `nshost:setup/link@0.1.0`.
    pub imports: Vec<String>,
    /// What it exports, in order.
    pub exports: Vec<String>,
    /// The version of the SDK that it was written with, if it says so.
    pub sdk: Option<String>,
    /// What it is for, in its author's words, if it says so.
    pub about: Option<String>,
    /// What made it, each once: "wit-component 0.254.1".
    pub producers: Vec<String>,
}
