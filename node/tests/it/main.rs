//! A node as its users see it: real RocksDB, real gRPC, three nodes on loopback.

mod agents;
mod cluster;
mod folder;
mod harness;
mod snapshot;
