//! Times evaluations as the launcher makes them: `time DIRECTORY MODULE [COUNT]`, where DIRECTORY holds
//! `nshost-worker` and `nshost-compiler`.

#![allow(clippy::disallowed_methods, reason = "stands in for the launcher, to measure")]

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nshost_plan::{Facts, Limits, codec};
use nshost_policy::{
    Grants,
    wire::{Answer, CompileAnswer, Question},
};

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(directory), Some(module)) = (words.next(), words.next()) else {
        eprintln!("usage: time DIRECTORY MODULE [COUNT]");
        return Ok(());
    };
    let count = words.next().and_then(|count| count.parse().ok()).unwrap_or(200);
    let (worker, compiler) =
        (Path::new(&directory).join("nshost-worker"), Path::new(&directory).join("nshost-compiler"));
    let path = std::env::temp_dir().join(format!("nshost-time-{}", std::process::id()));

    let begun = Instant::now();
    let ran = run(&compiler, "compile", File::open(module)?, File::create(&path)?.into(), &[])?;
    println!("compile {:?}: {:?}", begun.elapsed(), codec::decode::<CompileAnswer>("answer", &ran.answer));

    let question = Question { facts: Facts::default(), grants: Grants::open(), limits: Limits::DEFAULT };
    let mut frame = Vec::new();
    codec::write_frame(&mut frame, &codec::encode(&question))?;
    let ran = run(&worker, "evaluate", File::open(&path)?, Stdio::null(), &frame)?;
    println!("{:?}", codec::decode::<Answer>("answer", &ran.answer));

    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..count {
        let started = run(&worker, "nothing", File::open(&path)?, Stdio::null(), &[])?;
        let ran = run(&worker, "evaluate", File::open(&path)?, Stdio::null(), &frame)?;
        let inside = codec::decode::<Answer>("answer", &ran.answer).map_or(0, |answer| answer.used.wall_us);
        times[0].push(started.ended);
        times[1].push(ran.answered);
        times[2].push(ran.ended);
        times[3].push(Duration::from_micros(inside));
    }
    let names = ["start and end only", "until the answer", "until the end", "inside the script"];
    for (name, times) in names.iter().zip(&mut times) {
        times.sort();
        println!("{name:20} min {:>9.1?} median {:>9.1?}", times[0], times[times.len() / 2]);
    }
    std::fs::remove_file(path)
}

struct Ran {
    answer: Vec<u8>,
    answered: Duration,
    ended: Duration,
}

fn run(program: &Path, mode: &str, input: File, output: Stdio, question: &[u8]) -> io::Result<Ran> {
    use io::Write;
    let begun = Instant::now();
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(program);
    command.arg(mode).env_clear().stdin(Stdio::from(OwnedFd::from(theirs))).stdout(input).stderr(output);
    let mut child = command.spawn()?;
    drop(command);
    let _ = ours.write_all(question);
    let answer = codec::read_frame(&mut ours).unwrap_or_default();
    let answered = begun.elapsed();
    child.wait()?;
    Ok(Ran { answer, answered, ended: begun.elapsed() })
}
