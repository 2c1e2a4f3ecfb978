-- The tables that every module's database has, whatever the module: see adapters/store/src/schema.rs.

-- Which epoch may write. One row; every write transaction reads it first.
CREATE TABLE fence (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL CHECK (epoch > 0)
);
INSERT INTO fence (id, epoch) VALUES (1, 1);

-- The answers already given, written in the transaction of the effect.
CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller, operation, key)
) WITHOUT ROWID;

-- The facts told. There is one writer, so the order of insertion is the order of commit, and the row id is the
-- position: dense, because a rolled back savepoint gives its ids back, and never given twice, because the newest row is
-- never pruned.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    traceparent TEXT,
    occurred_at BIGINT NOT NULL
);

-- The lease of the sequencer. Only PostgreSQL needs one; the table is here so that both databases look alike.
CREATE TABLE sequencer (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1)
);
INSERT INTO sequencer (id) VALUES (1);

-- How far each subscription of this module has read the feed it follows. Whoever applies events moves the position in
-- the same transaction, so no event has its effect twice; the lease only keeps a second process from trying in vain. An
-- alarm is why the subscription has stopped until an operator says where it goes on.
CREATE TABLE cursor (
    subscription TEXT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL CHECK (position >= 0),
    lease_owner TEXT NOT NULL DEFAULT '',
    lease_until_at BIGINT NOT NULL DEFAULT 0,
    alarm TEXT,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;

-- Who reads this module's feed, and how far: what retention may not outrun.
CREATE TABLE reader (
    name TEXT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL CHECK (position >= 0),
    seen_at BIGINT NOT NULL
) WITHOUT ROWID;

-- Events that could not be applied: parked are tried again, dead wait for an operator.
CREATE TABLE parked (
    subscription TEXT NOT NULL,
    position BIGINT NOT NULL,
    subject TEXT NOT NULL,
    event TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_try_at BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('parked', 'dead')),
    parked_at BIGINT NOT NULL,
    PRIMARY KEY (subscription, position)
) WITHOUT ROWID;
CREATE INDEX parked_by_subject ON parked (subscription, subject, position);
CREATE INDEX parked_due ON parked (subscription, next_try_at) WHERE state = 'parked';
