//! `make demo`: the product delivers 12,000 events into an S3 store in this process, pauses and resumes on the way, and
//! this program then reads the bucket and checks that every wanted event is there once and in order.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use barndoor_crds::event_type::EventType;
use barndoor_crds::rest::{Patch, PatchSettings, PutDestination, Secret};
use barndoor_crds::status::StepResult;
use barndoor_examples::delivered::{self, DeliveredObject};
use barndoor_examples::events::Generator;
use barndoor_examples::product::{self, Product, ProductError};
use barndoor_examples::rest::{Api, ApiError, install_tls_provider};
use barndoor_examples::store::{Store, StoreError, StoreKeys};
use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

const ORGANIZATION: &str = "acme";
const DESTINATION: &str = "demo";
const BUCKET: &str = "acme-audit";

/// Events sent while streaming.
const BEFORE_PAUSE: u64 = 10_000;
/// Events sent while paused.
const WHILE_PAUSED: u64 = 2_000;
/// Of 12,000 events exactly one in sixty is of type SYSTEM, which the filter leaves out.
const FILTERED: u64 = 200;
/// Events in one request.
const BATCH: u64 = 500;
/// Small, so that the demonstration is quick; the default is 30.
const FLUSH_INTERVAL_SECONDS: i64 = 2;
/// The promise is a minute.
const DELIVERED_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at the status.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Lines shown of one object.
const LINES_SHOWN: usize = 3;

/// Shows the whole way of an audit event, from ingest to a bucket, and checks the result.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Leave everything running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// The same seed gives the same events but for their times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Product(#[from] ProductError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] delivered::ReadError),
    #[error("the bucket does not hold what was sent: {0}")]
    Mismatch(#[from] delivered::Mismatch),
    #[error("the check failed: {0}")]
    Unhealthy(String),
    #[error("{accepted} of {sent} events were accepted, {not_kept} not kept; the first refusal: {refusal}")]
    NotAccepted { sent: u64, accepted: u64, not_kept: u64, refusal: String },
    #[error("{waiting} is not there after {} s; the status says: {seen}", DELIVERED_WITHIN.as_secs())]
    TooLate { waiting: &'static str, seen: String },
    #[error("the account is \"{seen}\", expected was \"{expected}\"")]
    Account { seen: String, expected: String },
    #[error("interrupted")]
    Interrupted,
    #[error("a temporary folder or file: {0}")]
    Io(#[from] io::Error),
}

/// Where every accepted event went, as the product says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    accepted: u64,
    delivered: u64,
    filtered: u64,
    dropped: u64,
    backlog: u64,
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { accepted, delivered, filtered, dropped, backlog } = self;
        write!(
            f,
            "accepted {accepted} = delivered {delivered} + filtered {filtered} + dropped {dropped} + backlog {backlog}"
        )
    }
}

/// Numbers what it tells.
#[derive(Default)]
struct Narrator {
    step: u32,
}

impl Narrator {
    fn step(&mut self, title: &str) {
        self.step += 1;
        let bold = anstyle::Style::new().bold();
        anstream::println!("\n{bold}{}. {title}{bold:#}", self.step);
    }
}

fn tell(text: &str) {
    anstream::println!("   {text}");
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    install_tls_provider();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            anstream::eprintln!("\n{red}The demonstration failed:{red:#} {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), DemoError> {
    let binary = product::find_binary()?;
    let folder = tempfile::Builder::new().prefix("barndoor-demo-").tempdir()?;
    let mut narrator = Narrator::default();

    narrator.step("Starting an S3 store in this process");
    let store_folder = folder.path().join("store");
    std::fs::create_dir(&store_folder)?;
    let keys = StoreKeys {
        access_key_id: "AKIADEMODEMODEMODEMO".to_owned(),
        secret_access_key: "a-secret-that-opens-only-this-demonstration".to_owned(),
    };
    let store = Store::start(&store_folder, keys.clone()).await?;
    store.create_bucket(BUCKET)?;
    tell(&format!("{} with the empty bucket {BUCKET}", store.endpoint()));

    narrator.step("Starting barndoor-export");
    // Dropping the future of `start` kills the process.
    let product = tokio::select! {
        product = Product::start(&binary, folder.path()) => product?,
        () = interrupted() => return Err(DemoError::Interrupted),
    };
    tell(&format!("{} is ready; its data is in {}", product.url(), folder.path().display()));

    let shown = tokio::select! {
        shown = show(options, &mut narrator, &product, &store, &keys) => shown,
        () = interrupted() => Err(DemoError::Interrupted),
    };
    let shown = match shown {
        Ok(api) if options.keep => keep(&product, &api, &folder).await,
        Ok(_) => Ok(()),
        Err(error) => {
            anstream::eprintln!("\nThe last lines of barndoor-export's log:\n{}", product.log_tail());
            Err(error)
        }
    };
    product.end().await;
    shown
}

/// Returns when somebody asks this program to end, so that it can end its child first.
async fn interrupted() {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    match signals {
        [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] => tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        },
        // Without handlers a signal ends the process the hard way: there is nothing to wait for.
        [_, _, _] => std::future::pending().await,
    }
}

