-- Customers live here until identity exists.
CREATE TABLE customer (
    id TEXT NOT NULL PRIMARY KEY,
    reference TEXT,
    name TEXT,
    country TEXT,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX customer_by_reference ON customer (reference) WHERE reference IS NOT NULL;

-- A cart is replaced as a whole and read as a whole, so its lines are one JSON column and not rows: a PUT writes one row
-- instead of deleting and inserting twenty-three. Nothing asks for "all carts with this SKU".
CREATE TABLE cart (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    -- The checkout that is under way or has made an order; with it the cart can no longer change.
    checkout TEXT,
    customer TEXT,
    reference TEXT,
    currency TEXT NOT NULL,
    -- SHA-256 of the secret that opens the cart.
    secret_hash TEXT NOT NULL,
    lines TEXT NOT NULL,
    line_count BIGINT NOT NULL,
    goods BOOLEAN NOT NULL,
    parts TEXT NOT NULL,
    net_micros BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    priced_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- The order's private stream: only ever added to.
CREATE TABLE order_event (
    order_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    data TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (order_id, seq)
);

-- Read models, written in the transaction of the events and rebuilt from them by `rebuild`.
CREATE TABLE order_summary (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('live', 'history')),
    status TEXT NOT NULL,
    paid BOOLEAN NOT NULL,
    reference TEXT,
    source TEXT,
    source_rows BIGINT NOT NULL,
    customer TEXT,
    currency TEXT NOT NULL,
    line_count BIGINT NOT NULL,
    goods BOOLEAN NOT NULL,
    parts TEXT NOT NULL,
    net_micros BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    promised_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    secret_hash TEXT,
    placed_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX order_by_customer ON order_summary (customer, placed_at) WHERE customer IS NOT NULL;
-- Live references may repeat; those of a source may not.
CREATE UNIQUE INDEX order_by_reference ON order_summary (reference, source) WHERE reference IS NOT NULL;

CREATE TABLE order_line (
    order_id TEXT NOT NULL,
    line BIGINT NOT NULL,
    -- Absent for a service.
    sku TEXT,
    quantity BIGINT NOT NULL,
    price_micros BIGINT NOT NULL,
    returned BIGINT NOT NULL CHECK (returned >= 0 AND returned <= quantity),
    PRIMARY KEY (order_id, line)
) WITHOUT ROWID;

-- Returns, credits and the notes of cancelled orders.
CREATE TABLE return_note (
    id TEXT NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL CHECK (origin IN ('live', 'history')),
    settled BOOLEAN NOT NULL,
    cancellation BOOLEAN NOT NULL,
    reference TEXT,
    source TEXT,
    source_rows BIGINT NOT NULL,
    customer TEXT,
    currency TEXT NOT NULL,
    items TEXT NOT NULL,
    settlements TEXT NOT NULL,
    parts TEXT NOT NULL,
    net_micros BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    reason TEXT NOT NULL,
    accepted_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX return_by_reference ON return_note (reference, source) WHERE reference IS NOT NULL;

-- The goods of the notes, for the flow of each SKU.
CREATE TABLE return_line (
    note TEXT NOT NULL,
    line BIGINT NOT NULL,
    sku TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (note, line)
) WITHOUT ROWID;

-- Corrections of the books without goods and without payment.
CREATE TABLE adjustment_note (
    id TEXT NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL CHECK (origin IN ('live', 'history')),
    reference TEXT,
    source TEXT,
    source_rows BIGINT NOT NULL,
    order_id TEXT,
    customer TEXT,
    currency TEXT NOT NULL,
    lines TEXT NOT NULL,
    parts TEXT NOT NULL,
    net_micros BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    made_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX adjustment_by_reference ON adjustment_note (reference, source) WHERE reference IS NOT NULL;

-- What importers said of the sources that they have brought to their end.
CREATE TABLE import_source (
    source TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;
