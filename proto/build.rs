//! Compiles the protocol buffers in pure Rust: no `protoc` is needed.

use std::error::Error;

const FILES: [&str; 5] = [
    "proto/rekindle/v1/cluster.proto",
    "proto/rekindle/v1/agents.proto",
    "proto/rekindle/v1/channels.proto",
    "proto/rekindle/v1/raft.proto",
    "proto/rekindle/v1/identity.proto",
];

/// Log entries and snapshots: shared, not copied, on their way between log, wire and state machine.
const SHARED_BYTES: [&str; 2] = [".rekindle.v1.RaftMessage", ".rekindle.v1.SnapshotChunk"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let files = protox::compile(FILES, ["proto"])?;
    let mut builder = tonic_prost_build::configure();
    for path in SHARED_BYTES {
        builder = builder.bytes(path);
    }
    builder.compile_fds(files)?;
    Ok(())
}
