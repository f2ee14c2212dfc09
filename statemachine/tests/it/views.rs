//! Views of the state, from which snapshots and digests are made while entries are applied.

use rekindle_statemachine::command::Command;
use rekindle_statemachine::ids::{AgentId, AgentInstance, RequestId};

use crate::fixture::Fixture;
use crate::images::image;

#[test]
fn a_view_stays_as_it_was_when_it_was_taken() {
    let mut fixture = Fixture::default();
    let register = |name: &str| Command::RegisterProtocol { image: image(name, "A: B!x\nB: A?x") };
    fixture.apply(register("One"));
    let (view, before) = (fixture.machine.view(), fixture.machine.snapshot());
    fixture.time = 5;
    fixture.apply_request(register("Two"), Some(RequestId([1; 16])));
    let (agent, address) = (AgentId("east".to_owned()), "host:1".to_owned());
    fixture.apply(Command::RegisterAgent { agent, instance: AgentInstance(1), address });
    assert_ne!(fixture.machine.snapshot(), before);
    assert_eq!(view.snapshot(), before);
    assert_ne!(view.digest(), fixture.machine.digest());
    assert_eq!(fixture.machine.view().digest(), fixture.machine.digest());
}
