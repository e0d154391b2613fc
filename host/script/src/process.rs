//! `nshost:setup/process`: the command and what it finds.

use nshost_plan::{AbsolutePath, Command, Inside, Variable};

use crate::{
    bindings::nshost::setup::process::Host,
    state::{Asked, State},
};

impl Host for State {
    fn command(&mut self, program: String, arguments: Vec<String>) -> Asked {
        self.call((program.as_str(), arguments.as_slice()))?;
        let words = [program].into_iter().chain(arguments);
        self.ask_inside(Command::parse(words).map(Inside::Command))
    }

    fn variable(&mut self, name: String, value: String) -> Asked {
        self.call((name.as_str(), value.as_str()))?;
        self.ask_inside(Variable::new(name, value).map(Inside::Variable))
    }

    fn working_directory(&mut self, path: String) -> Asked {
        self.call(path.as_str())?;
        self.ask_inside(AbsolutePath::try_from(path).map(Inside::WorkingDirectory))
    }
}
