//! Upper and lower case, and the shapes of names.

use std::sync::LazyLock;

use regex::Regex;

use super::{Call, Function, Outcome, function};
use crate::secret::template::value::{Value, encode, runes};

pub(super) const FUNCTIONS: &[Function] =
    &[
        function("upper", 1, 1, |call| mapped(call, |_, character| to_upper(character))),
        function("lower", 1, 1, |call| mapped(call, |_, character| to_lower(character))),
        function("title", 1, 1, |call| {
            mapped(call, |before, character| if separates(before) { to_title(character) } else { character })
        }),
        function("untitle", 1, 1, |call| {
            mapped(call, |before, character| {
                if before.is_whitespace() && !character.is_whitespace() { to_lower(character) } else { character }
            })
        }),
        function("swapcase", 1, 1, swap_case),
        function("nospace", 1, 1, |call| {
            let text = call.text(0)?;
            if !text.iter().any(|byte| char::from(*byte).is_whitespace()) {
                return Ok(Value::text(text));
            }
            Ok(from_bytes(text.iter().filter(|byte| !char::from(**byte).is_whitespace())))
        }),
        function("initials", 1, 1, |call| {
            let text = call.text(0)?;
            let before = [&b' '].into_iter().chain(text);
            let starts = before
                .zip(text)
                .filter(|(before, byte)| char::from(**before).is_whitespace() && !char::from(**byte).is_whitespace());
            Ok(from_bytes(starts.map(|(_, byte)| byte)))
        }),
        function("camelcase", 1, 1, |call| Ok(Value::text(pascal_case(call.text(0)?)))),
        function("snakecase", 1, 1, |call| Ok(Value::text(Joiner::new('_').join(call.text(0)?)))),
        function("kebabcase", 1, 1, |call| Ok(Value::text(Joiner::new('-').join(call.text(0)?)))),
    ];

/// Each byte as a character of its own: these two functions of Sprig do that, also to what is not ASCII.
fn from_bytes<'b>(bytes: impl Iterator<Item = &'b u8>) -> Value {
    Value::text(bytes.map(|byte| char::from(*byte)).collect::<String>())
}

/// Maps each character, given the one before; the text begins as if after a space.
fn mapped(call: &Call<'_>, change: impl Fn(char, char) -> char) -> Outcome {
    let mut text = Vec::new();
    let mut before = ' ';
    for (character, _) in runes(call.text(0)?) {
        encode(&mut text, change(before, character));
        before = character;
    }
    Ok(Value::text(text))
}

// Go maps one character to one; where Unicode wants several, the character stays.

fn only(mut mapped: impl Iterator<Item = char>, otherwise: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(character), None) => character,
        _ => otherwise,
    }
}

fn to_upper(character: char) -> char {
    only(character.to_uppercase(), character)
}

fn to_lower(character: char) -> char {
    // The dotted capital I is the one letter whose full lower case is two characters and whose simple one is not itself.
    if character == 'İ' { 'i' } else { only(character.to_lowercase(), character) }
}

/// Title case differs from upper case in the letters that are two letters.
fn to_title(character: char) -> char {
    match character {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        other => to_upper(other),
    }
}

fn separates(character: char) -> bool {
    if character.is_ascii() {
        !character.is_ascii_alphanumeric() && character != '_'
    } else {
        !character.is_alphanumeric() && character.is_whitespace()
    }
}

fn swap_case(call: &Call<'_>) -> Outcome {
    let mut text = Vec::new();
    let mut after_space = true;
    for (character, _) in runes(call.text(0)?) {
        let swapped = if character.is_uppercase() || matches!(character, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ') {
            after_space = false;
            to_lower(character)
        } else if character.is_lowercase() {
            let first = after_space;
            after_space = false;
            if first { to_title(character) } else { to_upper(character) }
        } else {
            after_space = character.is_whitespace();
            character
        };
        encode(&mut text, swapped);
    }
    Ok(Value::text(text))
}

fn is_connector(character: char) -> bool {
    matches!(character, '-' | '_') || character.is_whitespace()
}

/// Go's `xstrings.ToPascalCase`.
fn pascal_case(text: &[u8]) -> Vec<u8> {
    let mut shaped = Vec::new();
    let mut characters = runes(text).map(|(character, _)| character);
    let mut leading = None;
    let mut current = loop {
        match (characters.next(), leading) {
            // A text of connectors only gets its last one twice; so it is in Go.
            (None, Some(last)) => {
                encode(&mut shaped, last);
                return shaped;
            }
            (None, None) => return shaped,
            (Some(character), _) if is_connector(character) => {
                encode(&mut shaped, character);
                leading = Some(character);
            }
            (Some(character), _) => break character,
        }
    };
    let mut capitals = current.is_uppercase();
    current = to_upper(current);
    for mut character in characters {
        let before = current;
        current = character;
        if is_connector(before) {
            if is_connector(character) {
                encode(&mut shaped, before);
                continue;
            }
            capitals = character.is_uppercase();
            character = to_upper(character);
        } else {
            capitals = capitals && character.is_uppercase();
            if capitals {
                character = to_lower(character);
            }
            encode(&mut shaped, before);
        }
        current = character;
    }
    encode(&mut shaped, current);
    shaped
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The end of the text.
    None,
    Number,
    Capitals,
    Letters,
    Connector,
    Punctuation,
    Other,
}

