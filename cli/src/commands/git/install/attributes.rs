//! The lines of `.gitattributes`: which files are shown and merged by key.
//!
//! They come first in the file, so that what others say there of the same files, further down, still holds.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{State, Step, What, patterns};
use crate::args::InstallArguments;
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::git::program::{self, Program};
use crate::output::{self, Access};

const BEGIN: &str = "# bulla git install: sealed values are shown and merged by data key";
const END: &str = "# bulla git install: end";
/// What the lines say of each pattern.
const WORDS: &str = "diff=bulla merge=bulla";

/// Puts the lines in, or others in their place.
pub(super) fn write(arguments: &InstallArguments, root: Option<&Path>) -> Outcome<Step> {
    let file = file(arguments.global, root)?;
    let old = read(&file)?;
    let shown = shown(&file, root);
    let (before, lines, after) = apart(&old);
    let elsewhere = || before.lines().chain(after.lines()).any(says_so);
    if lines.is_none() && arguments.pattern.is_empty() && elsewhere() {
        return Ok(Step::new(What::Attributes, State::Unchanged, shown).advise(uncovered(root)?));
    }
    let patterns = if arguments.pattern.is_empty() { patterns::default(root)? } else { arguments.pattern.clone() };
    let newline = if old.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines = vec![BEGIN.to_owned()];
    for pattern in &patterns {
        lines.push(format!("{} {WORDS}", quoted(pattern)?));
    }
    lines.push(END.to_owned());
    let block: String = lines.iter().map(|line| format!("{line}{newline}")).collect();
    let new = format!("{before}{block}{after}");
    let state = if new == old { State::Unchanged } else { State::Written };
    if state == State::Written {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).or_usage(format!("making {}", folder.display()))?;
        }
        output::write_file(&file, new.as_bytes(), Access::Ordinary)?;
    }
    let mut advice = format!("for {}", patterns.join(" "));
    if state == State::Written && root.is_some() {
        advice.push_str("; commit it: everybody has the lines then, and each clone runs `bulla git install` once");
    }
    let uncovered = uncovered(root)?;
    let advice = if uncovered.is_empty() { advice } else { format!("{advice}\n{uncovered}") };
    Ok(Step::new(What::Attributes, state, shown).advise(advice))
}

/// Takes the lines out; a file that held nothing else goes too.
pub(super) fn remove(global: bool, root: Option<&Path>) -> Outcome<Step> {
    let file = file(global, root)?;
    let old = read(&file)?;
    let (before, lines, after) = apart(&old);
    let shown = shown(&file, root);
    if lines.is_none() {
        return Ok(Step::new(What::Attributes, State::Unchanged, shown));
    }
    let new = format!("{before}{after}");
    if new.is_empty() {
        fs::remove_file(&file).or_usage(format!("removing {}", file.display()))?;
    } else {
        output::write_file(&file, new.as_bytes(), Access::Ordinary)?;
    }
    Ok(Step::new(What::Attributes, State::Removed, shown))
}

/// The file that Git reads.
fn file(global: bool, root: Option<&Path>) -> Outcome<PathBuf> {
    if !global {
        let Some(root) = root else { return program::path_of("info/attributes") };
        let file = root.join(".gitattributes");
        // Git does not follow a link here either; whoever made the repository would say which file of this user's we
        // write to.
        if fs::symlink_metadata(&file).is_ok_and(|found| !found.is_file()) {
            return Err(refuse!(
                "{} is a link or no file, which Git does not read: put a file in its place",
                file.display()
            ));
        }
        return Ok(file);
    }
    let set = Program::here(&["config", "--global", "--type=path", "--get", "core.attributesFile"]).line()?;
    if let Some(set) = set {
        return Ok(PathBuf::from(set));
    }
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = home("XDG_CONFIG_HOME").or_else(|| home("HOME").map(|home| home.join(".config")));
    Ok(folder.ok_or_else(|| refuse!("there is no home folder"))?.join("git/attributes"))
}

fn read(file: &Path) -> Outcome<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.or_usage(format!("reading {}", file.display())),
    }
}

/// The text before our lines, our lines, and the text after them; all of it is after them where there are none.
fn apart(text: &str) -> (&str, Option<&str>, &str) {
    let start = text.find(BEGIN);
    let end = start.and_then(|start| Some(start + text[start..].find(END)?));
    match start.zip(end) {
        Some((start, end)) => {
            let after = text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1);
            (&text[..start], Some(&text[start..after]), &text[after..])
        }
        None => ("", None, text),
    }
}

fn says_so(line: &str) -> bool {
    !line.trim_start().starts_with('#') && line.split_whitespace().any(|word| word == "merge=bulla")
}

/// A pattern as Git reads it.
fn quoted(pattern: &str) -> Outcome<String> {
    if pattern.is_empty() || pattern.starts_with('!') || pattern.contains(['\n', '\r', '\0']) {
        return Err(refuse!("{pattern:?} is no pattern for .gitattributes"));
    }
    let is_tame = |c: char| c.is_alphanumeric() || "/*?[]-_.,+@=~:%^".contains(c);
    let needs_quotes = pattern.starts_with('[') || !pattern.chars().all(is_tame);
    Ok(if needs_quotes {
        format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        pattern.to_owned()
    })
}

fn shown(file: &Path, root: Option<&Path>) -> String {
    let short = root.and_then(|root| file.strip_prefix(root).ok());
    short.unwrap_or(file).display().to_string()
}

/// Which files with SealedSecrets in them Git would not treat so, in words; nothing if there are none.
fn uncovered(root: Option<&Path>) -> Outcome<String> {
    let Some(root) = root else { return Ok(String::new()) };
    let files = patterns::sealed_files(root, &[])?;
    if files.is_empty() {
        return Ok(String::new());
    }
    let input = files.join("\0") + "\0";
    let check = Program::here(&["check-attr", "-z", "--stdin", "merge"]).in_folder(root);
    let said = check.with_input(input.into_bytes()).output()?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let fields: Vec<&str> = said.split('\0').collect();
    let missed: Vec<&str> = fields.chunks_exact(3).filter(|chunk| chunk[2] != "bulla").map(|chunk| chunk[0]).collect();
    Ok(match missed.as_slice() {
        [] => String::new(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!(
                "not covered: {}{more}; add --pattern, or look for another merge= in .gitattributes",
                output::plain(first)
            )
        }
    })
}
