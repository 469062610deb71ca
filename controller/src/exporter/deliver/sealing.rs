//! Makes objects of events: cut and encode new ones, replay planned ones.

use barndoor_crds::event_type::EventTypeSet;
use bytes::Bytes;

use super::reading::READ_BYTES;
use super::{Exporter, TurnError};
use crate::destinations::Destination;
use crate::event_log::{LogError, Sequence};
use crate::exporter::budget::{Grant, Urgency};
use crate::exporter::cut::Pending;
use crate::exporter::decide::{Passed, Sealed};
use crate::exporter::encode::{ENCODER_VERSION, Encoded, Encoder, Fill, Recipe, Until};
use crate::exporter::object_key::{ObjectName, object_key};
use crate::exporter::record::{DeliveryRecord, Outcome, Plan};
use crate::exporter::store::Object;

/// Memory an encoder needs beside the object itself: two reads and the compressor.
const ENCODER_BYTES: usize = 2 * READ_BYTES;

/// What a cut came to.
pub(super) enum Cut {
    /// The log ended.
    Nothing,
    /// No event of the range is wanted.
    AllFiltered(Passed),
    /// An object.
    Object(Box<Sealed>, Bytes),
}

impl Exporter {
    pub(super) async fn memory(
        &self,
        destination: &Destination,
        pending: Pending,
        urgency: Urgency,
    ) -> Grant {
        let object =
            usize::try_from(pending.bytes.min(u64::from(destination.batch.max_bytes))).unwrap_or(usize::MAX);
        let encoder = usize::try_from(pending.bytes).unwrap_or(usize::MAX).min(ENCODER_BYTES);
        self.ports.budget.acquire(urgency, object.saturating_add(encoder)).await
    }

    /// Reads from `from` until an object is full or the log ends.
    pub(super) async fn cut(
        &self,
        destination: &Destination,
        record: &DeliveryRecord,
        from: Sequence,
        covered_from: Sequence,
    ) -> Result<Cut, TurnError> {
        let event_types = EventTypeSet::included(destination.include.as_deref());
        let recipe = Recipe {
            event_types,
            format: destination.format,
            organization: destination.organization.clone(),
        };
        let until = Until::Full {
            events: u64::from(destination.batch.max_events),
            bytes: destination.batch.max_bytes as usize,
        };
        let Some(encoded) = self.encode(recipe, from, until).await? else {
            return Ok(Cut::Nothing);
        };
        let Encoded { from, last, last_crc, count, filtered, hour, uncompressed_sha256, body } = encoded;
        if count == 0 {
            return Ok(Cut::AllFiltered(Passed { last, last_crc }));
        }
        let key = object_key(ObjectName {
            prefix: &destination.place.prefix,
            hour,
            log_epoch: &record.start.log_epoch,
            first: covered_from,
            last,
            destination: &self.uid,
            uncompressed_sha256: &uncompressed_sha256,
        });
        let plan = Plan {
            first: covered_from,
            last,
            last_crc,
            count,
            filtered,
            hour,
            place: destination.place.clone(),
            key,
            uncompressed_sha256,
            event_types,
            format: destination.format,
            encoder: ENCODER_VERSION,
            outcome: Outcome::NotSent,
        };
        Ok(Cut::Object(Box::new(Sealed { from, plan }), body))
    }

    pub(super) async fn encode(
        &self,
        recipe: Recipe,
        from: Sequence,
        until: Until,
    ) -> Result<Option<Encoded>, TurnError> {
        let mut encoder = Encoder::new(recipe, from, until);
        let mut fill = Fill::Open;
        let mut read_bytes = 0;
        while fill == Fill::Open {
            let batches = self.ports.log.read(&self.organization, encoder.next(), READ_BYTES).await?;
            if batches.is_empty() {
                break;
            }
            read_bytes = batches.iter().map(|batch| batch.bytes.len()).sum();
            let pushed;
            (encoder, pushed) = self
                .ports
                .compute
                .run(read_bytes, move || {
                    let mut fill = Fill::Open;
                    for batch in &batches {
                        match encoder.push(batch) {
                            Ok(Fill::Open) => {}
                            Ok(Fill::Full) => {
                                fill = Fill::Full;
                                break;
                            }
                            Err(damaged) => return (encoder, Err(damaged)),
                        }
                    }
                    (encoder, Ok(fill))
                })
                .await;
            fill = pushed?;
        }
        Ok(self.ports.compute.run(read_bytes, move || encoder.finish()).await)
    }

    /// The same bytes as when the plan was made.
    pub(super) async fn replay(&self, destination: &Destination, plan: &Plan) -> Result<Bytes, TurnError> {
        let recipe = Recipe {
            event_types: plan.event_types,
            format: plan.format,
            organization: destination.organization.clone(),
        };
        let from = self.record().next;
        let encoded = self.encode(recipe, from, Until::Sequence(plan.last)).await?;
        match encoded {
            Some(encoded)
                if plan.encoder == ENCODER_VERSION
                    && encoded.uncompressed_sha256 == plan.uncompressed_sha256 =>
            {
                Ok(encoded.body)
            }
            Some(_) | None => Err(TurnError::Log(LogError::Damaged {
                at: from,
                what: format!("events {from} to {} are not those that were planned", plan.last),
            })),
        }
    }

    pub(super) fn object(&self, destination: &Destination, plan: &Plan, body: Bytes) -> Object {
        let record = self.record();
        let mut metadata = vec![
            ("log-epoch", record.start.log_epoch.as_str().to_owned()),
            ("destination", format!("{}/{}", destination.organization, destination.name)),
            ("first-sequence", plan.first.to_string()),
            ("last-sequence", plan.last.to_string()),
            ("event-count", plan.count.to_string()),
            ("omitted-count", (plan.last + 1 - plan.first - plan.count).to_string()),
            ("uncompressed-sha256", plan.uncompressed_sha256.clone()),
            ("format", plan.format.name().to_owned()),
            ("encoder", plan.encoder.to_string()),
        ];
        if let Some(previous) = &record.previous_sha256 {
            metadata.push(("previous-sha256", previous.clone()));
        }
        Object { key: plan.key.clone(), body, metadata }
    }
}
