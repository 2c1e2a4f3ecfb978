-- One row per saga, for ever: what a checkout went through is part of the books.
CREATE TABLE saga (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- The definition's own state, JSON.
    state TEXT NOT NULL,
    -- The step that the state waits for; with the id it is the idempotency key of the step's calls.
    step TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'done', 'compensated', 'stuck', 'closed')),
    -- Rises with every write to the row; each write names the one it has read.
    revision BIGINT NOT NULL,
    -- Tries of the present step that led nowhere.
    attempts BIGINT NOT NULL,
    -- May an earlier try of the present step have had its effect?
    in_doubt BOOLEAN NOT NULL,
    next_try_at BIGINT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until_at BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What the runner asks: which running sagas are due? Finished ones are not in it, so it stays small.
CREATE INDEX saga_due ON saga (next_try_at) WHERE status = 'running';
-- What the operator asks: which ones are stuck?
CREATE INDEX saga_stuck ON saga (id) WHERE status = 'stuck';
