//! The fault harness: real processes under faults, and checkers that judge what was seen from outside.
//!
//! * [`history`]: what clients asked and heard, in order of a single clock; written as EDN too.
//! * [`outside`]: what workers wrote down about themselves, in a place that no fault touches.
//! * [`checkers`]: pure functions from what was seen to findings. Each has bad histories that it must reject.
//! * [`verdict`]: valid, invalid or unknown, with the coverage of the faults.
//! * [`timeline`]: the same for a reader, as one HTML page.
//! * [`faults`], [`schedule`]: what can be broken, and when: the same seed gives the same schedule.
//! * [`netns`]: nodes and local supervisors as processes in network namespaces of their own.
//! * [`load`]: clients and sessions that run meanwhile.
//!
//! Invariants
//! * a checker never turns an unknown outcome into a known one;
//! * a run whose evidence is missing (a fault without effect, a log that is not there, a checker that failed) is not valid;
//! * whatever a run starts ends with it: processes, namespaces and mounts live in namespaces of the run.

pub mod checkers;
pub mod faults;
pub mod history;
pub mod load;
pub mod netns;
pub mod outside;
pub mod schedule;
pub mod timeline;
pub mod verdict;
