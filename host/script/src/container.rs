//! `nshost:setup/container`: namespaces, hostname, domain name.

use nshost_plan::{Inside, Namespace, UtsName};

use crate::{
    bindings::nshost::setup::container::Host,
    state::{Asked, State},
};

impl State {
    fn unshare(&mut self, kind: Namespace) -> Asked {
        self.call(())?;
        self.ask_inside(Ok(Inside::Namespace(kind)))
    }
}

impl Host for State {
    fn unshare_user(&mut self) -> Asked {
        self.unshare(Namespace::User)
    }

    fn unshare_pid(&mut self) -> Asked {
        self.unshare(Namespace::Pid)
    }

    fn unshare_mount(&mut self) -> Asked {
        self.unshare(Namespace::Mount)
    }

    fn unshare_network(&mut self) -> Asked {
        self.unshare(Namespace::Network)
    }

    fn unshare_uts(&mut self) -> Asked {
        self.unshare(Namespace::Uts)
    }

    fn unshare_ipc(&mut self) -> Asked {
        self.unshare(Namespace::Ipc)
    }

    fn unshare_cgroup(&mut self) -> Asked {
        self.unshare(Namespace::Cgroup)
    }

    fn unshare_time(&mut self) -> Asked {
        self.unshare(Namespace::Time)
    }

    fn hostname(&mut self, name: String) -> Asked {
        self.call(name.as_str())?;
        self.ask_inside(UtsName::try_from(name).map(Inside::Hostname))
    }

    fn domain_name(&mut self, name: String) -> Asked {
        self.call(name.as_str())?;
        self.ask_inside(UtsName::try_from(name).map(Inside::DomainName))
    }
}