async fn show(
    options: &Options,
    narrator: &mut Narrator,
    product: &Product,
    store: &Store,
    keys: &StoreKeys,
) -> Result<Api, DemoError> {
    narrator.step("Signing in with the client that barndoor-export made");
    let api = Api::sign_in(&product.url(), &product.admin_client()?, ORGANIZATION, DESTINATION).await?;
    tell(&product.client_file().display().to_string());

    declare(narrator, &api, store, keys).await?;
    narrator.step("Starting the export");
    api.start().await?;
    tell(&format!("state: {}", api.status().await?.state));

    // Twelve thousand events take about four minutes to happen: let the last one happen about now.
    let begin = Timestamp::now() - SignedDuration::from_mins(4);
    let mut generator = Generator::new(options.seed, begin);
    narrator.step(&format!("Sending {BEFORE_PAUSE} audit events"));
    let mut expected = send(&api, &mut generator, BEFORE_PAUSE).await?;
    let account = wait_until(&api, "the delivery of the first events", |account| {
        account.accepted == BEFORE_PAUSE && account.backlog == 0
    })
    .await?;
    tell(&account.to_string());

    narrator.step(&format!("Pausing, and sending {WHILE_PAUSED} more"));
    api.pause().await?;
    expected.extend(send(&api, &mut generator, WHILE_PAUSED).await?);
    let account = wait_until(&api, "the backlog", |account| account.backlog == WHILE_PAUSED).await?;
    tell(&format!("{} events wait in order: {account}", account.backlog));

    narrator.step("Resuming");
    api.start().await?;
    let account = wait_until(&api, "the delivery of the backlog", |account| account.backlog == 0).await?;
    tell("the backlog is 0");

    inspect(narrator, store, &expected)?;
    narrator.step("The account, as the product keeps it");
    anstream::println!("{account}");
    judge(&account)?;
    Ok(api)
}

async fn declare(
    narrator: &mut Narrator,
    api: &Api,
    store: &Store,
    keys: &StoreKeys,
) -> Result<(), DemoError> {
    narrator.step("Declaring where the events go (access keys; saved paused)");
    let declared = api
        .put_destination(&PutDestination {
            endpoint: store.endpoint(),
            bucket: BUCKET.to_owned(),
            region: Some("us-east-1".to_owned()),
            use_path_style: Some(true),
            auth_method: Some("access_keys".to_owned()),
            access_key_id: Some(Secret::new(&keys.access_key_id)),
            secret_access_key: Some(Secret::new(&keys.secret_access_key)),
            ..PutDestination::default()
        })
        .await?;
    tell(&format!(
        "{} bucket {}, keys stored: {}",
        declared.endpoint, declared.bucket, declared.has_credentials
    ));

    narrator.step("Checking the connection");
    let report = api.check().await?;
    for step in &report.steps {
        let mark = match step.result {
            StepResult::Passed => "passed ",
            StepResult::Failed => "FAILED ",
            StepResult::Warning => "warning",
            StepResult::Skipped => "skipped",
        };
        tell(&format!("{mark} {:?}: {}", step.name, step.message));
    }
    if !report.healthy {
        return Err(DemoError::Unhealthy(format!("{} {}", report.message, report.remedy)));
    }

    narrator.step("Choosing every event type but SYSTEM, and a short flush interval");
    let wanted = EventType::ALL.into_iter().filter(|&event_type| event_type != EventType::System);
    api.patch_settings(&PatchSettings {
        included_event_types: Patch::Value(wanted.map(|event_type| event_type.name().to_owned()).collect()),
        flush_interval_seconds: Some(FLUSH_INTERVAL_SECONDS),
        ..PatchSettings::default()
    })
    .await?;
    tell(&format!(
        "an object is sent {FLUSH_INTERVAL_SECONDS} s after its first event (30 unless said otherwise)"
    ));
    Ok(())
}

