//! A node as its users see it: a real database, real gRPC, three nodes on loopback.

mod agents;
mod busy;
mod cluster;
mod cuts;
mod disks;
mod distance;
mod folder;
mod garbage;
mod harness;
mod identity;
mod partition;
mod restart;
mod room;
mod seams;
mod snapshot;
mod strangers;
