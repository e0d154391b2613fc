#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nshost_fuzz::module_load::run(data));