/// Sends events and returns the ids of those that must arrive, in order.
async fn send(api: &Api, generator: &mut Generator, count: u64) -> Result<Vec<String>, DemoError> {
    let mut expected = Vec::new();
    let (mut first, mut last) = (None, None);
    for batch in 0..count / BATCH {
        let mut lines = String::new();
        for event in generator.take(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
            lines.push_str(&event.line);
            lines.push('\n');
            if event.event_type != EventType::System {
                expected.push(event.id);
            }
        }
        // The data folder is new in every run, and so is every key in it.
        let key = format!("demo-{count}-{batch}");
        let answer = api.send_events(&lines, &key).await?;
        if answer.accepted != BATCH {
            let refusal = answer.rejected.first().map_or("none".to_owned(), |line| line.message.clone());
            return Err(DemoError::NotAccepted {
                sent: BATCH,
                accepted: answer.accepted,
                not_kept: answer.not_kept,
                refusal,
            });
        }
        first = first.or(answer.first);
        last = answer.last;
    }
    let range = (first.unwrap_or_default(), last.unwrap_or_default());
    tell(&format!("accepted as sequences {} to {}, each on disk before it was answered", range.0, range.1));
    Ok(expected)
}

async fn wait_until(
    api: &Api,
    waiting: &'static str,
    reached: impl Fn(&Account) -> bool,
) -> Result<Account, DemoError> {
    let deadline = Instant::now() + DELIVERED_WITHIN;
    loop {
        let status = api.status().await?;
        let issue = status.delivery.as_ref().and_then(|delivery| delivery.last_issue.clone());
        let account = status.delivery.map(|delivery| Account {
            accepted: delivery.accepted,
            delivered: delivery.delivered,
            filtered: delivery.filtered,
            dropped: delivery.dropped,
            backlog: delivery.backlog,
        });
        if let Some(account) = account.as_ref().filter(|account| reached(account)) {
            return Ok(account.clone());
        }
        if Instant::now() >= deadline {
            let account = account.map_or("no delivery yet".to_owned(), |account| account.to_string());
            let issue =
                issue.map_or(String::new(), |issue| format!("; {}: {}", issue.operation, issue.message));
            return Err(DemoError::TooLate { waiting, seen: format!("{}, {account}{issue}", status.state) });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Reads the bucket as a stranger would and compares it with what was sent.
fn inspect(narrator: &mut Narrator, store: &Store, expected: &[String]) -> Result<(), DemoError> {
    let bucket = store.bucket_folder(BUCKET);
    narrator.step("The objects in the bucket");
    let keys = delivered::keys(&bucket)?;
    for key in &keys {
        anstream::println!("{key}");
    }
    let objects: Vec<DeliveredObject> =
        keys.iter().map(|key| delivered::read(&bucket, key)).collect::<Result<_, _>>()?;
    if let Some(object) = objects.first() {
        narrator.step(&format!("The first {LINES_SHOWN} lines of the first object, unpacked"));
        for line in object.lines.iter().take(LINES_SHOWN) {
            anstream::println!("{line}");
        }
    }
    narrator.step("Reading every object, looking for every event");
    delivered::verify(expected, &objects)?;
    tell(&format!(
        "{} events in {} objects: each once, in order, none missing",
        expected.len(),
        objects.len()
    ));
    Ok(())
}

fn judge(account: &Account) -> Result<(), DemoError> {
    let accepted = BEFORE_PAUSE + WHILE_PAUSED;
    let delivered = accepted - FILTERED;
    let expected = Account { accepted, delivered, filtered: FILTERED, dropped: 0, backlog: 0 };
    if *account == expected {
        Ok(())
    } else {
        Err(DemoError::Account { seen: account.to_string(), expected: expected.to_string() })
    }
}

async fn keep(product: &Product, api: &Api, folder: &TempDir) -> Result<(), DemoError> {
    // In a file of this folder only (0700), so that the token is on no screen and in no shell's history.
    let configuration = folder.path().join("curl.conf");
    std::fs::write(&configuration, format!("header = \"Authorization: Bearer {}\"\n", api.token().expose()))?;
    anstream::println!("\nStill running; Ctrl-C ends it and removes its data.");
    tell(&format!("address:     {}", product.url()));
    tell(&format!("client file: {}", product.client_file().display()));
    tell(&format!("try:         curl -K {} {}", configuration.display(), api.url("status")));
    interrupted().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_one_line_and_must_add_up_to_what_was_sent() {
        let good = Account { accepted: 12_000, delivered: 11_800, filtered: 200, dropped: 0, backlog: 0 };
        assert_eq!(
            good.to_string(),
            "accepted 12000 = delivered 11800 + filtered 200 + dropped 0 + backlog 0"
        );
        assert!(judge(&good).is_ok());
        assert!(judge(&Account { delivered: 11_799, ..good }).is_err());
    }
}
