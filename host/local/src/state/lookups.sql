-- Version 3: what rows are looked up by beside their id and their place (see lookup.rs),
-- and the ids that a job works on, one a row. Both are kept with the rows themselves.

CREATE TABLE keys (kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (kind, name, value, id)) STRICT, WITHOUT ROWID;
CREATE INDEX keys_id ON keys (kind, id);

CREATE TABLE subjects (subject TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (subject, seq)) STRICT, WITHOUT ROWID;
CREATE INDEX subjects_seq ON subjects (seq);
CREATE INDEX jobs_copy ON jobs (seq) WHERE json_extract(data, '$.task.copy') IS NOT NULL;

-- What an older file has. The subjects of a job were words between spaces.
INSERT OR IGNORE INTO subjects SELECT word.value, jobs.seq FROM jobs,
    json_each('["' || replace(trim(jobs.subjects), ' ', '","') || '"]') AS word;

INSERT OR IGNORE INTO keys SELECT 'instances', 'tag:' || json_extract(tag.value, '$[0]'),
    json_extract(tag.value, '$[1]'), instances.id FROM instances, json_each(data, '$.tags') AS tag;
INSERT OR IGNORE INTO keys SELECT 'disks', 'tag:' || json_extract(tag.value, '$[0]'),
    json_extract(tag.value, '$[1]'), disks.id FROM disks, json_each(data, '$.tags') AS tag;
INSERT OR IGNORE INTO keys SELECT 'snapshots', 'tag:' || json_extract(tag.value, '$[0]'),
    json_extract(tag.value, '$[1]'), snapshots.id FROM snapshots, json_each(data, '$.tags') AS tag;
INSERT OR IGNORE INTO keys SELECT 'images', 'tag:' || json_extract(tag.value, '$[0]'),
    json_extract(tag.value, '$[1]'), images.id FROM images, json_each(data, '$.tags') AS tag;
INSERT OR IGNORE INTO keys SELECT 'invocations', 'tag:' || json_extract(tag.value, '$[0]'),
    json_extract(tag.value, '$[1]'), invocations.id
    FROM invocations, json_each(data, '$.tags') AS tag;

INSERT OR IGNORE INTO keys SELECT 'instances', 'group', item.value, instances.id
    FROM instances, json_each(data, '$.security_groups') AS item;
INSERT OR IGNORE INTO keys SELECT 'instances', 'vswitch', json_extract(data, '$.vswitch'), id
    FROM instances;
INSERT OR IGNORE INTO keys SELECT 'instances', 'image',
    region || '/' || json_extract(data, '$.image'), id FROM instances;
INSERT OR IGNORE INTO keys SELECT 'instances', 'type ' || region || ' ' || account,
    json_extract(data, '$.instance_type'), id FROM instances;
INSERT OR IGNORE INTO keys SELECT 'instances', 'release',
    printf('%012d', unixepoch(json_extract(data, '$.auto_release_at'))), id
    FROM instances WHERE json_extract(data, '$.auto_release_at') IS NOT NULL;
INSERT OR IGNORE INTO keys SELECT 'disks', 'instance', json_extract(data, '$.instance'), id
    FROM disks;
INSERT OR IGNORE INTO keys SELECT 'images', 'name', json_extract(data, '$.name'), id FROM images;
INSERT OR IGNORE INTO keys SELECT 'images', 'family', json_extract(data, '$.family'), id
    FROM images;
INSERT OR IGNORE INTO keys SELECT 'images', 'snapshot', json_extract(data, '$.snapshot'), id
    FROM images WHERE json_extract(data, '$.snapshot') IS NOT NULL;
INSERT OR IGNORE INTO keys SELECT 'images', 'snapshot', json_extract(part.value, '$.snapshot'),
    images.id FROM images, json_each(data, '$.data') AS part;
INSERT OR IGNORE INTO keys SELECT 'instances', 'address ' || region || ' ' || account,
    printf('%02x%02x%02x%02x', json_extract(parts, '$[0]'), json_extract(parts, '$[1]'),
        json_extract(parts, '$[2]'), json_extract(parts, '$[3]')), id
    FROM (SELECT region, account, id,
        '[' || replace(json_extract(data, '$.private_ip'), '.', ',') || ']' AS parts
        FROM instances);
