//! `bulla edit`: sealed values in an editor, and only what changed is sealed again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bulla::seal::Keyring;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{EditArguments, Report};
use crate::editing::{self, Changes, Editor, Ended, Folder, Memory, Object, Session, Sought, sheet};
use crate::failure::{Failure, OrFail as _, Outcome, refuse, usage};
use crate::output::{self, Access};
use crate::{identities, recipients};

/// An editor that returns sooner has probably handed the file to a window.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Runs the verb.
pub(super) fn run(arguments: &EditArguments) -> Outcome {
    if let Some(folder) = &arguments.keep {
        return editing::keep(folder);
    }
    let file = arguments.file.as_deref().unwrap_or_else(|| Path::new("-"));
    let editor = Editor::chosen()?;
    // First of all: later there may be threads.
    let visible = visible(arguments, file);
    let visible: Vec<&Path> = visible.iter().map(PathBuf::as_path).collect();
    let memory = Memory::find(editor.opens_itself(), &visible)?;

    let sought =
        Sought { file, name: arguments.name.as_deref(), namespace: arguments.namespace.as_deref(), to: &arguments.to };
    let keyring = identities::keyring(&arguments.identity)?;
    let object = if arguments.new {
        if file.exists() {
            return Err(refuse!("{} is there already: without --new its values are edited", file.display()));
        }
        Object::new(&sought, arguments.scope)?
    } else {
        Object::open(&sought, &keyring)?
    };
    is_writable(file)?;
    if let Some(warning) = editor.warning() {
        output::note(&warning);
    }
    let session = Session::begin()?;
    let folder = memory.folder()?;
    let name =
        format!("{}.yaml", object.name().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.', "_"));
    let mut edit = Edit { arguments, sought, keyring, editor, session, folder, name, object };
    edit.run()
}

/// One edit, from the first look to the file that is written.
struct Edit<'a> {
    arguments: &'a EditArguments,
    sought: Sought<'a>,
    keyring: Keyring,
    editor: Editor,
    session: Session,
    folder: Folder,
    /// Of the file in the folder.
    name: String,
    object: Object,
}

/// What was done, for machines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    file: String,
    written: bool,
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    kept: usize,
    sealed_to: Vec<String>,
}

