#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| takedown_fuzz::pasted::run(bytes));
