//! What a script may use, and what it has used. Who uses a budget up is ended with a message that
//! says which, instead of being told no: a script that went on without could not be told from one that
//! works.

use std::fmt;

use nshost_plan::Limits;
use nshost_policy::wire::{Failure, Used};
use wasmtime::ResourceLimiter;

/// A budget that has been used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    name: &'static str,
    limit: u64,
    unit: &'static str,
}

impl Exhausted {
    pub(crate) fn wall_time(limit: u32) -> Exhausted {
        Exhausted { name: "wall time", limit: limit.into(), unit: "ms" }
    }

    pub(crate) fn copied_bytes(limit: u32) -> Exhausted {
        Exhausted { name: "copied bytes", limit: limit.into(), unit: "bytes" }
    }

    pub(crate) fn instances(limit: u32) -> Exhausted {
        Exhausted { name: "instances", limit: limit.into(), unit: "instances, memories or tables" }
    }

    pub(crate) fn steps(limit: u32) -> Exhausted {
        Exhausted { name: "steps", limit: limit.into(), unit: "steps" }
    }

    pub(crate) fn answer(limit: usize) -> Exhausted {
        Exhausted { name: "plan size", limit: limit as u64, unit: "bytes" }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: more than {} {}", self.name, self.limit, self.unit)
    }
}

impl std::error::Error for Exhausted {}

impl From<Exhausted> for Failure {
    fn from(budget: Exhausted) -> Failure {
        Failure::Budget { name: budget.name.into(), limit: budget.limit, unit: budget.unit.into() }
    }
}

/// The budgets of one evaluation, and what is left of them.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    pub(crate) used: Used,
    memory: u64,
    table_elements: u64,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Budget {
        Budget { limits, used: Used::default(), memory: 0, table_elements: 0 }
    }

    /// A call into the host.
    pub(crate) fn call(&mut self) -> Result<(), Exhausted> {
        let (limit, calls) = (self.limits.host_calls, &mut self.used.host_calls);
        let full = Exhausted { name: "host calls", limit: limit.into(), unit: "calls" };
        *calls = take(*calls, 1, limit).ok_or(full)?;
        Ok(())
    }

    /// Bytes that the host has copied out of the script, or set aside for it.
    pub(crate) fn copy(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let (limit, copied) = (self.limits.copied_bytes, &mut self.used.copied_bytes);
        *copied = take(*copied, bytes, limit).ok_or(Exhausted::copied_bytes(limit))?;
        Ok(())
    }

    /// A line for the operator; its end counts as well, or empty lines would be free.
    pub(crate) fn log(&mut self, line: &str) -> Result<(), Exhausted> {
        let (limit, logged) = (self.limits.log_bytes, &mut self.used.log_bytes);
        let full = Exhausted { name: "log", limit: limit.into(), unit: "bytes" };
        *logged = take(*logged, line.len() + 1, limit).ok_or(full)?;
        Ok(())
    }
}

/// `used` and `more`, if that is within `limit`.
fn take(used: u32, more: usize, limit: u32) -> Option<u32> {
    used.checked_add(u32::try_from(more).ok()?).filter(|sum| *sum <= limit)
}

/// `sum` without `current` and with `desired`: neither memories nor tables shrink, so growth is all
/// there is to count.
fn grow(sum: u64, current: usize, desired: usize) -> u64 {
    sum.saturating_add(desired.saturating_sub(current) as u64)
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let sum = grow(self.memory, current, desired);
        let limit = self.limits.memory_bytes;
        if sum > limit {
            return Err(wasmtime::Error::new(Exhausted { name: "memory", limit, unit: "bytes" }));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory = sum;
        self.used.memory_bytes = sum;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let sum = grow(self.table_elements, current, desired);
        let limit = u64::from(self.limits.table_elements);
        if sum > limit {
            let error = Exhausted { name: "table elements", limit, unit: "elements" };
            return Err(wasmtime::Error::new(error));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances as usize
    }

    fn tables(&self) -> usize {
        self.limits.instances as usize
    }

    fn memories(&self) -> usize {
        self.limits.instances as usize
    }
}
