//! Any bytes as text: lexer, parser, loading, names, and what is said about them.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    drop(rekindle_fuzz::front(&String::from_utf8_lossy(input)));
});
