//! Carts: opened, shown, replaced.

use contract::{Answer, Call, Command, Fault, Never};
use diesel::result::Error;
use kernel_api::{Currency, Id, Timestamp};
use ordering_api::{
    Cart, CartError, CartStatus, CartWish, Content, Line, NewCart, OpenedCart, Opener, PutCart,
    SecretHash, Sum, TEXT_LENGTH_MAX,
};

use ::store::{Abort, Connection};

use super::{Service, offers::offers};
use crate::{
    domain::{cart, text},
    store::{self, CartRow},
};

/// How many carts one sweep forgets: bounds its transaction.
const SWEPT_MAX: i64 = 200;

impl Service {
    pub(super) async fn open(
        &self,
        command: &Command,
        wish: NewCart,
    ) -> Answer<OpenedCart, CartError> {
        let NewCart { operator, secret, customer, reference, currency, content } = wish;
        if !operator {
            let forbidden =
                customer.map(|_| "customer").or(reference.as_ref().map(|_| "reference"));
            if let Some(field) = forbidden {
                return Err(Fault::Refused(CartError::OperatorOnly { field: field.to_owned() }));
            }
        }
        if reference.as_deref().is_some_and(|text| !text::is_good(text, TEXT_LENGTH_MAX)) {
            let field = "reference".to_owned();
            return Err(Fault::Refused(CartError::BadText { field, length_max: TEXT_LENGTH_MAX }));
        }
        let currency = currency.unwrap_or(self.config.currency);
        // The secret's hash is left out: who repeats the call may have made another secret.
        let asked = (operator, customer, reference.clone(), currency, content.clone());
        let (lines, sum) = self.priced(command, content, currency, operator).await?;
        let id = Id::<Cart>::fresh();
        let now = self.store.clock().now();
        let mut row = row_of(id, &lines, &sum, now).map_err(broken)?;
        row.customer = customer.map(|customer| customer.to_string());
        row.reference = reference;
        row.currency = currency.to_string();
        row.secret_hash.clone_from(&secret.0);
        let shown = row.cart(CartStatus::Open).map_err(broken)?;
        let opened: Id<Cart> = self
            .store
            .command(command, "open_cart", &asked, move |tx| {
                let c = tx.connection();
                if let Some(customer) = customer
                    && !store::customer_exists(c, customer)?
                {
                    return Err(Abort::Refused(CartError::UnknownCustomer));
                }
                store::insert_cart(c, &row)?;
                Ok(id)
            })
            .await?;
        if opened == id {
            return Ok(OpenedCart { cart: shown, secret_opens: true });
        }
        // The key was used before: the cart as it is now, and the truth about the secret.
        let (cart, hash) = self.shown(command, opened, None).await?;
        Ok(OpenedCart { cart, secret_opens: hash == secret })
    }

    pub(super) async fn show(&self, call: &Call, wish: CartWish) -> Answer<Cart, CartError> {
        Ok(self.shown(call, wish.cart, Some(wish.by)).await?.0)
    }

    /// A cart with the hash of its secret, for this opener or for ourselves.
    async fn shown(
        &self,
        call: &Call,
        id: Id<Cart>,
        by: Option<Opener>,
    ) -> Answer<(Cart, SecretHash), CartError> {
        self.store
            .read(call, move |c| {
                let row = store::cart(c, id)?.ok_or(Abort::Refused(CartError::NotFound))?;
                if by.as_ref().is_some_and(|by| !opens(by, Some(&row.secret_hash))) {
                    return Err(Abort::Refused(CartError::NotFound));
                }
                let status = status_of(c, &row)?;
                Ok((row.cart(status)?, SecretHash(row.secret_hash)))
            })
            .await
    }

    pub(super) async fn put(&self, command: &Command, wish: PutCart) -> Answer<Cart, CartError> {
        let PutCart { cart: id, by, version, content } = wish;
        let operator = by == Opener::Operator;
        let old = self
            .store
            .read(command, move |c| {
                let row = store::cart(c, id)?.filter(|row| opens(&by, Some(&row.secret_hash)));
                row.ok_or(Abort::Refused(CartError::NotFound))
            })
            .await?;
        let currency = old.currency().map_err(broken)?;
        let (lines, sum) = self.priced(command, content, currency, operator).await?;
        let now = self.store.clock().now();
        let new = row_of(id, &lines, &sum, now).map_err(broken)?;
        // What a replacement leaves as it was.
        let CartRow { customer, reference, currency, secret_hash, created_at, .. } = old;
        let row = CartRow { customer, reference, currency, secret_hash, created_at, ..new };
        let shown = row.cart(CartStatus::Open).map_err(broken)?;
        let (version, priced_at) = self
            .store
            .write(command, move |tx| {
                let c = tx.connection();
                match store::replace_cart(c, &row, version)? {
                    Some(version) => Ok((version, row.priced_at)),
                    None => not_replaced(c, id, &row, version),
                }
            })
            .await?;
        Ok(Cart { version, priced_at: Timestamp::from_micros(priced_at), ..shown })
    }

