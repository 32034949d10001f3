//! Walking the tree: Go's rules for pipelines, variables, blocks and fields.

use std::collections::BTreeMap;

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, Pos, SmolStr, TemplateNode};
use zeroize::Zeroizing;

use super::{
    Environment, MissingKey,
    budget::{self, Budget, STEP},
    error::{Fault, Limit, Position, TemplateError},
    functions::{self, Call},
    methods, print,
    program::Program,
    value::{Map, Text, Value},
};

/// Renders a program.
pub(super) fn execute(
    program: &Program<'_>,
    values: Map,
    environment: &Environment<'_>,
    budget: &Budget,
) -> Result<Zeroizing<Vec<u8>>, TemplateError> {
    let dot = Value::Map(values);
    let mut executor = Executor {
        source: program.source,
        defined: &program.defined,
        environment,
        budget,
        variables: vec![("$".into(), dot.clone())],
        depth: 0,
        output: Zeroizing::new(Vec::new()),
    };
    match executor.list(&program.body, &dot) {
        // The checker has refused a break outside of a loop; then it has nothing to leave.
        Ok(()) | Err(Stop::Break | Stop::Continue) => Ok(executor.output),
        Err(Stop::Error(error)) => Err(*error),
    }
}

struct Executor<'a> {
    source: &'a str,
    defined: &'a BTreeMap<SmolStr, ListNode>,
    environment: &'a Environment<'a>,
    budget: &'a Budget,
    /// Go's stack of variables: the last of a name counts, and blocks cut it back to a mark.
    variables: Vec<(SmolStr, Value)>,
    depth: usize,
    output: Zeroizing<Vec<u8>>,
}

/// Why a list of nodes was left before its end.
enum Stop {
    Break,
    Continue,
    Error(Box<TemplateError>),
}

impl From<TemplateError> for Stop {
    fn from(error: TemplateError) -> Self {
        Self::Error(Box::new(error))
    }
}

type Walked = Result<(), Stop>;
type Evaluated = Result<Value, TemplateError>;

