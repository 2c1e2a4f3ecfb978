//! The ordering module: carts, checkout, orders, returns and customers.
