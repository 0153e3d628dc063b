-- Schema 1 of a desk's file: a read model of the broker's streams; deleted, it is read from them again. Times are
-- milliseconds since 1970.
PRAGMA application_id = 1953195115; -- "tkdk"
PRAGMA user_version = 1;

-- Which broker is counted, and the last entry read of each stream, written in the transaction that counts it.
CREATE TABLE source (
    name TEXT PRIMARY KEY NOT NULL
) STRICT;
CREATE TABLE place (
    stream TEXT    PRIMARY KEY NOT NULL,
    offset INTEGER NOT NULL,
    id     TEXT    NOT NULL
) STRICT;

-- Every outcome, once: the stable outcome id drops repeats.
CREATE TABLE outcome (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    outcome_id  TEXT    NOT NULL UNIQUE,
    item        TEXT    NOT NULL,
    replays     INTEGER NOT NULL,
    is_latest   INTEGER NOT NULL, -- of its item; only those are tallied
    batch       TEXT,
    account     TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    finished_at INTEGER NOT NULL,
    body        BLOB              -- kept for items of a batch, for its export
) STRICT;
CREATE INDEX outcome_latest ON outcome (item) WHERE is_latest = 1;
CREATE INDEX outcome_of_batch ON outcome (batch, seq) WHERE batch IS NOT NULL;
CREATE INDEX outcome_age ON outcome (finished_at);

-- Items of batches by their latest outcome.
CREATE TABLE tally (
    batch   TEXT    NOT NULL,
    account TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    items   INTEGER NOT NULL,
    PRIMARY KEY (batch, account, reason)
) STRICT, WITHOUT ROWID;

-- Outcomes by the minute they were decided in.
CREATE TABLE minute (
    minute   INTEGER NOT NULL,
    account  TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    outcomes INTEGER NOT NULL,
    PRIMARY KEY (minute, account, reason)
) STRICT, WITHOUT ROWID;

-- Batches as the operators' log and the outcomes tell of them.
CREATE TABLE batch (
    batch         TEXT    PRIMARY KEY NOT NULL,
    made_at       INTEGER,
    made_by       TEXT,
    cancelled_at  INTEGER,
    cancelled_by  TEXT,
    cancel_reason TEXT,
    first_at      INTEGER,
    last_at       INTEGER
) STRICT;
CREATE TABLE part (
    batch   TEXT    NOT NULL,
    part    TEXT    NOT NULL, -- digest of its items' ids: enqueued again, it counts once
    account TEXT    NOT NULL,
    items   INTEGER NOT NULL,
    PRIMARY KEY (batch, part, account)
) STRICT, WITHOUT ROWID;

-- The operators' log.
CREATE TABLE notice (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    id   TEXT    NOT NULL UNIQUE,
    body BLOB    NOT NULL
) STRICT;
