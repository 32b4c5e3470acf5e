//! Step 8: the stage's rate.

use portcullis_limit::{Lease, Throttled};
use portcullis_model::snapshot::{Route, Stage};

use crate::Rejection;

/// Takes a token of the method's bucket, where it has one, and of the stage's.
pub(crate) fn admit(stage: &Stage, route: &Route, now_ns: u64) -> Result<Lease, Rejection> {
    let rejection = |empty: Throttled| Rejection::Throttled {
        retry_after_ms: empty.retry_after_ms,
    };
    if let Some(throttle) = &route.throttle {
        throttle.try_take(now_ns).map_err(rejection)?;
    }
    stage.throttle.try_take(now_ns).map_err(rejection)
}
