//! Where a module is, by what a process can know: the fence row of its own data, and what placement says.

use placement_api::Placed;
use store::Standing;

/// Where a module is, since which epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The epoch; zero where nobody has told of one.
    pub epoch: u64,
    /// Who owns it.
    pub whose: Whose,
}

/// Who owns a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// This deployment, by the row of the data that is open here: only that lets a process write.
    Ours,
    /// Another one, or a process of ours that has the data.
    Theirs {
        /// Its name; empty where nobody owns it.
        owner: String,
        /// The internal URL of a process that has it.
        url: Option<String>,
    },
}

/// How a deployment takes a row that names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// It was never carved: whoever opens it owns it.
    Own,
    /// It was opened only to be filled.
    Wait,
}

/// Decides from the row, where there is one, and from what placement says, if it says anything.
///
/// The row of one's own data is what the database goes by, so it comes first; placement knows where the others are.
pub fn find(
    deployment: (&str, Unnamed),
    row: Option<&Standing>,
    placed: Option<&Placed>,
) -> Option<Finding> {
    let (name, unnamed) = deployment;
    if let Some(row) = row {
        let ours = row.owner == name || (row.owner.is_empty() && unnamed == Unnamed::Own);
        if ours {
            return Some(Finding { epoch: row.epoch, whose: Whose::Ours });
        }
    }
    let told = placed.map(|placed| Finding {
        epoch: placed.epoch,
        whose: Whose::Theirs {
            owner: placed.owner.to_string(),
            url: placed.url.as_ref().map(ToString::to_string),
        },
    });
    // Where it names a deployment it was written by the switch itself. `carve:…` names nobody.
    let read = row.filter(|row| !row.owner.is_empty() && !row.owner.contains(':'));
    match (told, read) {
        (Some(told), Some(row)) if told.epoch < row.epoch => Some(theirs(row)),
        (Some(told), _) => Some(told),
        (None, Some(row)) => Some(theirs(row)),
        (None, None) => None,
    }
}

fn theirs(row: &Standing) -> Finding {
    Finding { epoch: row.epoch, whose: Whose::Theirs { owner: row.owner.clone(), url: None } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u64, owner: &str) -> Standing {
        Standing { epoch, owner: owner.to_owned() }
    }

    fn placed(epoch: u64, owner: &str) -> Placed {
        Placed {
            module: "inventory".parse().unwrap(),
            epoch,
            owner: owner.parse().unwrap(),
            url: Some("http://10.0.0.7:1".parse().unwrap()),
            public_url: None,
            moving: None,
        }
    }

    fn check(row: Option<Standing>, placed: Option<Placed>, expected: Option<(u64, Option<&str>)>) {
        let found = find(("monolith", Unnamed::Own), row.as_ref(), placed.as_ref());
        let found = found.as_ref().map(|found| match &found.whose {
            Whose::Ours => (found.epoch, None),
            Whose::Theirs { owner, .. } => (found.epoch, Some(owner.as_str())),
        });
        assert_eq!(found, expected, "{row:?} {placed:?}");
    }

    #[test]
    fn the_row_of_ones_own_data_comes_first_and_placement_knows_the_rest() {
        check(None, None, None);
        check(Some(row(1, "")), None, Some((1, None)));
        check(Some(row(3, "monolith")), Some(placed(2, "inventory")), Some((3, None)));
        check(Some(row(3, "monolith")), Some(placed(4, "inventory")), Some((3, None)));
        check(Some(row(4, "inventory")), None, Some((4, Some("inventory"))));
        check(Some(row(4, "inventory")), Some(placed(3, "monolith")), Some((4, Some("inventory"))));
        check(Some(row(4, "inventory")), Some(placed(6, "other")), Some((6, Some("other"))));
        check(Some(row(9, "carve:7")), Some(placed(4, "inventory")), Some((4, Some("inventory"))));
        check(Some(row(9, "carve:7")), None, None);
        check(None, Some(placed(4, "monolith")), Some((4, Some("monolith"))));
    }

    #[test]
    fn who_waits_to_be_filled_does_not_own_what_names_nobody() {
        let child = ("inventory", Unnamed::Wait);
        assert_eq!(find(child, Some(&row(1, "")), None), None);
        let told = find(child, Some(&row(1, "")), Some(&placed(1, "monolith")));
        assert!(matches!(told.unwrap().whose, Whose::Theirs { .. }));
        let ours = find(child, Some(&row(2, "inventory")), Some(&placed(1, "monolith")));
        assert_eq!(ours.unwrap().whose, Whose::Ours);
    }
}
