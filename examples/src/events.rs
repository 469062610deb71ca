//! A seeded generator of realistic audit events: the same seed, start and organization give the same bytes for ever.
//!
//! Every 60 events in a row hold each type in a fixed number, `SYSTEM` once. It must not know where events go.

use std::fmt::Write;

use barndoor_crds::event_type::EventType;
use barndoor_crds::name::OrganizationName;
use jiff::Timestamp;
use jiff::tz::TimeZone;

mod body;
mod deck;
mod random;

use deck::Deck;
use random::Random;

/// The length of every event's id, in characters: a ULID's.
pub const ID_LENGTH: usize = 26;

/// Every line begins with this, then the id.
const HEAD: &str = r#"{"id":""#;

/// The longest pause between two events, in milliseconds.
const PAUSE_MAX_MILLISECONDS: u64 = 40;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Unique and ascending within a generator.
    pub id: String,
    /// Its type.
    pub event_type: EventType,
    /// The whole event: a JSON object on one line, without the line's end.
    pub line: String,
}

/// Makes events, without end.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    deck: Deck,
    organization: String,
    serial: u64,
    milliseconds: i64,
    /// The second that `second_text` spells, because most events share theirs with the one before.
    second: i64,
    second_text: String,
}

impl Generator {
    /// Begins at this time with this seed; the organization is `acme` until said otherwise.
    pub fn new(seed: u64, start: Timestamp) -> Self {
        Self {
            random: Random::new(seed),
            deck: Deck::new(),
            organization: "acme".to_owned(),
            serial: 0,
            milliseconds: start.as_millisecond(),
            second: i64::MIN,
            second_text: String::new(),
        }
    }

    /// The same events for another organization.
    #[must_use]
    pub fn for_organization(mut self, organization: &OrganizationName) -> Self {
        organization.as_str().clone_into(&mut self.organization);
        self
    }

    /// Appends the next event to `line`, without the line's end, and tells its type. The fast way: no allocation
    /// when `line` has room.
    pub fn write_next(&mut self, line: &mut String) -> EventType {
        let event_type = self.deck.draw(&mut self.random);
        // A pause of at most 40 ms never reaches i64's end in the life of a generator.
        self.milliseconds += self.random.below(PAUSE_MAX_MILLISECONDS).cast_signed();
        self.spell_second();
        line.push_str(HEAD);
        self.write_id(line);
        line.push_str(r#"","type":""#);
        line.push_str(event_type.name());
        line.push_str(r#"","timestamp":""#);
        line.push_str(&self.second_text);
        // Writing to a String cannot fail.
        let _ = write!(line, ".{:03}Z", self.milliseconds.rem_euclid(1_000));
        line.push_str(r#"","organization":""#);
        line.push_str(&self.organization);
        line.push('"');
        body::write(event_type, &mut self.random, line);
        line.push('}');
        self.serial += 1;
        event_type
    }

    fn spell_second(&mut self) {
        let second = self.milliseconds.div_euclid(1_000);
        if second == self.second {
            return;
        }
        self.second = second;
        self.second_text.clear();
        let time = Timestamp::from_second(second).unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC);
        let _ = write!(self.second_text, "{}", time.strftime("%Y-%m-%dT%H:%M:%S"));
    }

    /// A ULID: 48 bits of time, then 40 random bits and 40 of the serial number, which alone makes it unique.
    fn write_id(&mut self, line: &mut String) {
        const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let time = u128::from(self.milliseconds.max(0).cast_unsigned()) & ((1 << 48) - 1);
        let noise = u128::from(self.random.next() & ((1 << 40) - 1));
        let bits = time << 80 | u128::from(self.serial & ((1 << 40) - 1)) << 40 | noise;
        for position in (0..ID_LENGTH).rev() {
            // The mask leaves 5 bits: an index below 32.
            line.push(char::from(CROCKFORD[(bits >> (5 * position) & 31) as usize]));
        }
    }
}

impl Iterator for Generator {
    type Item = AuditEvent;

    fn next(&mut self) -> Option<AuditEvent> {
        let mut line = String::with_capacity(1_536);
        let event_type = self.write_next(&mut line);
        let id = id_of(&line).unwrap_or_default().to_owned();
        Some(AuditEvent { id, event_type, line })
    }
}

/// The id of a line made here, without parsing the whole; `None` for any other line.
pub fn id_of(line: &str) -> Option<&str> {
    line.strip_prefix(HEAD)?.get(..ID_LENGTH)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn generator(seed: u64) -> Generator {
        Generator::new(seed, "2026-03-01T12:59:59.900Z".parse().expect("a time"))
    }

    #[test]
    fn twelve_thousand_events_hold_exactly_two_hundred_of_type_system_whatever_the_seed() {
        for seed in [0, 1, 42] {
            let system =
                generator(seed).take(12_000).filter(|event| event.event_type == EventType::System).count();
            assert_eq!(system, 200, "seed {seed}");
        }
    }

    #[test]
    fn every_type_occurs_in_every_sixty_events() {
        let types: BTreeSet<EventType> = generator(7).take(60).map(|event| event.event_type).collect();
        assert_eq!(types.len(), EventType::ALL.len());
    }

    #[test]
    fn every_event_is_one_line_of_json_that_ingest_accepts() {
        let mut bytes_by_type = BTreeMap::<EventType, (usize, usize)>::new();
        for event in generator(3).take(3_000) {
            let json: serde_json::Value = serde_json::from_str(&event.line).expect(&event.line);
            assert!(!event.line.contains('\n'));
            assert_eq!(json["id"], event.id);
            assert_eq!(json["type"], event.event_type.name());
            let timestamp = json["timestamp"].as_str().expect("text");
            assert!(timestamp.parse::<Timestamp>().is_ok(), "{timestamp}");
            let (count, bytes) = bytes_by_type.entry(event.event_type).or_default();
            *count += 1;
            *bytes += event.line.len();
        }
        let (count, bytes) =
            bytes_by_type.values().fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
        assert!((1_000..=1_200).contains(&(bytes / count)), "{} bytes: {bytes_by_type:?}", bytes / count);
    }

    #[test]
    fn ids_are_unique_ascending_and_the_same_for_the_same_seed() {
        let ids: Vec<String> = generator(9).take(5_000).map(|event| event.id).collect();
        assert!(ids.is_sorted_by(|left, right| left < right));
        assert!(generator(9).take(5_000).map(|event| event.id).eq(ids.iter().cloned()));
        assert!(generator(10).take(5_000).map(|event| event.id).ne(ids));
    }

    #[test]
    fn a_line_tells_its_id_without_being_parsed() {
        let event = generator(1).next().expect("an event");
        assert_eq!(id_of(&event.line), Some(event.id.as_str()));
        assert_eq!(id_of(r#"{"type":"AUDIT"}"#), None);
    }

    #[test]
    fn another_organization_gets_the_same_events_under_its_name() {
        let other = "globex".parse().expect("a name");
        let line = generator(1).for_organization(&other).next().expect("an event").line;
        assert_eq!(line, generator(1).next().expect("an event").line.replacen("\"acme\"", "\"globex\"", 1));
    }

    #[test]
    fn events_compress_like_real_ones() {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(2));
        let mut written = 0;
        for event in generator(5).take(5_000) {
            encoder.write_all(event.line.as_bytes()).expect("memory");
            encoder.write_all(b"\n").expect("memory");
            written += event.line.len() + 1;
        }
        let ratio_tenths = written * 10 / encoder.finish().expect("memory").len();
        assert!((40..=60).contains(&ratio_tenths), "{ratio_tenths}");
    }
}
