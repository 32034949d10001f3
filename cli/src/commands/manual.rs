//! `bulla completions` and `bulla man`: made from the same definitions that parse the arguments.

use std::path::Path;

use bulla::runtime;
use clap::CommandFactory as _;

use crate::args::Arguments;
use crate::failure::{OrFail as _, Outcome};
use crate::output::{self, Access};

/// Prints the completions of one shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "bulla", &mut script);
    output::print_bytes(&script)
}

/// Prints the manual, or writes a page a verb, those of `bulla-controller` too: it has no such verb of its own.
pub(super) fn pages(folder: Option<&Path>) -> Outcome {
    let command = Arguments::command();
    let Some(folder) = folder else {
        return output::print_bytes(&render(command)?);
    };
    let controller = ("bulla-controller".to_owned(), runtime::Arguments::command());
    let mut pages = vec![("bulla".to_owned(), command), controller];
    let mut written = 0;
    while let Some((name, command)) = pages.pop() {
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let name = format!("{name}-{}", verb.get_name());
            pages.push((name.clone(), verb.clone().name(name)));
        }
        output::write_file(&folder.join(format!("{name}.1")), &render(command)?, Access::Ordinary)?;
        written += 1;
    }
    output::note(&format!("{written} pages written to {}", folder.display()));
    Ok(())
}

fn render(command: clap::Command) -> Outcome<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).or_usage("writing the manual")?;
    Ok(page)
}
