//! Small protocols, made by hand.

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Action, Direction, Edge, Image, Machine, RoleId, State, StateId};

/// One role a line, each a sequence of events: `A: B?price C!order`. `B!yes|no` is a choice between two labels. A `*`
/// before an event makes a loop of that event and all after it.
pub(crate) fn image(name: &str, text: &str) -> Image {
    let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(':').expect("`ROLE: events`")).collect();
    let roles: Vec<String> = lines.iter().map(|(role, _)| role.trim().to_owned()).collect();
    let machines = lines.iter().map(|(_, events)| machine(&roles, events)).collect();
    Image { name: name.to_owned(), roles, machines }
}

fn machine(roles: &[String], text: &str) -> Machine {
    let words: Vec<&str> = text.split_whitespace().collect();
    let head = words.iter().position(|word| word.starts_with('*'));
    let end = words.len();
    let mut states = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let next = if index + 1 == end { head.unwrap_or(end) } else { index + 1 };
        let to = StateId(u32::try_from(next).expect("a small machine"));
        let edges: Vec<Edge> = actions(roles, word.trim_start_matches('*')).map(|action| Edge { action, to }).collect();
        states.push(State { name: edges[0].action.label.clone(), edges });
    }
    if head.is_none() {
        states.push(State { name: "end".to_owned(), edges: Vec::new() });
    }
    Machine { initial: StateId(0), states }
}

fn actions(roles: &[String], word: &str) -> impl Iterator<Item = Action> {
    let sign = word.find(['!', '?']).expect("`peer!label` or `peer?label`");
    let direction = if word[sign..].starts_with('!') { Direction::Send } else { Direction::Receive };
    let peer = roles.iter().position(|role| role == &word[..sign]).expect("a role of the protocol");
    let peer = RoleId(u16::try_from(peer).expect("few roles"));
    word[sign + 1..].split('|').map(move |label| Action {
        direction,
        peer,
        label: label.to_owned(),
        payload: Vec::new(),
    })
}

/// The history of a role without choices that has done `position` events.
pub(crate) fn history(position: usize) -> History {
    History { steps: vec![0; position] }
}

/// The example of the recovery table's documentation: A fails at 3, and B and C must send again what was lost with it.
pub(crate) const TALK: &str = "A: B?3 C?4 D!5\nB: E!1 A!3 D?6\nC: E!2 A!4\nD: A?5 B!6\nE: B?1 C?2";
