//! How much the script may use.

use nshost_plan::Limits;
use serde::{Deserialize, Serialize};

use crate::text::Number;

/// What a file says of each budget; none: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LimitRule {
    values: [Option<u32>; Key::ALL.len()],
}

/// A budget, by its key in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    WallMs,
    MemoryMib,
    TableElements,
    Instances,
    HostCalls,
    CopiedKib,
    Steps,
    LogKib,
    CompileMs,
    CompileMemoryMib,
}

impl Key {
    /// All, in the order in which they are written.
    pub const ALL: [Key; 10] = [
        Key::WallMs,
        Key::MemoryMib,
        Key::TableElements,
        Key::Instances,
        Key::HostCalls,
        Key::CopiedKib,
        Key::Steps,
        Key::LogKib,
        Key::CompileMs,
        Key::CompileMemoryMib,
    ];

    /// The key in the file.
    pub fn name(self) -> &'static str {
        match self {
            Key::WallMs => "wall-ms",
            Key::MemoryMib => "memory-mib",
            Key::TableElements => "table-elements",
            Key::Instances => "instances",
            Key::HostCalls => "host-calls",
            Key::CopiedKib => "copied-kib",
            Key::Steps => "steps",
            Key::LogKib => "log-kib",
            Key::CompileMs => "compile-ms",
            Key::CompileMemoryMib => "compile-memory-mib",
        }
    }

    /// The most that can be granted, in the key's unit.
    pub const fn max(self) -> u32 {
        let max = Limits::MAX;
        match self {
            Key::WallMs => max.wall_ms,
            Key::MemoryMib => (max.memory_bytes >> 20) as u32,
            Key::TableElements => max.table_elements,
            Key::Instances => max.instances,
            Key::HostCalls => max.host_calls,
            Key::CopiedKib => max.copied_bytes >> 10,
            Key::Steps => max.steps,
            Key::LogKib => max.log_bytes >> 10,
            Key::CompileMs => max.compile_ms,
            Key::CompileMemoryMib => (max.compile_memory_bytes >> 20) as u32,
        }
    }

    fn put(self, limits: &mut Limits, value: u32) {
        match self {
            Key::WallMs => limits.wall_ms = value,
            Key::MemoryMib => limits.memory_bytes = u64::from(value) << 20,
            Key::TableElements => limits.table_elements = value,
            Key::Instances => limits.instances = value,
            Key::HostCalls => limits.host_calls = value,
            Key::CopiedKib => limits.copied_bytes = value << 10,
            Key::Steps => limits.steps = value,
            Key::LogKib => limits.log_bytes = value << 10,
            Key::CompileMs => limits.compile_ms = value,
            Key::CompileMemoryMib => limits.compile_memory_bytes = u64::from(value) << 20,
        }
    }
}

/// `[limits]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    wall_ms: Option<Number<{ Key::WallMs.max() }>>,
    memory_mib: Option<Number<{ Key::MemoryMib.max() }>>,
    table_elements: Option<Number<{ Key::TableElements.max() }>>,
    instances: Option<Number<{ Key::Instances.max() }>>,
    host_calls: Option<Number<{ Key::HostCalls.max() }>>,
    copied_kib: Option<Number<{ Key::CopiedKib.max() }>>,
    steps: Option<Number<{ Key::Steps.max() }>>,
    log_kib: Option<Number<{ Key::LogKib.max() }>>,
    compile_ms: Option<Number<{ Key::CompileMs.max() }>>,
    compile_memory_mib: Option<Number<{ Key::CompileMemoryMib.max() }>>,
}

impl From<Table> for LimitRule {
    fn from(table: Table) -> LimitRule {
        let values = [
            table.wall_ms.map(|number| number.0),
            table.memory_mib.map(|number| number.0),
            table.table_elements.map(|number| number.0),
            table.instances.map(|number| number.0),
            table.host_calls.map(|number| number.0),
            table.copied_kib.map(|number| number.0),
            table.steps.map(|number| number.0),
            table.log_kib.map(|number| number.0),
            table.compile_ms.map(|number| number.0),
            table.compile_memory_mib.map(|number| number.0),
        ];
        LimitRule { values }
    }
}

impl LimitRule {
    /// The limits: what is said, and else what a script has anyway.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::DEFAULT;
        for (key, value) in Key::ALL.into_iter().zip(self.values) {
            if let Some(value) = value {
                key.put(&mut limits, value);
            }
        }
        limits
    }

    /// Sets a budget; more than can be granted is the most that can be.
    pub fn set(&mut self, key: Key, value: u32) {
        self.values[key as usize] = Some(value.clamp(1, key.max()));
    }

    /// What is said of it.
    pub fn get(&self, key: Key) -> Option<u32> {
        self.values[key as usize]
    }

    /// Of two, the greater one each.
    pub fn or_more(&self, other: &LimitRule) -> LimitRule {
        let mut both = *self;
        for (mine, theirs) in both.values.iter_mut().zip(other.values) {
            *mine = (*mine).max(theirs);
        }
        both
    }

    /// The table as TOML; empty if nothing is said.
    pub fn table(&self) -> String {
        let said = Key::ALL.into_iter().filter_map(|key| Some((key, self.get(key)?)));
        let lines: String = said.map(|(key, value)| format!("{} = {value}\n", key.name())).collect();
        if lines.is_empty() { lines } else { format!("\n[limits]\n{lines}") }
    }
}
