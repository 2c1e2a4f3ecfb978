//! What other modules may ask of ordering: carts, checkout, orders, returns and customers.
