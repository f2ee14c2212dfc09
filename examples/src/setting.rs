//! Settings from the environment.

use std::error::Error;
use std::str::FromStr;

use anyhow::Context as _;

/// The environment variable's value, if it is set and not empty.
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The environment variable as a number, or `default` if it is not set.
pub fn number<T>(name: &str, default: T) -> anyhow::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    text(name)
        .map_or(Ok(default), |value| value.parse().with_context(|| format!("{name} must be a number, not `{value}`")))
}
