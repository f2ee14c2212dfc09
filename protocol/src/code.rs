//! The rules of the front end, each with a code that never changes its meaning.

/// Which rule a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The text is not in the grammar.
    Syntax,
    /// Blocks are nested too deeply.
    TooDeep,
    /// A feature of a relative of Scribble that is recognised and refused.
    Unsupported,
    /// The protocol grows beyond the stated size once its subprotocols are inlined.
    TooLarge,
    /// An annotation has no effect.
    AnnotationIgnored,
    /// No role of that name.
    UnknownRole,
    /// No recursion variable of that name is in scope.
    UnknownRecursion,
    /// No protocol of that name.
    UnknownProtocol,
    /// No payload type of that name.
    UnknownType,
    /// A name is declared twice.
    DeclaredTwice,
    /// A `do` gives the wrong roles.
    RoleArguments,
    /// A `do` gives the wrong message or type arguments.
    Arguments,
    /// A role sends to itself.
    SelfMessage,
    /// The module is not named like its file.
    ModuleName,
    /// An imported module cannot be found or read.
    ImportNotFound,
    /// An import hides another name.
    ImportClash,
    /// No message signature of that name, in a module that declares some.
    UnknownMessage,
    /// A declared role takes no part.
    UnusedRole,
    /// A role acts in a branch before it can know of the choice.
    NotEnabled,
    /// A role learns of a choice from different peers in different branches.
    InconsistentChoice,
    /// A branch of a choice says nothing, and is left out.
    EmptyBranch,
    /// Connections are opened, used or closed out of order.
    Connection,
    /// A `crash` branch makes no sense.
    CrashBranch,
    /// A role waits for one that may have crashed, and nothing says what then.
    CrashUnhandled,
    /// A role would send after it has crashed.
    CrashedActs,
    /// A statement can never be reached, or what follows a loop cannot be told from it.
    Unreachable,
    /// A `continue` leads out of a part of a `par`.
    LeavesPar,
    /// The same message stands in two parts of a `par`.
    AmbiguousPar,
    /// At one state the same peer and label carry different payloads.
    PayloadConflict,
    /// A message arrives that its receiver cannot take.
    StuckMessage,
    /// Roles wait for each other in a circle.
    Deadlock,
    /// A message is left over when its receiver is done.
    OrphanMessage,
    /// A role waits for ever because everybody else is done or stuck.
    UnfinishedRole,
    /// A role may never get a turn again.
    RoleProgress,
    /// A message may never be received.
    EventualReception,
    /// The stated bound was reached before the check came to an end.
    NotProved,
    /// The protocol is fine, but it uses what the runtime cannot execute.
    NotRunnable,
    /// No such protocol to compile, or none was named and there are several.
    NoSuchProtocol,
}

impl Code {
    /// Every code, in order.
    pub const ALL: [Code; 38] = [
        Code::Syntax,
        Code::TooDeep,
        Code::Unsupported,
        Code::TooLarge,
        Code::AnnotationIgnored,
        Code::UnknownRole,
        Code::UnknownRecursion,
        Code::UnknownProtocol,
        Code::UnknownType,
        Code::DeclaredTwice,
        Code::RoleArguments,
        Code::Arguments,
        Code::SelfMessage,
        Code::ModuleName,
        Code::ImportNotFound,
        Code::ImportClash,
        Code::UnknownMessage,
        Code::UnusedRole,
        Code::NotEnabled,
        Code::InconsistentChoice,
        Code::EmptyBranch,
        Code::Connection,
        Code::CrashBranch,
        Code::CrashUnhandled,
        Code::CrashedActs,
        Code::Unreachable,
        Code::LeavesPar,
        Code::AmbiguousPar,
        Code::PayloadConflict,
        Code::StuckMessage,
        Code::Deadlock,
        Code::OrphanMessage,
        Code::UnfinishedRole,
        Code::RoleProgress,
        Code::EventualReception,
        Code::NotProved,
        Code::NotRunnable,
        Code::NoSuchProtocol,
    ];

    /// The code as users see it, for example `S031`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Syntax => "S001",
            Code::TooDeep => "S002",
            Code::Unsupported => "S003",
            Code::TooLarge => "S004",
            Code::AnnotationIgnored => "S005",
            Code::UnknownRole => "S010",
            Code::UnknownRecursion => "S011",
            Code::UnknownProtocol => "S012",
            Code::UnknownType => "S013",
            Code::DeclaredTwice => "S014",
            Code::RoleArguments => "S015",
            Code::Arguments => "S016",
            Code::SelfMessage => "S017",
            Code::ModuleName => "S018",
            Code::ImportNotFound => "S019",
            Code::ImportClash => "S020",
            Code::UnknownMessage => "S021",
            Code::UnusedRole => "S025",
            Code::NotEnabled => "S030",
            Code::InconsistentChoice => "S031",
            Code::EmptyBranch => "S032",
            Code::Connection => "S040",
            Code::CrashBranch => "S041",
            Code::CrashUnhandled => "S042",
            Code::CrashedActs => "S043",
            Code::Unreachable => "S050",
            Code::LeavesPar => "S051",
            Code::AmbiguousPar => "S052",
            Code::PayloadConflict => "S060",
            Code::StuckMessage => "S070",
            Code::Deadlock => "S071",
            Code::OrphanMessage => "S072",
            Code::UnfinishedRole => "S073",
            Code::RoleProgress => "S080",
            Code::EventualReception => "S081",
            Code::NotProved => "S090",
            Code::NotRunnable => "S100",
            Code::NoSuchProtocol => "S101",
        }
    }

    /// The kind of the finding, in the words of the corpus of existing protocols.
    pub fn kind(self) -> &'static str {
        match self {
            Code::Syntax | Code::TooDeep => "syntax",
            Code::Unsupported => "unsupported",
            Code::TooLarge | Code::NotProved => "not-proved",
            Code::UnknownRole
            | Code::UnknownRecursion
            | Code::UnknownProtocol
            | Code::UnknownType
            | Code::DeclaredTwice
            | Code::RoleArguments
            | Code::Arguments
            | Code::SelfMessage
            | Code::ImportClash
            | Code::UnknownMessage => "name-disamb",
            Code::AnnotationIgnored => "annotation",
            Code::EmptyBranch => "empty-branch",
            Code::ModuleName => "module-name",
            Code::ImportNotFound => "file/import",
            Code::UnusedRole => "unused-role",
            Code::NotEnabled => "role-enabling",
            Code::InconsistentChoice => "inconsistent-ext-choice-subject",
            Code::Connection => "connection",
            Code::CrashBranch | Code::CrashUnhandled | Code::CrashedActs => "crash-handling",
            Code::Unreachable | Code::LeavesPar => "reachability/illegal-sequence",
            Code::AmbiguousPar => "ambiguous-par",
            Code::PayloadConflict => "nondet-payloads",
            Code::StuckMessage => "stuck-message(reception error)",
            Code::Deadlock => "waitfor-deadlock",
            Code::OrphanMessage => "orphan-message",
            Code::UnfinishedRole => "unfinished-roles",
            Code::RoleProgress => "role-progress",
            Code::EventualReception => "eventual-reception",
            Code::NotRunnable => "not-runnable",
            Code::NoSuchProtocol => "no-such-protocol",
        }
    }

    /// Whether the machines of the roles go wrong together, or were not looked at to the end: others may do.
    pub(crate) fn is_of_safety(self) -> bool {
        matches!(
            self,
            Code::StuckMessage | Code::Deadlock | Code::OrphanMessage | Code::UnfinishedRole | Code::NotProved
        )
    }

    /// The code with that text, in either case.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}
