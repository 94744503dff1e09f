//! What is wrong with a pattern, and where.

/// A pattern that cannot be compiled. [`CompileError::render`] draws a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {fault}", self.place(), self.column())]
pub struct CompileError {
    /// The definition that holds the mistake; `None` for the pattern that was to be compiled.
    pub definition: Option<String>,
    /// The text of that definition or pattern.
    pub text: String,
    /// Where in `text`: bytes from its start, on a character's edge.
    pub offset: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Syntax(#[from] SyntaxFault),
    /// `nearest` is the name that differs least, where one is close.
    #[error("unknown pattern %{{{name}}}{}", .nearest.as_ref().map(|n| format!("; did you mean %{{{n}}}?")).unwrap_or_default())]
    UnknownPattern { name: String, nearest: Option<String> },
    #[error("the pattern needs more than {most} expansions: does it contain itself?")]
    TooManySteps { most: usize },
    #[error("the expanded pattern has more than {most} pieces: write a smaller one")]
    TooManyPieces { most: usize },
    #[error("the compiled pattern needs more than {most_bytes} bytes: use smaller repetitions or fewer alternatives")]
    TooLarge { most_bytes: usize },
    #[error("there is no group {0:?} to refer back to")]
    UnknownGroup(String),
    #[error("a pattern with named groups refers back by name: \\k<name>")]
    NumberedReference,
    /// An engine refused it, in its words; places in them count in the translated pattern.
    #[error("the engine refuses the pattern: {0}")]
    Engine(String),
}

/// What can be wrong with the text of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxFault {
    #[error("not understood here")]
    Unexpected,
    #[error("nothing to repeat: write a backslash before it to mean the character")]
    NothingToRepeat,
    #[error("the repetition's bounds are the wrong way round")]
    RepeatOrder,
    #[error("a repetition of more than {most}")]
    RepeatTooOften { most: u32 },
    #[error("this group is not closed")]
    UnclosedGroup,
    #[error("there is no group to close here: write \\) to mean the character")]
    UnopenedGroup,
    #[error("groups are nested more than {most} deep")]
    TooDeep { most: u32 },
    #[error("unknown kind of group: known are (?:…), (?<name>…), (?=…), (?!…), (?<=…), (?<!…), (?>…), (?imx-imx:…)")]
    UnknownGroup,
    #[error("a group's name is missing or not closed")]
    GroupName,
    #[error("this character class is not closed: write \\[ to mean the character")]
    UnclosedClass,
    #[error("the class's range is the wrong way round")]
    RangeOrder,
    #[error("unknown class [:{0}:]")]
    UnknownPosixClass(String),
    #[error("unknown property {0:?}")]
    UnknownProperty(String),
    #[error("a pattern reference cannot stand inside a character class")]
    ReferenceInClass,
    #[error("an escape without its character")]
    UnfinishedEscape,
    #[error("no character has this number")]
    NoSuchCharacter,
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

/// Longer texts are shown from around the place only.
const SHOWN_CHARS: usize = 100;

impl CompileError {
    fn place(&self) -> &str {
        self.definition.as_deref().unwrap_or("pattern")
    }

    /// Characters, from 1.
    fn column(&self) -> usize {
        self.text[..self.offset].chars().count() + 1
    }

    /// The message, and the text with a caret under the place.
    pub fn render(&self) -> String {
        format!("{self}\n{}", under(&self.text, self.offset))
    }
}

/// `text` and, in the line under it, a caret at `offset` (bytes, on a character's edge); two blanks before both, no
/// line feed at the end. Of a long text, what is around the place.
pub fn under(text: &str, offset: usize) -> String {
    let column = text[..offset].chars().count();
    // Blanks of every kind become one column wide, so that the caret stands under what it means.
    let flat = |c: char| if c.is_whitespace() || c.is_control() { ' ' } else { c };
    let first = column.saturating_sub(SHOWN_CHARS * 2 / 3);
    let shown: String = text.chars().skip(first).take(SHOWN_CHARS).map(flat).collect();
    let (before, after) =
        (if first > 0 { "…" } else { "" }, if text.chars().nth(first + SHOWN_CHARS).is_some() { "…" } else { "" });
    let pad = column - first + before.chars().count();
    format!("  {before}{shown}{after}\n  {:pad$}^", "")
}
