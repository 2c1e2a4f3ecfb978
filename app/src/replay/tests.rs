//! A replay against a shop that forgets, stalls and loses answers.

use std::{collections::BTreeMap, io::Write};

use super::{
    fake::{FakeShop, Trouble},
    *,
};
use crate::online_retail::{Documents, Item, Kind, Scan, scan::scan_text};

const SMALL: &str = include_str!("../../tests/data/small-shop.csv");

fn options(shop: &FakeShop, file: &tempfile::NamedTempFile) -> Options {
    Options {
        file: file.path().to_owned(),
        target: shop.url.clone(),
        token: "the-operator-token".to_owned(),
        run: None,
        days: Days::default(),
        rate: None,
        concurrency: 8,
        patience: Patience {
            limit: Duration::from_secs(20),
            pause_first: Duration::from_micros(100),
            pause_longest: Duration::from_millis(1),
        },
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

async fn replayed(options: &Options) -> Report {
    replay(options, &ProgressBar::hidden()).await.unwrap()
}

fn documents() -> Vec<Document> {
    let items = Documents::new(SMALL.as_bytes()).unwrap().map(Result::unwrap);
    items
        .filter_map(|item| match item {
            Item::Document(document) => Some(document),
            Item::Listed(_) => None,
        })
        .collect()
}

fn small() -> Scan {
    scan_text(SMALL.as_bytes()).unwrap()
}

/// Everything happened once, each customer's in its order, and the stock is what the file says.
fn check(shop: &FakeShop, report: &Report) {
    assert!(report.is_clean(), "{:#?}", report.lines());
    let books = shop.books.lock().unwrap();
    let mut references: Vec<_> =
        books.story.iter().map(|(_, reference)| reference.as_str()).collect();
    for customer in small().census.customers.keys() {
        let of_customer = |document: &&Document| document.customer.as_ref() == Some(customer);
        let documents = documents();
        let expected: Vec<_> = documents
            .iter()
            .filter(of_customer)
            .map(|document| document.invoice.as_str())
            .collect();
        let told: Vec<_> =
            references.iter().copied().filter(|told| expected.contains(told)).collect();
        assert_eq!(told, expected, "customer {customer}");
    }
    let mut expected: Vec<_> = documents().into_iter().map(|document| document.invoice).collect();
    expected.sort();
    references.sort_unstable();
    assert_eq!(references, expected);
    let mut stock: BTreeMap<String, i64> = BTreeMap::new();
    for (sku, units) in small().balances.opening() {
        *stock.entry(sku.to_string()).or_default() += units;
    }
    for document in documents() {
        let sign = if document.kind == Kind::StockAdjustment { 1 } else { -1 };
        for (sku, line) in document.goods() {
            *stock.entry(sku.to_string()).or_default() += sign * line.quantity;
        }
    }
    assert_eq!(books.stock, stock);
}

#[tokio::test]
async fn a_file_is_traded_whole_and_a_second_run_changes_nothing() {
    let shop = FakeShop::open(Trouble::default(), 1).await;
    let (file, scan) = (file(SMALL), small());
    let report = replayed(&options(&shop, &file)).await;
    check(&shop, &report);
    assert_eq!(report.documents.values().map(|count| count.settled).sum::<u64>(), 21);
    assert_eq!(report.rows_listed, 1);
    let net = kernel_api::Exact::new(scan.net_micros, kernel_api::Currency::GBP).amount();
    assert_eq!(report.net, net);
    assert_eq!(report.requests.iter().map(|asked| asked.retries.len()).sum::<usize>(), 0);
    let carts = report.requests.iter().find(|asked| asked.step == lane::Step::Cart).unwrap();
    assert_eq!(carts.latency.count, 8);

    let again = replayed(&options(&shop, &file)).await;
    check(&shop, &again);
    let other = Options { run: Some("again".to_owned()), ..options(&shop, &file) };
    // Another run sells everything again: the fake takes an invoice only once, the shop would take it twice.
    assert_ne!(
        key(&Plan::of(file.path(), Days::default()).unwrap(), other.run.as_deref()),
        key(&Plan::of(file.path(), Days::default()).unwrap(), None)
    );
}

#[tokio::test]
async fn lost_requests_lost_answers_and_a_shop_that_is_away_change_nothing() {
    for seed in 1..=20 {
        let trouble = Trouble { lost: 10, unanswered: 10, busy: 10, slow: 50, away: 20 };
        let shop = FakeShop::open(trouble, seed * 7919).await;
        let report = replayed(&options(&shop, &file(SMALL))).await;
        println!("seed {seed}: {} requests", shop.books.lock().unwrap().requests);
        check(&shop, &report);
        assert!(report.requests.iter().any(|asked| !asked.retries.is_empty()));
    }
}

#[tokio::test]
async fn a_price_is_set_only_where_it_is_not_the_catalogs() {
    let shop = FakeShop::open(Trouble::default(), 1).await;
    let report = replayed(&options(&shop, &file(SMALL))).await;
    check(&shop, &report);
    let books = shop.books.lock().unwrap();
    let first = &books.ordered["700001"];
    let catalogs = &books.prices["10002"];
    assert_eq!(catalogs["amount"], "0.85");
    assert_eq!(first["lines"][1]["sku"], "10002");
    assert!(first["lines"][1].get("unit_price").is_none());
    assert_eq!(first["services"][0]["unit_price"]["amount"], "18.00");
    let lines = books.ordered["700006"]["lines"].as_array().unwrap();
    assert_eq!(books.prices["10001A"]["amount"], "5.06", "the latest of equally frequent ones");
    assert!(lines[0].get("unit_price").is_none());
    assert_eq!(first["lines"][0]["unit_price"]["amount"], "2.55");
    let second = &books.ordered["700002"];
    assert_eq!(second["lines"][0]["unit_price"]["amount"], "2.10");
    let never_sold = &books.prices["10004"];
    assert_eq!(never_sold["amount"], "0.001");
}

#[tokio::test]
async fn what_the_shop_refuses_is_counted_with_its_reason() {
    let shop = FakeShop::open(Trouble::default(), 1).await;
    let file = file(SMALL);
    // The opening stock is there by its keys, so that the replay's own receipts change nothing, and then it is gone.
    replayed(&Options {
        days: Days { to: Some("2011-03-01T00:00:00Z".parse().unwrap()), ..Days::default() },
        ..options(&shop, &file)
    })
    .await;
    shop.books.lock().unwrap().stock.clear();
    let second_day =
        Days { from: Some("2011-03-02T00:00:00Z".parse().unwrap()), ..Days::default() };
    let plan = Plan::of(file.path(), second_day).unwrap();
    assert_eq!(plan.opening.len(), 1, "only what the second day sells: {:?}", plan.opening);
    assert_eq!(plan.documents, 3);
    assert_eq!(plan.customers.len(), 2);
    let report = replayed(&Options { days: second_day, ..options(&shop, &file) }).await;
    assert!(report.is_clean(), "{:#?}", report.lines());

    // Now with less stock than the plan says.
    let shop = FakeShop::open(Trouble::default(), 1).await;
    let all = options(&shop, &file);
    let lane = Lane::new(Rc::new(Target::new(&shop.url, &all.token).unwrap()), all.patience);
    let plan = Plan::of(file.path(), all.days).unwrap();
    prepare::prepare(&mut [lane], &plan, &key(&plan, None)).await.unwrap();
    shop.books.lock().unwrap().stock.clear();
    let report = replayed(&all).await;
    assert!(!report.is_clean() && report.complete);
    let why: Vec<_> =
        report.refusals.iter().map(|refusal| (refusal.kind, refusal.why.as_str())).collect();
    assert!(why.contains(&("sales", "409 out-of-stock")), "{why:?}");
    assert!(why.contains(&("stock adjustments", "409 out-of-stock")), "{why:?}");
}

#[tokio::test]
async fn a_shop_that_stays_away_ends_the_replay_with_what_was_done() {
    let shop = FakeShop::open(Trouble::default(), 1).await;
    let file = file(SMALL);
    let mut options = options(&shop, &file);
    let lane =
        Lane::new(Rc::new(Target::new(&shop.url, &options.token).unwrap()), options.patience);
    let plan = Plan::of(file.path(), options.days).unwrap();
    let (_, known) = prepare::prepare(&mut [lane], &plan, "key").await.unwrap();
    shop.books.lock().unwrap().lose_everything();
    options.patience.limit = Duration::from_millis(5);
    let trade = Trade { key: "key".to_owned(), known };
    let progress = ProgressBar::hidden();
    let target = Rc::new(Target::new(&shop.url, &options.token).unwrap());
    let drive = Drive {
        trade: &trade,
        idle: (0..4).map(|_| Lane::new(Rc::clone(&target), options.patience)).collect(),
        busy: FuturesUnordered::new(),
        order: Order::default(),
        due: Due { began: Instant::now(), rate: Some(1000.0), begun: 0 },
        figures: Figures::default(),
        progress: &progress,
    };
    let (figures, ended) = drive.drive(plan.read()).await.unwrap();
    assert!(matches!(ended, Ended::Away(_)), "{ended:?}");
    assert_eq!(figures.documents(), 0);
}

#[test]
fn only_the_first_documents_are_traded_where_that_is_wished() {
    let file = file(SMALL);
    let all = Plan::of(file.path(), Days::default()).unwrap();
    let days = Days { documents: Some(2), ..Days::default() };
    let first = Plan::of(file.path(), days).unwrap();
    assert_eq!(first.documents, 2);
    assert!(first.documents < all.documents && first.opening.len() < all.opening.len());
    assert_ne!(first.days_name(), all.days_name(), "what must be there first has other keys");
}
