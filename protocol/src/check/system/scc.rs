//! Strongly connected components (Tarjan, without recursion).

use crate::local::Local;

/// The components of a graph over `0..count`, each before those that lead to it.
pub(in crate::check) fn components<S>(count: usize, successors: impl Fn(usize) -> S) -> Vec<Vec<u32>>
where
    S: Iterator<Item = u32>,
{
    let mut tarjan = Tarjan {
        number: vec![0; count],
        low: vec![0; count],
        open: vec![false; count],
        stack: Vec::new(),
        next: 1,
        found: Vec::new(),
    };
    for root in 0..count {
        if tarjan.number[root] == 0 {
            tarjan.visit(root, &successors);
        }
    }
    tarjan.found
}

/// The number of each node's component.
pub(in crate::check) fn numbers(count: usize, components: &[Vec<u32>]) -> Vec<u32> {
    let mut of = vec![0; count];
    for (number, component) in (0u32..).zip(components) {
        for &node in component {
            of[node as usize] = number;
        }
    }
    of
}

struct Tarjan {
    number: Vec<u32>,
    low: Vec<u32>,
    open: Vec<bool>,
    stack: Vec<u32>,
    next: u32,
    found: Vec<Vec<u32>>,
}

impl Tarjan {
    fn visit<S>(&mut self, root: usize, successors: &impl Fn(usize) -> S)
    where
        S: Iterator<Item = u32>,
    {
        self.enter(root);
        let mut frames = vec![(root, successors(root))];
        while let Some((node, rest)) = frames.last_mut() {
            let node = *node;
            if let Some(next) = rest.next() {
                let next = next as usize;
                if self.number[next] == 0 {
                    self.enter(next);
                    frames.push((next, successors(next)));
                } else if self.open[next] {
                    self.low[node] = self.low[node].min(self.number[next]);
                }
                continue;
            }
            frames.pop();
            if let Some((parent, _)) = frames.last() {
                self.low[*parent] = self.low[*parent].min(self.low[node]);
            }
            if self.low[node] == self.number[node] {
                self.close(node);
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.number[node] = self.next;
        self.low[node] = self.next;
        self.next += 1;
        self.open[node] = true;
        self.stack.push(u32::try_from(node).unwrap_or(u32::MAX));
    }

    fn close(&mut self, root: usize) {
        let mut component = Vec::new();
        while let Some(node) = self.stack.pop() {
            self.open[node as usize] = false;
            component.push(node);
            if node as usize == root {
                break;
            }
        }
        self.found.push(component);
    }
}

/// The states of a machine where a walk from the start first meets a loop again: every cycle has one.
pub(super) fn loop_heads(machine: &Local) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut heads = vec![false; machine.states.len()];
    let mut marks = vec![Mark::New; machine.states.len()];
    let mut frames = vec![(machine.initial as usize, 0usize)];
    marks[machine.initial as usize] = Mark::Open;
    while let Some((state, next)) = frames.last_mut() {
        let Some(step) = machine.states[*state].moves.get(*next) else {
            marks[*state] = Mark::Done;
            frames.pop();
            continue;
        };
        *next += 1;
        let to = step.to as usize;
        match marks[to] {
            Mark::New => {
                marks[to] = Mark::Open;
                frames.push((to, 0));
            }
            Mark::Open => heads[to] = true,
            Mark::Done => {}
        }
    }
    heads
}

/// The states of a machine that some loop passes.
pub(super) fn in_loops(machine: &Local) -> Vec<bool> {
    let mut looping = vec![false; machine.states.len()];
    let successors = |state: usize| machine.states[state].moves.iter().map(|step| step.to);
    for component in components(machine.states.len(), successors) {
        let alone = component.len() == 1 && !successors(component[0] as usize).any(|to| to == component[0]);
        for state in component {
            looping[state as usize] = !alone;
        }
    }
    looping
}
