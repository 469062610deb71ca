//! Events whose ids say where they belong, so that the account can be drawn up from the bucket alone.

use barndoor_crds::event_type::EventType;
use serde_json::json;

/// An event as the harness sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentEvent {
    /// Unique in the test.
    pub id: String,
    /// Its type.
    pub event_type: EventType,
    /// The line, without its end.
    pub line: String,
}

/// Makes events `<label>-00000000`, `<label>-00000001`, …, going round the 16 types.
#[derive(Clone, Debug)]
pub struct EventSource {
    label: String,
    next: usize,
    padding: String,
}

impl EventSource {
    /// Events of about 200 bytes.
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), next: 0, padding: String::new() }
    }

    /// Events that are this many bytes longer.
    #[must_use]
    pub fn padded_by(mut self, bytes: usize) -> Self {
        self.padding = "x".repeat(bytes);
        self
    }

    /// The next events.
    pub fn take(&mut self, count: usize) -> Vec<SentEvent> {
        (0..count)
            .map(|_| {
                let id = format!("{}-{:08}", self.label, self.next);
                let event_type = EventType::ALL[self.next % EventType::ALL.len()];
                self.next += 1;
                let line = json!({
                    "id": id,
                    "type": event_type.name(),
                    "timestamp": jiff::Timestamp::now().to_string(),
                    "actor": { "name": "Ada", "address": "203.0.113.7" },
                    "padding": self.padding,
                })
                .to_string();
                SentEvent { id, event_type, line }
            })
            .collect()
    }
}

/// The body of an ingest call.
pub fn ndjson(events: &[SentEvent]) -> Vec<u8> {
    events.iter().flat_map(|event| event.line.bytes().chain([b'\n'])).collect()
}
