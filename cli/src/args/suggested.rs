//! Every command that a finding, an error or a note suggests is one that can be typed.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;

use super::Arguments;
use crate::findings::Rule;
use crate::{scan, verify};

/// What is left to the reader.
const LEFT_OUT: [ErrorKind; 5] = [
    ErrorKind::MissingRequiredArgument,
    ErrorKind::MissingSubcommand,
    ErrorKind::DisplayHelp,
    ErrorKind::DisplayVersion,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
];

/// The commands in backticks of a text.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|part| part.starts_with("bulla "))
}

/// Why a command cannot be typed, but for words that are left to the reader: a missing argument is one.
fn refusal(command: &str) -> Option<String> {
    let words = command.split_whitespace().take_while(|word| !matches!(*word, "..." | "…" | "|" | ">"));
    let mut words: Vec<String> = words.map(|word| word.replace(['{', '}', '\''], "")).collect();
    words.iter_mut().filter(|word| word.is_empty()).for_each(|word| "x".clone_into(word));
    let parse = |words: &[String]| Arguments::try_parse_from(words).err();
    // What is filled in while it runs is not here.
    let is_filled_in = command.contains('{');
    let refused = |error: &clap::Error| {
        let is_value = matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
        if is_value { !is_filled_in } else { !LEFT_OUT.contains(&error.kind()) }
    };
    let error = parse(&words).filter(refused)?;
    // An option whose value is not said.
    words.push("0123456789abcdef".to_owned());
    parse(&words).filter(refused).map(|_| error.to_string())
}

#[test]
fn what_is_no_command_is_seen() {
    for command in ["bulla reseal FILE", "bulla keys audit --compromised", "bulla verify --keyring ...", "bulla keys"] {
        assert_eq!(refusal(command), None);
    }
    for command in ["bulla resaele FILE", "bulla reseal --idenity K", "bulla keys rotat", "bulla set --all"] {
        assert!(refusal(command).is_some(), "{command}");
    }
    assert_eq!(commands("a `bulla b` c `d` `bulla e f`").collect::<Vec<_>>(), ["bulla b", "bulla e f"]);
}

#[test]
fn every_command_in_the_way_out_of_a_rule_can_be_typed() {
    let mut all: Vec<&'static Rule> = verify::RULES.to_vec();
    all.extend(scan::RULES.iter());
    let suggested: Vec<(&str, &str)> =
        all.iter().flat_map(|rule| [rule.mend, rule.why].map(|text| (rule.id, text))).collect();
    let count = suggested.iter().flat_map(|(_, text)| commands(text)).count();
    assert!(count > 8, "{count}");
    let wrong = suggested.iter().flat_map(|(id, text)| commands(text).map(move |command| (id, command)));
    let wrong: Vec<String> =
        wrong.filter_map(|(id, command)| Some(format!("{id}: {command}: {}", refusal(command)?))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_command_in_a_text_of_the_program_can_be_typed() {
    let (mut count, mut wrong) = (0, Vec::new());
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        if file.ends_with("args/suggested.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        // A text over several lines is one.
        let joined = lines.fold(String::new(), |joined, line| match joined.strip_suffix('\\') {
            Some(before) => format!("{before}{}", line.trim_start()),
            None => format!("{joined}\n{line}"),
        });
        for line in joined.lines() {
            for command in commands(line) {
                count += 1;
                wrong.extend(refusal(command).map(|why| format!("{}: {command}: {why}", file.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 60, "{count}");
}
