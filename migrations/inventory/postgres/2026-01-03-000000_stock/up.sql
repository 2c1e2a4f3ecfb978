-- The collation "C" orders text by its bytes, as SQLite and the code do: pages and locks follow that order.

-- What lies where. The checks hold the module's first invariant, whatever the code does. No index has a column that
-- changes and pages keep room, so that an update stays on its page and touches no index.
CREATE TABLE levels (
    sku TEXT COLLATE "C" NOT NULL,
    location TEXT COLLATE "C" NOT NULL,
    on_hand BIGINT NOT NULL DEFAULT 0,
    reserved BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    -- How many rows the ledger has for this level, which is the number of the last one.
    entries BIGINT NOT NULL DEFAULT 0,
    -- From which available quantity down it counts as low; NULL is the module's default.
    low_at BIGINT CHECK (low_at >= 0),
    PRIMARY KEY (sku, location),
    CHECK (on_hand - reserved >= 0)
) WITH (fillfactor = 70);

-- Why it lies there: one row for every change of on_hand, never changed, never deleted.
CREATE TABLE ledger (
    sku TEXT COLLATE "C" NOT NULL,
    location TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('opening', 'received', 'sold', 'returned', 'adjusted')),
    quantity BIGINT NOT NULL CHECK (quantity <> 0),
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    reason TEXT,
    reference TEXT NOT NULL,
    booked_at BIGINT NOT NULL,
    PRIMARY KEY (sku, location, number)
);

-- Stock held for somebody. The lines are JSON, [[sku, location, quantity], …]: they are written once and read whole, so
-- rows of their own would cost an order twenty more writes and answer no question of anybody's.
CREATE TABLE reservations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'committed', 'released', 'expired')),
    reference TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at BIGINT,
    lines TEXT NOT NULL,
    CHECK ((state = 'open') = (closed_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX reservations_open ON reservations (expires_at) WHERE state = 'open';

-- What is booked once whatever the idempotency key: returns by their reference, imports by their batch.
CREATE TABLE bookings (
    operation TEXT NOT NULL CHECK (operation IN ('put_back', 'import')),
    reference TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    booked_at BIGINT NOT NULL,
    PRIMARY KEY (operation, reference)
);
