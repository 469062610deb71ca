//! Memory for the bodies that are on their way in: what each holds, one organization's, all together.
//!
//! Nobody waits for memory here: what is not free is refused, and its producer comes back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barndoor_crds::name::OrganizationUid;

use super::lines::DECODED_MAX_BYTES;

/// One organization's bodies may hold this part of the memory: slow ones of one tenant leave room for the others'.
const ORGANIZATION_PART: usize = 4;
/// What is taken at once while a body grows, in bytes.
const STEP_BYTES: usize = 256 * 1024;
/// The largest body and what has arrived of it and is not decoded; an organization may hold that much in any case.
const LARGEST_BODY_BYTES: usize = DECODED_MAX_BYTES + 4 * STEP_BYTES;

/// Memory for the bodies that are on their way in, all together.
#[derive(Clone, Debug)]
pub struct IngestBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit_bytes: usize,
    organization_limit_bytes: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// Of those that hold any.
    by_organization: HashMap<OrganizationUid, usize>,
}

impl IngestBudget {
    /// A budget of this many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Shared {
            limit_bytes: bytes,
            organization_limit_bytes: (bytes / ORGANIZATION_PART).max(LARGEST_BODY_BYTES),
            held: Mutex::default(),
        }))
    }

    /// Memory for one body, which grows with it.
    pub(super) fn reservation(&self, organization: &OrganizationUid) -> Reservation {
        Reservation { shared: Arc::clone(&self.0), organization: organization.clone(), bytes: 0 }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no memory for a body now.
#[derive(Debug, thiserror::Error)]
#[error("too many events are on their way in at once")]
pub(super) struct Busy;

/// What one body holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    shared: Arc<Shared>,
    organization: OrganizationUid,
    bytes: usize,
}

impl Reservation {
    /// Makes sure that at least this much is held.
    ///
    /// # Errors
    /// It is not free now; what was held stays so.
    pub(super) fn cover(&mut self, bytes: usize) -> Result<(), Busy> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let more = (bytes - self.bytes).next_multiple_of(STEP_BYTES);
        let mut held = self.shared.held();
        let by_organization = held.by_organization.get(&self.organization).copied().unwrap_or(0);
        if held.bytes + more > self.shared.limit_bytes
            || by_organization + more > self.shared.organization_limit_bytes
        {
            return Err(Busy);
        }
        held.bytes += more;
        held.by_organization.insert(self.organization.clone(), by_organization + more);
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        held.bytes -= self.bytes;
        if let Some(by_organization) = held.by_organization.get_mut(&self.organization) {
            *by_organization -= self.bytes;
            if *by_organization == 0 {
                held.by_organization.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// Memory for any body.
    pub(in super::super) fn reservation() -> Reservation {
        IngestBudget::new(64 * MIB).reservation(&OrganizationUid::new("acme"))
    }

    #[test]
    fn what_one_organization_holds_leaves_room_for_the_others() {
        let budget = IngestBudget::new(256 * MIB);
        let (acme, other) = (OrganizationUid::new("acme"), OrganizationUid::new("other"));
        let mut slow: Vec<Reservation> = (0..2).map(|_| budget.reservation(&acme)).collect();
        slow[0].cover(32 * MIB).expect("free");
        slow[1].cover(32 * MIB).expect("a quarter in all");
        slow[1].cover(20 * MIB).expect("held already");
        budget.reservation(&acme).cover(1).expect_err("more than a quarter");
        budget.reservation(&other).cover(64 * MIB).expect("the other's quarter");
        slow.pop();
        budget.reservation(&acme).cover(32 * MIB).expect("given back");
    }

    #[test]
    fn all_together_hold_no_more_than_the_budget_and_give_it_back() {
        let budget = IngestBudget::new(64 * MIB);
        let held: Vec<Reservation> = ["a", "b"]
            .map(|name| budget.reservation(&OrganizationUid::new(name)))
            .into_iter()
            .map(|mut reservation| {
                reservation.cover(LARGEST_BODY_BYTES - 2 * MIB).expect("the largest body fits in any case");
                reservation
            })
            .collect();
        budget.reservation(&OrganizationUid::new("c")).cover(3 * MIB).expect_err("all is held");
        drop(held);
        budget.reservation(&OrganizationUid::new("c")).cover(33 * MIB).expect("given back");
        let nothing = budget.0.held();
        assert!(nothing.bytes == 0 && nothing.by_organization.is_empty(), "{nothing:?}");
    }
}
