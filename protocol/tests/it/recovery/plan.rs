//! `protocol plan`: goldens for the answer and for each refusal.

use rekindle_protocol::image::Image;
use rekindle_protocol::recovery::plan::{PlanInput, plan};

use super::sequence::sequence;

fn booking() -> Image {
    sequence("Booking", &["A", "B"], &[("A", "B"), ("B", "A"), ("A", "B")])
}

const GOOD: &str = r#"{ "protocol": "booking.scr", "name": "Booking", "retention": "retained",
    "roles": { "A": { "recovery": "checkpoint", "checkpoints": [0, 1] }, "B": { "recovery": "restart", "checkpoints": [] } },
    "histories": { "A": ["B!l1", "B?l2"], "B": ["A?l1", "A!l2"] },
    "failed": [ { "role": "B", "kind": "worker" } ] }"#;

fn answer(text: &str) -> String {
    match PlanInput::from_json(text).and_then(|input| plan(&booking(), &input)) {
        Ok(plan) => plan.to_json(),
        Err(error) => error.to_string(),
    }
}

/// The good input with one piece of its text replaced.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from} is not in the input");
    answer(&GOOD.replacen(from, to, 1))
}

#[test]
fn the_answer_has_its_keys_in_order_on_one_line() {
    let expected = concat!(
        r#"{"line":{"A":1,"B":0},"restarted":["A","B"],"untouched":[],"#,
        r#""in_transit":[{"from":"A","to":"B","index":1,"label":"l1"}],"#,
        r#""reasons":[{"role":"A","to":1,"because":"it received message 1 (`l2`) from B, and B goes back to 0, before it sent that"},"#,
        r#"{"role":"B","to":0,"because":"it failed (worker), and can only start over"}]}"#,
    );
    assert_eq!(answer(GOOD), expected);
}

#[test]
fn retention_and_roles_have_defaults() {
    let bare = r#"{ "protocol": "b.scr", "name": "Booking", "histories": { "A": ["B!l1"] }, "failed": [] }"#;
    let expected = concat!(
        r#"{"line":{"A":1,"B":0},"restarted":[],"untouched":["A","B"],"#,
        r#""in_transit":[{"from":"A","to":"B","index":1,"label":"l1"}],"#,
        r#""reasons":[{"role":"A","to":1,"because":"nothing that it received is undone, nothing that it sent is lost"},"#,
        r#"{"role":"B","to":0,"because":"nothing that it received is undone, nothing that it sent is lost"}]}"#,
    );
    assert_eq!(answer(bare), expected);
}

