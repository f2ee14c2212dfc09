//! Compiled machines, with the numbers that name their states.

use super::load;

/// `from [name] event -> to` for each role, separated by semicolons.
fn check(text: &str, role: &str, expected: &str) {
    let program = load(text).unwrap_or_else(|report| panic!("{report}"));
    let image = program.compile(None).unwrap_or_else(|report| panic!("{report}"));
    let machine = image.machine(image.role(role).unwrap()).unwrap();
    let states = machine.states.iter().map(|state| {
        let edges: Vec<String> =
            state.edges.iter().map(|edge| format!("{}>{}", image.event_text(&edge.action), edge.to.0)).collect();
        format!("{}: {}", state.name, edges.join(" "))
    });
    assert_eq!(states.collect::<Vec<_>>().join("\n"), expected, "{role} from {}", machine.initial.0);
    assert_eq!(machine.initial.0, 0);
}

const PAPER: &str = "global protocol Paper(role A, role B, role C, role D, role E) {
    m1() from B to E; m2() from C to E; m3() from B to A; m4() from C to A; m5() from A to D; m6() from D to B;
}";

#[test]
fn interactions_are_numbered_in_the_order_of_the_text() {
    check(PAPER, "A", "3: B?m3>1\n4: C?m4>2\n5: D!m5>3\nend: ");
    check(PAPER, "B", "1: E!m1>1\n3: A!m3>2\n6: D?m6>3\nend: ");
    check(PAPER, "C", "2: E!m2>1\n4: A!m4>2\nend: ");
    check(PAPER, "D", "5: A?m5>1\n6: B!m6>2\nend: ");
    check(PAPER, "E", "1: B?m1>1\n2: C?m2>2\nend: ");
}

#[test]
fn each_receiver_of_a_message_counts() {
    let text = "global protocol P(role A, role B, role C) { x() from A to B, C; y() from C to A; }";
    check(text, "A", "1: B!x>1\n2: C!x>2\n3: C?y>3\nend: ");
    check(text, "C", "2: A?x>1\n3: A!y>2\nend: ");
}

#[test]
fn a_choice_is_named_by_all_its_first_interactions() {
    let text = "global protocol P(role A, role B) {
        choice at A { x() from A to B; } or { y() from A to B; z() from B to A; }
    }";
    check(text, "A", "1|2: B!x>1 B!y>2\nend: \n3: B?z>1");
}

#[test]
fn a_loop_comes_back_to_its_head() {
    let text = "global protocol P(role A, role B) {
        rec X { choice at A { more() from A to B; continue X; } or { done() from A to B; } }
    }";
    check(text, "A", "1|2: B!more>0 B!done>1\nend: ");
    check(text, "B", "1|2: A?more>0 A?done>1\nend: ");
}

#[test]
fn branches_that_begin_alike_are_merged() {
    let text = "global protocol P(role A, role B, role C) {
        choice at A { go() from A to B; x() from B to C; } or { go() from A to B; y() from B to C; }
    }";
    check(text, "A", "1|3: B!go>1\nend: ");
    check(text, "B", "1|3: A?go>1\n2|4: C!x>2 C!y>2\nend: ");
    check(text, "C", "2|4: B?x>1 B?y>1\nend: ");
}

#[test]
fn states_that_behave_alike_are_one_and_carry_both_numbers() {
    let text = "global protocol P(role A, role B) { rec X { x() from A to B; x() from A to B; continue X; } }";
    check(text, "A", "1|2: B!x>0");
}

#[test]
fn calls_are_inlined_with_their_arguments() {
    let text = "module protocol; type <rust> \"u64\" from \"std\" as Count;
        global protocol P(role A, role B) { do Q<hello(Count), Count>(A, B); do Q<bye(), Count>(B, A); }
        aux global protocol Q<sig M, type T>(role S, role R) { M from S to R; ack(T) from R to S; }";
    check(text, "A", "1: B!hello>1\n2: B?ack>2\n3: B?bye>3\n4: B!ack>4\nend: ");
    let image = load(text).unwrap().compile(None).unwrap();
    let edge = &image.machines[0].states[0].edges[0];
    assert_eq!(edge.action.payload, ["Count"]);
}

#[test]
fn recursion_through_calls_becomes_a_loop() {
    let text = "global protocol P(role A, role B) {
        choice at A { ping() from A to B; do P(B, A); } or { stop() from A to B; }
    }";
    check(text, "A", "1|4: B!ping>1 B!stop>2\n2|3: B?ping>0 B?stop>2\nend: ");
}

#[test]
fn a_machine_of_a_role_without_part_in_a_loop_goes_on() {
    let text = "global protocol P(role A, role B, role C) {
        rec X { choice at A { a() from A to B; continue X; } or { b() from A to B; } }
        c() from C to A;
    }";
    check(text, "C", "3: A!c>1\nend: ");
}

#[test]
fn what_the_runtime_cannot_execute_is_refused_by_name() {
    let cases = [
        ("explicit global protocol P(role A, role B) { connect A to B; x() from A to B; }", "explicit connections"),
        (
            "global protocol P(role A, role B) { x(Q@A) from A to B; } global protocol Q(role A, role B) { y() from A to B; }",
            "delegation",
        ),
        ("global protocol P(reliable role A, role B) { x() from A to B; }", "`reliable` roles"),
        (
            "global protocol P(role A, role B) { choice at A { x() from A to B; } or { crash from A to B; } }",
            "`crash` branches",
        ),
    ];
    for (text, feature) in cases {
        let report = load(text).unwrap().compile(Some("P")).unwrap_err();
        let message = format!("the runtime cannot execute {feature}");
        assert!(report.diagnostics.iter().any(|finding| finding.message == message), "{text}\n{report}");
    }
}
