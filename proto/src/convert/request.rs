//! Requests as commands: names become numbers, sources become images.

use std::collections::{BTreeMap, HashMap};

use rekindle_protocol::recovery::policy::Retention;
use rekindle_protocol::recovery::table::recovery_table;
pub use rekindle_protocol::recovery::table::{Policy, RecoveryTable};
use rekindle_protocol::{image::Image, load};
use rekindle_statemachine::command::Command;
use rekindle_statemachine::ids::{AgentId, ProtocolId, RequestId, SessionId};
use rekindle_statemachine::limits::SESSION_BYTES;
use rekindle_statemachine::spec::{RestartBudget, RoleSpec, SessionSpec};

use super::{mode_from_wire, retention_from_wire};
use crate::status::RequestError;
use crate::{printable, v1};

/// Most of a name that is repeated.
const NAME_CHARS: usize = 100;

/// The id of a request: 16 bytes.
pub fn request_id(bytes: &[u8]) -> Result<RequestId, RequestError> {
    bytes
        .try_into()
        .map(RequestId)
        .map_err(|_| RequestError::invalid(format!("a request id is 16 random bytes, this one has {}", bytes.len())))
}

/// Compiles the sources. Findings of the front end are refused with their rendered text.
pub fn register_protocol(request: &v1::RegisterProtocolRequest) -> Result<Command, RequestError> {
    let sources: HashMap<&str, &str> =
        request.sources.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
    if !sources.contains_key(request.main.as_str()) {
        return Err(RequestError::invalid(format!("the main module `{}` is not among the sources", request.main)));
    }
    let mut read = |path: &str| sources.get(path).map(|text| (*text).to_owned());
    let name = Some(request.protocol.as_str()).filter(|name| !name.is_empty());
    let image = load(&request.main, &request.include, &mut read)
        .and_then(|program| program.compile(name))
        .map_err(|report| RequestError::Invalid { reason: "PROTOCOL", message: report.to_string() })?;
    Ok(Command::RegisterProtocol { image })
}

/// The deployment in the order of the protocol's roles.
pub fn spec(request: &v1::StartSessionRequest, image: &Image) -> Result<SessionSpec, RequestError> {
    let spec = request.spec.as_ref().ok_or_else(|| RequestError::invalid("the session has no spec"))?;
    // Before anything of it is computed.
    session_id(&request.session)?;
    session_spec(spec, image)
}

/// What decides the recovery table of a protocol.
pub fn policy(spec: &SessionSpec) -> Policy {
    Policy { retention: spec.retention, modes: spec.roles.iter().map(|role| role.mode).collect() }
}

/// Computes a recovery table. Takes longer the larger the protocol is.
pub fn table(image: &Image, policy: &Policy) -> RecoveryTable {
    recovery_table(image, policy)
}

/// Starts a session, with what was made of the request before.
pub fn start_session(request: &v1::StartSessionRequest, spec: SessionSpec, table: RecoveryTable) -> Command {
    Command::StartSession {
        session: SessionId(request.session.clone()),
        protocol: ProtocolId(request.protocol_id.clone()),
        spec,
        table,
        generation: None,
    }
}

/// The id of a new session. Ids are written on command lines: one that begins with `-` would be taken for a flag.
pub fn session_id(text: &str) -> Result<SessionId, RequestError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > SESSION_BYTES || text.starts_with('-') || !text.bytes().all(fits) {
        let shown = printable::excerpt(text, SESSION_BYTES);
        return Err(RequestError::invalid(format!(
            "`{shown}` is no id of a session: 1 to {SESSION_BYTES} lower-case letters, digits or `-`, and no `-` in front"
        )));
    }
    Ok(SessionId(text.to_owned()))
}

/// Folders and commands become those of a process: no word of them can hold a NUL, and the folder is the same on every
/// host whatever its supervisor's own folder is.
fn check_process(folder: &str, roles: &[RoleSpec]) -> Result<(), RequestError> {
    if !folder.starts_with('/') || folder.contains('\0') {
        let shown = printable::excerpt(folder, NAME_CHARS);
        return Err(RequestError::invalid(format!("the folder of a session is an absolute path, `{shown}` is not")));
    }
    for role in roles {
        if role.command.iter().any(|word| word.contains('\0')) {
            return Err(RequestError::invalid("a command holds a NUL character"));
        }
        let bad = role
            .environment
            .iter()
            .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'));
        if let Some((name, _)) = bad {
            let shown = printable::excerpt(name, NAME_CHARS);
            return Err(RequestError::invalid(format!("`{shown}` is no variable that a process can be given")));
        }
    }
    Ok(())
}

