//! What standard output and the random numbers keep between calls.

use nshost_policy::wire::Level;

use crate::{budget::Exhausted, state::State};

/// A line that never ends is cut here, in bytes.
const LONGEST_LINE: usize = 4096;

/// The state of the stand-ins.
#[derive(Default)]
pub(crate) struct Inert {
    out: Vec<u8>,
    err: Vec<u8>,
    random: u64,
}

impl Inert {
    /// SplitMix64 from a fixed seed: random enough for hash tables, the same in each run.
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn begun(&mut self, level: Level) -> &mut Vec<u8> {
        if level == Level::Err { &mut self.err } else { &mut self.out }
    }
}

impl State {
    /// Takes what a script wrote; whole lines go to the log.
    pub(super) fn write(&mut self, level: Level, bytes: &[u8]) -> Result<(), Exhausted> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = self.wasi.begun(level);
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") || line.len() >= LONGEST_LINE {
                self.end_line(level)?;
            }
        }
        Ok(())
    }

    /// Lines that were begun and not ended, when the script has ended.
    pub(crate) fn end_lines(&mut self) -> Result<(), Exhausted> {
        self.end_line(Level::Out)?;
        self.end_line(Level::Err)
    }

    fn end_line(&mut self, level: Level) -> Result<(), Exhausted> {
        let line = std::mem::take(self.wasi.begun(level));
        self.say(level, &String::from_utf8_lossy(&line))
    }
}
