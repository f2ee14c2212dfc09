//! Prints the text that an input stands for, and how long each part of the front end takes on it.

use std::collections::BTreeSet;
use std::time::Instant;

use rekindle_protocol::CheckOptions;

fn main() {
    for path in std::env::args().skip(1) {
        let input = std::fs::read(&path).expect("the input can be read");
        // A text is taken whole, longer than those of the fuzzer too.
        let text = String::from_utf8(input).unwrap_or_else(|error| rekindle_fuzz::text_of(error.as_bytes()));
        println!("{text}");
        let start = Instant::now();
        let loaded = rekindle_fuzz::front(&text);
        println!("// load {:?}", start.elapsed());
        let Ok(program) = loaded else { continue };
        for fair in [true, false] {
            let start = Instant::now();
            let report = program.check(CheckOptions { fair, complete: false });
            let codes: BTreeSet<&str> = report.diagnostics.iter().map(|finding| finding.code.as_str()).collect();
            println!("// check (fair: {fair}) {:?}, {} findings {codes:?}", start.elapsed(), report.diagnostics.len());
        }
        for protocol in program.protocols().filter(|protocol| !protocol.aux) {
            let start = Instant::now();
            let image = program.compile(Some(&protocol.name));
            println!("// compile {}: {:?}, {}", protocol.name, start.elapsed(), image.is_ok());
        }
    }
}