    /// Forgets carts that nobody has bought or changed for a long time, as many as one transaction takes; `true` when
    /// there may be more. They are looked for on a reader: the writer only deletes.
    pub async fn sweep(&self, call: &Call) -> Answer<bool, Never> {
        let before = self.store.clock().now().minus(self.config.cart_retention.get());
        let found = self.store.read(call, move |c| Ok(store::abandoned(c, before, SWEPT_MAX)?));
        let found = found.await?;
        let more = i64::try_from(found.len()).is_ok_and(|count| count == SWEPT_MAX);
        if !found.is_empty() {
            self.store
                .write(call, move |tx| {
                    for id in &found {
                        store::delete_abandoned(tx.connection(), id, before)?;
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(more)
    }

    /// Checks a content and gives it the catalog's prices of now.
    async fn priced(
        &self,
        call: &Call,
        content: Content,
        currency: Currency,
        operator: bool,
    ) -> Answer<(Vec<Line>, Sum), CartError> {
        cart::check(&content, currency, operator).map_err(Fault::Refused)?;
        let offers = offers(&*self.catalog, call, &cart::skus(&content)).await?;
        cart::price(content, currency, operator, &offers).map_err(Fault::Refused)
    }
}

/// Why a replacement changed nothing; nothing is wrong when the very same one was made before: then that one's version
/// and time.
fn not_replaced(
    c: &mut Connection,
    id: Id<Cart>,
    wanted: &CartRow,
    expected: Option<i64>,
) -> Result<(i64, i64), Abort<CartError>> {
    let there = store::cart(c, id)?.ok_or(Abort::Refused(CartError::NotFound))?;
    let next = expected.and_then(|version| version.checked_add(1));
    if next == Some(there.version) && there.lines == wanted.lines {
        return Ok((there.version, there.priced_at));
    }
    Err(Abort::Refused(match there.checkout()? {
        Some(checkout) => CartError::NotOpen { checkout: Some(checkout) },
        None => CartError::VersionMismatch { version: there.version },
    }))
}

/// The row of a new cart of the shop's currency, without owner and secret.
fn row_of(id: Id<Cart>, lines: &[Line], sum: &Sum, now: Timestamp) -> Result<CartRow, Error> {
    Ok(CartRow {
        id: id.to_string(),
        version: 1,
        checkout: None,
        customer: None,
        reference: None,
        currency: sum.net.currency.to_string(),
        secret_hash: String::new(),
        lines: store::lines_to_text(lines)?,
        line_count: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        goods: lines.iter().any(|line| line.sku().is_some()),
        parts: store::to_json(&sum.parts)?,
        net_micros: sum.net.micros,
        total_minor: sum.total.minor,
        priced_at: now.micros(),
        created_at: now.micros(),
    })
}

/// Where a cart stands: the order of its checkout, if there is one, is known by the checkout's id.
fn status_of(c: &mut Connection, row: &CartRow) -> Result<CartStatus, Error> {
    Ok(match row.checkout()? {
        None => CartStatus::Open,
        Some(checkout) => match store::order_secret(c, checkout.cast())? {
            Some(_) => CartStatus::Ordered,
            None => CartStatus::CheckingOut,
        },
    })
}

/// Does this opener open what has this secret? Both are hashes of secrets that nobody can choose, so comparing them
/// tells nothing by its time.
pub(super) fn opens(by: &Opener, secret_hash: Option<&str>) -> bool {
    match by {
        Opener::Operator => true,
        Opener::Guest(SecretHash(hash)) => secret_hash == Some(hash.as_str()),
    }
}

/// The fault of a row that cannot be read or written: our bug, or a damaged database.
pub(super) fn broken<R>(error: Error) -> Fault<R> {
    Fault::not_executed(contract::Reason::Failed, error.to_string())
}
