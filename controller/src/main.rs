//! The binary `barndoor-export`: parses the command line and runs it.

use std::process::ExitCode;

use barndoor_controller::cli::Cli;
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The SDK and reqwest bring two providers between them: one is chosen here for all of them. Only a second call fails.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli.execute()),
        Err(error) => {
            anstream::eprintln!("error: the operating system gave no threads or file handles: {error}");
            ExitCode::FAILURE
        }
    }
}
