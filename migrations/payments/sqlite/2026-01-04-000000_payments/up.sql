-- Charges and unlinked credits, one row each. The checks hold the sums, whatever the code does.
CREATE TABLE payments (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('charge', 'credit')),
    order_id TEXT,
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    authorised BIGINT NOT NULL DEFAULT 0 CHECK (authorised IN (0, amount)),
    captured BIGINT NOT NULL DEFAULT 0 CHECK (captured >= 0),
    voided BIGINT NOT NULL DEFAULT 0 CHECK (voided >= 0),
    refunded BIGINT NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    token TEXT,
    history BOOLEAN NOT NULL,
    -- Rises with every change, so that a write can be guarded by everything that was read before it.
    version BIGINT NOT NULL,
    -- The intent: what the provider has been or will be asked, from before it is asked until its answer is booked.
    -- `intent` is JSON; its key (caller, operation and idempotency key) stands apart for the index, the time of the
    -- next asking for the resolver.
    intent_key TEXT,
    intent TEXT,
    ask_again_at BIGINT,
    created_at BIGINT NOT NULL,
    CHECK ((intent_key IS NULL) = (intent IS NULL) AND (intent IS NULL) = (ask_again_at IS NULL)),
    CHECK (captured + voided <= authorised),
    CHECK ((kind = 'charge') = (order_id IS NOT NULL)),
    CHECK (kind = 'charge' AND refunded <= captured OR kind = 'credit' AND authorised = 0 AND refunded IN (0, amount))
) WITHOUT ROWID;
-- Holds pending payments only, so it stays small: one key is pending once, and the resolver finds them all here.
CREATE UNIQUE INDEX payments_intent ON payments (intent_key) WHERE intent_key IS NOT NULL;

-- What was done, one row for every answer of the provider, never changed: the history of a payment, and the kept answer
-- of its idempotency key.
CREATE TABLE operations (
    -- "<caller> <operation> <idempotency key>"; none of the three has a space in it.
    key TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('authorise', 'capture', 'void', 'refund', 'credit')),
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    -- NULL: done. Otherwise the provider's words for its no.
    declined TEXT,
    -- Our name for it at the provider; of what moved money it is the ledger entry's id too.
    reference TEXT NOT NULL,
    refund_id TEXT,
    reason TEXT,
    request_hash TEXT NOT NULL,
    settled_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX operations_payment ON operations (payment_id);
CREATE INDEX operations_refund ON operations (refund_id) WHERE refund_id IS NOT NULL;

-- The ledger in millionths: each row moves an amount from one account to another, so it balances by its form. An entry
-- is the rows with its id.
CREATE TABLE transfers (
    entry_id TEXT NOT NULL,
    line BIGINT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL CHECK (credit <> debit),
    micros BIGINT NOT NULL CHECK (micros > 0),
    currency TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- The payment whose money moved, or the order, settlement or adjustment whose revenue it is.
    reference TEXT NOT NULL,
    -- Whose receivable it moves.
    subject TEXT NOT NULL,
    booked_at BIGINT NOT NULL,
    PRIMARY KEY (entry_id, line)
) WITHOUT ROWID;

-- The simulated provider's own memory, for the tokens whose behaviour depends on how often it was asked. It stands for
-- the provider's database: nothing else reads it.
CREATE TABLE simulator (
    reference TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL,
    asked BIGINT NOT NULL,
    effects BIGINT NOT NULL CHECK (effects IN (0, 1))
) WITHOUT ROWID;
