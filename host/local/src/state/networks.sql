-- Version 2: VPCs that somebody has asked for, and the default ones beside them.

CREATE TABLE vpcs (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL, account TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE INDEX vpcs_place ON vpcs (region, account);
