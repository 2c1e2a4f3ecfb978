//! What happens when the ground shakes: full disk, read-only file, killed sessions, a server that is away.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use contract::{Fault, Never, Reason};
use diesel::{
    Connection as _, PgConnection, RunQueryDsl, SqliteConnection, connection::SimpleConnection,
};
use kernel_api::Clock;
use store::{Limits, Location, Store, on, testing};

use crate::{
    door::{reason, reserved, stocked},
    shop::{MIGRATIONS, Reserved, call, receive, reserve},
};

#[tokio::test]
async fn a_full_disk_is_a_clear_answer_and_nothing_is_lost() {
    let (store, directory) = testing::sqlite(&MIGRATIONS);
    stocked(&store, "lamp", 1_000_000).await;
    // The writer's own connection gets the limit: it is a setting of the connection.
    store
        .write::<_, Never>(&call(), |tx| {
            Ok(on!(tx.connection(), |c| diesel::sql_query("PRAGMA max_page_count = 60")
                .execute(c))?)
        })
        .await
        .unwrap();
    let fill = async || {
        store
            .write::<_, Never>(&call(), |tx| {
                let sku = "x".repeat(3000);
                Ok(tx.emit(&Reserved { id: "a".to_owned(), sku })?)
            })
            .await
    };
    let mut kept = 0;
    let full = loop {
        match fill().await {
            Ok(()) => kept += 1,
            Err(Fault::NotExecuted(full)) => break full,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(full.reason, Reason::Unavailable, "{full}");
    assert!(full.detail.contains("disk is full"), "{full}");
    assert!(full.retry_after.is_some());
    // Reads go on, and with room again so do writes; every answered write is there, no other.
    assert_eq!(reserved(&store, "lamp").await, (0, 0));
    store
        .write::<_, Never>(&call(), |tx| {
            Ok(on!(tx.connection(), |c| diesel::sql_query("PRAGMA max_page_count = 100000")
                .execute(c))?)
        })
        .await
        .unwrap();
    fill().await.unwrap();
    assert_eq!(store.feed_bounds(&call()).await.unwrap(), (kept + 1, 1));
    let mut c =
        SqliteConnection::establish(directory.path().join("module.db").to_str().unwrap()).unwrap();
    c.batch_execute("PRAGMA integrity_check").unwrap();
}

#[tokio::test]
async fn a_full_disk_spares_the_small_writers_that_come_with_a_big_one() {
    let (store, _directory) = testing::sqlite(&MIGRATIONS);
    stocked(&store, "lamp", 1000).await;
    store
        .write::<_, Never>(&call(), |tx| {
            Ok(on!(tx.connection(), |c| diesel::sql_query("PRAGMA max_page_count = 60")
                .execute(c))?)
        })
        .await
        .unwrap();
    let ask = call();
    let big = store.write::<_, Never>(&ask, |tx| {
        for n in 0..1000 {
            receive(tx, &format!("{n}{}", "x".repeat(1000)), 1)?;
        }
        Ok(())
    });
    let small = store.write(&ask, |tx| reserve(tx, "lamp", 1));
    let (big, small) = tokio::join!(big, small);
    assert_eq!(reason(big), Reason::Unavailable);
    // Together or one after the other, it is told the truth.
    let expected = i64::from(small.is_ok());
    assert_eq!(reserved(&store, "lamp").await, (expected, expected));
    store.write(&call(), |tx| reserve(tx, "lamp", 1)).await.unwrap();
}

#[tokio::test]
async fn a_read_only_database_is_a_clear_answer() {
    let (store, _directory) = testing::sqlite(&MIGRATIONS);
    stocked(&store, "lamp", 10).await;
    store
        .write::<_, Never>(&call(), |tx| {
            Ok(on!(tx.connection(), |c| diesel::sql_query("PRAGMA query_only = ON").execute(c))?)
        })
        .await
        .unwrap();
    let answer = store.write(&call(), |tx| reserve(tx, "lamp", 1)).await;
    let Err(Fault::NotExecuted(not)) = answer else { panic!("{answer:?}") };
    assert_eq!(not.reason, Reason::Unavailable);
    assert!(not.detail.contains("read-only"), "{not}");
    assert_eq!(reserved(&store, "lamp").await, (0, 0));
}

#[test]
fn a_file_that_cannot_be_used_gives_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let open = |path: &std::path::Path| {
        let location = Location::Sqlite { path: path.to_owned() };
        Store::open("shop", &location, Limits::default(), Clock::system())
            .err()
            .unwrap()
            .to_string()
    };
    std::fs::write(&path, "this is a letter and no database, and it goes on for a while").unwrap();
    let line = open(&path);
    assert!(line.contains("damaged or no SQLite database"), "{line}");
    assert!(line.starts_with(path.to_str().unwrap()) && !line.contains('\n'), "{line}");
    let torn = directory.path().join("torn.db");
    store::migrate("shop", &Location::Sqlite { path: torn.clone() }, &MIGRATIONS).unwrap();
    let mut pages = std::fs::read(&torn).unwrap();
    // The catalog on the first page is whole, and what it names is not there.
    pages[4096..].fill(0x5a);
    std::fs::write(&torn, pages).unwrap();
    let line = open(&torn);
    assert!(line.contains("damaged or no SQLite database"), "{line}");
    let line = open(&directory.path().join("shop.db/below"));
    assert!(line.contains("cannot make its directory"), "{line}");
    let line = open(directory.path());
    assert!(!line.contains('\n'), "{line}");
}

#[test]
fn data_files_are_the_servers_own() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: directory.path().join("data/deep/shop.db") };
    store::migrate("shop", &location, &MIGRATIONS).unwrap();
    let _open = Store::open("shop", &location, Limits::default(), Clock::system()).unwrap();
    let mode = |name: &str| {
        std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("data"), 0o700);
    assert_eq!(mode("data/deep"), 0o700);
    for name in ["shop.db", "shop.db-wal", "shop.db-shm"] {
        assert_eq!(mode(&format!("data/deep/{name}")), 0o600, "{name}");
    }
}

