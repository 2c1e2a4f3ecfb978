//! The rules, as tables of cases and as properties.

use kernel_api::{Currency, Exact, Money};
use ordering_api::{Part, PartKind};
use payments_api::{AMOUNT_MINOR_MAX, Account, OperationKind, Outcome, PaymentKind, PaymentState};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{
    Booking, Change, Decision, Refusal, Standing, Wish, earned, effect, given_back, moved, opening,
    postings,
};

const GBP: Currency = Currency::GBP;
const AMOUNT: i64 = 100;

fn gbp(minor: i64) -> Money {
    Money::new(minor, GBP)
}

fn charge(authorised: i64, captured: i64, voided: i64, refunded: i64) -> Standing {
    Standing {
        kind: PaymentKind::Charge,
        currency: GBP,
        amount: AMOUNT,
        authorised,
        captured,
        voided,
        refunded,
        pending: None,
    }
}

fn credit(refunded: i64) -> Standing {
    Standing { kind: PaymentKind::Credit, ..charge(0, 0, 0, refunded) }
}

/// One standing for each state, with what is left to capture and to refund in it.
fn every_state() -> Vec<(PaymentState, Standing, i64, i64)> {
    let fresh = |kind, operation| Standing::fresh(kind, gbp(AMOUNT), operation);
    vec![
        (PaymentState::Pending, fresh(PaymentKind::Charge, OperationKind::Authorise), 0, 0),
        (PaymentState::Pending, fresh(PaymentKind::Credit, OperationKind::Credit), 0, 0),
        (PaymentState::Declined, charge(0, 0, 0, 0), 0, 0),
        (PaymentState::Declined, credit(0), 0, 0),
        (PaymentState::Credited, credit(100), 0, 0),
        (PaymentState::Authorised, charge(100, 0, 0, 0), 100, 0),
        (PaymentState::Authorised, charge(100, 0, 40, 0), 60, 0),
        (PaymentState::PartlyCaptured, charge(100, 30, 0, 0), 70, 30),
        (PaymentState::PartlyCaptured, charge(100, 30, 20, 0), 50, 30),
        (PaymentState::Captured, charge(100, 100, 0, 0), 0, 100),
        (PaymentState::Captured, charge(100, 60, 40, 0), 0, 60),
        (PaymentState::Voided, charge(100, 0, 100, 0), 0, 0),
        (PaymentState::PartlyRefunded, charge(100, 100, 0, 1), 0, 99),
        (PaymentState::PartlyRefunded, charge(100, 50, 0, 50), 50, 0),
        (PaymentState::Refunded, charge(100, 100, 0, 100), 0, 0),
        (PaymentState::Refunded, charge(100, 60, 40, 60), 0, 0),
    ]
}

#[test]
fn the_state_follows_from_the_sums() {
    for (state, standing, ..) in every_state() {
        assert_eq!(standing.state(), state, "{standing:?}");
        assert!(standing.holds(), "{standing:?}");
    }
}

#[test]
fn every_state_has_a_decision_for_every_operation() {
    for (state, standing, to_capture, to_refund) in every_state() {
        for amount in [i64::MIN, -1, 0, 1, 30, 59, 60, 100, 101, i64::MAX] {
            let money = gbp(amount);
            for (wish, left) in [
                (Wish::Capture(money), to_capture),
                (Wish::Void(Some(money)), to_capture),
                (Wish::Refund(money), to_refund),
            ] {
                let expected = match () {
                    () if standing.pending.is_some() => Ok(Decision::SettleFirst),
                    () if left == 0 => Err(Refusal::WrongState(state)),
                    () if amount <= 0 => Err(Refusal::BadAmount),
                    () if amount > left => Err(Refusal::TooMuch(gbp(left))),
                    () => Ok(Decision::Ask(money)),
                };
                assert_eq!(standing.decide(wish), expected, "{standing:?} {wish:?}");
            }
        }
        let all = standing.decide(Wish::Void(None));
        match (standing.pending, to_capture) {
            (Some(_), _) => assert_eq!(all, Ok(Decision::SettleFirst)),
            (None, 0) => assert_eq!(all, Err(Refusal::WrongState(state))),
            (None, left) => assert_eq!(all, Ok(Decision::Ask(gbp(left)))),
        }
    }
}

