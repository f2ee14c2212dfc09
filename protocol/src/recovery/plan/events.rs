//! Written events, `peer!label` and `peer?label`, as a path of the role's machine.

use crate::history::History;
use crate::image::{Direction, Image, RoleId, State};
use crate::recovery::plan::PlanError;

/// Reads the events of one role; each must be possible in the state that those before it reach.
pub(super) fn read_history(image: &Image, role: RoleId, events: &[String]) -> Result<History, PlanError> {
    let mut history = History::default();
    let Some(machine) = image.machine(role) else {
        return Err(PlanError::new("protocol", format!("role `{}` has no machine", image.role_name(role))));
    };
    let mut at = machine.initial;
    for (position, text) in events.iter().enumerate() {
        let refuse = |problem: String| PlanError::new(place(image, role, position), problem);
        let Some(state) = machine.state(at) else {
            return Err(refuse("its machine has no such state".to_owned()));
        };
        let (direction, peer, label) = parts(text)
            .ok_or_else(|| refuse(format!("`{text}` is no event; events read `peer!label` or `peer?label`")))?;
        let Some(peer) = image.role(peer) else {
            return Err(refuse(format!("`{text}` names `{peer}`, which is no role of protocol `{}`", image.name)));
        };
        let edge = state.edges.iter().enumerate().find(|(_, edge)| {
            let action = &edge.action;
            action.direction == direction && action.peer == peer && action.label == label
        });
        let Some((number, edge)) = edge else {
            return Err(refuse(format!("`{text}` cannot happen here; {}", expected(image, state))));
        };
        let number = u16::try_from(number).map_err(|_| refuse(format!("`{text}` is one branch of too many")))?;
        history.steps.push(number);
        at = edge.to;
    }
    Ok(history)
}

/// Where an event stands in the input. Events are counted from 1, as positions are.
pub(super) fn place(image: &Image, role: RoleId, position: usize) -> String {
    format!("histories.{}, event {}", image.role_name(role), position + 1)
}

fn parts(text: &str) -> Option<(Direction, &str, &str)> {
    let sign = text.find(['!', '?'])?;
    let (peer, label) = (&text[..sign], &text[sign + 1..]);
    let direction = if text[sign..].starts_with('!') { Direction::Send } else { Direction::Receive };
    Some((direction, peer, label))
}

fn expected(image: &Image, state: &State) -> String {
    if state.is_final() {
        return "expected no further event, the role is at its end".to_owned();
    }
    let events: Vec<String> = state.edges.iter().map(|edge| format!("`{}`", image.event_text(&edge.action))).collect();
    format!("expected {} (state {})", events.join(" or "), state.name)
}
