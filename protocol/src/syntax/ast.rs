//! The syntax tree of a module.
//!
//! Invariant: blocks are nested at most [`MAX_NESTING`](super::parser::MAX_NESTING) deep, so recursion over the tree
//! is bounded; sequences are vectors, so their length costs no stack.

use crate::diagnostics::Span;
use crate::syntax::names::Name;

/// A name at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ident {
    pub(crate) name: Name,
    pub(crate) span: Span,
}

/// `a.b.C`; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QName {
    pub(crate) parts: Vec<Ident>,
    pub(crate) span: Span,
}

/// One source file.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// Absent in files without a `module` line.
    pub(crate) name: Option<QName>,
    pub(crate) imports: Vec<Import>,
    pub(crate) declarations: Vec<Declaration>,
    pub(crate) protocols: Vec<Protocol>,
    /// The `@"…"` in it, in the order of the text. They are conditions of relatives of Scribble, and say nothing here.
    pub(crate) annotations: Vec<Span>,
}

/// `import a.b.C as D;`
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) module: QName,
    pub(crate) alias: Option<Ident>,
}

/// `type <java> "x" from "y" as T;` or `sig …`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declaration {
    pub(crate) kind: ParameterKind,
    pub(crate) name: Ident,
}

/// What a declared name or a parameter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    /// A payload type (`type` or `data`).
    Type,
    /// A message signature.
    Signature,
}

/// A global protocol.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) name: Ident,
    pub(crate) aux: bool,
    pub(crate) explicit: bool,
    pub(crate) parameters: Vec<Declaration>,
    pub(crate) roles: Vec<RoleDeclaration>,
    pub(crate) body: Block,
}

/// `role R`, `role R as S`, or `reliable role R`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleDeclaration {
    /// What the role is called in the protocol: `S`.
    pub(crate) name: Ident,
    /// What it is called from outside: `R`. The same where no other name is given.
    pub(crate) public: Ident,
    pub(crate) reliable: Option<Span>,
}

impl Protocol {
    /// Which role of this protocol an argument of a `do` stands for: the one that it names, else the one at its place.
    pub(crate) fn place(&self, at: usize, argument: &RoleArgument) -> Option<usize> {
        match argument.parameter {
            Some(parameter) => self.roles.iter().position(|role| role.public.name == parameter.name),
            None => (at < self.roles.len()).then_some(at),
        }
    }
}

/// `{ … }`
pub(crate) type Block = Vec<Statement>;

/// One interaction or a construct around some.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) kind: StatementKind,
    /// The whole statement for simple ones, the keyword for those with blocks.
    pub(crate) span: Span,
}

/// The kinds of statement.
#[derive(Clone, Debug)]
pub(crate) enum StatementKind {
    Message {
        message: Message,
        from: Ident,
        to: Vec<Ident>,
    },
    Connect {
        message: Option<Message>,
        from: Ident,
        to: Ident,
    },
    Disconnect {
        left: Ident,
        right: Ident,
    },
    Wrap {
        from: Ident,
        to: Ident,
    },
    /// `opens`: the `{` of each block.
    Choice {
        at: Ident,
        blocks: Vec<Block>,
        opens: Vec<Span>,
    },
    Rec {
        variable: Ident,
        body: Block,
    },
    Continue {
        variable: Ident,
    },
    Do {
        protocol: QName,
        arguments: Vec<Argument>,
        roles: Vec<RoleArgument>,
    },
    Par {
        blocks: Vec<Block>,
    },
}

/// A role that a `do` passes: `A`, or `A as X` for the role that is declared as `X`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleArgument {
    pub(crate) role: Ident,
    pub(crate) parameter: Option<Ident>,
}

/// `label(payload)`, or a bare name.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Absent where the operator is empty.
    pub(crate) label: Option<Ident>,
    /// Absent for a bare name: a signature, or a label without payload.
    pub(crate) payload: Option<Vec<Payload>>,
    pub(crate) span: Span,
}

/// One element of a payload.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// A type.
    Type(QName),
    /// `Protocol@Role`: a session end that is handed over.
    Delegation { protocol: QName, role: Ident },
}

/// An argument of `do` in angle brackets.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    /// `label(…)`
    Message(Message),
    /// A name: of a signature, a type or a parameter.
    Name(QName),
}
