//! Whether a level is ample, low or depleted, and when that is news.

/// How much can be reserved, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Band {
    Depleted,
    Low,
    Ample,
}

impl Band {
    fn of(available: i64, low_at: i64) -> Self {
        if available <= 0 {
            Self::Depleted
        } else if available <= low_at {
            Self::Low
        } else {
            Self::Ample
        }
    }
}

/// The band that a level enters when it goes from one (available, threshold) to another; nothing when it stays in its
/// band. A level that was never stocked counts as depleted.
pub(crate) fn crossing(before: (i64, i64), after: (i64, i64)) -> Option<Band> {
    let entered = Band::of(after.0, after.1);
    (entered != Band::of(before.0, before.1)).then_some(entered)
}
