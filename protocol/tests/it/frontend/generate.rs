//! Well-formed protocols from choices: whatever the bytes, the text is in the grammar and most names resolve.
//!
//! Most constructs are tame (a choice is told to the roles that act in it, nothing follows a loop that goes round), so that
//! the checks on the machines of all roles are reached; each may also be wild.

use std::fmt::Write as _;

use arbitrary::Unstructured;

/// Statements of one text, before calls are inlined.
const MAX_STATEMENTS: u32 = 48;

/// Levels of blocks.
const MAX_DEPTH: usize = 5;

/// The text that these choices stand for.
pub(crate) fn protocols(choices: &[u8]) -> String {
    let mut writer = Writer {
        choices: Unstructured::new(choices),
        out: String::new(),
        statements: MAX_STATEMENTS,
        roles: Vec::new(),
        protocols: Vec::new(),
        current: 0,
        loops: 0,
        depth: 0,
        explicit: false,
        part: String::new(),
        module: false,
        label: 0,
    };
    writer.file();
    writer.out
}

/// A protocol as others call it: how many roles, and whether it has a parameter.
struct Header {
    roles: usize,
    parameter: bool,
}

struct Writer<'a> {
    choices: Unstructured<'a>,
    out: String,
    /// How many more statements there may be.
    statements: u32,
    /// The roles that act in the block that is being written.
    roles: Vec<usize>,
    protocols: Vec<Header>,
    current: usize,
    /// Loops around.
    loops: usize,
    depth: usize,
    explicit: bool,
    /// Labels end with it, so that they differ in the parts of a `par`.
    part: String,
    module: bool,
    label: u32,
}

