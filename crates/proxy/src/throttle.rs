//! Step 8: the stage's rate.

use portcullis_limit::Lease;
use portcullis_model::snapshot::Stage;

use crate::Rejection;

/// Takes a token of the stage's bucket.
pub(crate) fn admit(stage: &Stage, now_ns: u64) -> Result<Lease, Rejection> {
    stage.throttle.try_take(now_ns).map_err(|empty| Rejection::Throttled {
        retry_after_ms: empty.retry_after_ms,
    })
}
