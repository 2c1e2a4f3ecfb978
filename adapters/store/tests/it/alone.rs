//! The start-up check: a module's data is tied to nothing outside the module.

use diesel::{Connection as _, PgConnection, SqliteConnection, connection::SimpleConnection};
use kernel_api::Clock;
use store::{Limits, Location, Store, migrate, provision, testing};

use crate::shop::MIGRATIONS;

fn refusal(module: &str, location: &Location) -> Option<String> {
    Store::open(module, location, Limits::default(), Clock::system())
        .err()
        .map(|error| error.to_string())
}

#[test]
fn on_postgres_each_tie_to_another_schema_is_refused_by_name() {
    let Some(database) = testing::PrivateDatabase::create() else { return };
    let admin_url = database.admin_url();
    let [shop, other] = ["shop", "other"].map(|module| {
        let location = provision(&admin_url, module, "secret").unwrap();
        migrate(module, &location, &MIGRATIONS).unwrap();
        location
    });
    assert_eq!(refusal("shop", &shop), None);
    let name = database.name();
    let shop_role = format!("{name}_shop");
    let mut admin = PgConnection::establish(&admin_url).unwrap();
    let ties = [
        (
            "ALTER TABLE shop.reservation ADD CONSTRAINT out FOREIGN KEY (sku) REFERENCES other.stock (sku)".to_owned(),
            "ALTER TABLE shop.reservation DROP CONSTRAINT out".to_owned(),
            "foreign key out of reservation leads to other.stock",
        ),
        (
            "ALTER TABLE other.reservation ADD CONSTRAINT inward FOREIGN KEY (sku) REFERENCES shop.stock (sku)".to_owned(),
            "ALTER TABLE other.reservation DROP CONSTRAINT inward".to_owned(),
            "foreign key inward of other.reservation leads to stock",
        ),
        (
            format!("CREATE VIEW shop.peek AS SELECT * FROM other.stock; ALTER VIEW shop.peek OWNER TO {shop_role}"),
            "DROP VIEW shop.peek".to_owned(),
            "view peek reads other.stock",
        ),
        (
            format!("GRANT SELECT ON shop.stock TO {name}_other"),
            format!("REVOKE ALL ON shop.stock FROM {name}_other"),
            "SELECT on stock is granted to",
        ),
        (
            format!("GRANT SELECT (on_hand) ON shop.stock TO {name}_other"),
            format!("REVOKE ALL (on_hand) ON shop.stock FROM {name}_other"),
            "SELECT on on_hand of stock is granted to",
        ),
        (
            "GRANT USAGE ON SCHEMA shop TO PUBLIC".to_owned(),
            "REVOKE ALL ON SCHEMA shop FROM PUBLIC".to_owned(),
            "USAGE on schema shop is granted to everyone",
        ),
        (
            format!("GRANT SELECT ON other.stock TO {shop_role}"),
            format!("REVOKE ALL ON other.stock FROM {shop_role}"),
            "SELECT on other.stock in another schema is granted to",
        ),
        (
            "ALTER TABLE shop.stock OWNER TO postgres".to_owned(),
            format!("ALTER TABLE shop.stock OWNER TO {shop_role}"),
            "stock belongs to postgres",
        ),
        (
            "ALTER SCHEMA shop OWNER TO postgres".to_owned(),
            format!("ALTER SCHEMA shop OWNER TO {shop_role}"),
            // Without its schema the role does not even find its tables.
            "the tables of shop are missing",
        ),
        (
            format!("GRANT {name}_other TO {shop_role}"),
            format!("REVOKE {name}_other FROM {shop_role}"),
            "is a member of role",
        ),
        (
            format!("ALTER ROLE {shop_role} SUPERUSER"),
            format!("ALTER ROLE {shop_role} NOSUPERUSER"),
            "is a superuser",
        ),
        (
            "CREATE FUNCTION other.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER out AFTER INSERT ON shop.stock FOR EACH ROW EXECUTE FUNCTION other.f()"
                .to_owned(),
            "DROP TRIGGER out ON shop.stock; DROP FUNCTION other.f()".to_owned(),
            "trigger out of stock calls other.f",
        ),
    ];
    for (tie, untie, says) in ties {
        admin.batch_execute(&tie).unwrap_or_else(|error| panic!("{tie}: {error}"));
        let refusal = refusal("shop", &shop).unwrap_or_else(|| panic!("{tie}: not refused"));
        assert!(refusal.contains(says), "{tie}\n{refusal}");
        admin.batch_execute(&untie).unwrap();
    }
    assert_eq!(refusal("shop", &shop), None);
    assert_eq!(refusal("other", &other), None);
}

/// The rights that the role has, tried and not read.
#[test]
fn on_postgres_a_module_cannot_touch_another_ones_tables() {
    let Some(database) = testing::PrivateDatabase::create() else { return };
    let mut urls = ["shop", "other"].map(|module| {
        let location = provision(&database.admin_url(), module, "it's \\ a % secret").unwrap();
        migrate(module, &location, &MIGRATIONS).unwrap();
        let Location::Postgres { url } = location else { panic!("on PostgreSQL") };
        url
    });
    let mut c = PgConnection::establish(&urls[0]).unwrap();
    for forbidden in [
        "SELECT * FROM other.stock",
        "INSERT INTO other.stock VALUES ('a', 1, 0)",
        "CREATE TABLE other.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
    ] {
        let error = c.batch_execute(forbidden).expect_err(forbidden).to_string();
        assert!(error.contains("permission denied"), "{forbidden}: {error}");
    }
    c.batch_execute("SELECT * FROM stock").unwrap();
    // Provisioning again is harmless, and changes the password.
    provision(&database.admin_url(), "shop", "another").unwrap();
    urls[0] = urls[0].replace("it%27s%20%5C%20a%20%25%20secret", "another");
    PgConnection::establish(&urls[0]).unwrap().batch_execute("SELECT * FROM stock").unwrap();
}

#[test]
fn on_sqlite_a_key_or_view_out_of_the_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        (
            "CREATE TABLE out (sku TEXT REFERENCES elsewhere (sku))",
            "foreign key of out leads to elsewhere, which is not in this file",
        ),
        (
            "PRAGMA legacy_alter_table = ON; CREATE TABLE gone (a TEXT); CREATE VIEW peek AS SELECT * FROM gone; DROP TABLE gone",
            "reaches outside the file",
        ),
        (
            "CREATE TRIGGER out AFTER INSERT ON stock BEGIN INSERT INTO elsewhere VALUES (new.sku); END",
            "reaches outside the file",
        ),
    ];
    for (n, (tie, says)) in cases.into_iter().enumerate() {
        let path = directory.path().join(format!("{n}.db"));
        let location = Location::Sqlite { path: path.clone() };
        migrate("shop", &location, &MIGRATIONS).unwrap();
        assert_eq!(refusal("shop", &location), None);
        let mut c = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        c.batch_execute(tie).unwrap();
        let refusal = refusal("shop", &location).unwrap_or_else(|| panic!("{tie}: not refused"));
        assert!(refusal.contains(says), "{tie}\n{refusal}");
    }
}

#[test]
fn a_database_without_tables_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: directory.path().join("new.db") };
    assert_eq!(
        refusal("shop", &location).unwrap(),
        "the tables of shop are missing: run `banyan migrate`"
    );
}