impl Writer<'_> {
    /// One time in `of`; never when the choices are used up.
    fn rarely(&mut self, of: u8) -> bool {
        self.below(usize::from(of)) == usize::from(of) - 1
    }

    /// A number below `bound`; 0 when the choices are used up.
    fn below(&mut self, bound: usize) -> usize {
        self.choices.int_in_range(0..=bound.saturating_sub(1)).unwrap_or(0)
    }

    fn role(&mut self) -> usize {
        let at = self.below(self.roles.len());
        self.roles[at]
    }

    fn other(&mut self, than: usize) -> usize {
        let others: Vec<usize> = self.roles.iter().copied().filter(|role| *role != than).collect();
        others.get(self.below(others.len())).copied().unwrap_or(than)
    }

    fn file(&mut self) {
        self.module = self.rarely(4);
        if self.module {
            self.out.push_str("module protocol;\nimport a.b.Lib as L;\n");
            self.out.push_str("type <rust> \"u64\" from \"std\" as T;\nsig <rust> \"N\" from \"std\" as N;\n");
        }
        for index in 0..=self.below(3) {
            let roles = if index == 0 { 2 + self.below(5) } else { 2 + self.below(2) };
            let parameter = index > 0 && self.rarely(3);
            self.protocols.push(Header { roles, parameter });
        }
        for index in 0..self.protocols.len() {
            self.protocol(index);
        }
    }

    fn protocol(&mut self, index: usize) {
        (self.current, self.loops, self.depth) = (index, 0, 0);
        self.explicit = index == 0 && self.rarely(16);
        self.roles = (0..self.protocols[index].roles).collect();
        // Crashes are part of few protocols; there most roles are reliable.
        let crashes = index == 0 && self.rarely(12);
        let mut roles = Vec::new();
        for role in 0..self.protocols[index].roles {
            let reliable = if crashes && !self.rarely(3) { "reliable " } else { "" };
            roles.push(format!("{reliable}role {}", name(role)));
        }
        let aux = if index > 0 { "aux " } else { "" };
        let explicit = if self.explicit { "explicit " } else { "" };
        let parameter = if self.protocols[index].parameter { "<sig M>" } else { "" };
        let _ = writeln!(self.out, "{aux}{explicit}global protocol P{index}{parameter}({}) {{", roles.join(", "));
        self.block(true);
        self.out.push_str("}\n");
    }

    /// The inside of a block. `last`: nothing follows it, so it may go round.
    fn block(&mut self, last: bool) {
        self.depth += 1;
        let count = 1 + self.below(4);
        for at in 0..count {
            if self.statements == 0 {
                break;
            }
            self.statements -= 1;
            let last = (last && at + 1 == count) || self.rarely(32);
            self.statement(last);
        }
        self.depth -= 1;
    }

    fn statement(&mut self, last: bool) {
        let nests = self.depth < MAX_DEPTH && self.roles.len() > 1;
        match self.below(32) {
            13..=19 if nests => self.choice(last),
            20..=23 if nests && last => self.looped(last),
            24 if nests => self.looped(false),
            25..=27 if last => self.goes_on(),
            28..=29 => self.call(last),
            30 => self.connection(),
            31 if nests && self.part.is_empty() => self.parallel(),
            _ => self.message(),
        }
    }

    fn message(&mut self) {
        let from = self.role();
        let to = self.other(from);
        let label = ["a", "b", "c", "d"][self.below(4)];
        let payload = self.payload();
        let _ = write!(self.out, "{label}{}{payload} from {} to {}", self.part, name(from), name(to));
        let also = self.other(from);
        if self.rarely(8) && also != to {
            let _ = write!(self.out, ", {}", name(also));
        }
        self.out.push_str(";\n");
    }

    fn payload(&mut self) -> &'static str {
        match (self.below(24), self.module) {
            (0, _) => "(T)",
            (1, _) => "(x: T, T)",
            (2, true) => "(L.T)",
            (3, true) => "(a.b.Lib.T)",
            (4, _) => "(P0@A)",
            (5, _) => "",
            _ => "()",
        }
    }

    /// Who acts in a choice is told which branch was taken, by who chose or one by one.
    fn choice(&mut self, last: bool) {
        let at = self.role();
        let around = self.roles.clone();
        let told: Vec<usize> = around.iter().copied().filter(|role| *role != at && !self.rarely(4)).collect();
        let (chain, alike, wild) = (self.rarely(4), self.rarely(6), self.rarely(12));
        let _ = writeln!(self.out, "choice at {} {{", name(at));
        let branches = 1 + self.below(3);
        for branch in 0..=branches {
            if branch > 0 {
                self.out.push_str("} or {\n");
            }
            self.label += 1;
            let label = if alike { 0 } else { self.label };
            let mut from = at;
            for &to in &told {
                if !wild || !self.rarely(3) {
                    let _ = writeln!(self.out, "l{label}{}() from {} to {};", self.part, name(from), name(to));
                }
                from = if chain { to } else { at };
            }
            if !wild {
                self.roles = std::iter::once(at).chain(told.iter().copied()).collect();
            }
            if !self.rarely(4) {
                self.block(last);
            }
            self.roles.clone_from(&around);
        }
        if let Some(&first) = told.first()
            && self.rarely(12)
        {
            let _ = writeln!(self.out, "}} or {{\ncrash() from {} to {};", name(at), name(first));
            self.roles.retain(|role| *role != at);
            if self.rarely(2) && self.roles.len() > 1 {
                self.block(last);
            }
            self.roles.clone_from(&around);
        }
        self.out.push_str("}\n");
    }

    fn looped(&mut self, last: bool) {
        let _ = writeln!(self.out, "rec X{} {{", self.loops);
        self.loops += 1;
        self.block(last);
        self.loops -= 1;
        self.out.push_str("}\n");
    }

    fn goes_on(&mut self) {
        if self.loops == 0 {
            return self.message();
        }
        let back = 1 + self.below(self.loops);
        let _ = writeln!(self.out, "continue X{};", self.loops - back);
    }

    /// Calls one that stands further below; as a last statement also one that stands above, which makes a loop.
    fn call(&mut self, last: bool) {
        let first = if last && self.rarely(2) { 0 } else { self.current + 1 };
        if self.rarely(8) && self.module && self.roles.len() > 1 {
            let (one, other) = (self.roles[0], self.roles[1]);
            let _ = writeln!(self.out, "do L.Ask<q(), T>({}, {});", name(one), name(other));
            return;
        }
        if first >= self.protocols.len() {
            return self.message();
        }
        let called = first + self.below(self.protocols.len() - first);
        let mut left = self.roles.clone();
        let wanted = self.protocols[called].roles;
        if left.len() < wanted {
            return self.message();
        }
        // Every permutation of many roles is a call of its own.
        let turns = wanted <= 4 && self.rarely(2);
        let mut roles = Vec::new();
        for _ in 0..wanted {
            let at = if turns { self.below(left.len()) } else { 0 };
            roles.push(name(left.remove(at)));
        }
        let parameter = match (self.protocols[called].parameter, self.protocols[self.current].parameter) {
            (false, _) => "",
            (true, true) => "<M>",
            (true, false) if self.module => "<N>",
            (true, false) => "<m(T)>",
        };
        let _ = writeln!(self.out, "do P{called}{parameter}({});", roles.join(", "));
    }

    fn connection(&mut self) {
        let one = self.role();
        let other = self.other(one);
        let (one, other) = (name(one), name(other));
        let _ = match if self.explicit { self.below(8) } else { 7 + self.below(4) } {
            0..=3 => writeln!(self.out, "connect {one} to {other};"),
            4..=5 => writeln!(self.out, "k() connect {one} to {other};"),
            6 => writeln!(self.out, "disconnect {one} and {other};"),
            8 => writeln!(self.out, "wrap {one} to {other};"),
            _ if self.protocols[self.current].parameter => writeln!(self.out, "M from {one} to {other};"),
            _ => writeln!(self.out, "e(T) from {one} to {other};"),
        };
    }

    fn parallel(&mut self) {
        if !self.rarely(3) {
            return self.message();
        }
        let (around, loops) = (self.part.clone(), self.loops);
        for (keyword, letter) in [("par", 'p'), ("} and", 'q')] {
            let _ = writeln!(self.out, "{keyword} {{");
            if !self.rarely(12) {
                self.part.push(letter);
                self.loops = 0;
            }
            self.block(true);
            self.part.clone_from(&around);
            self.loops = loops;
        }
        self.out.push_str("}\n");
    }
}

fn name(role: usize) -> &'static str {
    ["A", "B", "C", "D", "E", "F"][role % 6]
}
