//! Any bytes as text: lexer, parser, loading, names, and what is said about them.

#![no_main]

use rekindle_fuzz::harness;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    drop(harness::front(&String::from_utf8_lossy(input)));
});
