//! What may happen to a reservation. The database's guard (`open`, and in time for a commit) decides in the statement
//! that closes it; these say what it means that the guard let nothing through. Both are total.

use inventory_api::{CommitError, ReleaseError, ReservationState};
use kernel_api::Timestamp;

/// A reservation in this state was not committed just now: is that a refusal?
pub(crate) fn not_committed(
    state: ReservationState,
    expires_at: Timestamp,
) -> Result<(), CommitError> {
    match state {
        ReservationState::Committed => Ok(()),
        ReservationState::Released => Err(CommitError::Released),
        // Open and yet not committed: its time is up and the sweeper has not come by.
        ReservationState::Open | ReservationState::Expired => {
            Err(CommitError::Expired { expires_at })
        }
    }
}

/// A reservation in this state was not released just now: is that a refusal?
pub(crate) fn not_released(state: ReservationState) -> Result<(), ReleaseError> {
    match state {
        ReservationState::Committed => Err(ReleaseError::Committed),
        // What the caller wants is so already: it holds nothing.
        ReservationState::Open | ReservationState::Released | ReservationState::Expired => Ok(()),
    }
}
