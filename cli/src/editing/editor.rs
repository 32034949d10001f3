//! Which editor, and how to keep it from leaving copies elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::storage::Folder;
use crate::failure::{Outcome, usage};

/// The editor of whoever runs this.
pub(crate) struct Editor {
    /// As it was named.
    named: String,
    program: PathBuf,
    arguments: Vec<String>,
    family: Family,
}

/// What is known of editors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// vi in the form of Vim or Neovim.
    Vim,
    /// The vi of the BSDs.
    Nvi,
    Nano,
    Emacs,
    Micro,
    /// In a hangup they write what they have into the folder they are in.
    Ed,
    /// Others that work in the terminal, in a process of their own.
    Terminal,
    /// They hand the file to a window, which keeps copies of what it saves.
    Copying,
    /// They hand the file to another process, or may do so.
    Unknown,
}

/// Looked for where nothing says which editor.
const USUAL: [&str; 3] = ["vim", "vi", "nano"];

const VIM: &str = "set nobackup nowritebackup noswapfile noundofile nomodeline";
const EMACS: &str = "(setq make-backup-files nil auto-save-default nil create-lockfiles nil backup-inhibited t undo-tree-auto-save-history nil enable-local-variables nil enable-local-eval nil enable-dir-local-variables nil)";

impl Editor {
    /// What `$VISUAL` or `$EDITOR` says, as Git reads them: a program with arguments, or a line for the shell.
    pub(crate) fn chosen() -> Outcome<Self> {
        let said = ["VISUAL", "EDITOR"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()));
        let Some(line) = said else {
            let usual = USUAL.iter().find_map(|name| Some((name, find(name)?)));
            let (name, program) = usual.ok_or_else(|| usage!("no editor: say which in $VISUAL or $EDITOR"))?;
            return Ok(Self::new((*name).to_owned(), program, Vec::new()));
        };
        let Some(words) = words(&line) else {
            let shell = find("sh").ok_or_else(|| usage!("$EDITOR needs a shell, and there is no sh"))?;
            let arguments = vec!["-c".to_owned(), format!("{line} \"$@\""), line.clone()];
            return Ok(Self { named: line, program: shell, arguments, family: Family::Unknown });
        };
        let Some((name, arguments)) = words.split_first() else { return Err(usage!("$EDITOR names no editor")) };
        let program = find(name)
            .ok_or_else(|| usage!("the editor {name} of $VISUAL or $EDITOR is not there, or is no program"))?;
        Ok(Self::new(line.clone(), program, arguments.to_vec()))
    }

    fn new(named: String, program: PathBuf, arguments: Vec<String>) -> Self {
        // vi may be a link to any of them.
        let real = fs::canonicalize(&program).unwrap_or_else(|_| program.clone());
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let family = [&real, &program].map(|path| Family::of(&name(path)));
        let family = family.into_iter().find(|family| *family != Family::Unknown).unwrap_or(Family::Unknown);
        Self { named, program, arguments, family }
    }

    /// As it was named.
    pub(crate) fn named(&self) -> &str {
        &self.named
    }

    /// Whether it opens the file itself, so that nobody else needs to see it.
    pub(crate) const fn opens_itself(&self) -> bool {
        match self.family {
            Family::Vim
            | Family::Nvi
            | Family::Nano
            | Family::Emacs
            | Family::Micro
            | Family::Ed
            | Family::Terminal => true,
            Family::Copying | Family::Unknown => false,
        }
    }

    /// What a person should know before the first value is shown.
    pub(crate) fn warning(&self) -> Option<String> {
        let Self { named, family, .. } = self;
        (*family == Family::Copying).then(|| {
            format!(
                "note: {named} keeps a history of what it saves, and what is not saved, on the disk: switch both off for this, or take an editor of the terminal (EDITOR=vim)"
            )
        })
    }

    /// The command that opens a file of the folder.
    pub(crate) fn command(&self, file: &Path, folder: &Folder) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        let inside = folder.path();
        match self.family {
            Family::Vim => {
                // Before the person's own configuration, after it, and when a file is about to be read: what keeps a
                // copy may be set anywhere.
                let always =
                    format!("augroup bulla | execute 'autocmd BufReadPre,BufNewFile,VimEnter * {VIM}' | augroup END");
                command.args(["-n", "-i", "NONE", "--cmd", VIM, "--cmd", &always, "-c", VIM]);
            }
            Family::Nvi => {
                command.env("EXINIT", format!("set recdir={0} directory={0}", inside.display()));
            }
            // Its files of settings may ask for backups and a history, and no option takes that back.
            Family::Nano => drop(command.arg("--ignorercfiles")),
            Family::Emacs => drop(command.args(["--eval", EMACS])),
            Family::Micro => drop(command.args(["-backup", "false", "-permbackup", "false", "-savehistory", "false"])),
            Family::Ed => drop(command.current_dir(inside)),
            Family::Terminal | Family::Copying | Family::Unknown => {}
        }
        if self.family != Family::Copying {
            // A window that is opened by this stays, and the folder does not.
            for name in ["TMPDIR", "TMP", "TEMP"] {
                command.env(name, inside);
            }
        }
        command.arg(file);
        command
    }
}