/// Go's `xstrings.ToSnakeCase` and `ToKebabCase`.
struct Joiner {
    connector: char,
    text: Vec<u8>,
}

impl Joiner {
    const fn new(connector: char) -> Self {
        Self { connector, text: Vec::new() }
    }

    fn join(mut self, text: &[u8]) -> Vec<u8> {
        let characters: Vec<char> = runes(text).map(|(character, _)| character).collect();
        let (mut kind, mut word, mut rest) = next_word(&characters);
        while !rest.is_empty() {
            if kind != Kind::Connector {
                self.push(kind, word);
            }
            let (before, last) = (kind, word);
            (kind, word, rest) = next_word(rest);
            match before {
                Kind::Number => {
                    while matches!(kind, Kind::Letters | Kind::Number) {
                        self.push(kind, word);
                        (kind, word, rest) = next_word(rest);
                    }
                    self.separate_unless(&[Kind::None, Kind::Punctuation, Kind::Connector], kind);
                }
                Kind::Connector => self.push(before, last),
                Kind::Punctuation => {}
                Kind::None | Kind::Capitals | Kind::Letters | Kind::Other if kind != Kind::Number => {
                    self.separate_unless(&[Kind::Connector, Kind::Punctuation], kind);
                }
                Kind::None | Kind::Capitals | Kind::Letters | Kind::Other => {
                    if rest.is_empty() {
                        continue;
                    }
                    let number = word;
                    (kind, word, rest) = next_word(rest);
                    // A number belongs to the word before it: "Bld4Floor" is "bld4_floor".
                    if kind != Kind::Letters {
                        self.push(Kind::Number, number);
                        self.separate_unless(&[Kind::Connector, Kind::Punctuation], kind);
                        continue;
                    }
                    // Unless small letters follow: "HTTP2xx" is "http_2xx".
                    self.separate();
                    self.push(Kind::Number, number);
                    while matches!(kind, Kind::Letters | Kind::Number) {
                        self.push(kind, word);
                        (kind, word, rest) = next_word(rest);
                    }
                    self.separate_unless(&[Kind::None, Kind::Connector, Kind::Punctuation], kind);
                }
            }
        }
        self.push(kind, word);
        self.text
    }

    fn separate(&mut self) {
        encode(&mut self.text, self.connector);
    }

    fn separate_unless(&mut self, kinds: &[Kind], kind: Kind) {
        if !kinds.contains(&kind) {
            self.separate();
        }
    }

    fn push(&mut self, kind: Kind, word: &[char]) {
        let changes = matches!(kind, Kind::Capitals | Kind::Connector);
        for character in word {
            let written = match character {
                character if changes && is_connector(*character) => self.connector,
                character if changes && character.is_uppercase() => to_lower(*character),
                character => *character,
            };
            encode(&mut self.text, written);
        }
    }
}

fn next_word(text: &[char]) -> (Kind, &[char], &[char]) {
    let Some(first) = text.first().copied() else {
        return (Kind::None, &[], &[]);
    };
    let run = |wanted: &dyn Fn(char) -> bool| text.iter().skip(1).take_while(|next| wanted(**next)).count() + 1;
    let small = |character: char| is_letter(character) && !character.is_uppercase();
    let (kind, length) = if is_connector(first) {
        (Kind::Connector, run(&is_connector))
    } else if is_punctuation(first) {
        (Kind::Punctuation, run(&is_punctuation))
    } else if first.is_uppercase() {
        let capitals = run(&char::is_uppercase);
        let next = text.get(capitals).copied();
        let length = match (capitals, next) {
            (1, Some(next)) if is_letter(next) => 1 + text.iter().skip(1).take_while(|next| small(**next)).count(),
            // In "HTTPStatus" the S begins the next word.
            (2.., Some(next)) if is_letter(next) => capitals - 1,
            _ => capitals,
        };
        (Kind::Capitals, length)
    } else if is_letter(first) {
        (Kind::Letters, run(&small))
    } else if first.is_numeric() {
        (Kind::Number, run(&char::is_numeric))
    } else {
        let other = |character: char| {
            !is_connector(character) && !is_letter(character) && !character.is_numeric() && !is_punctuation(character)
        };
        (Kind::Other, run(&other))
    };
    let (word, rest) = text.split_at(length);
    (kind, word, rest)
}

/// Letters of scripts that have words; the library leaves out Chinese, Japanese and their like.
fn is_letter(character: char) -> bool {
    character.is_alphabetic()
        && !matches!(character, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}')
}

fn is_punctuation(character: char) -> bool {
    static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{P}$").ok());
    if character.is_ascii() {
        return character.is_ascii_punctuation() && !"$+<=>^`|~".contains(character);
    }
    CLASS.as_ref().is_some_and(|class| class.is_match(character.encode_utf8(&mut [0; 4])))
}
