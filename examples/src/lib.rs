//! What the examples' workers have in common besides `rekindle-worker`: settings and files.

pub mod file;
pub mod setting;
