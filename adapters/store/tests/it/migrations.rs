//! Migrations: the store's own first, then the module's, each way, and harmless when there is nothing to do.

use store::{Location, migrate, pending, provision, revert_last, testing};

use crate::shop::MIGRATIONS;

#[test]
fn migrations_run_once_and_can_be_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut places = vec![Location::Sqlite { path: directory.path().join("shop.db") }];
    let database = testing::PrivateDatabase::create();
    if let Some(database) = &database {
        places.push(provision(&database.admin_url(), "shop", "secret").unwrap());
    }
    for place in places {
        let both = pending("shop", &place, &MIGRATIONS).unwrap();
        assert_eq!(both.len(), 3);
        assert!(both[0].contains("door") && both[1].contains("owner"), "{both:?}");
        assert!(both[2].contains("stock"), "{both:?}");
        assert_eq!(migrate("shop", &place, &MIGRATIONS).unwrap().len(), 3);
        assert_eq!(migrate("shop", &place, &MIGRATIONS).unwrap().len(), 0);
        assert_eq!(pending("shop", &place, &MIGRATIONS).unwrap(), Vec::<String>::new());
        for left in 1..=3 {
            revert_last("shop", &place, &MIGRATIONS).unwrap();
            assert_eq!(pending("shop", &place, &MIGRATIONS).unwrap().len(), left);
        }
        assert_eq!(migrate("shop", &place, &MIGRATIONS).unwrap().len(), 3);
    }
}

#[test]
fn processes_that_start_at_once_migrate_one_after_the_other() {
    let Some(database) = testing::PrivateDatabase::create() else { return };
    let place = provision(&database.admin_url(), "shop", "secret").unwrap();
    let ran: usize = std::thread::scope(|scope| {
        let migrating = || migrate("shop", &place, &MIGRATIONS).unwrap().len();
        let processes: Vec<_> = (0..8).map(|_| scope.spawn(migrating)).collect();
        processes.into_iter().map(|process| process.join().unwrap()).sum()
    });
    assert_eq!(ran, 3);
}
