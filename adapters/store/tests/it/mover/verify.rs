//! What differs is found, whatever it is, and named.

use super::{
    load::fill,
    pair::{Pair, assert_equal, run},
};

/// Divergence: one statement on the target, and what a report names.
const INJECTED: [(&str, &str, &str); 7] = [
    ("stock", "UPDATE stock SET on_hand = on_hand - 1 WHERE sku = 'sku7'", "sku7"),
    ("badge", "UPDATE badge SET is_active = NOT is_active WHERE id = 'b3'", "b3"),
    ("badge", "UPDATE badge SET nickname = NULL WHERE id = 'b3'", "b3"),
    ("folder", "UPDATE folder SET body = '' WHERE owner = 'o1' AND number = 2", "o1, 2"),
    ("folder", "DELETE FROM folder WHERE owner = 'o19' AND number = 4", "o19, 4"),
    ("tag", "INSERT INTO tag (word, folder) VALUES ('zz', 12)", "zz, 12"),
    ("tag", "DELETE FROM tag WHERE word = 'born with'", "born with, 0"),
];

#[test]
fn each_difference_is_found_and_named_and_nothing_else() {
    for pair in Pair::all() {
        fill(&pair.source, 500);
        let mover = pair.copied();
        mover.follow().unwrap();
        let compared = mover.verify().unwrap();
        assert_equal(&compared);
        assert_eq!(compared.rows(), 50 + 20 + 20 + 20 + 100 + 501 + 3);
        for (table, sql, key) in INJECTED {
            run(&pair.target, sql);
            let compared = mover.verify().unwrap();
            for found in &compared.tables {
                assert_eq!(found.is_equal, found.table != table, "{sql}: {found:?}");
            }
            let found = compared.tables.iter().find(|found| found.table == table).unwrap();
            assert_eq!(found.differing, [key], "{sql}");
            // A change on the source brings the row again, and what only the target has is deleted.
            let heal = match table {
                "stock" => "UPDATE stock SET on_hand = on_hand WHERE sku = 'sku7'",
                "badge" => "UPDATE badge SET nickname = nickname WHERE id = 'b3'",
                "folder" => "UPDATE folder SET size = size WHERE number IN (2, 4)",
                _ => {
                    "UPDATE tag SET folder = folder WHERE word = 'born with'; \
                      INSERT INTO tag (word, folder) VALUES ('zz', 12); DELETE FROM tag WHERE word = 'zz'"
                }
            };
            run(&pair.source, heal);
            assert_equal(&mover.verify().unwrap());
        }
    }
}