#[test]
fn another_currency_is_a_bad_amount() {
    let dollars = Money::new(10, "USD".parse().unwrap());
    for wish in [Wish::Capture(dollars), Wish::Void(Some(dollars)), Wish::Refund(dollars)] {
        assert_eq!(charge(100, 50, 0, 0).decide(wish), Err(Refusal::BadAmount));
    }
}

#[test]
fn while_anything_is_pending_nothing_else_begins() {
    for (_, standing, ..) in every_state() {
        let pending = Standing { pending: Some(OperationKind::Refund), ..standing };
        for wish in [Wish::Capture(gbp(1)), Wish::Void(None), Wish::Refund(gbp(1))] {
            assert_eq!(pending.decide(wish), Ok(Decision::SettleFirst));
        }
    }
}

#[test]
fn an_amount_is_above_zero_and_at_most_the_limit() {
    for (minor, fits) in [
        (i64::MIN, false),
        (0, false),
        (1, true),
        (AMOUNT_MINOR_MAX, true),
        (AMOUNT_MINOR_MAX + 1, false),
        (i64::MAX, false),
    ] {
        assert_eq!(opening(gbp(minor)).is_ok(), fits, "{minor}");
    }
}

#[test]
fn a_no_changes_nothing_and_a_yes_only_its_own_sum() {
    let no = Outcome::Declined { reason: "no".to_owned() };
    let none = Change::default();
    for (kind, change) in [
        (OperationKind::Authorise, Change { authorised: 7, ..none }),
        (OperationKind::Capture, Change { captured: 7, ..none }),
        (OperationKind::Void, Change { voided: 7, ..none }),
        (OperationKind::Refund, Change { refunded: 7, ..none }),
        (OperationKind::Credit, Change { refunded: 7, ..none }),
    ] {
        assert_eq!(effect(kind, 7, &no), none);
        assert_eq!(effect(kind, 7, &Outcome::Done), change);
    }
}

fn parts(nets: &[(PartKind, i64)]) -> Vec<Part> {
    nets.iter().map(|(kind, net)| Part { kind: *kind, net: Exact::new(*net, GBP) }).collect()
}

