//! `nshost:setup/log`: lines for the operator.

use nshost_policy::wire::Level;

use crate::{bindings::nshost::setup::log::Host, failure::Panicked, state::State};

impl Host for State {
    fn info(&mut self, line: String) -> wasmtime::Result<()> {
        self.call(line.as_str())?;
        Ok(self.say(Level::Info, &line)?)
    }

    fn warn(&mut self, line: String) -> wasmtime::Result<()> {
        self.call(line.as_str())?;
        Ok(self.say(Level::Warn, &line)?)
    }

    fn panic(&mut self, message: String, at: Option<String>) -> wasmtime::Result<()> {
        self.call((message.as_str(), &at))?;
        Err(wasmtime::Error::new(Panicked { message, at }))
    }
}
