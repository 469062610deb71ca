//! The command line of `barndoor-export`: what can be said, and what each command does with it.
//!
//! `run` starts the controller; `client`, `check` and `status` are REST clients like any other and must not know the
//! data folder, but for the client file in it.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

mod check;
mod client;
#[cfg(test)]
mod configuration_page;
pub mod destination_ref;
pub mod duration;
mod logging;
mod output;
mod rest_client;
pub mod run;
pub mod run_options;
mod signals;
pub mod size;
mod status;
mod tls_files;
#[cfg(test)]
mod troubleshooting_page;

/// Carries audit events of many organizations into the S3 buckets that they own: exactly once, in order.
///
/// Start a controller with `run`. The other commands talk to a running one over REST, as the client that it wrote
/// into its data folder.
#[derive(Debug, Parser)]
#[command(name = "barndoor-export", version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 it is not (unhealthy, refused, unreachable); 2 the command line was not understood.

Begin with: barndoor-export run --help";

/// The committed file, which a test of its crate keeps in step with the types.
const CRDS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crds/yaml/exportdestinations.export.barndoor.ai.yaml"
));

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run_options::RunOptions>),
    Client(client::ClientOptions),
    Check(check::CheckOptions),
    Status(status::StatusOptions),
    /// Prints the CustomResourceDefinition of ExportDestination, as YAML.
    ///
    /// It says in a schema what a destination may be; `run` itself does not need it.
    ///
    /// Example: barndoor-export crds | kubectl apply -f -
    Crds,
    /// Prints a completion script for your shell.
    ///
    /// Example: barndoor-export completions bash > ~/.local/share/bash-completion/completions/barndoor-export
    Completions {
        /// The shell to complete in.
        shell: Shell,
    },
}

/// What a command came to, where a script looks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Well,
    NotWell,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Well => Self::SUCCESS,
            Verdict::NotWell => Self::FAILURE,
        }
    }
}

impl Cli {
    /// Does what was asked; errors are printed, with their remedy.
    pub async fn execute(self) -> ExitCode {
        let verdict = match self.command {
            Command::Run(options) => {
                run::run(*options).await.map(|()| Verdict::Well).map_err(|error| error.to_string())
            }
            Command::Client(options) => client::execute(options).await.map_err(|error| error.to_string()),
            Command::Check(options) => check::execute(options).await.map_err(|error| error.to_string()),
            Command::Status(options) => status::execute(options).await.map_err(|error| error.to_string()),
            Command::Crds => {
                anstream::print!("{CRDS}");
                Ok(Verdict::Well)
            }
            Command::Completions { shell } => {
                clap_complete::generate(
                    shell,
                    &mut Self::command(),
                    "barndoor-export",
                    &mut std::io::stdout(),
                );
                Ok(Verdict::Well)
            }
        };
        verdict
            .unwrap_or_else(|message| {
                output::print_error(&message);
                Verdict::NotWell
            })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_says_what_it_does() {
        fn look(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }

    #[test]
    fn a_typing_error_ends_with_exit_code_two() {
        let error = Cli::try_parse_from(["barndoor-export", "status", "acme"]).expect_err("no name");
        assert_eq!(error.exit_code(), 2);
    }
}
