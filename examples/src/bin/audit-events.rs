//! Prints audit events as NDJSON: `audit-events --count 1000 | curl … --data-binary @-`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use barndoor_crds::name::OrganizationName;
use barndoor_examples::events::Generator;
use clap::Parser;
use jiff::Timestamp;

/// Prints realistic audit events, one JSON object a line.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// How many events.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// The same seed and start give the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The organization that the events name.
    #[arg(long, default_value = "acme")]
    organization: OrganizationName,
    /// When the first event happens (RFC 3339); now unless said otherwise.
    #[arg(long)]
    start: Option<Timestamp>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match print(&options, &mut BufWriter::new(io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("cannot write events: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(options: &Options, out: &mut impl Write) -> io::Result<()> {
    let start = options.start.unwrap_or_else(Timestamp::now);
    let mut generator = Generator::new(options.seed, start).for_organization(&options.organization);
    let mut line = String::new();
    for _ in 0..options.count {
        line.clear();
        generator.write_next(&mut line);
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    out.flush()
}