fn check(booking: Option<Booking>, expected: &[(Account, i64)]) {
    let booking = booking.unwrap();
    let transfers = booking.transfers();
    assert!(transfers.iter().all(|row| row.micros > 0 && row.debit != row.credit));
    let mut seen: Vec<_> = postings(GBP, &transfers)
        .into_iter()
        .map(|posting| (posting.account, posting.amount.micros))
        .collect();
    seen.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn each_fact_books_what_it_says() {
    use Account::{
        BadDebt, Discounts, Fees, ProviderClearing, Receivable, Refunds, Rounding, Sales, Services,
    };
    let capture = moved(OperationKind::Capture, gbp(1234));
    check(capture, &[(ProviderClearing, 12_340_000), (Receivable, -12_340_000)]);
    for kind in [OperationKind::Refund, OperationKind::Credit] {
        check(moved(kind, gbp(5)), &[(ProviderClearing, -50_000), (Receivable, 50_000)]);
    }
    for kind in [OperationKind::Authorise, OperationKind::Void] {
        assert_eq!(moved(kind, gbp(5)), None);
    }
    let goods = |micros| parts(&[(PartKind::Goods, micros)]);
    // 10 pieces at 0.001 and one at 2.00: 2.01, nothing to round.
    check(earned(gbp(201), &goods(2_010_000)), &[(Receivable, 2_010_000), (Sales, -2_010_000)]);
    // One piece at 0.001: charged nothing, sold for a tenth of a penny.
    check(earned(gbp(0), &goods(1_000)), &[(Rounding, 1_000), (Sales, -1_000)]);
    let order = parts(&[
        (PartKind::Goods, 19_996_000),
        (PartKind::Services, 4_950_000),
        (PartKind::Discount, -1_000_000),
        (PartKind::Fee, -2_000),
    ]);
    check(
        earned(gbp(2394), &order),
        &[
            (Receivable, 23_940_000),
            (Rounding, 4_000),
            (Sales, -19_996_000),
            (Services, -4_950_000),
            (Discounts, 1_000_000),
            (Fees, 2_000),
        ],
    );
    check(
        given_back(
            gbp(300),
            &parts(&[(PartKind::Goods, -2_001_000), (PartKind::Services, -1_000_000)]),
        ),
        &[(Receivable, -3_000_000), (Rounding, -1_000), (Refunds, 3_001_000)],
    );
    check(
        earned(gbp(-1_106_206), &parts(&[(PartKind::BadDebt, -11_062_060_000)])),
        &[(Receivable, -11_062_060_000), (BadDebt, 11_062_060_000)],
    );
}

#[test]
fn what_does_not_balance_or_fit_is_no_booking() {
    let of = |legs: &[(Account, i64)]| Booking::of(GBP, legs);
    assert_eq!(of(&[(Account::Sales, 1)]), None);
    assert_eq!(of(&[(Account::Sales, i64::MAX), (Account::Sales, 1)]), None);
    let much = parts(&[(PartKind::Goods, i64::MAX), (PartKind::Services, 1)]);
    assert_eq!(earned(gbp(0), &much), None);
    assert_eq!(earned(gbp(i64::MAX), &[]), None);
    let dollars = Part { kind: PartKind::Goods, net: Exact::new(1, "USD".parse().unwrap()) };
    assert_eq!(earned(gbp(0), &[dollars]), None);
    let nothing = of(&[(Account::Sales, 0)]).unwrap();
    assert_eq!(nothing.transfers(), Vec::new());
}

fn legs() -> impl Strategy<Value = Vec<(Account, i64)>> {
    let leg = (0..Account::ALL.len(), -1_000_000_i64..1_000_000);
    proptest::collection::vec(leg, 0..12).prop_map(|legs| {
        let mut legs: Vec<_> =
            legs.into_iter().map(|(place, micros)| (Account::ALL[place], micros)).collect();
        let rest: i64 = legs.iter().map(|(_, micros)| micros).sum();
        legs.push((Account::Rounding, -rest));
        legs
    })
}

fn wishes() -> impl Strategy<Value = (Wish, bool)> {
    let amount = -2..120_i64;
    let wish = prop_oneof![
        amount.clone().prop_map(|minor| Wish::Capture(gbp(minor))),
        amount.clone().prop_map(|minor| Wish::Void(Some(gbp(minor)))),
        Just(Wish::Void(None)),
        amount.prop_map(|minor| Wish::Refund(gbp(minor))),
    ];
    (wish, any::<bool>())
}

proptest! {
    #[test]
    fn transfers_keep_every_leg_in_one_row_less_than_there_are_legs(legs in legs()) {
        let booking = Booking::of(GBP, &legs).unwrap();
        let transfers = booking.transfers();
        for posting in postings(GBP, &transfers) {
            let wanted: i64 = legs
                .iter()
                .filter(|(account, _)| *account == posting.account)
                .map(|(_, micros)| micros)
                .sum();
            assert_eq!(posting.amount.micros, wanted);
        }
        assert!(transfers.len() <= booking.legs_count().saturating_sub(1));
        assert!(transfers.iter().all(|row| row.micros > 0));
    }

    #[test]
    fn no_order_of_operations_breaks_the_sums(
        wishes in proptest::collection::vec(wishes(), 0..30)
    ) {
        let mut standing = charge(AMOUNT, 0, 0, 0);
        for (wish, yes) in wishes {
            let Ok(Decision::Ask(amount)) = standing.decide(wish) else { continue };
            let kind = match wish {
                Wish::Capture(_) => OperationKind::Capture,
                Wish::Void(_) => OperationKind::Void,
                Wish::Refund(_) => OperationKind::Refund,
            };
            let no = || Outcome::Declined { reason: String::new() };
            let outcome = if yes { Outcome::Done } else { no() };
            standing = standing.after(effect(kind, amount.minor, &outcome));
            assert!(standing.holds(), "{standing:?}");
        }
    }
}
