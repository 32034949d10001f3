//! From text to a tree that is safe to walk.
//!
//! The crate `gotmpl` reads Go's template syntax. What its parser lets pass and Go does not is refused here: blocks
//! without an end, ends without a block, unknown functions, undeclared variables, `break` outside a loop.

use std::{collections::BTreeMap, panic};

use gotmpl::parse::{CommandNode, Expr, ListNode, Node, Parser, PipeNode, SmolStr};

use super::{
    Delimiters, budget,
    error::{Position, TemplateError},
    functions,
};

/// A parsed template with the templates that it defines.
pub(super) struct Program<'s> {
    pub(super) source: &'s str,
    pub(super) body: ListNode,
    pub(super) defined: BTreeMap<SmolStr, ListNode>,
}

/// Closes the source. The parser stops without a word at an end that closes nothing, and at the end of the text inside
/// an open block; either way this is then not the last text of the outermost list.
const SENTINEL: &str = "\u{1}bulla: end of the template\u{1}";

/// How often the word may stand in a template.
const MAX_ELSE: usize = 200;

impl<'s> Program<'s> {
    /// Parses and checks.
    pub(super) fn parse(source: &'s str, delimiters: Delimiters<'_>) -> Result<Self, TemplateError> {
        if source.len() > budget::TEMPLATE {
            return Err(TemplateError::TooLarge { size: source.len(), limit: budget::TEMPLATE });
        }
        // The parser descends once for each branch of a chain, and a stack that overflows ends the whole process.
        if source.matches("else").count() > MAX_ELSE {
            return Err(TemplateError::Parse { at: Position { line: 1, column: 1 }, reason: "more than 200 branches" });
        }
        let closed = format!("{source}{SENTINEL}");
        let (mut body, definitions) = parse(&closed, delimiters)?;
        let at = |offset| Position::of(source, offset);
        let refuse = |offset, reason| TemplateError::Parse { at: at(offset), reason };

        let closing = match body.nodes.pop() {
            Some(Node::Text(text)) => text.text.strip_suffix(SENTINEL).map(|rest| (text.pos, rest.to_owned())),
            _ => None,
        };
        let Some((pos, rest)) = closing else {
            return Err(refuse(source.len(), "an {{end}} is missing, or there is one too many"));
        };
        if !rest.is_empty() {
            body.nodes.push(Node::Text(gotmpl::parse::TextNode { pos, text: rest.into() }));
        }

        let mut defined: BTreeMap<SmolStr, ListNode> = BTreeMap::new();
        for definition in definitions {
            let known = defined.get(&definition.name).is_some_and(|body| !body.is_empty_tree());
            if known && definition.body.is_empty_tree() {
                continue;
            }
            if known {
                return Err(refuse(definition.pos.offset, "a template is defined twice"));
            }
            defined.insert(definition.name, definition.body);
        }
        for body in defined.values().chain([&body]) {
            Checker { source, variables: vec!["$".into()], loops: 0 }.list(body)?;
        }
        Ok(Self { source, body, defined })
    }
}

type Parsed = (ListNode, Vec<gotmpl::parse::DefineNode>);

fn parse(source: &str, delimiters: Delimiters<'_>) -> Result<Parsed, TemplateError> {
    let Delimiters { left, right } = delimiters;
    let left = if left.is_empty() { "{{" } else { left };
    let right = if right.is_empty() { "}}" } else { right };
    // The parser indexes its tokens; should hostile text ever get past the end of them, that is a syntax error here and
    // not the end of a worker.
    let parsed = panic::catch_unwind(|| Parser::new(source, left, right).and_then(Parser::parse));
    let broken = |at| TemplateError::Parse { at, reason: "bad syntax" };
    match parsed {
        Ok(Ok(parsed)) => Ok(parsed),
        #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; the parser returns these two")]
        Ok(Err(error)) => Err(match error {
            gotmpl::TemplateError::Parse { line, col, message, .. }
            | gotmpl::TemplateError::Lex { line, col, message, .. } => {
                TemplateError::Parse { at: Position { line, column: col }, reason: known_reason(&message) }
            }
            _ => broken(Position { line: 1, column: 1 }),
        }),
        Err(_panic) => Err(broken(Position { line: 1, column: 1 })),
    }
}

