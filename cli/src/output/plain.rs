//! Text from elsewhere, made harmless: names of files, objects and keys are anybody's words.

use std::iter::Peekable;
use std::str::Chars;

/// Text from elsewhere on one line, without what could steer a terminal or show it in another order than it is.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect()
}

/// What is said on standard error: line ends and our own colours stay, all else that steers a terminal goes, and no line
/// begins as the commands do that a CI service reads from a log.
pub(super) fn said(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if is_command(line) {
            said.push_str("> ");
        }
        let mut rest = line.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\u{1b}' => match colour(&mut rest) {
                    Some(colour) => said.extend(['\u{1b}', '['].into_iter().chain(colour.chars()).chain(['m'])),
                    None => said.push(' '),
                },
                '\n' => said.push('\n'),
                _ if c.is_control() || is_invisible(c) => said.push(' '),
                _ => said.push(c),
            }
        }
    }
    said
}

/// Letters that are not seen and change what is: those of the direction of writing, and those without width.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The numbers of a colour (`ESC [ 1 ; 31 m`), taken from `rest` if one follows.
fn colour(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let numbers: String = rest.clone().skip(1).take_while(|c| c.is_ascii_digit() || *c == ';').collect();
    let is_colour = rest.peek() == Some(&'[') && rest.clone().nth(1 + numbers.len()) == Some('m') && numbers.len() < 20;
    if is_colour {
        // The bracket, the numbers, the letter.
        let last = numbers.len() + 1;
        rest.nth(last);
    }
    is_colour.then_some(numbers)
}

/// Whether the line, as a log shows it, is a workflow command of GitHub Actions or of those who took them over.
fn is_command(line: &str) -> bool {
    let mut seen = String::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            drop(colour(&mut rest));
        } else if !(c.is_control() || is_invisible(c) || (seen.is_empty() && c.is_whitespace())) {
            seen.push(c);
        }
        if seen.chars().count() == 3 {
            break;
        }
    }
    seen.starts_with("::") || seen == "##["
}

#[cfg(test)]
mod tests {
    use super::{plain, said};

    #[test]
    fn names_cannot_steer_a_terminal_nor_hide_what_they_are() {
        assert_eq!(plain("a\u{1b}]0;x\u{7}b\n\u{202e}c\u{200b}"), "a ]0;x b  c ");
        assert_eq!(said("x\u{1b}]52;c;aGk=\u{7}y\u{9b}31m\u{202e}\n"), "x ]52;c;aGk= y 31m \n");
    }

    #[test]
    fn our_colours_stay_and_other_sequences_go() {
        assert_eq!(said("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x\n"), "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x\n");
        assert_eq!(said("\u{1b}[2J\u{1b}[1;1H\u{1b}[m"), " [2J [1;1H\u{1b}[m");
    }

    #[test]
    fn no_line_is_a_command_of_a_ci_service() {
        for line in
            ["::stop-commands::t", "  ::error::x", "\u{1b}[2m::add-mask::x\u{1b}[0m", "##[error]x", "\r::warning::x"]
        {
            let told = said(&format!("first\n{line}\n"));
            assert!(
                told.lines().all(|line| !line.trim_start().starts_with("::") && !line.starts_with("##[")),
                "{told:?}"
            );
            assert!(told.contains("\n> "), "{told:?}");
        }
        assert_eq!(said("std::fs: no\n"), "std::fs: no\n");
    }
}