#[test]
fn maps_keep_the_order_of_declaration() {
    let image = sequence("Turned", &["B", "A"], &[("A", "B")]);
    let input = r#"{ "protocol": "t.scr", "name": "Turned", "histories": {}, "failed": [] }"#;
    let input = PlanInput::from_json(input).expect("well-formed");
    let text = plan(&image, &input).expect("a run").to_json();
    assert!(text.starts_with(r#"{"line":{"B":0,"A":0},"restarted":[],"untouched":["B","A"],"#), "{text}");
}

#[test]
fn malformed_input_names_line_and_column() {
    assert_eq!(answer("{"), "run: EOF while parsing an object at line 1 column 1");
    let unknown = with(r#""retention""#, r#""retain""#);
    assert!(unknown.starts_with("run: unknown field `retain`, expected one of `protocol`"), "{unknown}");
    let kind = with(r#""worker""#, r#""crash""#);
    assert!(kind.starts_with("run: unknown variant `crash`, expected one of `worker`, `supervisor`, `host`"), "{kind}");
    let mode = with(r#""restart""#, r#""again""#);
    assert!(mode.starts_with("run: unknown variant `again`, expected one of `restart`, `checkpoint`"), "{mode}");
    let inner = with(r#""recovery""#, r#""recover""#);
    assert!(inner.starts_with("run: unknown field `recover`, expected `recovery` or `checkpoints`"), "{inner}");
    let negative = with("[0, 1]", "[-1]");
    let expected = "run: invalid type: integer `-1`, expected a position, which is a number of events at line 2 column";
    assert!(negative.starts_with(expected), "{negative}");
    let missing = answer(r#"{ "protocol": "b.scr", "name": "Booking", "histories": {} }"#);
    assert!(missing.starts_with("run: missing field `failed` at line"), "{missing}");
}

#[test]
fn an_array_is_no_object() {
    let refused = |answer: String, expected: &str, place: &str| {
        assert_eq!(answer, format!("run: invalid type: an array, expected {expected} at {place}"));
    };
    let whole = r#"["booking.scr", "Booking", "retained", {}, { "A": [] }, []]"#;
    refused(answer(whole), "an object that describes a run", "line 1 column 1");
    let role = with(r#"{ "recovery": "checkpoint", "checkpoints": [0, 1] }"#, r#"["checkpoint", [0, 1]]"#);
    refused(role, "an object with the `recovery` and `checkpoints` of a role", "line 2 column 21");
    let failure = with(r#"{ "role": "B", "kind": "worker" }"#, r#"["B", "worker"]"#);
    refused(failure, "an object with the `role` and `kind` of a failure", "line 4 column 17");
    let histories = with(r#"{ "A": ["B!l1", "B?l2"], "B": ["A?l1", "A!l2"] }"#, r#"["A", "B"]"#);
    refused(histories, "an object with one entry for each role", "line 3 column 18");
}

#[test]
fn what_is_expected_is_said_in_words_of_json() {
    for (from, to) in [
        (GOOD, "5"),
        (r#"{ "role": "B", "kind": "worker" }"#, "5"),
        (r#""retained""#, "5"),
        (r#""worker""#, r#"{ "worker": null }"#),
        (r#""checkpoint""#, "null"),
        ("[0, 1]", "[0.5]"),
        ("[0, 1]", "{}"),
        (r#"["B!l1", "B?l2"]"#, r#"{ "0": "B!l1" }"#),
    ] {
        let refusal = with(from, to);
        assert!(refusal.starts_with("run: invalid type: "), "{refusal}");
        for word in ["struct", "enum", "Plan", "u64", "Mode", "Retention", "FailureKind"] {
            assert!(!refusal.contains(word), "{refusal}");
        }
    }
}

#[test]
fn a_role_given_twice_is_refused() {
    let twice = with(r#""B": ["A?l1""#, r#""A": ["A?l1""#);
    assert!(twice.starts_with("run: role `A` stands here twice at line"), "{twice}");
    let failed = with(r#""kind": "worker" }"#, r#""kind": "worker" }, { "role": "B", "kind": "host" }"#);
    assert_eq!(failed, "failed[1]: role `B` has failed already in this list");
}

#[test]
fn unknown_roles_are_refused_where_they_stand() {
    let roles = "protocol `Booking` has no role `X`; its roles are `A`, `B`";
    assert_eq!(with(r#""B": { "recovery""#, r#""X": { "recovery""#), format!("roles: {roles}"));
    assert_eq!(with(r#""B": ["A?l1""#, r#""X": ["A?l1""#), format!("histories: {roles}"));
    assert_eq!(with(r#""role": "B""#, r#""role": "X""#), format!("failed[0]: {roles}"));
    assert_eq!(with("B?l2", "X?l2"), "histories.A, event 2: `X?l2` names `X`, which is no role of protocol `Booking`");
}

#[test]
fn a_checkpoint_past_the_end_is_refused() {
    assert_eq!(
        with("[0, 1]", "[0, 3]"),
        "roles.A.checkpoints[1]: position 3 is past the end of the role's history of 2 events"
    );
}

#[test]
fn events_must_follow_the_machine() {
    assert_eq!(with("B?l2", "l2"), "histories.A, event 2: `l2` is no event; events read `peer!label` or `peer?label`");
    assert_eq!(with("B?l2", "B!l2"), "histories.A, event 2: `B!l2` cannot happen here; expected `B?l2` (state 2)");
    assert_eq!(with("B?l2", "B?l9"), "histories.A, event 2: `B?l9` cannot happen here; expected `B?l2` (state 2)");
    assert_eq!(
        with(r#""A!l2"]"#, r#""A!l2", "A?l3", "A!l4"]"#),
        "histories.B, event 4: `A!l4` cannot happen here; expected no further event, the role is at its end"
    );
}

#[test]
fn histories_must_happen_together() {
    assert_eq!(
        with(r#""B": ["A?l1", "A!l2"]"#, r#""B": ["A?l1"]"#),
        "histories.A, event 2: `B?l2` cannot happen; B never sends message 1 to A"
    );
    // A message that is there, but another one.
    let crossed = sequence("Crossed", &["A", "B"], &[("A", "B"), ("A", "B")]);
    let mut swapped = crossed.clone();
    for (state, label) in [(0, "l2"), (1, "l1")] {
        swapped.machines[1].states[state].edges[0].action.label = label.to_owned();
    }
    let input = r#"{ "protocol": "c.scr", "name": "Crossed", "failed": [],
        "histories": { "A": ["B!l1", "B!l2"], "B": ["A?l2"] } }"#;
    let input = PlanInput::from_json(input).expect("well-formed");
    let error = plan(&swapped, &input).expect_err("A sends l1 first");
    assert_eq!(error.to_string(), "histories.B, event 1: `A?l2` cannot happen; message 1 from A is `l1`");
}

#[test]
fn histories_that_wait_for_each_other_are_refused() {
    let mut image = sequence("Knot", &["A", "B"], &[("A", "B"), ("B", "A")]);
    // A hears before it sends: nobody begins.
    let states = &mut image.machines[0].states;
    let (first, second) = (states[0].edges[0].action.clone(), states[1].edges[0].action.clone());
    states[0].edges[0].action = second;
    states[1].edges[0].action = first;
    let input = r#"{ "protocol": "k.scr", "name": "Knot", "failed": [],
        "histories": { "A": ["B?l2", "B!l1"], "B": ["A?l1", "A!l2"] } }"#;
    let input = PlanInput::from_json(input).expect("well-formed");
    let error = plan(&image, &input).expect_err("a knot");
    assert_eq!(error.to_string(), "histories.A, event 1: `B?l2` cannot happen; message 1 from B is not sent before it");
}

/// The blocks of a page that are fenced with this language.
fn fenced<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_documented_example_gives_the_documented_answer() {
    let page = include_str!("../../../../docs/recovery.md");
    let mut image = sequence("Booking", &["A", "B"], &[("A", "B"), ("B", "A")]);
    for machine in &mut image.machines {
        for (state, label) in machine.states.iter_mut().zip(["order", "price"]) {
            state.edges[0].action.label = label.to_owned();
        }
    }
    let answer = |input: &str| match PlanInput::from_json(input).and_then(|input| plan(&image, &input)) {
        Ok(plan) => plan.to_json(),
        Err(error) => error.to_string(),
    };
    let [input, output] = fenced(page, "json")[..] else { panic!("an input and an output") };
    let [refusals] = fenced(page, "text")[..] else { panic!("one list of refusals") };
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(value(&answer(input)), value(output));
    let broken = [
        input.replace("B?price", "B?total"),
        input.replace(r#", "A!price""#, ""),
        input.replace("[0, 1]", "[0, 3]"),
        input.replace(r#""role": "B""#, r#""role": "X""#),
    ];
    assert_eq!(broken.map(|input| answer(&input)).join("\n"), refusals.trim_end());
}
