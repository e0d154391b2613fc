//! What a script wants at hand: `use nshost_sdk::prelude::*;`

pub use crate::{
    Cidr, Error, Result, argument,
    container::{self, CGROUP, IPC, MOUNT, NETWORK, PID, TIME, USER, UTS},
    facts::{
        self,
        Family::{self, *},
    },
    filesystem, info,
    link::{self, Endpoint, Veth},
    nat, process, warn,
};