/// Ends every session of the role but the administrator's own.
fn terminate(admin_url: &str) {
    let mut admin = PgConnection::establish(admin_url).unwrap();
    diesel::sql_query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&mut admin)
    .unwrap();
}

#[tokio::test]
async fn a_session_killed_in_a_transaction_had_no_effect_and_the_next_one_works() {
    let Some((store, keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    let testing::Private::Postgres(database) = &keep else { panic!("on PostgreSQL") };
    stocked(&store, "lamp", 10).await;
    let admin_url = database.admin_url();
    let answer = store
        .write(&call(), move |tx| {
            let id = reserve(tx, "lamp", 1)?;
            terminate(&admin_url);
            // The next statement finds the session gone.
            reserve(tx, "lamp", 1)?;
            Ok(id)
        })
        .await;
    let Err(Fault::NotExecuted(not)) = answer else { panic!("{answer:?}") };
    assert_eq!(not.reason, Reason::Unavailable);
    assert!(not.retry_after.is_some());
    // Sessions that died while idle cost nobody an error, however many there are.
    for _ in 0..3 {
        terminate(&database.admin_url());
        store.write(&call(), |tx| reserve(tx, "lamp", 1)).await.unwrap();
        terminate(&database.admin_url());
        reserved(&store, "lamp").await;
    }
    assert_eq!(reserved(&store, "lamp").await, (3, 3));
}

/// A wire between the store and the server that can be cut.
struct Wire {
    port: u16,
    cut: Arc<AtomicBool>,
    /// Cut at the moment a client sends this.
    cut_at: Arc<Mutex<Option<&'static str>>>,
}

impl Wire {
    fn to(server: &str) -> Self {
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicBool::new(false));
        let cut_at = Arc::new(Mutex::new(None));
        let (is_cut, at) = (Arc::clone(&cut), Arc::clone(&cut_at));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(&server).unwrap();
                for (from, to, watched) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap(), true),
                    (server, client, false),
                ] {
                    let (is_cut, at) = (Arc::clone(&is_cut), Arc::clone(&at));
                    thread::spawn(move || pass(from, to, watched, &is_cut, &at));
                }
            }
        });
        Self { port, cut, cut_at }
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    watched: bool,
    cut: &AtomicBool,
    cut_at: &Mutex<Option<&'static str>>,
) {
    from.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut buffer = [0; 65536];
    while !cut.load(Ordering::SeqCst) {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_gone) => break,
        };
        if watched
            && let Some(text) = *cut_at.lock().unwrap()
            && buffer[..length].windows(text.len()).any(|part| part == text.as_bytes())
        {
            // What the client sent still arrives; the answer does not.
            cut.store(true, Ordering::SeqCst);
        } else if cut.load(Ordering::SeqCst) {
            break;
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(from.shutdown(std::net::Shutdown::Both));
    drop(to.shutdown(std::net::Shutdown::Both));
}

/// Where a URL `postgres://user:password@host:port/database` leads.
fn host_and_port(url: &str) -> &str {
    let (_, place) = url.split_once('@').unwrap();
    place.split(['/', '?']).next().unwrap()
}

