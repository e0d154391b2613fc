//! A setup script for tests, built with WASI: it does with the standard library what its argument says.
//! Whatever it finds out, it prints; its plan is empty but for the command.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher,
    net::TcpStream,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use nshost_sdk::prelude::*;

fn setup() -> Result {
    match facts::arguments().first().map_or("", String::as_str) {
        "print" => {
            println!("on standard output");
            eprintln!("on standard error");
            println!("an escape \x1b]0;title\x07 and a carriage return\rforged");
            print!("a line without an end");
        }
        "tries" => {
            let link = container::unshare([PID, MOUNT, UTS, IPC, NETWORK])
                .and_then(|()| link::veth("a", "b").map(drop));
            println!("{:?}", link.map_err(|_| "no link"));
        }
        "words" => println!("{:?}", facts::arguments()),
        "panic" => panic!("nobody expected this"),
        "index" => println!("{}", [1, 2, 3][facts::arguments().len() + 2]),
        "lines" => {
            return Err(
                "which network?\ngive it as the first argument:\n  chatty 10.0.0.0/24\n\x1b[2Jnshost: done"
                    .into(),
            );
        }
        "silent" => return Err(Error::Other(None)),
        "parse" => println!("{}", u16::try_from(facts::arguments()[1].parse::<u32>()?).unwrap_or(0)),
        "exit" => leave(),
        "clocks" => {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
            let (begin, random) = (Instant::now(), RandomState::new().hash_one("a seed"));
            println!("{wall} {:?} {random}", begin.elapsed());
        }
        "surroundings" => {
            println!("{} variables", std::env::vars().count());
            println!("{:?}", fs::read_to_string("/etc/passwd").map(|_| "read").map_err(|_| "not read"));
            println!("{:?}", fs::write("/tmp/chatty", "x").map(|()| "written").map_err(|_| "not written"));
            println!(
                "{:?}",
                TcpStream::connect("127.0.0.1:80").map(|_| "connected").map_err(|_| "not connected")
            );
        }
        other => return Err(format!("what is {other:?}?").into()),
    }
    process::command_or("/bin/true", &[])
}

#[expect(clippy::disallowed_methods, reason = "what a script should not do")]
fn leave() -> ! {
    std::process::exit(3)
}

nshost_sdk::setup!(setup);
