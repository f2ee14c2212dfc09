//! What runs while things are broken.

pub mod commands;
pub mod relay;
pub mod sessions;
