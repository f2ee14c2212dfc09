//! The texts, in the order of the codes.

use super::Explanation;
use crate::code::Code;

macro_rules! explanation {
    ($rule:literal, $bad:literal, $good:literal, $why:literal) => {
        Explanation { rule: $rule, bad: $bad, good: $good, why: $why }
    };
}

/// The explanation of a code.
#[allow(clippy::too_many_lines, reason = "one flat list of texts")]
pub(super) fn of(code: Code) -> Explanation {
    match code {
        Code::Syntax => explanation!(
            "The text must be in the grammar of the language.",
            "global protocol P(role A, role B) {\n    hello() from A B;\n}",
            "global protocol P(role A, role B) {\n    hello() from A to B;\n}",
            "What cannot be read cannot be checked. All errors of a file are shown at once."
        ),
        Code::TooDeep => explanation!(
            "Blocks are nested at most 200 deep in a source, blocks and calls at most 400 deep once inlined.",
            "global protocol P(role A, role B) { rec X { rec X { … 200 more … } } }",
            "global protocol P(role A, role B) {\n    do Q(A, B);\n}\n\naux global protocol Q(role A, role B) {\n    hello() from A to B;\n}",
            "A bound keeps any file from exhausting the stack of the tool that reads it."
        ),
        Code::Unsupported => explanation!(
            "Some constructs of relatives of Scribble are known and refused by name, each once in a file: refinement types, nested and local protocols, `calls`, time (`timed`, `within`), indexed roles, `foreach`, `const`, `initiates`, `call … returning`, `transient`, arrows (`A -> B: M();`) and others.",
            "global protocol P(role A, role B) {\n    amount(x: int{x > 0}) from A to B;\n}",
            "global protocol P(role A, role B) {\n    amount(int) from A to B;\n}",
            "Better a clear refusal than a protocol that is read as something else."
        ),
        Code::TooLarge => explanation!(
            "A protocol has at most 1,000 roles and 1,000,000 interactions once its calls are inlined, the calls of a file together take at most 4,000,000 steps to inline, at most 1,000 modules are imported, and a machine has at most 1,000,000 states.",
            "aux global protocol Q(role A, role B, role C, role D, …) {\n    choice at A { do Q(B, A, C, D, …); } or { do Q(D, C, B, A, …); }\n}",
            "aux global protocol Q(role A, role B, role C, role D, …) {\n    rec X { choice at A { next() from A to B; continue X; } or { end() from A to B; } }\n}",
            "Calls that permute many roles are inlined once for each order, and there are very many orders."
        ),
        Code::AnnotationIgnored => explanation!(
            "An annotation `@\"…\"` is read and has no effect: no check looks at it, and the runtime does not either. This is a note, and refuses nothing.",
            "global protocol P(role A, role B) {\n    pay(n: int) from A to B; @\"n > 0\"\n}",
            "global protocol P(role A, role B) {\n    pay(n: int) from A to B; // the worker of A sees to it that n > 0\n}",
            "Whoever wrote a condition counts on it."
        ),
        Code::UnknownRole => explanation!(
            "Every role that is named in a protocol is declared in its list of roles.",
            "global protocol P(role A, role B) {\n    hello() from A to C;\n}",
            "global protocol P(role A, role B, role C) {\n    hello() from A to B, C;\n}",
            "A role is a process that somebody must start; a misspelt one would never come."
        ),
        Code::UnknownRecursion => explanation!(
            "`continue X` stands inside `rec X { … }`.",
            "global protocol P(role A, role B) {\n    rec X { hello() from A to B; continue Y; }\n}",
            "global protocol P(role A, role B) {\n    rec X { hello() from A to B; continue X; }\n}",
            "There is nothing to go back to."
        ),
        Code::UnknownProtocol => explanation!(
            "`do` calls a protocol of the same file by its name, one of an imported module by `module.Name` or `Alias.Name`.",
            "module shop;\nimport bank.Payment;\n\nglobal protocol Shop(role A, role B) {\n    do Pay(A, B);\n}",
            "module shop;\nimport bank.Payment as Bank;\n\nglobal protocol Shop(role A, role B) {\n    do Bank.Pay(A, B);\n}",
            "Names of other modules are not visible without their module, so two modules may use the same name."
        ),
        Code::UnknownType => explanation!(
            "In a file with a `module` line each payload type is declared (`type` or `data`), or is a parameter of the protocol. A type that is not is a warning, once in a file, and stands for itself; with `--strict` it is an error.",
            "module shop;\n\nglobal protocol P(role A, role B) {\n    order(Pizza) from A to B;\n}",
            "module shop;\n\ntype <rust> \"shop::Pizza\" from \"shop\" as Pizza;\n\nglobal protocol P(role A, role B) {\n    order(Pizza) from A to B;\n}",
            "Both sides of a message must mean the same type. Files without a `module` line declare none, and may name any."
        ),
        Code::DeclaredTwice => explanation!(
            "A name is declared once: a protocol or a type in its module, a role or a parameter in its protocol, a receiver in its message.",
            "global protocol P(role A, role A) {\n    hello() from A to A;\n}",
            "global protocol P(role A, role B) {\n    hello() from A to B;\n}",
            "With two meanings nobody could tell which is meant."
        ),
        Code::RoleArguments => explanation!(
            "`do` gives one role for each role of the called protocol, each another one.",
            "global protocol P(role A, role B) {\n    do Q(A, A);\n}\n\naux global protocol Q(role C, role D) {\n    hello() from C to D;\n}",
            "global protocol P(role A, role B) {\n    do Q(A, B);\n}\n\naux global protocol Q(role C, role D) {\n    hello() from C to D;\n}",
            "A process that plays two roles would have to talk to itself."
        ),
        Code::Arguments => explanation!(
            "`do` gives one argument in `<…>` for each parameter: a message for `sig`, a type for `type` and `data`.",
            "global protocol P(role A, role B) {\n    do Q<hello(), bye()>(A, B);\n}\n\naux global protocol Q<sig M>(role A, role B) {\n    M from A to B;\n}",
            "global protocol P(role A, role B) {\n    do Q<hello()>(A, B);\n}\n\naux global protocol Q<sig M>(role A, role B) {\n    M from A to B;\n}",
            "A parameter without argument stands for nothing."
        ),
        Code::SelfMessage => explanation!(
            "A role does not send to itself, nor connect to itself.",
            "global protocol P(role A, role B) {\n    note() from A to A;\n    hello() from A to B;\n}",
            "global protocol P(role A, role B) {\n    hello() from A to B;\n}",
            "A process knows already what it would tell itself; the message would only add a way to lose it."
        ),
        Code::ModuleName => explanation!(
            "The last part of the module's name is the name of its file, without its ending. In a module that is imported and with `--strict` another name is an error, else a warning.",
            "// in the file shop.scr\nmodule booking;",
            "// in the file booking.scr\nmodule booking;",
            "Imports find a module by its name."
        ),
        Code::ImportNotFound => explanation!(
            "An imported module `a.b.C` is the file `a/b/C.scr`, below the directory above the importing module's own path or below an include directory (`-I`).",
            "module shop.Order;\nimport bank.Payment;   // there is no bank/Payment.scr",
            "module shop.Order;\nimport bank.Payment;   // bank/Payment.scr lies beside shop/",
            "What is not there cannot be called."
        ),
        Code::ImportClash => explanation!(
            "An import, or its alias, does not take a name that stands for a module already: the module's own name, or that of another import.",
            "module shop;\nimport bank.Payment as shop;",
            "module shop;\nimport bank.Payment as bank;",
            "With two meanings nobody could tell which is meant."
        ),
        Code::UnknownMessage => explanation!(
            "In a module that declares message signatures (`sig`), a message without `( )` is one of them, or a parameter of the protocol.",
            "module shop;\nsig <rust> \"Order\" from \"shop\" as Order;\n\nglobal protocol P(role A, role B) {\n    Ordr from A to B;\n}",
            "module shop;\nsig <rust> \"Order\" from \"shop\" as Order;\n\nglobal protocol P(role A, role B) {\n    Order from A to B;\n}",
            "A misspelt signature would be another message, without the payload that was meant."
        ),
        Code::UnusedRole => explanation!(
            "Every declared role takes part: it sends, receives or chooses.",
            "global protocol P(role A, role B, role C) {\n    hello() from A to B;\n}",
            "global protocol P(role A, role B) {\n    hello() from A to B;\n}",
            "A process for it would be started and could do nothing, not even end."
        ),
        Code::NotEnabled => explanation!(
            "In a branch only the role that chose may act at once; any other acts after it has received a message in that branch. A role that does the same in every branch need not know: `--complete` sees that.",
            "choice at A {\n    x() from A to B;\n    y() from C to B;\n    z() from A to C;\n} or {\n    v() from A to B;\n    w() from A to C;\n}",
            "choice at A {\n    x() from A to B;\n    z() from A to C;\n    y() from C to B;\n} or {\n    v() from A to B;\n    w() from A to C;\n}",
            "A role that has heard nothing cannot know which branch was taken, and would act in the wrong one."
        ),
        Code::InconsistentChoice => explanation!(
            "A role that learns of a choice hears of it first from the same peer in every branch in which it takes part. `--complete` sees where it can tell all the same.",
            "choice at A {\n    x() from A to B;\n    y() from B to C;\n} or {\n    v() from A to B;\n    w() from A to C;\n}",
            "choice at A {\n    x() from A to B;\n    y() from B to C;\n} or {\n    v() from A to B;\n    w() from B to C;\n}",
            "The role would have to wait for several peers at once, and messages of different peers come in any order."
        ),
        Code::EmptyBranch => explanation!(
            "A branch of a choice in which nothing is sent is left out: the role takes one of the others. This is a warning.",
            "choice at A {\n    more() from A to B;\n} or {\n}",
            "choice at A {\n    more() from A to B;\n} or {\n    enough() from A to B;\n}",
            "Nobody could tell that the branch was taken, so nobody may take it: a protocol that counts on it does something else than it says."
        ),
        Code::Connection => explanation!(
            "In an `explicit` protocol two roles are connected before they exchange messages, and disconnected after, once each. In others all start connected.",
            "explicit global protocol P(role A, role B) {\n    hello() from A to B;\n}",
            "explicit global protocol P(role A, role B) {\n    connect A to B;\n    hello() from A to B;\n    disconnect A and B;\n}",
            "A message to somebody who is not connected goes nowhere."
        ),
        Code::CrashBranch => explanation!(
            "A branch that begins with `crash() from A to B;` says what happens when `A`, who chooses, has crashed for good. `A` is not reliable, and another branch says what it does otherwise. Later in such a branch, `crash() from A to C;` says that `C` notices it too.",
            "global protocol P(reliable role A, reliable role B) {\n    choice at A { hello() from A to B; } or { crash() from A to B; }\n}",
            "global protocol P(role A, reliable role B) {\n    choice at A { hello() from A to B; } or { crash() from A to B; }\n}",
            "Nobody sends `crash`: it stands for what the receiver notices. So it has a place and a meaning of its own."
        ),
        Code::CrashUnhandled => explanation!(
            "In a protocol with `reliable` roles or `crash` branches, whoever waits for a role that is not reliable handles its crash.",
            "global protocol P(role A, reliable role B) {\n    hello() from A to B;\n    choice at A { bye() from A to B; } or { crash() from A to B; }\n}",
            "global protocol P(role A, reliable role B) {\n    choice at A {\n        hello() from A to B;\n        choice at A { bye() from A to B; } or { crash() from A to B; }\n    } or {\n        crash() from A to B;\n    }\n}",
            "A role that has crashed for good sends nothing any more, and who waits for it would wait for ever."
        ),
        Code::CrashedActs => explanation!(
            "In and after a branch that handles the crash of a role, that role sends nothing. What is sent to it is lost.",
            "global protocol P(role A, reliable role B) {\n    choice at A {\n        hello() from A to B;\n    } or {\n        crash() from A to B;\n    }\n    bye() from A to B;\n}",
            "global protocol P(role A, reliable role B) {\n    choice at A {\n        hello() from A to B;\n        choice at A { bye() from A to B; } or { crash() from A to B; }\n    } or {\n        crash() from A to B;\n    }\n}",
            "Whoever waits for it would wait for ever."
        ),
        Code::LeavesPar => explanation!(
            "A part of a `par` does not continue a loop around the `par`. The loop stands inside the part, or goes on after the `par`.",
            "global protocol P(role A, role B, role C) {\n    rec X {\n        par { a() from A to B; continue X; } and { b() from A to C; }\n    }\n}",
            "global protocol P(role A, role B, role C) {\n    rec X {\n        par { a() from A to B; } and { b() from A to C; }\n        continue X;\n    }\n}",
            "The other parts would still be going on when the loop begins again, once more each round."
        ),
        Code::AmbiguousPar => explanation!(
            "Two parts of a `par` do not use the same label from the same sender to the same receiver.",
            "par { a() from A to B; b() from B to A; } and { a() from A to B; c() from B to A; }",
            "par { a1() from A to B; b() from B to A; } and { a2() from A to B; c() from B to A; }",
            "Both parts go on at once, so the receiver could not tell to which of them a message belongs."
        ),
        Code::Unreachable => explanation!(
            "Nothing follows a `continue`, nor a loop or a choice that may still go round. This is asked of each role for the part it takes: a role that is in no branch of the loop may go on after it.",
            "rec X {\n    choice at A {\n        more() from A to B;\n        continue X;\n    } or {\n        stop() from A to B;\n    }\n    bye() from B to A;\n}",
            "rec X {\n    choice at A {\n        more() from A to B;\n        continue X;\n    } or {\n        stop() from A to B;\n        bye() from B to A;\n    }\n}",
            "What follows would never be reached, or would have to be done once for each round after the last one."
        ),
        Code::PayloadConflict => explanation!(
            "Where a role may take one of several messages of a peer, messages with the same label carry the same payload.",
            "choice at A { answer(Count) from A to B; } or { answer(Text) from A to B; }",
            "choice at A { count(Count) from A to B; } or { text(Text) from A to B; }",
            "The label is what a receiver looks at to know what it gets."
        ),
        Code::StuckMessage => explanation!(
            "Whatever messages are on their way, the one that comes can be taken.",
            "choice at A {\n    go() from A to B;\n    x() from B to A;\n} or {\n    go() from A to B;\n    y() from B to A;\n}",
            "choice at A {\n    left() from A to B;\n    x() from B to A;\n} or {\n    right() from A to B;\n    y() from B to A;\n}",
            "Branches that begin with the same message cannot be told apart, so two roles may take different ones; then a message comes that its receiver does not expect."
        ),
        Code::Deadlock => explanation!(
            "No roles wait for each other in a circle.",
            "choice at A {\n    x() from A to B, C;\n    y() from B to C;\n} or {\n    x() from A to B, C;\n    y() from C to B;\n}",
            "choice at A {\n    x1() from A to B, C;\n    y() from B to C;\n} or {\n    x2() from A to B, C;\n    y() from C to B;\n}",
            "Each would wait for ever for what the other never sends."
        ),
        Code::OrphanMessage => explanation!(
            "When a role is done, no message to it is left.",
            "choice at A {\n    x() from A to B;\n} or {\n    x() from A to B;\n    y() from A to B;\n}",
            "choice at A {\n    x() from A to B;\n} or {\n    x2() from A to B;\n    y() from A to B;\n}",
            "Somebody sent it for a reason, and nobody would read it."
        ),
        Code::UnfinishedRole => explanation!(
            "When nothing can happen any more, every role has come to its end.",
            "choice at A {\n    x() from A to B;\n    y() from A to C;\n} or {\n    x() from A to C;\n}",
            "choice at A {\n    x() from A to B;\n    y() from A to C;\n} or {\n    z() from A to B;\n    x() from A to C;\n}",
            "The role that was not told would wait for ever, and its process would never be over."
        ),
        Code::RoleProgress => explanation!(
            "While others go on for ever, no role that still has something to do waits for ever. Without `--fair` this must hold even if a choice in a loop always goes the same way.",
            "rec X {\n    choice at A {\n        x() from A to B;\n        continue X;\n    } or {\n        y() from A to B;\n        z() from A to C;\n        continue X;\n    }\n}",
            "rec X {\n    choice at A {\n        x() from A to B;\n        w() from A to C;\n        continue X;\n    } or {\n        y() from A to B;\n        z() from A to C;\n        continue X;\n    }\n}",
            "A role that hears nothing for ever cannot be told from one that was forgotten."
        ),
        Code::EventualReception => explanation!(
            "Every message that is sent is received at some time.",
            "start() from A to B;\nchoice at B {\n    rec X { tick() from B to C; continue X; }\n} or {\n    stop() from B to C;\n}\nresult() from A to C;",
            "start() from A to B;\nchoice at B {\n    tick() from B to C;\n} or {\n    stop() from B to C;\n}\nresult() from A to C;",
            "The sender counts on it, and the message would have to be kept for ever."
        ),
        Code::NotProved => explanation!(
            "The last checks look at the configurations of the roles together; beyond 500,000 of them (100,000 in the worst case of unfair choices) they stop and say so.",
            "one protocol of many roles that choose independently and then meet",
            "several protocols of few roles, or roles that do not depend on each other",
            "A protocol that was not looked at to the end is not called valid."
        ),
        Code::NotRunnable => explanation!(
            "Some features are checked and not executed: explicit connections, `wrap`, delegation, `reliable` roles and `crash` branches.",
            "explicit global protocol P(role A, role B) {\n    connect A to B;\n    hello() from A to B;\n}",
            "global protocol P(role A, role B) {\n    hello() from A to B;\n}",
            "A runtime that ignored what it does not know would run another protocol than the one that was checked."
        ),
        Code::NoSuchProtocol => explanation!(
            "A protocol to run or to project is named, unless there is only one that is not `aux`.",
            "rekindle protocol project two.scr --role A",
            "rekindle protocol project two.scr --protocol P --role A",
            "With several, none is meant more than another."
        ),
    }
}
