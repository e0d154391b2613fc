//! Who else there is.

use std::ops::Deref;

use crate::Record;

/// The records of those of whom something may exist in this network namespace.
#[derive(Debug, Clone, Default)]
pub struct Others {
    records: Vec<Record>,
    unknown: bool,
}

impl Others {
    pub(crate) fn new(records: impl IntoIterator<Item = Record>, unreadable: &[(String, String)]) -> Others {
        Others { records: records.into_iter().collect(), unknown: !unreadable.is_empty() }
    }

    /// Whether there are entries that cannot be read: each may be of somebody who lives. What all share is not to
    /// be taken away then.
    pub fn unknown(&self) -> bool {
        self.unknown
    }
}

impl FromIterator<Record> for Others {
    fn from_iter<T: IntoIterator<Item = Record>>(records: T) -> Self {
        Others::new(records, &[])
    }
}

impl Deref for Others {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        &self.records
    }
}

impl IntoIterator for Others {
    type Item = Record;
    type IntoIter = std::vec::IntoIter<Record>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}
