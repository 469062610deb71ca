//! docs/configuration.md, made from the command line itself, and the test that notices when they drift.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use super::rest_client::CONNECTION_HEADING;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

const INTRODUCTION: &str = "# Configuration

<!-- Generated from the command line by `make generate`; do not edit. -->

Every flag, with its environment variable and default. A flag wins over its variable. `barndoor-export COMMAND --help`
says the same.

Two things have no flag. `BARNDOOR_MASTER_KEY` holds the key that seals stored access keys (32 bytes as 64 hexadecimal
characters or base64); without it the key is a file in the data folder. The controller's own AWS identity comes from
AWS's usual variables (`AWS_REGION`, `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL_STS`, …), profile or instance role.
";

fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    let cli = Cli::command();
    commands(&cli, "barndoor-export", &mut text);
    text.push_str("\n## Reaching the controller\n\n`client`, `check` and `status` also take:\n\n");
    if let Some(status) = cli.find_subcommand("status") {
        for argument in status.get_arguments().filter(|argument| reaches_the_controller(argument)) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- {}", entry(argument));
        }
    }
    text
}

fn reaches_the_controller(argument: &Arg) -> bool {
    argument.get_help_heading() == Some(CONNECTION_HEADING)
}

fn commands(command: &Command, path: &str, text: &mut String) {
    for subcommand in command.get_subcommands() {
        let path = format!("{path} {}", subcommand.get_name());
        if subcommand.has_subcommands() {
            commands(subcommand, &path, text);
        } else {
            section(subcommand, &path, text);
        }
    }
}

fn section(command: &Command, path: &str, text: &mut String) {
    // Writing to a String cannot fail.
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let end = if about.ends_with(['.', '?']) { "" } else { "." };
    let _ = writeln!(text, "\n## `{path}`\n\n{about}{end}\n");
    for argument in command.get_arguments().filter(|argument| !reaches_the_controller(argument)) {
        let _ = writeln!(text, "- {}", entry(argument));
    }
}

fn entry(argument: &Arg) -> String {
    let values: Vec<&str> =
        argument.get_value_names().unwrap_or_default().iter().map(AsRef::as_ref).collect();
    let takes_value = argument.get_action().takes_values();
    let name = match argument.get_long() {
        Some(long) if takes_value => format!("--{long} {}", values.join(" ")),
        Some(long) => format!("--{long}"),
        None => values.join(" "),
    };
    let mut notes = Vec::new();
    if let Some(variable) = argument.get_env() {
        notes.push(format!("`{}`", variable.to_string_lossy()));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && !defaults.is_empty() {
        notes.push(format!("default `{}`", defaults.join(",")));
    }
    let possible: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !possible.is_empty() {
        notes.push(format!("one of {}", possible.join(", ")));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    let help =
        argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    format!("`{name}`{notes}: {}", help.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn the_configuration_page_says_what_the_command_line_does() {
    let expected = page();
    if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(Path::new(PAGE).parent().expect("docs")).expect("docs can be made");
        std::fs::write(PAGE, &expected).expect("docs/configuration.md can be written");
    }
    let committed = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(committed == expected, "docs/configuration.md has drifted: run `make generate` and commit it");
}
