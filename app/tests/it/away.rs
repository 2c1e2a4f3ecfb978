//! PostgreSQL away and back: said with 503 and a time to come back, and over by itself.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    server::{Client, Database, Home, until},
    shopping::{available, stock},
};

/// What stands between the shop and its database: open, or as if the server were gone.
struct Cable {
    address: String,
    plugged: Arc<watch::Sender<bool>>,
}

impl Cable {
    /// Leads to the server at this address.
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let plugged = Arc::new(watch::Sender::new(true));
        let watched = Arc::clone(&plugged);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut plugged, server) = (watched.subscribe(), server.clone());
                tokio::spawn(async move {
                    if !*plugged.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = plugged.wait_for(|plugged| !*plugged) => {}
                    }
                });
            }
        });
        Self { address, plugged }
    }
}

// Several threads: the cable must carry while the test waits for the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_said_and_comes_back_by_itself() {
    let Some(mut home) = Home::new(Database::Postgres) else { return };
    let Some((server, database)) = home.database_address() else {
        eprintln!("skipped: PostgreSQL is reached over a socket file, which is not unplugged here");
        return;
    };
    let cable = Cable::to(server).await;
    home.set("BANYAN_DATABASE_URL", &format!("postgres://{}/{database}", cable.address));
    let server = home.up();
    let operator = server.operator();
    stock(&operator, &[("LAMP", "10.00", 50)]).await;

    cable.plugged.send_replace(false);
    let receipt =
        json!({ "reference": "r", "reason": "found", "lines": [{ "sku": "LAMP", "quantity": 1 }] });
    let away = operator.post("/v1/stock/receipts", "while-away", receipt.clone()).await;
    assert_eq!(away.status, 503, "{}", away.body);
    let probe = Client::new(&server.public, "");
    until("it says that it is not ready", async || {
        (probe.get("/health/ready").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(probe.get("/health/live").await.status, 200, "a restart would not help");
    let away = operator.post("/v1/stock/receipts", "while-away", receipt.clone()).await;
    assert_eq!(away.status, 503, "{}", away.body);
    assert!(away.header("retry-after").is_some());
    tokio::time::sleep(Duration::from_secs(2)).await;

    cable.plugged.send_replace(true);
    until("the same request succeeds", async || {
        let answer = operator.post("/v1/stock/receipts", "while-away", receipt.clone()).await;
        (answer.status == 204).then_some(())
    })
    .await;
    until("it is ready again", async || {
        (probe.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(available(&operator, "LAMP").await, 51, "once, however often it was asked");
    home.verified();
}
