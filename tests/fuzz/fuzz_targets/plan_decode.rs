#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nshost_fuzz::plan_decode::run(data));
