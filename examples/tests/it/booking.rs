use crate::driver::{Order, Session};
use crate::folder;
use crate::process::Program;

#[test]
fn workers_need_no_library() {
    let folder = folder("booking-python");
    let customer = Program::new(folder.join("customer.py"), folder.clone()).env("BOOKING_MONEY", &100);
    let shop = Program::new(folder.join("shop.py"), folder);
    for order in [Order::Eager, Order::LastFirst] {
        let roles = vec![("A", customer.clone()), ("B", shop.clone())];
        let finished = Session { roles, next: std::collections::BTreeMap::new(), order }.run();
        // 3 + 6 + … + 21 is 84, and item 8 would cost 24.
        assert_eq!(finished.logs, ["spent 84 of 100 on 7 items"]);
        assert_eq!(finished.events["B"], 17);
    }
}

#[test]
fn the_worker_in_the_documentation_is_this_one() {
    let page = std::fs::read_to_string(folder("../docs/worker-api.md")).expect("the page");
    let blocks: Vec<_> = page.split("```").skip(1).step_by(2).collect();
    let block = |language: &str| {
        let found: Vec<_> = blocks.iter().filter_map(|block| block.strip_prefix(language)).collect();
        assert_eq!(found.len(), 1, "blocks of {language}");
        found[0].trim()
    };
    let file = |name: &str| std::fs::read_to_string(folder("booking-python").join(name)).expect("a file");
    let without = |text: String, beginning: &str| {
        let lines = text.lines().filter(|line| !line.starts_with(beginning));
        lines.flat_map(|line| [line, "\n"]).collect::<String>().trim().to_owned()
    };
    assert_eq!(without(file("shop.py"), "\"\"\""), block("python"));
    assert_eq!(without(file("booking.toml"), "#").trim(), block("toml"));
    let protocol = blocks.iter().find(|block| block.contains("global protocol")).expect("a protocol");
    assert_eq!(without(file("booking.scr"), "//"), protocol.trim());
}