impl Edit<'_> {
    fn run(&mut self) -> Outcome {
        let text = sheet::write(&self.comment(&[]), self.object.shown(&Changes::default()));
        self.folder.write(&self.name, &text)?;
        loop {
            let started = Instant::now();
            let command = self.editor.command(&self.folder.path().join(&self.name), &self.folder);
            if let Ended::Badly(how) = self.session.edit(command, self.folder.keeper())? {
                return Err(refuse!("the editor {} ended with {how}: nothing is changed", self.editor.named()));
            }
            match self.changes() {
                Ok(changes) if changes.is_empty() => return self.unchanged(started.elapsed()),
                Ok(changes) => match self.write(changes)? {
                    Written::Done => return Ok(()),
                    Written::Again(text) => drop(self.folder.write(&self.name, &text)?),
                },
                Err(failure) => self.again(failure)?,
            }
        }
    }

    /// What is above the values.
    fn comment(&self, conflicts: &[&str]) -> String {
        let file = self.sought.file.display();
        let mut lines = vec![
            format!("{file}: {}", self.object.described()),
            "A line a value. Save and close: what changed is sealed, a line taken out is taken out of the file."
                .to_owned(),
            "Text is taken as it is written. Quotes: \"a # b\". Several lines: `key: |`, then the lines, indented."
                .to_owned(),
            "Bytes: !!binary and base64. Nothing saved, nothing changed; comments here are not kept.".to_owned(),
        ];
        for (key, refusal) in self.object.closed() {
            lines.push(format!("{key} does not open here and stays as it is: it {refusal}"));
        }
        if !conflicts.is_empty() {
            lines.push(format!("Changed by somebody else too, your version is below: {}", conflicts.join(", ")));
        }
        // A name may hold anything.
        lines.iter().map(|line| output::plain(line)).collect::<Vec<_>>().join("\n")
    }

    /// What the person changed.
    fn changes(&self) -> Outcome<Changes> {
        let text = self.folder.read(&self.name)?;
        let edited = sheet::read(&text).or_refuse("the edited text")?;
        self.object.changes(edited)
    }

    /// Asks whether to edit again what cannot be taken as it is; no is the failure.
    fn again(&mut self, failure: Failure) -> Outcome {
        if self.arguments.no_retry || !failure.is_refusal() {
            return Err(failure.at("nothing is changed"));
        }
        output::error(&failure.to_string());
        if self.session.confirms("Edit again? No throws the edit away.")? {
            return Ok(());
        }
        Err(refuse!("nothing is changed"))
    }

    fn unchanged(&self, after: Duration) -> Outcome {
        let hint = if after < AT_ONCE && !self.editor.opens_itself() {
            " (the editor returned at once: if it opened a window, tell it to wait, as `code --wait` does)"
        } else {
            ""
        };
        output::note(&format!("{} is unchanged{hint}", self.sought.file.display()));
        self.tell(&Changes::default(), false, Vec::new())
    }

    /// Seals what changed and writes the file, unless it is not any more what it was.
    fn write(&mut self, changes: Changes) -> Outcome<Written> {
        let file = self.sought.file;
        let found = fs::read_to_string(file).ok();
        let mut merged = "";
        if found.as_deref() != self.object.text() {
            let fresh = if found.is_some() && !self.arguments.new {
                Object::open(&self.sought, &self.keyring).and_then(|fresh| {
                    let conflicts = self.object.conflicts(&fresh, &changes)?;
                    let conflicts: Vec<String> = conflicts.into_iter().map(str::to_owned).collect();
                    Ok((fresh, conflicts))
                })
            } else {
                Err(refuse!("it is {}", if found.is_some() { "there now" } else { "gone" }))
            };
            match fresh {
                Ok((fresh, conflicts)) if conflicts.is_empty() => {
                    self.object = fresh;
                    merged = "; what somebody else changed in it meanwhile is kept";
                }
                Ok((fresh, conflicts)) => {
                    let named = conflicts.join(", ");
                    output::error(&format!("{} was changed meanwhile, {named} too", file.display()));
                    let is_again = !self.arguments.no_retry
                        && self.session.confirms("Edit again, on top of what is there now?")?;
                    if !is_again {
                        return Err(self.put_aside(&changes, &format!("somebody else changed {named} meanwhile")));
                    }
                    self.object = fresh;
                    let conflicts: Vec<&str> = conflicts.iter().map(String::as_str).collect();
                    let text = sheet::write(&self.comment(&conflicts), self.object.shown(&changes));
                    return Ok(Written::Again(text));
                }
                Err(failure) => {
                    return Err(self.put_aside(&changes, &format!("the file is not what it was ({failure})")));
                }
            }
        }
        let (text, to_whom) = match self.object.sealed(&changes) {
            Ok(sealed) => sealed,
            Err(failure) => {
                // As the person left it.
                let text = self.folder.read(&self.name)?;
                self.again(failure)?;
                return Ok(Written::Again(text));
            }
        };
        // Sealing takes a while: whoever saved meanwhile is not written over.
        if fs::read_to_string(file).ok() != found {
            return self.write(changes);
        }
        if let Err(failure) = output::write_file(file, text.as_bytes(), Access::Ordinary) {
            return Err(self.put_aside(&changes, &failure.to_string()));
        }
        let mut done = Vec::new();
        for (key, _) in &changes.set {
            done.push(format!("{key} {}", if self.object.has(key) { "changed" } else { "added" }));
        }
        done.extend(changes.removed.iter().map(|key| format!("{key} taken out (older commits still hold it, sealed)")));
        let sealed_to = match to_whom.as_slice() {
            [] => String::new(),
            keys => format!("; sealed to {}", recipients::describe(keys)),
        };
        output::note(&format!("{}: {}{sealed_to}{merged}", file.display(), done.join(", ")));
        self.tell(&changes, true, to_whom.iter().map(|recipient| recipient.key_id().to_string()).collect())?;
        Ok(Written::Done)
    }

    /// Keeps an edit that cannot be written, sealed, under a name that no tool takes for a manifest.
    fn put_aside(&self, changes: &Changes, why: &str) -> Failure {
        let file = self.sought.file;
        let name = format!("{}.edited", file.file_name().unwrap_or_default().to_string_lossy());
        let kept = self.object.sealed(changes).and_then(|(text, _)| {
            let beside = file.with_file_name(&name);
            let write = |path: PathBuf| {
                if path.exists() {
                    return Err(refuse!("{} is there already", path.display()));
                }
                output::write_file(&path, text.as_bytes(), Access::Private).map(|()| path)
            };
            write(beside).or_else(|_| write(std::env::temp_dir().join(format!("{}-{name}", std::process::id()))))
        });
        match kept {
            Ok(path) => refuse!(
                "{} is not written: {why}. Your version is in {}, sealed: take over what you need with `bulla edit`, then remove it",
                file.display(),
                path.display()
            ),
            Err(failure) => {
                refuse!("{} is not written: {why}; and your version cannot be kept: {failure}", file.display())
            }
        }
    }

    fn tell(&self, changes: &Changes, written: bool, sealed_to: Vec<String>) -> Outcome {
        if self.arguments.output == Report::Text {
            return Ok(());
        }
        let (changed, added): (Vec<String>, Vec<String>) =
            changes.set.iter().map(|(key, _)| key.clone()).partition(|key| self.object.has(key));
        output::print_json(&Done {
            file: self.sought.file.display().to_string(),
            written,
            kept: self.object.len() - changed.len() - changes.removed.len(),
            added,
            changed,
            removed: changes.removed.clone(),
            sealed_to,
        })
    }
}

/// What became of changes.
enum Written {
    Done,
    /// They are to be edited again, beginning with this text.
    Again(Zeroizing<String>),
}

/// The paths that are needed as they are while an edit has a file system of its own.
fn visible(arguments: &EditArguments, file: &Path) -> Vec<PathBuf> {
    let variables =
        ["HOME", "KUBECONFIG", "TMPDIR", "XDG_STATE_HOME"].iter().filter_map(std::env::var_os).map(PathBuf::from);
    let named = arguments.identity.iter().chain(&arguments.to.cluster.connection.kubeconfig).cloned();
    let recipients = arguments.to.to.iter().map(PathBuf::from);
    let all = variables.chain(named).chain(recipients).chain([file.to_path_buf()]).chain(std::env::current_dir());
    all.map(|path| fs::canonicalize(&path).or_else(|_| std::path::absolute(&path)).unwrap_or(path)).collect()
}

/// Whether the file can be written in the end: found out before any work is lost.
fn is_writable(file: &Path) -> Outcome {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|error| usage!("{} cannot be written: the folder {}: {error}", file.display(), folder.display()))
}