/// The parser's messages quote the template, and a template may hold a secret as well; so only known words are kept.
fn known_reason(message: &str) -> &'static str {
    [
        "unclosed action",
        "unclosed comment",
        "unterminated string",
        "unterminated raw string",
        "unterminated character literal",
        "comment not terminated by closing delimiter",
        "template nesting depth exceeded",
        "unexpected character",
        "unexpected token",
        "missing value for command",
        "too many declarations in range",
        "invalid number",
        "expected",
    ]
    .into_iter()
    .find(|known| message.starts_with(known))
    .map_or("bad syntax", |known| if known == "expected" { "an unexpected token" } else { known })
}

/// Walks the whole tree once, also the branches that will not be taken.
struct Checker<'s> {
    source: &'s str,
    variables: Vec<SmolStr>,
    loops: usize,
}

impl Checker<'_> {
    fn at(&self, offset: usize) -> Position {
        Position::of(self.source, offset)
    }

    fn list(&mut self, list: &ListNode) -> Result<(), TemplateError> {
        list.nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node) -> Result<(), TemplateError> {
        match node {
            Node::Text(_) | Node::Define(_) => Ok(()),
            Node::List(list) => self.list(list),
            Node::Action(action) => self.pipe(&action.pipe),
            Node::Template(call) => call.pipe.as_ref().map_or(Ok(()), |pipe| self.pipe(pipe)),
            Node::Break(at) | Node::Continue(at) if self.loops == 0 => Err(TemplateError::Parse {
                at: self.at(at.offset),
                reason: "{{break}} or {{continue}} outside of {{range}}",
            }),
            Node::Break(_) | Node::Continue(_) => Ok(()),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                let mark = self.variables.len();
                self.pipe(&branch.pipe)?;
                let inner = self.variables.len();
                let loops = usize::from(matches!(node, Node::Range(_)));
                self.loops += loops;
                self.list(&branch.body)?;
                self.loops -= loops;
                self.variables.truncate(inner);
                branch.else_body.as_ref().map_or(Ok(()), |body| self.list(body))?;
                self.variables.truncate(mark);
                Ok(())
            }
        }
    }

    fn pipe(&mut self, pipe: &PipeNode) -> Result<(), TemplateError> {
        // A variable may be declared from an older one of the same name.
        if pipe.is_assign {
            pipe.decl.iter().try_for_each(|name| self.variable(name, pipe.pos.offset))?;
        }
        for (index, command) in pipe.commands.iter().enumerate() {
            self.command(command, index > 0)?;
        }
        if !pipe.is_assign {
            self.variables.extend(pipe.decl.iter().cloned());
        }
        Ok(())
    }

    fn command(&mut self, command: &CommandNode, piped: bool) -> Result<(), TemplateError> {
        let literal = matches!(
            command.args.first(),
            Some(Expr::Bool(..) | Expr::Dot(_) | Expr::Nil(_) | Expr::Number(..) | Expr::String(..)) | None
        );
        if command.args.is_empty() || (piped && literal) {
            let reason = if piped { "a value cannot be piped into this" } else { "missing value for command" };
            return Err(TemplateError::Parse { at: self.at(command.pos.offset), reason });
        }
        command.args.iter().try_for_each(|argument| self.expression(argument))
    }

    fn expression(&mut self, expression: &Expr) -> Result<(), TemplateError> {
        match expression {
            Expr::Variable(at, name, _) => self.variable(name, at.offset),
            Expr::Identifier(at, name) => self.function(name, at.offset),
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expression(inner),
            Expr::Dot(_) | Expr::Field(..) | Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_) => {
                Ok(())
            }
        }
    }

    fn variable(&self, name: &SmolStr, offset: usize) -> Result<(), TemplateError> {
        if self.variables.contains(name) {
            return Ok(());
        }
        Err(TemplateError::UndefinedVariable { at: self.at(offset), name: name.to_string() })
    }

    fn function(&self, name: &SmolStr, offset: usize) -> Result<(), TemplateError> {
        let (at, name) = (self.at(offset), name.to_string());
        if functions::find(&name).is_some() {
            Ok(())
        } else if let Some(reason) = functions::withheld(&name) {
            Err(TemplateError::Unavailable { at, name, reason })
        } else {
            Err(TemplateError::UnknownFunction { at, name })
        }
    }
}
