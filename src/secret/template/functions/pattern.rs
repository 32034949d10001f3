//! Go's regular expressions in the words of the crate `regex`.
//!
//! Both are descendants of RE2 and match alike, but the crate's classes cover Unicode where Go's are ASCII, and inside
//! brackets it knows nested sets and set operators where Go sees plain characters.

use regex::bytes::{Regex, RegexBuilder};

use crate::secret::template::error::Fault;

/// Memory that a compiled expression may take, in bytes; `(a{1000}){1000}` must not take more.
const SIZE: usize = 1024 * 1024;

/// Compiles an expression of Go.
pub(in crate::secret::template) fn compile(expression: &str) -> Result<Regex, Fault> {
    let translated = Translator { rest: expression, text: String::new() }.translate();
    let compiled = translated.and_then(|expression| {
        RegexBuilder::new(&expression).size_limit(SIZE).dfa_size_limit(SIZE).nest_limit(100).build().ok()
    });
    compiled.ok_or(Fault::refused("the regular expression is malformed or too large"))
}

struct Translator<'e> {
    rest: &'e str,
    text: String,
}

impl Translator<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        Some(character)
    }

    fn translate(mut self) -> Option<String> {
        while let Some(character) = self.next() {
            match character {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                // A brace that begins no repetition is itself.
                '{' if !is_repetition(self.rest) => self.text.push_str("\\{"),
                other => self.text.push(other),
            }
        }
        Some(self.text)
    }

    fn escape(&mut self, in_class: bool) -> Option<()> {
        let character = self.next()?;
        let class = match character {
            'd' => "0-9",
            's' => "\\t\\n\\f\\r\\x20",
            'w' => "0-9A-Za-z_",
            'D' => "^0-9",
            'S' => "^\\t\\n\\f\\r\\x20",
            'W' => "^0-9A-Za-z_",
            'b' | 'B' if !in_class => {
                self.text.push_str(if character == 'b' { "(?-u:\\b)" } else { "(?-u:\\B)" });
                return Some(());
            }
            // Go knows these; the crate does not, or in another meaning.
            'Q' if !in_class => {
                let (literal, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.text.push_str(&regex::escape(literal));
                self.rest = rest;
                return Some(());
            }
            // One byte, whatever it is; this engine matches text.
            'C' => return None,
            // Octal.
            '0'..='7' => return self.octal(character),
            'u' | 'U' | '<' | '>' => return None,
            other => {
                self.text.push('\\');
                self.text.push(other);
                return Some(());
            }
        };
        // A class within brackets is a nested set there, which comes to the same.
        self.text.push('[');
        self.text.push_str(class);
        self.text.push(']');
        Some(())
    }

    fn octal(&mut self, first: char) -> Option<()> {
        let more = self.rest.chars().take(2).take_while(|next| matches!(next, '0'..='7')).count();
        if first != '0' && more == 0 {
            return None; // a backreference, which neither has
        }
        let (digits, rest) = self.rest.split_at(more);
        let code = u32::from_str_radix(&format!("{first}{digits}"), 8).ok()?;
        self.rest = rest;
        self.text.push_str(&format!("\\x{{{code:x}}}"));
        Some(())
    }

    fn class(&mut self) -> Option<()> {
        self.text.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            self.text.push('^');
        }
        let mut first = true;
        loop {
            let character = self.next()?;
            match character {
                ']' if !first => break,
                '\\' => self.escape(true)?,
                '[' if self.rest.starts_with(':') => {
                    let end = self.rest.find(":]")? + 2;
                    let (name, rest) = self.rest.split_at(end);
                    self.text.push('[');
                    self.text.push_str(name);
                    self.rest = rest;
                }
                '[' | ']' | '&' | '~' | '#' => {
                    self.text.push('\\');
                    self.text.push(character);
                }
                // Two of them would be a set operator; a literal one stands at an end.
                '-' if first || self.rest.starts_with(']') => self.text.push_str("\\-"),
                other => self.text.push(other),
            }
            first = false;
        }
        self.text.push(']');
        Some(())
    }
}

/// Whether what follows a brace makes it `{2}`, `{2,}` or `{2,3}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else {
        return false;
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && [least, most].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}
