//! What placement learns from a process that tells of its data.

use placement_api::{Deployment, Housed};

/// Where a module is: its epoch and its owner's name.
pub(crate) type At = (u64, String);

/// What placement knows after a process of `deployment` told what its data's fence row says; none when it learnt nothing.
///
/// A process speaks only for its own deployment: that a row names somebody else does not mean that this somebody's
/// database is open yet.
pub(crate) fn learnt(known: Option<&At>, deployment: &Deployment, told: &Housed) -> Option<At> {
    let ours = told.owner == deployment.as_str();
    match known {
        // Never moved: whoever has it open owns it.
        None if told.owner.is_empty() || ours => Some((told.epoch, deployment.to_string())),
        None => None,
        Some((epoch, owner)) => {
            let newer = told.epoch > *epoch;
            let same = told.owner.is_empty() && owner == deployment.as_str();
            (newer && (ours || same)).then(|| (told.epoch, deployment.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use placement_api::{Housed, Name};

    use super::learnt;

    #[test]
    fn only_an_owner_speaks_for_itself_and_only_forward() {
        let known = |epoch, owner: &str| Some((epoch, owner.to_owned()));
        for (before, deployment, epoch, owner, after) in [
            (None, "monolith", 1, "", known(1, "monolith")),
            (None, "child", 3, "child", known(3, "child")),
            (None, "monolith", 3, "child", None),
            (None, "child", 1, "carve:7", None),
            (known(1, "monolith"), "monolith", 1, "", None),
            (known(1, "monolith"), "monolith", 2, "", known(2, "monolith")),
            (known(1, "monolith"), "monolith", 2, "child", None),
            (known(1, "monolith"), "child", 2, "child", known(2, "child")),
            (known(1, "monolith"), "child", 9, "", None),
            (known(3, "monolith"), "child", 2, "child", None),
            (known(2, "child"), "child", 2, "child", None),
        ] {
            let told = Housed { module: "m".parse().unwrap(), epoch, owner: owner.to_owned() };
            let deployment: Name = deployment.parse().unwrap();
            let name = format!("{before:?} {deployment} {told:?}");
            assert_eq!(learnt(before.as_ref(), &deployment, &told), after, "{name}");
        }
    }
}
