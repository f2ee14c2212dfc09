//! The whole front end, on any text or on a protocol that the input stands for: checks, images, projections.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    rekindle_fuzz::pipeline(&rekindle_fuzz::text_of(input));
});