/// A store that reaches its server over a wire.
fn over(wire: &Wire, location: &Location) -> Store {
    let Location::Postgres { url } = location else { panic!("on PostgreSQL") };
    // In the clear, so that the wire can read what passes.
    let url = url.replace(host_and_port(url), &format!("127.0.0.1:{}", wire.port));
    let url = format!("{url}?sslmode=disable");
    let limits = Limits { connections: 4, ..Limits::default() };
    Store::open("shop", &Location::Postgres { url }, limits, Clock::system()).unwrap()
}

fn wired() -> Option<(Store, Wire, Store, testing::Private)> {
    let (direct, keep) = testing::postgres(&MIGRATIONS, "shop")?;
    let Location::Postgres { url } = direct.location() else { panic!("on PostgreSQL") };
    let wire = Wire::to(host_and_port(url));
    let store = over(&wire, direct.location());
    Some((store, wire, direct, keep))
}

#[tokio::test]
async fn while_the_server_is_away_callers_hear_it_at_once_and_it_recovers_by_itself() {
    let Some((store, wire, _direct, _keep)) = wired() else { return };
    stocked(&store, "lamp", 1000).await;
    wire.cut();
    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        let answer = store.write(&call(), |tx| reserve(tx, "lamp", 1)).await;
        let Err(Fault::NotExecuted(not)) = answer else { panic!("{answer:?}") };
        assert_eq!(not.reason, Reason::Unavailable);
        assert!(not.retry_after.is_some());
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        let answer = store
            .read::<_, Never>(
                &call(),
                |c| Ok(on!(c, |c| diesel::sql_query("SELECT 1").execute(c))?),
            )
            .await;
        assert_eq!(reason(answer), Reason::Unavailable);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    wire.mend();
    let back = Instant::now();
    while store.write(&call(), |tx| reserve(tx, "lamp", 1)).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(5), "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(reserved(&store, "lamp").await, (1, 1));
}

/// The server has the COMMIT and its answer is lost: nobody may say that it failed, or that it did not.
#[tokio::test]
async fn a_connection_lost_during_commit_is_unknown_and_the_key_finds_out() {
    let Some((store, wire, direct, _keep)) = wired() else { return };
    stocked(&store, "lamp", 10).await;
    *wire.cut_at.lock().unwrap() = Some("COMMIT");
    let ask = |store: &Store| {
        let store = store.clone();
        async move {
            let command = crate::shop::command("k");
            store.command(&command, "reserve", &1, |tx| reserve(tx, "lamp", 1)).await
        }
    };
    let answer = ask(&store).await;
    assert!(matches!(answer, Err(Fault::Unknown(_))), "{answer:?}");
    *wire.cut_at.lock().unwrap() = None;
    wire.mend();
    // The same key over the other wire: whatever became of the first, there is one reservation.
    ask(&direct).await.unwrap();
    assert_eq!(reserved(&direct, "lamp").await, (1, 1));
}

#[tokio::test]
async fn a_server_that_is_not_there_at_the_start_is_one_line() {
    let url = "postgres://nobody:secret@127.0.0.1:1/none".to_owned();
    let location = Location::Postgres { url };
    let error = Store::open("shop", &location, Limits::default(), Clock::system()).err().unwrap();
    let line = error.to_string();
    assert!(line.contains("refused") && !line.contains('\n') && !line.contains("secret"), "{line}");
}

#[derive(diesel::QueryableByName)]
struct Encrypted {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    ssl: bool,
}

/// The bundled libpq speaks TLS, and what the URL says of it holds. (Where the test server has TLS on.)
#[tokio::test]
async fn the_connection_is_encrypted_when_the_url_wants_it() {
    let Some((store, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    let Location::Postgres { url } = store.location() else { panic!("on PostgreSQL") };
    let separator = if url.contains('?') { '&' } else { '?' };
    let open = |mode: &str| {
        let location = Location::Postgres { url: format!("{url}{separator}{mode}") };
        Store::open("shop", &location, Limits::default(), Clock::system())
    };
    let secure = match open("sslmode=require") {
        Ok(secure) => secure,
        Err(error) if error.to_string().contains("server does not support SSL") => return,
        Err(error) => panic!("{error}"),
    };
    let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted: Encrypted = secure
        .read::<_, Never>(&call(), move |c| Ok(on!(c, |c| diesel::sql_query(ssl).get_result(c))?))
        .await
        .unwrap();
    assert!(encrypted.ssl);
    // A server whose certificate is signed by nobody we know is refused when we are told to look.
    let directory = tempfile::tempdir().unwrap();
    let nobody = directory.path().join("nobody.pem");
    std::fs::write(&nobody, "").unwrap();
    let mode = format!("sslmode=verify-full&sslrootcert={}", nobody.display());
    let refused = open(&mode).err().unwrap().to_string();
    assert!(refused.contains("certificate"), "{refused}");
}
