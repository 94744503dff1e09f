//! From a pattern to a program, back to front, so that each step is made knowing what may follow it.

use super::block::Short;
use super::class::Class;
use super::island::Island;
use super::nfa::Nfa;
use super::node::Node;
use super::op::{Fixed, Op, Pc, Program, Save, Step, Switch};
use super::pieces::{Kind, Piece, pieces};
use super::run::Run;
use super::set::{END, SYMBOLS, Set};

/// The most steps of a program.
const STEPS_MAX: usize = 20_000;

/// The most entries of all of a program's automata.
const ISLANDS_MAX: usize = 200;

/// The deepest nesting that is compiled.
const DEPTH_MAX: usize = 100;

/// What a piece is followed by.
#[derive(Clone, Copy)]
struct Next {
    /// Counted from the end of the program.
    at: usize,
    /// What may come next; perhaps more.
    set: Set,
    /// Whether it matches whatever comes.
    always: bool,
}

/// The program of a pattern; None if it is too large, or holds a loop around what may be empty.
pub(super) fn compile(node: &Node) -> Option<Program> {
    let mut compiler = Compiler { steps: Vec::new(), saves: Vec::new(), islands: 0, runs: 0, depth: 0 };
    compiler.push(Op::Match);
    let end = Next { at: 0, set: Set::ALL, always: true };
    let start = compiler.sequence(node, end, false)?;
    Some(compiler.finish(start))
}

struct Compiler {
    /// Last first.
    steps: Vec<Step>,
    saves: Vec<Save>,
    islands: usize,
    /// Runs that may be left at several places.
    runs: usize,
    depth: usize,
}

impl Compiler {
    fn push(&mut self, op: Op) -> usize {
        self.steps.push(Step { op, saves: (0, 0) });
        self.steps.len() - 1
    }

    /// A step in front of `next`.
    fn step(&mut self, op: Op, next: Next, saves: &[Save]) -> usize {
        if next.at + 1 != self.steps.len() {
            self.push(Op::Jump(next.at as Pc));
        }
        let first = self.saves.len() as u32;
        self.saves.extend_from_slice(saves);
        let at = self.push(op);
        self.steps[at].saves = (first, self.saves.len() as u32);
        at
    }

    fn sequence(&mut self, node: &Node, mut next: Next, branch: bool) -> Option<Next> {
        let (leading, pieces) = pieces(node, branch);
        let mut end = pieces.len();
        while end > 0 {
            if self.steps.len() > STEPS_MAX {
                return None;
            }
            let begin = stretch(&pieces[..end]);
            if begin < end
                && let Some(island) = self.island(&pieces[begin..end], next)?
            {
                (next, end) = (island, begin);
                continue;
            }
            end -= 1;
            next = self.piece(&pieces[end], next)?;
        }
        Some(self.mark(&leading, next))
    }

    fn mark(&mut self, saves: &[Save], next: Next) -> Next {
        if saves.is_empty() { next } else { Next { at: self.step(Op::Mark, next, saves), ..next } }
    }

    /// The stretch as an automaton, if one decides it. The outer None: too large.
    fn island(&mut self, pieces: &[Piece], next: Next) -> Option<Option<Next>> {
        let nodes: Vec<Node> = pieces.iter().map(Piece::node).collect();
        let Some(island) = Nfa::new(nodes.iter()).and_then(|nfa| Island::new(&nfa, next.set)) else {
            return Some(None);
        };
        self.islands += 1;
        if self.islands > ISLANDS_MAX {
            return None;
        }
        let saves = pieces.last().map_or(&[][..], |piece| &piece.saves);
        let set = nodes.iter().rev().fold(next.set, |set, node| node.first(set));
        let slow = if island.ambiguous {
            let mut slow = next;
            for piece in pieces.iter().rev() {
                slow = self.piece(piece, slow)?;
            }
            slow.at
        } else {
            0
        };
        let at = self.step(Op::Island(Box::new(island), slow as Pc), next, saves);
        Some(Some(Next { at, set, always: false }))
    }