/// Cancels a session.
pub fn cancel_session(request: &v1::CancelSessionRequest) -> Command {
    Command::CancelSession { session: SessionId(request.session.clone()) }
}

/// Forgets a session that has ended.
pub fn delete_session(request: &v1::DeleteSessionRequest) -> Command {
    Command::DeleteSession { session: SessionId(request.session.clone()) }
}

/// Forgets a protocol.
pub fn delete_protocol(request: &v1::DeleteProtocolRequest) -> Command {
    Command::DeleteProtocol { protocol: ProtocolId(request.protocol_id.clone()) }
}

fn session_spec(spec: &v1::SessionSpec, image: &Image) -> Result<SessionSpec, RequestError> {
    let retention = v1::Retention::try_from(spec.retention)
        .map(retention_from_wire)
        .map_err(|_| RequestError::invalid(format!("no retention has the number {}", spec.retention)))?;
    if retention == Retention::Durable {
        return Err(RequestError::Invalid {
            reason: "UNSUPPORTED",
            message: "retention `durable` is not supported yet: use `retained` or `volatile`".to_owned(),
        });
    }
    let mut given = BTreeMap::new();
    for role in &spec.roles {
        if image.role(&role.role).is_none() {
            let message =
                format!("protocol `{}` has no role `{}`: its roles are {}", image.name, role.role, names(image));
            return Err(RequestError::invalid(message));
        }
        if given.insert(role.role.as_str(), role).is_some() {
            return Err(RequestError::invalid(format!("role `{}` is given twice", role.role)));
        }
    }
    let roles = image.roles.iter().map(|name| match given.get(name.as_str()) {
        Some(role) => role_spec(role),
        None => Err(RequestError::invalid(format!("role `{name}` of protocol `{}` is not given", image.name))),
    });
    let roles: Vec<_> = roles.collect::<Result<_, _>>()?;
    check_process(&spec.folder, &roles)?;
    Ok(SessionSpec {
        retention,
        roles,
        budget: RestartBudget { max_restarts: spec.max_restarts, window_ms: spec.window_ms },
        folder: spec.folder.clone(),
    })
}

fn role_spec(role: &v1::RoleSpec) -> Result<RoleSpec, RequestError> {
    let mode = v1::Mode::try_from(role.mode)
        .map_err(|_| RequestError::invalid(format!("role `{}`: no mode has the number {}", role.role, role.mode)))?;
    if role.command.is_empty() {
        return Err(RequestError::invalid(format!("role `{}` has no command", role.role)));
    }
    Ok(RoleSpec {
        mode: mode_from_wire(mode),
        command: role.command.clone(),
        environment: role.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        agent: Some(AgentId(role.agent.clone())).filter(|agent| !agent.0.is_empty()),
        stall_timeout_ms: Some(role.stall_timeout_ms).filter(|timeout| *timeout > 0),
    })
}

