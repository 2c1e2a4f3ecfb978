//! History: documents of the past, imported as they were.

use contract::Fault;
use kernel_api::{Currency, Exact, Id, Timestamp};
use ordering_api::{
    DocumentDetail, DocumentKind, DocumentsWish, IMPORT_DOCUMENTS_MAX, Import, ImportError,
    ImportedAdjustment, ImportedDocument, ImportedOrder, ImportedReturn, Line, LineKind,
    OrderStatus, Origin, ReturnGoods, ServiceKind, SourceRecord, UnlinkedLine,
};

use crate::world::{World, call, command, money, page, pounds, sku};

fn line(text: &str, quantity: i64, price: &str) -> Line {
    let kind = LineKind::Goods { sku: sku(text), price_overridden: false };
    Line { kind, title: format!("  {text} "), quantity, unit_price: pounds(price) }
}

fn other(service: ServiceKind, quantity: i64, price: &str) -> Line {
    let kind = LineKind::Service { service, code: "BANK CHARGES".to_owned() };
    Line { kind, title: String::new(), quantity, unit_price: pounds(price) }
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_micros(1_291_000_000_000_000 + day * 86_400_000_000)
}

fn order(
    id: Id<ordering_api::Order>,
    reference: &str,
    customer: Option<Id<ordering_api::Customer>>,
    lines: Vec<Line>,
) -> ImportedDocument {
    ImportedDocument::Order(ImportedOrder {
        id,
        reference: reference.to_owned(),
        customer,
        currency: Currency::GBP,
        rows: i64::try_from(lines.len()).unwrap(),
        lines,
        at: at(1),
    })
}

fn back(
    id: Id<ordering_api::ReturnNote>,
    reference: &str,
    customer: Option<Id<ordering_api::Customer>>,
    lines: Vec<Line>,
) -> ImportedDocument {
    ImportedDocument::Return(ImportedReturn {
        id,
        reference: reference.to_owned(),
        customer,
        currency: Currency::GBP,
        rows: i64::try_from(lines.len()).unwrap(),
        lines,
        at: at(2),
    })
}