    fn piece(&mut self, piece: &Piece, next: Next) -> Option<Next> {
        let saves = &piece.saves[..];
        match &piece.kind {
            Kind::Fixed(sets) => {
                let at = self.step(fixed(sets), next, saves);
                Some(Next { at, set: sets[0], always: false })
            }
            Kind::Char(class) => {
                let at = self.step(Op::Char(class.table()), next, saves);
                Some(Next { at, set: class.heads(), always: false })
            }
            Kind::Run { class, min, max, greedy } => Some(self.run(*class, *min, *max, *greedy, next, saves)),
            Kind::Look { look, ahead, exact } => {
                let op = if *exact { Op::Ahead(Box::new(symbols(*ahead))) } else { Op::Look(*look) };
                let at = self.step(op, next, saves);
                Some(Next { at, set: next.set.and(*ahead), always: false })
            }
            Kind::Node(node) => {
                let next = self.mark(saves, next);
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return None;
                }
                let compiled = match node {
                    Node::Alt(branches) => self.alternation(branches, next),
                    Node::Repeat { min, max, greedy, node } => self.repeat(*min, *max, *greedy, node, next),
                    _ => self.sequence(node, next, true),
                };
                self.depth -= 1;
                compiled
            }
        }
    }

    fn run(&mut self, class: Set, min: u32, max: Option<u32>, greedy: bool, next: Next, saves: &[Save]) -> Next {
        let run = |max| Box::new(Run::new(class, min, max, next.set));
        let op = if class.heads().is_disjoint(next.set) || (next.always && greedy) {
            let run = run(max);
            match (min, max) {
                (0, None) if run.takes_all() => Op::Rest,
                (0, Some(1)) => Op::Maybe(class.table()),
                (_, None) if !run.is_searched() => Op::While(Box::new(Class::new(class)), min),
                _ => Op::Run(run),
            }
        } else if next.always && min == 1 {
            Op::Char(class.table())
        } else if next.always {
            Op::Run(run(Some(min)))
        } else {
            let mut run = run(max);
            run.number = self.runs;
            self.runs += 1;
            if greedy { Op::Greedy(run) } else { Op::Lazy(run) }
        };
        let set = if min == 0 { class.heads().union(next.set) } else { class.heads() };
        Next { at: self.step(op, next, saves), set, always: next.always && min == 0 }
    }

    fn alternation(&mut self, branches: &[Node], next: Next) -> Option<Next> {
        let mut compiled = Vec::new();
        for branch in branches.iter().rev() {
            compiled.push(self.sequence(branch, next, true)?);
        }
        compiled.reverse();
        self.choose(&compiled)
    }

    fn repeat(&mut self, min: u32, max: Option<u32>, greedy: bool, body: &Node, next: Next) -> Option<Next> {
        let mut entry = next;
        let mut rest = min;
        if let Some(max) = max {
            for _ in min..max {
                let body = self.sequence(body, entry, true)?;
                entry = self.choose(&if greedy { [body, next] } else { [next, body] })?;
            }
        } else {
            // What a loop does after an empty round is a question of its own; the general engine knows.
            if body.nullable() {
                return None;
            }
            let set = next.set.union(body.first(Set::ALL));
            // Holds the place of the choice, which needs to know where the body begins.
            let head = Next { at: self.push(Op::Jump(0)), set, always: false };
            let body = self.sequence(body, head, true)?;
            let choice = self.choose(&if greedy { [body, next] } else { [next, body] })?;
            self.steps.swap(head.at, choice.at);
            self.steps[choice.at].op = Op::Jump(head.at as Pc);
            entry = Next { at: head.at, set: choice.set, always: false };
            if min > 0 {
                // The loop's own body is the last of the rounds that must be.
                (entry, rest) = (body, min - 1);
            }
        }
        for _ in 0..rest {
            entry = self.sequence(body, entry, true)?;
        }
        Some(entry)
    }

    /// A choice between branches, the first that matches; the next symbol strikes out those that cannot.
    fn choose(&mut self, branches: &[Next]) -> Option<Next> {
        let mut lists: Vec<Vec<usize>> = vec![Vec::new()];
        let mut choice = [0; SYMBOLS];
        for (symbol, choice) in choice.iter_mut().enumerate() {
            let list: Vec<usize> = branches.iter().filter(|b| b.set.contains(symbol)).map(|b| b.at).collect();
            let known = lists.iter().position(|known| *known == list).unwrap_or_else(|| {
                lists.push(list);
                lists.len() - 1
            });
            *choice = u8::try_from(known).ok()?;
        }
        let mut targets = Vec::new();
        for list in &lists {
            let mut target = list.last().copied().unwrap_or_default();
            for branch in list.iter().rev().skip(1) {
                target = self.push(Op::Split(*branch as Pc, target as Pc));
            }
            targets.push(target as Pc);
            if self.steps.len() > STEPS_MAX {
                return None;
            }
        }
        let set = branches.iter().fold(Set::NONE, |set, branch| set.union(branch.set));
        let at = self.push(Op::Switch(Box::new(Switch { choice, targets })));
        Some(Next { at, set, always: false })
    }

    /// Turns the program the right way round.
    fn finish(self, start: Next) -> Program {
        let last = self.steps.len() as Pc - 1;
        let mut steps = self.steps;
        steps.reverse();
        for step in &mut steps {
            match &mut step.op {
                Op::Jump(target) | Op::Island(_, target) => *target = last - *target,
                Op::Split(first, other) => (*first, *other) = (last - *first, last - *other),
                Op::Switch(switch) => switch.targets.iter_mut().for_each(|target| *target = last - *target),
                _ => {}
            }
        }
        let is_optional = self.saves.iter().any(|save| save.restore);
        Program { steps, saves: self.saves, start: last - start.at as Pc, is_optional }
    }
}

