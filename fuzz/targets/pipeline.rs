//! The whole front end, on any text or on a protocol that the input stands for: checks, images, projections.

#![no_main]

use rekindle_fuzz::harness;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    harness::pipeline(&harness::text_of(input));
});