fn names(image: &Image) -> String {
    image.roles.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_protocol::recovery::policy::Mode;

    const PING: &str =
        "module Ping;\nglobal protocol Ping(role A, role B) {\n  ping() from A to B;\n  pong() from B to A;\n}\n";

    fn sources(text: &str) -> v1::RegisterProtocolRequest {
        v1::RegisterProtocolRequest {
            sources: vec![v1::Source { path: "Ping.scr".into(), text: text.into() }],
            main: "Ping.scr".into(),
            ..Default::default()
        }
    }

    fn image() -> Image {
        match register_protocol(&sources(PING)) {
            Ok(Command::RegisterProtocol { image }) => image,
            other => panic!("{other:?}"),
        }
    }

    fn role(name: &str) -> v1::RoleSpec {
        v1::RoleSpec { role: name.into(), command: vec!["./worker".into()], ..Default::default() }
    }

    fn start(roles: Vec<v1::RoleSpec>) -> Result<Command, RequestError> {
        let folder = "/".to_owned();
        let spec = v1::SessionSpec { roles, max_restarts: 3, window_ms: 1000, folder, ..Default::default() };
        let request = v1::StartSessionRequest { session: "s".into(), spec: Some(spec), ..Default::default() };
        let spec = super::spec(&request, &image())?;
        let table = super::table(&image(), &policy(&spec));
        Ok(start_session(&request, spec, table))
    }

    #[test]
    fn findings_of_the_front_end_are_the_message() {
        let error = register_protocol(&sources(&PING.replace("from B to A", "from B to C"))).expect_err("no role C");
        let RequestError::Invalid { reason: "PROTOCOL", message } = error else { panic!("{error}") };
        assert!(message.starts_with("error["), "{message}");
        assert!(message.contains("Ping.scr:4:"), "{message}");
        let missing = v1::RegisterProtocolRequest { main: "Other.scr".into(), ..sources(PING) };
        let error = register_protocol(&missing).expect_err("no such source");
        assert!(error.to_string().contains("`Other.scr` is not among the sources"), "{error}");
    }

    #[test]
    fn roles_come_in_the_order_of_the_protocol() {
        let mut second = role("B");
        second.mode = v1::Mode::Replay.into();
        second.agent = "west".into();
        let Ok(Command::StartSession { spec, table, .. }) = start(vec![second, role("A")]) else { panic!() };
        assert_eq!(spec.roles[0].mode, Mode::Restart);
        assert_eq!(spec.roles[0].agent, None);
        assert_eq!(spec.roles[1].mode, Mode::Replay);
        assert_eq!(spec.roles[1].agent, Some(AgentId("west".into())));
        assert_eq!(table.rows.len(), 2);
    }

    #[test]
    fn ids_are_fit_for_command_lines_and_terminals() {
        for good in ["s", "s-1", "0", &"x".repeat(64)] {
            assert_eq!(session_id(good), Ok(SessionId(good.to_owned())));
        }
        for bad in ["", "-s", "--help", "S", "a b", "a\nb", "\u{1b}[2J", &"x".repeat(65), &"\u{7}".repeat(1 << 20)] {
            let error = session_id(bad).expect_err("refused").to_string();
            assert!(error.len() < 1_000 && !error.contains(|char: char| char.is_control()), "{error}");
        }
    }

    #[test]
    fn what_no_process_can_be_given_is_refused() {
        let spec = |folder: &str, role: v1::RoleSpec| v1::SessionSpec {
            roles: vec![role, self::role("B")],
            folder: folder.into(),
            ..Default::default()
        };
        let variable = |name: &str, value: &str| v1::RoleSpec {
            environment: [(name.to_owned(), value.to_owned())].into(),
            ..role("A")
        };
        assert!(session_spec(&spec("/srv", variable("A", "b=c")), &image()).is_ok());
        for (folder, role) in [
            ("", role("A")),
            ("srv", role("A")),
            ("/srv\0", role("A")),
            ("/srv", v1::RoleSpec { command: vec!["a\0b".into()], ..role("A") }),
            ("/srv", variable("A=B", "c")),
            ("/srv", variable("", "c")),
            ("/srv", variable("A", "c\0")),
        ] {
            assert!(session_spec(&spec(folder, role), &image()).is_err());
        }
    }

    #[test]
    fn wrong_deployments_are_named() {
        let cases = [
            (vec![role("A")], "role `B` of protocol `Ping` is not given"),
            (vec![role("A"), role("B"), role("C")], "protocol `Ping` has no role `C`: its roles are A, B"),
            (vec![role("A"), role("B"), role("A")], "role `A` is given twice"),
            (vec![role("A"), v1::RoleSpec { command: Vec::new(), ..role("B") }], "role `B` has no command"),
        ];
        for (roles, message) in cases {
            assert_eq!(start(roles).expect_err(message).to_string(), message);
        }
        assert!(request_id(&[1, 2, 3]).is_err());
        assert_eq!(request_id(&[7; 16]), Ok(RequestId([7; 16])));
    }
}
