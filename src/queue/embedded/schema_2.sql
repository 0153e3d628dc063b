-- From schema 1 to schema 2.
CREATE TABLE desk_log (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL
) STRICT;
PRAGMA user_version = 2;