impl Executor<'_> {
    fn at(&self, pos: Pos) -> Position {
        Position::of(self.source, pos.offset)
    }

    /// Gives a fault its place.
    fn located(&self, fault: Fault, pos: Pos) -> TemplateError {
        let at = self.at(pos);
        match fault {
            Fault::Limit(limit) => TemplateError::Limit { at, limit },
            Fault::Because(reason) => TemplateError::Execute { at, reason },
            Fault::MissingKey(name) => TemplateError::MissingKey { at, name },
            Fault::MissingIn { called, key } => {
                // A key that the template makes may be made of a value.
                let is_written = !key.is_empty() && self.source.contains(key.as_str());
                TemplateError::MissingIn { at, called, key: if is_written { key } else { "of that name".to_owned() } }
            }
        }
    }

    fn list(&mut self, list: &ListNode, dot: &Value) -> Walked {
        list.nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Walked {
        match node {
            Node::Text(text) => self.write(text.text.as_bytes(), text.pos),
            Node::Define(_) => Ok(()),
            Node::List(list) => self.list(list, dot),
            Node::Break(_) => Err(Stop::Break),
            Node::Continue(_) => Err(Stop::Continue),
            Node::Action(action) => {
                let value = self.pipe(&action.pipe, dot)?;
                if !action.pipe.decl.is_empty() {
                    return Ok(());
                }
                match &value {
                    Value::Nil => self.write(b"<no value>", action.pos),
                    Value::Text(text) => self.write(text.bytes(), action.pos),
                    other => {
                        let text = print::display(self.budget, other);
                        self.write(&text.map_err(|fault| self.located(fault, action.pos))?, action.pos)
                    }
                }
            }
            Node::If(branch) => self.nested(branch.pos, |this| {
                let condition = this.pipe(&branch.pipe, dot)?;
                this.either(branch, condition.is_true(), dot)
            }),
            Node::With(branch) => self.nested(branch.pos, |this| {
                let value = this.pipe(&branch.pipe, dot)?;
                if value.is_true() { this.list(&branch.body, &value) } else { this.either(branch, false, dot) }
            }),
            Node::Range(branch) => self.nested(branch.pos, |this| this.range(branch, dot)),
            Node::Template(call) => self.nested(call.pos, |this| this.template(call, dot)),
        }
    }

    /// One level deeper; variables that are declared inside end with it.
    fn nested(&mut self, pos: Pos, walk: impl FnOnce(&mut Self) -> Walked) -> Walked {
        if self.depth >= budget::DEPTH {
            return Err(self.located(Limit::Depth.into(), pos).into());
        }
        let mark = self.variables.len();
        self.depth += 1;
        let walked = walk(self);
        self.depth -= 1;
        self.variables.truncate(mark);
        walked
    }

    fn either(&mut self, branch: &BranchNode, first: bool, dot: &Value) -> Walked {
        match (first, &branch.else_body) {
            (true, _) => self.list(&branch.body, dot),
            (false, Some(body)) => self.list(body, dot),
            (false, None) => Ok(()),
        }
    }

    fn range(&mut self, branch: &BranchNode, dot: &Value) -> Walked {
        let value = self.pipe(&branch.pipe, dot)?;
        let refused = |this: &Self, reason| Err(this.located(Fault::refused(reason), branch.pos).into());
        let charged = |this: &Self, count| {
            this.budget.elements(count).map_err(|fault| Stop::from(this.located(fault, branch.pos)))
        };
        let mut any = false;
        let mut each = |this: &mut Self, key: Value, item: Value| {
            any = true;
            this.iteration(branch, key, item)
        };
        let walked = match &value {
            Value::Nil => Ok(()),
            Value::List(list) => {
                charged(self, list.len())?;
                let items = list.items().iter().enumerate();
                items.into_iter().try_for_each(|(index, item)| each(self, Value::count(index), item.clone()))
            }
            Value::Map(map) => {
                charged(self, map.len())?;
                map.entries().into_iter().try_for_each(|(key, item)| each(self, Value::Text(key), item))
            }
            Value::Int(..) if branch.pipe.decl.len() > 1 => {
                return refused(self, "a number cannot be ranged over with two variables");
            }
            Value::Int(number, width) => {
                (0..*number).try_for_each(|index| each(self, Value::Int(index, *width), Value::Int(index, *width)))
            }
            Value::Bool(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Moment(_)
            | Value::Version(_)
            | Value::Certificate(_) => {
                return refused(self, "a value of this type cannot be ranged over");
            }
        };
        match walked {
            Err(Stop::Break) => Ok(()),
            Ok(()) if !any => self.either(branch, false, dot),
            other => other,
        }
    }

    fn iteration(&mut self, branch: &BranchNode, key: Value, item: Value) -> Walked {
        self.budget.charge(STEP).map_err(|fault| self.located(fault, branch.pos))?;
        let mark = self.variables.len();
        let names = &branch.pipe.decl;
        let (key_name, item_name) = match names.as_slice() {
            [] => (None, None),
            [item] => (None, Some(item)),
            [key, item, ..] => (Some(key), Some(item)),
        };
        for (name, value) in [(key_name, key), (item_name, item.clone())] {
            let Some(name) = name else { continue };
            // The pipeline has put all of these on the stack, so the last of each name is the loop's own.
            self.assign(name, value);
        }
        let walked = self.list(&branch.body, &item);
        self.variables.truncate(mark);
        match walked {
            Err(Stop::Continue) => Ok(()),
            other => other,
        }
    }

    fn template(&mut self, call: &TemplateNode, dot: &Value) -> Walked {
        let Some(body) = self.defined.get(&call.name) else {
            let (at, name) = (self.at(call.pos), call.name.to_string());
            return Err(TemplateError::UndefinedTemplate { at, name }.into());
        };
        let dot = match &call.pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        self.budget.charge(STEP).map_err(|fault| self.located(fault, call.pos))?;
        // A called template sees none of the caller's variables.
        let outer = std::mem::replace(&mut self.variables, vec![("$".into(), dot.clone())]);
        let walked = self.list(body, &dot);
        self.variables = outer;
        match walked {
            // A loop in the caller is not this template's to leave; the checker has refused that.
            Err(Stop::Break | Stop::Continue) => Ok(()),
            other => other,
        }
    }

    fn write(&mut self, bytes: &[u8], pos: Pos) -> Walked {
        let charged = self.budget.charge(bytes.len());
        let fits = if self.output.len() + bytes.len() > budget::OUTPUT { Err(Limit::Output.into()) } else { charged };
        fits.map_err(|fault| self.located(fault, pos))?;
        if self.output.capacity() < self.output.len() + bytes.len() {
            // Growing in place would leave an unwiped copy behind.
            let mut larger = Zeroizing::new(Vec::with_capacity((self.output.len() + bytes.len()) * 2));
            larger.extend_from_slice(&self.output);
            self.output = larger;
        }
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    fn assign(&mut self, name: &SmolStr, value: Value) {
        if let Some((_, slot)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            *slot = value;
        }
    }

    fn pipe(&mut self, pipe: &PipeNode, dot: &Value) -> Evaluated {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        let value = piped.unwrap_or(Value::Nil);
        for name in &pipe.decl {
            if pipe.is_assign {
                self.assign(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &CommandNode, dot: &Value, piped: Option<Value>) -> Evaluated {
        self.budget.charge(STEP).map_err(|fault| self.located(fault, command.pos))?;
        let Some((first, arguments)) = command.args.split_first() else {
            return Ok(Value::Nil);
        };
        match first {
            Expr::Identifier(pos, name) => self.call(*pos, name, arguments, dot, piped),
            Expr::Field(pos, fields) => self.fields(dot.clone(), fields, *pos, arguments, dot, piped),
            Expr::Variable(pos, name, fields) => {
                let value = self.variable(name);
                self.fields(value, fields, *pos, arguments, dot, piped)
            }
            Expr::Chain(pos, inner, fields) => {
                let value = self.expression(inner, dot)?;
                self.fields(value, fields, *pos, arguments, dot, piped)
            }
            Expr::Nil(pos) => Err(self.located(Fault::refused("nil is not a command"), *pos)),
            Expr::Dot(_) | Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Pipe(..) => {
                if piped.is_some() || !arguments.is_empty() {
                    let fault = Fault::refused("arguments for something that is not a function");
                    return Err(self.located(fault, first.pos()));
                }
                self.expression(first, dot)
            }
        }
    }

    fn call(&mut self, pos: Pos, name: &SmolStr, arguments: &[Expr], dot: &Value, piped: Option<Value>) -> Evaluated {
        if name == "and" || name == "or" {
            return self.short_circuit(pos, name, arguments, dot, piped);
        }
        let Some(function) = functions::find(name) else {
            return Err(TemplateError::UnknownFunction { at: self.at(pos), name: name.to_string() });
        };
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.expression(argument, dot)?);
        }
        values.extend(piped);
        let call = Call { environment: self.environment, budget: self.budget, arguments: &values };
        function.call(&call).map_err(|fault| match fault {
            Fault::Because(reason) => TemplateError::Function { at: self.at(pos), function: name.to_string(), reason },
            fault => self.located(fault, pos),
        })
    }

    /// `and` and `or` stop at the argument that decides; what follows is not evaluated.
    fn short_circuit(
        &mut self,
        pos: Pos,
        name: &SmolStr,
        arguments: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Evaluated {
        let wanted = name == "or";
        let mut last = None;
        for argument in arguments {
            let value = self.expression(argument, dot)?;
            if value.is_true() == wanted {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| self.located(Fault::refused("and and or want at least one argument"), pos))
    }

    fn expression(&mut self, expression: &Expr, dot: &Value) -> Evaluated {
        match expression {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Nil(_) => Ok(Value::Nil),
            Expr::Bool(_, truth) => Ok(Value::Bool(*truth)),
            Expr::String(pos, text) => {
                self.budget.charge(text.len()).map_err(|fault| self.located(fault, *pos))?;
                Ok(Value::Text(Text::from(&**text)))
            }
            Expr::Number(_, Number::Int(number)) => Ok(Value::int(*number)),
            Expr::Number(_, Number::Float(number)) => Ok(Value::Float(*number)),
            Expr::Number(pos, Number::Uint(_)) => {
                Err(self.located(Fault::refused("the number is too large for an int"), *pos))
            }
            Expr::Identifier(pos, name) => self.call(*pos, name, &[], dot, None),
            Expr::Field(pos, fields) => self.fields(dot.clone(), fields, *pos, &[], dot, None),
            Expr::Variable(pos, name, fields) => {
                let value = self.variable(name);
                self.fields(value, fields, *pos, &[], dot, None)
            }
            Expr::Chain(pos, inner, fields) => {
                let value = self.expression(inner, dot)?;
                self.fields(value, fields, *pos, &[], dot, None)
            }
            Expr::Pipe(_, pipe) => self.pipe(pipe, dot),
        }
    }

    fn variable(&self, name: &SmolStr) -> Value {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map_or(Value::Nil, |(_, value)| value.clone())
    }

    /// Follows `.a.b.c`; only the last name may be a method with arguments.
    fn fields(
        &mut self,
        mut value: Value,
        fields: &[SmolStr],
        pos: Pos,
        arguments: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Evaluated {
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            given.push(self.expression(argument, dot)?);
        }
        given.extend(piped);
        let Some((last, inner)) = fields.split_last() else {
            return if given.is_empty() {
                Ok(value)
            } else {
                Err(self.located(Fault::refused("arguments for something that is not a function"), pos))
            };
        };
        for field in inner {
            value = self.field(&value, field, &[], pos)?;
        }
        self.field(&value, last, &given, pos)
    }

    fn field(&self, value: &Value, name: &SmolStr, given: &[Value], pos: Pos) -> Evaluated {
        let missing = || match self.environment.missing_key {
            MissingKey::NoValue => Ok(Value::Nil),
            MissingKey::Error => Err(Fault::MissingKey(name.to_string())),
        };
        let found = match value {
            Value::Map(_) if !given.is_empty() => Err(Fault::refused("a key of a map takes no arguments")),
            Value::Map(map) => match map.at(name.as_bytes()) {
                Some(value) => Ok(value),
                None => map.lacks(name.as_bytes()).map_or_else(missing, Err),
            },
            Value::Nil => missing(),
            other => methods::call(other, name, given),
        };
        found.map_err(|fault| self.located(fault, pos))
    }
}
