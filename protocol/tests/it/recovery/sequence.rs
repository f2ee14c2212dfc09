//! Protocols without choice, written as the list of their messages.

use rekindle_protocol::image::{Action, Direction, Edge, Image, Machine, RoleId, State, StateId};

/// The protocol of these messages, sender and receiver of each; message `n` has the label `ln` and the number `n`.
pub(crate) fn sequence(name: &str, roles: &[&str], messages: &[(&str, &str)]) -> Image {
    let id = |name: &str| {
        let place = roles.iter().position(|role| *role == name).expect("a role of the protocol");
        RoleId(u16::try_from(place).expect("few roles"))
    };
    let machine = |role: &str| {
        let mine = (1..).zip(messages).filter(|(_, (from, to))| *from == role || *to == role);
        let mut states: Vec<State> = (1u32..)
            .zip(mine)
            .map(|(next, (number, (from, to)))| {
                let sends = *from == role;
                let direction = if sends { Direction::Send } else { Direction::Receive };
                let peer = id(if sends { to } else { from });
                let action = Action { direction, peer, label: format!("l{number}"), payload: Vec::new() };
                State { name: number.to_string(), edges: vec![Edge { action, to: StateId(next) }] }
            })
            .collect();
        states.push(State { name: "end".to_owned(), edges: Vec::new() });
        Machine { initial: StateId(0), states }
    };
    Image {
        name: name.to_owned(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        machines: roles.iter().map(|role| machine(role)).collect(),
    }
}
