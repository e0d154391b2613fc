//! The first script of the README, as it stands there: what newcomers type is tested.

include!(concat!(env!("OUT_DIR"), "/first.rs"));