fn import(documents: Vec<ImportedDocument>) -> Import {
    Import { source: "f1".to_owned(), documents }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_the_past_are_kept_as_they_were_and_once() {
    World::each(async |world| {
        let customer = Some(world.customer("17850").await);
        let (sale, note, adjustment) = (Id::fresh(), Id::fresh(), Id::fresh());
        let documents = vec![
            order(
                sale,
                "536365",
                customer,
                vec![
                    line("A", 6, "2.55"),
                    line("A", 2, "0.001"),
                    line("FREE", 1, "0"),
                    other(ServiceKind::Postage, 1, "18"),
                ],
            ),
            back(
                note,
                "C536379",
                customer,
                vec![line("A", -7, "2.6"), other(ServiceKind::Discount, -1, "27.5")],
            ),
            ImportedDocument::Adjustment(ImportedAdjustment {
                id: adjustment,
                reference: "A563186".to_owned(),
                customer: None,
                currency: Currency::GBP,
                lines: vec![other(ServiceKind::BadDebt, 1, "-11062.06")],
                rows: 1,
                at: at(3),
            }),
        ];
        let wish = import(documents.clone());
        let first = world.ordering.import(&command(), wish.clone()).await.unwrap();
        assert_eq!((first.new, first.known), (3, 0));
        let again = world.ordering.import(&command(), wish).await.unwrap();
        assert_eq!((again.new, again.known), (0, 3));
        assert_eq!(again.settled, first.settled);
        // Seven came back at 2.60, matched to eight that were sold; the discount has no sale.
        let settled: Vec<_> =
            first.settled[0].settlements.iter().map(|s| (s.order, s.amount)).collect();
        assert_eq!(settled, [(Some(sale), money("18.20")), (None, money("27.50"))]);
        let seen = world.order(sale).await;
        assert_eq!((seen.origin, seen.status), (Origin::History, OrderStatus::PartlyReturned));
        assert_eq!((seen.sum.net.amount(), seen.sum.total), ("33.302".to_owned(), money("33.30")));
        assert_eq!((seen.refunded, seen.placed_at), (money("18.20"), at(1)));
        assert_eq!(seen.lines[0].line.title, "  A ");
        let books = world.ordering.books(&call(), ()).await.unwrap();
        assert_eq!(books.len(), 1);
        assert_eq!((books[0].source.as_deref(), books[0].rows), (Some("f1"), 7));
        assert_eq!(books[0].net.amount(), "-11074.458");
        assert_eq!(books[0].rounded, money("-11074.46"));
        let told: Vec<_> = world.facts().await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            told,
            [
                "ordering.order.paid",
                "ordering.order.refunded",
                "ordering.order.refunded",
                "ordering.order.adjusted",
            ]
        );
        // Neither stock nor payments were asked.
        assert_eq!((world.stock("A"), world.payments.fake.all().len()), ((0, 0), 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_document_refuses_the_whole_import() {
    World::each(async |world| {
        let good = || order(Id::fresh(), "1", None, vec![line("A", 1, "1")]);
        let refused = async |document: ImportedDocument| {
            let wish = import(vec![good(), document]);
            match world.ordering.import(&command(), wish).await {
                Err(Fault::Refused(ImportError::BadDocument { reference, field, .. })) => {
                    (reference, field)
                }
                other => panic!("{other:?}"),
            }
        };
        let named = |reference: &str, field: &str| (reference.to_owned(), field.to_owned());
        let negative = order(Id::fresh(), "2", None, vec![line("A", 1, "1"), line("A", -1, "1")]);
        assert_eq!(refused(negative).await, named("2", "lines[1].quantity"));
        let empty = order(Id::fresh(), "3", None, Vec::new());
        assert_eq!(refused(empty).await, named("3", "lines"));
        let takes = back(Id::fresh(), "C4", None, vec![other(ServiceKind::Manual, -1, "-5")]);
        assert_eq!(refused(takes).await, named("C4", "lines"));
        let huge = order(Id::fresh(), "5", None, vec![line("A", 1_000_000, "900000")]);
        assert_eq!(refused(huge).await, named("5", "lines[0]"));
        let nobody = order(Id::fresh(), "6", Some(Id::fresh()), vec![line("A", 1, "1")]);
        let answer = world.ordering.import(&command(), import(vec![nobody])).await;
        let reference = "6".to_owned();
        assert_eq!(answer, Err(Fault::Refused(ImportError::UnknownCustomer { reference })));
        let many = (0..=IMPORT_DOCUMENTS_MAX).map(|_| good()).collect();
        let limit = IMPORT_DOCUMENTS_MAX;
        let answer = world.ordering.import(&command(), import(many)).await;
        assert_eq!(answer, Err(Fault::Refused(ImportError::TooManyDocuments { limit })));
        let (one, two) = (good(), good());
        world.ordering.import(&command(), import(vec![one])).await.unwrap();
        let answer = world.ordering.import(&command(), import(vec![two])).await;
        let reference = "1".to_owned();
        assert_eq!(answer, Err(Fault::Refused(ImportError::Changed { reference })));
        assert_eq!(world.ordering.books(&call(), ()).await.unwrap()[0].documents, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_is_listed_for_whoever_verifies() {
    World::each(async |world| {
        let sales: Vec<_> = (0..5)
            .map(|n| order(Id::fresh(), &format!("{n}"), None, vec![line("A", n + 1, "1.1")]))
            .collect();
        world.ordering.import(&command(), import(sales)).await.unwrap();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = kernel_api::PageRequest { after, limit: Some(2) };
            let wish = DocumentsWish { kind: DocumentKind::Order, page };
            let page = world.ordering.documents(&call(), wish).await.unwrap();
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 5);
        for document in &seen {
            let DocumentDetail::Order { status, reservation, payment, .. } = &document.detail
            else {
                panic!("{document:?}")
            };
            assert_eq!(*status, OrderStatus::Shipped);
            assert_eq!(reservation.map(|id| id.to_string()), Some(document.id.clone()));
            assert_eq!(payment.map(|id| id.to_string()), Some(document.id.clone()));
        }
        let record = SourceRecord {
            source: "f1".to_owned(),
            name: "online-retail.csv".to_owned(),
            rows: 5,
            document_rows: 5,
            stock_rows: 0,
            listed_rows: 0,
            net: Exact::new(16_500_000, Currency::GBP),
            finished_at: at(9),
        };
        for _ in 0..2 {
            world.ordering.record_source(&command(), record.clone()).await.unwrap();
        }
        assert_eq!(world.ordering.sources(&call(), ()).await.unwrap(), [record]);
        let flows = world.ordering.sku_flows(&call(), page(1)).await.unwrap();
        assert_eq!((flows.items[0].sold, flows.next), (15, None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_of_the_past_can_come_back_today() {
    World::each(async |world| {
        world.sell("A", "9", 0);
        let customer = Some(world.customer("17850").await);
        let sale = Id::fresh();
        let wish = import(vec![order(sale, "536365", customer, vec![line("A", 6, "2.55")])]);
        world.ordering.import(&command(), wish).await.unwrap();
        // The importer would have brought the charge.
        use payments_api::Payments;
        let charge = payments_api::HistoryRecord::Charge {
            payment: sale.cast(),
            order: sale.cast(),
            amount: money("15.30"),
            at: at(1),
        };
        let history = payments_api::History { records: vec![charge] };
        world.payments.import(&command(), history).await.unwrap();
        let unlinked = UnlinkedLine { sku: sku("A"), quantity: 2, unit_price: None };
        let wish = ReturnGoods {
            customer,
            reference: None,
            currency: None,
            lines: vec![unlinked],
            services: Vec::new(),
            reason: Some("broken".to_owned()),
        };
        let note = world.ordering.return_goods(&command(), wish).await.unwrap();
        assert_eq!(
            (note.settlements[0].order, note.settlements[0].amount),
            (Some(sale), money("5.10"))
        );
        assert_eq!(world.payment(sale).await.refunded, money("5.10"));
        assert_eq!(world.order(sale).await.status, OrderStatus::PartlyReturned);
    })
    .await;
}
