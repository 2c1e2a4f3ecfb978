//! Which side a move is on, by the two fence rows and nothing else.

use super::state::Seen;

/// What a fence row says; none where it cannot be read now.
pub(crate) type Row<'r> = Option<(u64, &'r str)>;

/// Where a switch of `epoch` from the source's owner to `to` stands. The source's row is given up first and the target's
/// opened after it, so each of the two alone may be enough to know.
pub(crate) fn stands(source: Row<'_>, target: Row<'_>, epoch: u64, to: &str) -> Seen {
    let switched = Some((epoch + 1, to));
    match (source, target) {
        (_, target) if target == switched => Seen::TargetHas,
        (source, _) if source == switched => Seen::NobodyHas,
        (Some((at, owner)), _) if at == epoch && owner != to => Seen::SourceHas,
        (None, _) => Seen::Failed,
        // Some other move's.
        (Some(_), _) => Seen::Blocked,
    }
}
