//! Compiles the protocol buffers in pure Rust: no `protoc` is needed.

use std::error::Error;

const FILES: [&str; 4] = [
    "proto/rekindle/v1/cluster.proto",
    "proto/rekindle/v1/agents.proto",
    "proto/rekindle/v1/channels.proto",
    "proto/rekindle/v1/raft.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
