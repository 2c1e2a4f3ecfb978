//! The order: a fold of its events, and the decision which event a wish leads to.

use std::collections::BTreeMap;

use kernel_api::{Currency, Id, Money, Timestamp};
use ordering_api::{Customer, Line, OrderStatus, Origin, ReturnNote, SecretHash, Sum};

use crate::domain::sum;

/// A fact in an order's private stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OrderEvent {
    /// The first event of an order that was bought here: stock is taken, the payment authorised.
    Placed(Sale),
    /// The first event of an order of the past, which was paid and shipped elsewhere.
    Imported(Sale),
    /// The payment was captured, or there was nothing to pay.
    Paid,
    /// It left the house.
    Shipped { tracking: Option<String> },
    /// Lines are on their way back, and this much money with them.
    Returned { note: Id<ReturnNote>, lines: Vec<Back>, promised_minor: i64 },
    /// Money has gone back.
    Refunded { note: Id<ReturnNote>, amount_minor: i64 },
    /// It was called off. A paid one is followed by a refund of all that is left.
    Cancelled { reason: String, note: Option<Id<ReturnNote>>, promised_minor: i64 },
}

/// What was sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sale {
    pub reference: Option<String>,
    pub customer: Option<Id<Customer>>,
    /// What opens it for a guest.
    pub secret: Option<SecretHash>,
    /// Where it was imported from, and how many of the source's rows it stands for.
    pub source: Option<(String, i64)>,
    pub currency: Currency,
    pub lines: Vec<Line>,
}

/// A part of a line that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Back {
    /// The order's line, from 0.
    pub line: i64,
    /// How many, positive.
    pub quantity: i64,
}

/// An order as its events tell it.
///
/// Invariant: `returned[i] <= lines[i].quantity`; `refunded_minor <= promised_minor <= total` (for a live order);
/// `version` is the number of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderState {
    pub version: i64,
    pub origin: Origin,
    pub status: OrderStatus,
    pub paid: bool,
    pub sale: Sale,
    pub returned: Vec<i64>,
    pub sum: Sum,
    pub promised_minor: i64,
    pub refunded_minor: i64,
    pub placed_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What somebody wants of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The payment was captured.
    #[allow(dead_code, reason = "a checkout's update guards it without reading the order")]
    Pay,
    /// The checkout failed after the order was placed.
    GiveUp {
        reason: String,
    },
    Ship {
        tracking: Option<String>,
    },
    Return {
        note: Id<ReturnNote>,
        lines: Vec<Back>,
        promised_minor: i64,
    },
    Refund {
        note: Id<ReturnNote>,
        amount_minor: i64,
    },
    Cancel {
        note: Id<ReturnNote>,
        reason: String,
    },
}

/// Why a wish leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotNow(OrderStatus),
    /// The wish's line at this index names no line of the order.
    UnknownLine(usize),
    /// The wish's line at this index wants more than is left.
    MoreThanSold {
        index: usize,
        left: i64,
    },
    /// More money than is left of what was paid.
    MoreThanPaid {
        left_minor: i64,
    },
}

/// Events that cannot follow each other: the stream is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} cannot be: {problem}")]
pub(crate) struct Broken {
    pub seq: i64,
    pub problem: &'static str,
}

/// The order that these events tell; nothing where there are none.
pub(crate) fn fold(
    events: impl IntoIterator<Item = (OrderEvent, Timestamp)>,
) -> Result<Option<OrderState>, Broken> {
    let mut events = events.into_iter();
    let Some((first, at)) = events.next() else { return Ok(None) };
    let mut order = OrderState::begin(first, at)?;
    for (event, at) in events {
        order.apply(&event, at)?;
    }
    Ok(Some(order))
}

impl OrderState {
    /// The order after its first event.
    pub fn begin(event: OrderEvent, at: Timestamp) -> Result<Self, Broken> {
        let (sale, origin, status, paid) = match event {
            OrderEvent::Placed(sale) => (sale, Origin::Live, OrderStatus::Placed, false),
            OrderEvent::Imported(sale) => (sale, Origin::History, OrderStatus::Shipped, true),
            OrderEvent::Paid
            | OrderEvent::Shipped { .. }
            | OrderEvent::Returned { .. }
            | OrderEvent::Refunded { .. }
            | OrderEvent::Cancelled { .. } => {
                return Err(Broken { seq: 1, problem: "an order begins by being placed" });
            }
        };
        let sum = sum::of(&sale.lines, sale.currency)
            .map_err(|_line| Broken { seq: 1, problem: "the sum does not fit" })?;
        let returned = vec![0; sale.lines.len()];
        Ok(Self {
            version: 1,
            origin,
            status,
            paid,
            sale,
            returned,
            sum,
            promised_minor: 0,
            refunded_minor: 0,
            placed_at: at,
            updated_at: at,
        })
    }