impl Family {
    fn of(name: &str) -> Self {
        // Debian's names of one program: vim.basic, vim.tiny.
        let name = if name.starts_with("vim.") && !name.ends_with(".sh") { "vim" } else { name };
        match name {
            "vim" | "nvim" | "gvim" | "vimx" | "rvim" | "mvim" | "view" | "rview" => Self::Vim,
            "nvi" | "nvi2" | "nex" => Self::Nvi,
            "nano" | "rnano" => Self::Nano,
            "emacs" => Self::Emacs,
            "micro" => Self::Micro,
            "ed" | "red" | "joe" | "jmacs" | "jstar" | "jpico" | "rjoe" | "jed" => Self::Ed,
            "vi" | "ex" | "busybox" | "hx" | "helix" | "kak" | "mg" | "ne" | "mcedit" | "vile" | "elvis" | "pico"
            | "dte" | "amp" | "zile" => Self::Terminal,
            "code" | "code-insiders" | "codium" | "vscodium" | "cursor" | "windsurf" | "subl" | "sublime_text"
            | "zed" | "zeditor" | "idea" | "pycharm" | "goland" | "webstorm" | "rubymine" | "clion" | "rustrover"
            | "fleet" | "atom" => Self::Copying,
            _ if name.starts_with("emacs-") => Self::Emacs,
            _ => Self::Unknown,
        }
    }
}

/// The words of a line, quotes taken off; `None` if only a shell can read it.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '$' | '`') => return None,
            (_, '\\') => word.get_or_insert_default().push(characters.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | '#' | '~' | '{') => return None,
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    // `NAME=value editor` is the shell's too.
    let is_assignment = words.first().is_some_and(|first| first.contains('=') && !first.contains('/'));
    (quote.is_none() && !is_assignment).then_some(words)
}

/// A program by its path or on the PATH.
fn find(name: &str) -> Option<PathBuf> {
    let is_program =
        |path: &Path| fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    if name.contains('/') {
        return std::path::absolute(name).ok().filter(|path| is_program(path));
    }
    let path = std::env::var_os("PATH")?;
    let named = |folder: PathBuf| folder.join(OsStr::new(name));
    std::env::split_paths(&path).map(named).find(|path| is_program(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_as_a_shell_would_or_left_to_it() {
        let read = |line: &str| words(line).map(|words| words.join("|"));
        assert_eq!(read("code --wait").as_deref(), Some("code|--wait"));
        assert_eq!(read("'/opt/my editor/bin' -x \"a b\" c\\ d ''").as_deref(), Some("/opt/my editor/bin|-x|a b|c d|"));
        for line in ["$HOME/bin/ed", "vim; true", "TERM=dumb vi", "~/bin/e", "a 'b", "e \"$(x)\"", "a\\"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn only_editors_that_open_files_themselves_get_storage_that_nobody_else_sees() {
        for (name, expected) in [
            ("vim.basic", true),
            ("nvim", true),
            ("nano", true),
            ("ed", true),
            ("code", false),
            ("ed.sh", false),
            ("emacsclient", false),
        ] {
            let editor = Editor::new(name.to_owned(), PathBuf::from("/nowhere").join(name), Vec::new());
            assert_eq!(editor.opens_itself(), expected, "{name}");
        }
    }
}
