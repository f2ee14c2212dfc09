//! Registered protocols: compiled images, checked before anything relies on their shape.

use std::collections::BTreeSet;

use rekindle_protocol::image::{Image, Machine, RoleId, State};

use crate::bytes;
use crate::command::Rejection;
use crate::ids::ProtocolId;
use crate::limits;

/// The id of a protocol: its name and a digest of its image.
pub fn protocol_id(image: &Image) -> ProtocolId {
    let digest = blake3::hash(&bytes::encode(image)).to_hex();
    ProtocolId(format!("{}@{}", image.name, &digest[..16]))
}

/// Whether an image has the shape that its documentation promises, within the limits. Gives its id.
pub fn check(image: &Image) -> Result<ProtocolId, Rejection> {
    check_names(image)?;
    if image.machines.len() != image.roles.len() {
        return Err(invalid("a protocol has one machine for each role".to_owned()));
    }
    for (role, machine) in image.role_ids().zip(&image.machines) {
        check_machine(image, role, machine)?;
    }
    if bytes::encode(image).len() > limits::IMAGE_BYTES {
        return Err(Rejection::limit("bytes of a protocol", limits::IMAGE_BYTES));
    }
    Ok(protocol_id(image))
}

fn check_names(image: &Image) -> Result<(), Rejection> {
    if image.roles.is_empty() {
        return Err(invalid("a protocol has at least one role".to_owned()));
    }
    if image.roles.len() > limits::ROLES {
        return Err(Rejection::limit("roles of a protocol", limits::ROLES));
    }
    for name in image.roles.iter().chain([&image.name]) {
        if name.is_empty() || name.len() > limits::NAME_BYTES {
            return Err(invalid(format!("names have 1 to {} bytes", limits::NAME_BYTES)));
        }
    }
    let distinct: BTreeSet<&String> = image.roles.iter().collect();
    if distinct.len() != image.roles.len() {
        return Err(invalid("two roles of a protocol have the same name".to_owned()));
    }
    Ok(())
}

fn check_machine(image: &Image, role: RoleId, machine: &Machine) -> Result<(), Rejection> {
    let name = image.role_name(role);
    if machine.state(machine.initial).is_none() {
        return Err(invalid(format!("the machine of role `{name}` starts in a state that it does not have")));
    }
    for state in &machine.states {
        check_state(image, role, machine, state)?;
    }
    Ok(())
}

fn check_state(image: &Image, role: RoleId, machine: &Machine, state: &State) -> Result<(), Rejection> {
    let wrong = |what: &str| {
        let role = image.role_name(role);
        Err(invalid(format!("state `{}` of role `{role}` {what}", state.name)))
    };
    if state.edges.len() > limits::EDGES {
        return Err(Rejection::limit("edges of a state", limits::EDGES));
    }
    let mut events = BTreeSet::new();
    for edge in &state.edges {
        if machine.state(edge.to).is_none() {
            return wrong("leads to a state that does not exist");
        }
        if edge.action.peer == role || edge.action.peer.index() >= image.roles.len() {
            return wrong("has an event with no other role");
        }
        if !events.insert((edge.action.direction, edge.action.peer, &edge.action.label)) {
            return wrong("has the same event twice");
        }
    }
    Ok(())
}

fn invalid(reason: String) -> Rejection {
    Rejection::Invalid(reason)
}