    /// The order after one more event. What [`decide`] gave always applies.
    pub fn apply(&mut self, event: &OrderEvent, at: Timestamp) -> Result<(), Broken> {
        let seq = self.version + 1;
        match event {
            OrderEvent::Placed(_) | OrderEvent::Imported(_) => {
                return Err(Broken { seq, problem: "an order is placed once" });
            }
            OrderEvent::Paid => {
                self.status = OrderStatus::Paid;
                self.paid = true;
            }
            OrderEvent::Shipped { .. } => self.status = OrderStatus::Shipped,
            OrderEvent::Returned { lines, promised_minor, .. } => {
                for back in lines {
                    let index = usize::try_from(back.line).ok();
                    let Some(returned) = index.and_then(|index| self.returned.get_mut(index))
                    else {
                        return Err(Broken { seq, problem: "there is no such line" });
                    };
                    *returned += back.quantity;
                }
                self.promised_minor += promised_minor;
                self.status = self.status_after_return();
            }
            OrderEvent::Refunded { amount_minor, .. } => self.refunded_minor += amount_minor,
            OrderEvent::Cancelled { promised_minor, .. } => {
                self.promised_minor += promised_minor;
                self.status = OrderStatus::Cancelled;
            }
        }
        self.version = seq;
        self.updated_at = at;
        Ok(())
    }

    /// Goods decide whether an order came back; for one without goods, its other lines do.
    fn status_after_return(&self) -> OrderStatus {
        let lines = || self.sale.lines.iter().zip(&self.returned);
        let has_goods = lines().any(|(line, _)| line.sku().is_some());
        let counted = || lines().filter(|(line, _)| !has_goods || line.sku().is_some());
        if counted().all(|(line, returned)| *returned >= line.quantity) {
            OrderStatus::Returned
        } else if counted().any(|(_, returned)| *returned > 0) {
            OrderStatus::PartlyReturned
        } else {
            self.status
        }
    }

    /// What of the paid money is neither given back nor promised, in minor units.
    pub fn left_minor(&self) -> i64 {
        if self.paid { self.sum.total.minor - self.promised_minor } else { 0 }
    }

    /// What has gone back.
    pub fn refunded(&self) -> Money {
        Money::new(self.refunded_minor, self.sale.currency)
    }

    /// How many of a line may still come back.
    pub fn left_of(&self, line: i64) -> Option<i64> {
        let index = usize::try_from(line).ok()?;
        Some(self.sale.lines.get(index)?.quantity - self.returned.get(index)?)
    }
}

/// The event that a wish leads to. Total: every status with every wish.
pub(crate) fn decide(order: &OrderState, wish: Wish) -> Result<OrderEvent, Refusal> {
    allowed(order.status, &wish)?;
    match wish {
        Wish::Pay => Ok(OrderEvent::Paid),
        Wish::GiveUp { reason } => {
            Ok(OrderEvent::Cancelled { reason, note: None, promised_minor: 0 })
        }
        Wish::Ship { tracking } => Ok(OrderEvent::Shipped { tracking }),
        Wish::Return { note, lines, promised_minor } => {
            check_lines(order, &lines)?;
            if promised_minor > order.left_minor() {
                return Err(Refusal::MoreThanPaid { left_minor: order.left_minor() });
            }
            Ok(OrderEvent::Returned { note, lines, promised_minor })
        }
        Wish::Refund { note, amount_minor } => Ok(OrderEvent::Refunded { note, amount_minor }),
        Wish::Cancel { note, reason } => Ok(OrderEvent::Cancelled {
            reason,
            note: Some(note),
            promised_minor: order.left_minor(),
        }),
    }
}

/// Does the status allow the wish? The whole table of the order's life.
pub(crate) fn allowed(status: OrderStatus, wish: &Wish) -> Result<(), Refusal> {
    let yes = match wish {
        Wish::Pay | Wish::GiveUp { .. } => match status {
            OrderStatus::Placed => true,
            OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::PartlyReturned
            | OrderStatus::Returned
            | OrderStatus::Cancelled => false,
        },
        Wish::Ship { .. } | Wish::Cancel { .. } => match status {
            OrderStatus::Paid => true,
            OrderStatus::Placed
            | OrderStatus::Shipped
            | OrderStatus::PartlyReturned
            | OrderStatus::Returned
            | OrderStatus::Cancelled => false,
        },
        // A service line may still be credited when all goods have come back.
        Wish::Return { .. } => match status {
            OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::PartlyReturned
            | OrderStatus::Returned => true,
            OrderStatus::Placed | OrderStatus::Cancelled => false,
        },
        // Money follows what was decided before, whatever happened since.
        Wish::Refund { .. } => match status {
            OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::PartlyReturned
            | OrderStatus::Returned
            | OrderStatus::Cancelled => true,
            OrderStatus::Placed => false,
        },
    };
    if yes { Ok(()) } else { Err(Refusal::NotNow(status)) }
}

/// A line may be named twice; what counts is the sum.
fn check_lines(order: &OrderState, lines: &[Back]) -> Result<(), Refusal> {
    let mut wanted: BTreeMap<i64, i64> = BTreeMap::new();
    for (index, back) in lines.iter().enumerate() {
        let left = order.left_of(back.line).ok_or(Refusal::UnknownLine(index))?;
        let before = wanted.entry(back.line).or_default();
        if back.quantity < 1 || back.quantity > left - *before {
            return Err(Refusal::MoreThanSold { index, left: left - *before });
        }
        *before += back.quantity;
    }
    Ok(())
}
