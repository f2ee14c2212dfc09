//! The deployment file: which protocol, and for each role how it is run.
//!
//! Every key is listed in `docs/deployment.md`; a test compares the two.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rekindle_files::Links;
use rekindle_protocol::image::Image;
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_statemachine::ids::AgentId;
use rekindle_statemachine::spec::{RestartBudget, RoleSpec, SessionSpec};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most of a deployment file's size.
const FILE_BYTES: u64 = 1 << 20;

/// The file as it is written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeploymentFile {
    /// Path of the protocol, relative to the file.
    pub(crate) protocol: PathBuf,
    /// Which global protocol of the module.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Folders in which imported modules are looked up, relative to the file.
    #[serde(default)]
    pub(crate) include: Vec<PathBuf>,
    #[serde(default)]
    pub(crate) retention: Retention,
    #[serde(default = "default_max_restarts")]
    pub(crate) max_restarts: u32,
    #[serde(default = "default_window", with = "duration_text")]
    pub(crate) window: Duration,
    /// Environment of every worker.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) roles: BTreeMap<String, RoleTable>,
}

/// One `[roles.NAME]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleTable {
    pub(crate) command: CommandLine,
    #[serde(default)]
    pub(crate) recovery: Mode,
    #[serde(default)]
    pub(crate) agent: Option<String>,
    #[serde(default, with = "optional_duration_text")]
    pub(crate) stall_timeout: Option<Duration>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

fn default_max_restarts() -> u32 {
    10
}

fn default_window() -> Duration {
    Duration::from_secs(60)
}

/// A program alone, or a program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CommandLineVisitor)
    }
}

struct CommandLineVisitor;

impl<'de> Visitor<'de> for CommandLineVisitor {
    type Value = CommandLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a program (a string), or a program and its arguments (a list of strings)")
    }

    fn visit_str<E: de::Error>(self, program: &str) -> Result<CommandLine, E> {
        if program.is_empty() {
            return Err(E::custom("the command is empty"));
        }
        Ok(CommandLine(vec![program.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<CommandLine, A::Error> {
        let mut command = Vec::new();
        while let Some(word) = words.next_element::<String>()? {
            command.push(word);
        }
        if command.first().is_none_or(String::is_empty) {
            return Err(de::Error::custom("the command is empty"));
        }
        Ok(CommandLine(command))
    }
}

impl Serialize for CommandLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// `"90s"`, `"2m"`, `"1h 30m"`.
mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text)
            .map_err(|error| de::Error::custom(format!("`{text}` is not a duration such as \"30s\": {error}")))?;
        if duration.as_millis() == 0 {
            return Err(de::Error::custom("a duration must be at least 1ms"));
        }
        Ok(duration)
    }
}

mod optional_duration_text {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::duration_text::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        super::duration_text::deserialize(deserializer).map(Some)
    }
}

impl DeploymentFile {
    /// Reads and parses a deployment file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = rekindle_files::read_text(path, FILE_BYTES, Links::Followed)
            .with_context(|| format!("cannot read the deployment file {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a valid deployment file", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// The spec of a session of `image`: roles in the order of the protocol, all of them and no others.
    pub(crate) fn spec(&self, image: &Image, folder: &Path) -> Result<SessionSpec> {
        if self.retention == Retention::Durable {
            bail!("retention `durable` is not supported yet; use `retained` or `volatile`");
        }
        self.check_roles(image)?;
        let roles = image.roles.iter().filter_map(|name| self.roles.get(name)).map(|role| self.role_spec(role));
        Ok(SessionSpec {
            retention: self.retention,
            roles: roles.collect(),
            budget: RestartBudget { max_restarts: self.max_restarts, window_ms: milliseconds(self.window) },
            folder: folder.to_str().context("the path of the deployment file is not UTF-8")?.to_owned(),
        })
    }

    /// The mode of each role in the order of the protocol; `restart` for roles that the file does not name.
    pub(crate) fn modes(&self, image: &Image) -> Result<Vec<Mode>> {
        self.check_roles(image)?;
        Ok(image.roles.iter().map(|name| self.roles.get(name).map_or(Mode::Restart, |role| role.recovery)).collect())
    }

    fn check_roles(&self, image: &Image) -> Result<()> {
        let unknown: Vec<_> = self.roles.keys().filter(|name| image.role(name).is_none()).collect();
        if let Some(name) = unknown.first() {
            bail!(
                "[roles.{name}]: protocol `{}` has no role `{name}`\nhint: its roles are {}",
                image.name,
                image.roles.join(", ")
            );
        }
        if let Some(name) = image.roles.iter().find(|name| !self.roles.contains_key(*name)) {
            bail!(
                "role `{name}` of protocol `{}` has no worker\nhint: add [roles.{name}] with a `command`",
                image.name
            );
        }
        Ok(())
    }

    fn role_spec(&self, role: &RoleTable) -> RoleSpec {
        let mut environment = self.env.clone();
        environment.extend(role.env.clone());
        RoleSpec {
            mode: role.recovery,
            command: role.command.0.clone(),
            environment,
            agent: role.agent.clone().map(AgentId),
            stall_timeout_ms: role.stall_timeout.map(milliseconds),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
