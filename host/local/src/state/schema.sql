-- Version 1 of the cloud's state. Resources keep their fields as JSON (`data`, see
-- rows.rs); the columns beside it are those that rows are looked up by.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE instances (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX instances_place ON instances (region, account);
CREATE TABLE disks (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX disks_place ON disks (region, account);
CREATE TABLE snapshots (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX snapshots_place ON snapshots (region, account);
-- The owner of a public image is the empty text.
CREATE TABLE images (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX images_place ON images (region, account);
CREATE TABLE vswitches (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX vswitches_place ON vswitches (region, account);
CREATE TABLE security_groups (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX security_groups_place ON security_groups (region, account);
CREATE TABLE invocations (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX invocations_place ON invocations (region, account);
CREATE TABLE files (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX files_place ON files (region, account);

-- Which commands still run in which instance.
CREATE TABLE running (invoke TEXT NOT NULL, instance TEXT NOT NULL,
    PRIMARY KEY (invoke, instance)) STRICT, WITHOUT ROWID;
CREATE INDEX running_instance ON running (instance);

-- What a server has promised and not done yet. `subjects` are the ids that it works
-- on, each between spaces.
CREATE TABLE jobs (seq INTEGER PRIMARY KEY AUTOINCREMENT, subjects TEXT NOT NULL,
    data TEXT NOT NULL) STRICT;

CREATE TABLE tokens (account TEXT NOT NULL, action TEXT NOT NULL, token TEXT NOT NULL,
    digest TEXT NOT NULL, response TEXT, at TEXT NOT NULL,
    PRIMARY KEY (account, action, token)) STRICT, WITHOUT ROWID;

CREATE TABLE nonces (key_id TEXT NOT NULL, nonce TEXT NOT NULL, second INTEGER NOT NULL,
    PRIMARY KEY (key_id, nonce)) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_second ON nonces (second);

-- Who needs which layer; a layer that nobody needs is listed in `loose` until it
-- has been removed.
CREATE TABLE layer_users (region TEXT NOT NULL, layer TEXT NOT NULL, user TEXT NOT NULL,
    PRIMARY KEY (region, layer, user)) STRICT, WITHOUT ROWID;
CREATE INDEX layer_users_user ON layer_users (user);
CREATE TABLE loose (region TEXT NOT NULL, layer TEXT NOT NULL,
    PRIMARY KEY (region, layer)) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL,
    region TEXT NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL, spec TEXT NOT NULL,
    quantity INTEGER NOT NULL, price INTEGER NOT NULL, since TEXT NOT NULL, until TEXT) STRICT;
CREATE INDEX ledger_resource ON ledger (resource);

CREATE TABLE requests (seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL,
    account TEXT, region TEXT, action TEXT NOT NULL, signature TEXT NOT NULL,
    params TEXT NOT NULL, status INTEGER, code TEXT, request_id TEXT NOT NULL) STRICT;

CREATE TABLE stock (seq INTEGER PRIMARY KEY AUTOINCREMENT, region TEXT, zone TEXT,
    instance_type TEXT, available INTEGER NOT NULL) STRICT;