/// Where the stretch at the end of `pieces` begins that may be an island; their length if none is worth it.
fn stretch(pieces: &[Piece]) -> usize {
    let mut begin = pieces.len();
    while begin > 0 {
        let piece = &pieces[begin - 1];
        // Slots are set where a step ends, so only the last piece may have some.
        if !piece.islandable() || (begin < pieces.len() && !piece.saves.is_empty()) {
            break;
        }
        begin -= 1;
    }
    let Some(last) = pieces.last() else { return 0 };
    let plain = |piece: &Piece| !matches!(piece.kind, Kind::Node(_));
    // What stands at fixed places is compared faster by itself.
    if matches!(&last.kind, Kind::Fixed(sets) if sets.len() > 3) || pieces[begin..].iter().all(plain) {
        return pieces.len();
    }
    begin + pieces[begin..].iter().take_while(|piece| matches!(piece.kind, Kind::Fixed(_))).count()
}

fn fixed(sets: &[Set]) -> Op {
    let bytes: Option<Vec<u8>> = sets.iter().map(Set::single).collect();
    match bytes.as_deref() {
        Some([byte]) => Op::Byte(*byte),
        Some(bytes) => Short::new(bytes).map_or_else(|| Op::Literal(bytes.into()), Op::Short),
        None => {
            let mut places = [0; 256];
            for (place, set) in sets.iter().enumerate() {
                for byte in set.iter() {
                    places[usize::from(byte)] |= 1 << place;
                }
            }
            Op::Fixed(Box::new(Fixed { places, len: sets.len() }))
        }
    }
}

fn symbols(set: Set) -> [bool; SYMBOLS] {
    let mut symbols = [false; SYMBOLS];
    for (symbol, is_in) in symbols.iter_mut().enumerate() {
        *is_in = set.contains(symbol);
    }
    debug_assert_eq!(symbols[END], set.contains(END));
    symbols
}
