-- A SKILL/DCT database with its oddities: ids with gaps, names with blanks, class ids in no order, rows that are no
-- good, of no split or of another data set, more than 60 and more than 300 classes. Read by make_lists.py and the tests.
CREATE TABLE datasets(dataset_id INTEGER PRIMARY KEY, dataset_name TEXT, good INTEGER);
CREATE TABLE files(hash TEXT, path TEXT, filename TEXT, class_id INTEGER, dataset_id INTEGER, problem INTEGER, "set" INTEGER);
INSERT INTO datasets VALUES
  (1, 'scenes', 1), (2, 'birds of the north', 1), (17, 'wikiart', 1), (18, 'sixty', 1), (46, 'Food-101', 1),
  (48, 'more-than-300', 1), (99, 'not-good', 0), (108, 'Blumen-Äcker', 1);

-- 1: three classes, first seen in the order 12, 3, 700; a class with one validation image
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59)
INSERT INTO files SELECT printf('%08x', i * 2654435761 % 4294967296), '/images/' || (i % 4) || '/', 'image ' || i || '.jpg',
  CASE WHEN i % 5 < 2 THEN 12 WHEN i % 5 < 4 THEN 3 ELSE 700 END, 1, i % 11 = 7, CASE WHEN i < 40 THEN 0 WHEN i < 50 THEN 1 ELSE 2 END
FROM n;
-- rows that are not taken: no split, unassigned, another kind of problem
INSERT INTO files VALUES ('a', '/images/', 'no split.jpg', 3, 1, 0, NULL), ('b', '/images/', 'unassigned.jpg', 3, 1, 0, -1),
  ('c', '/images/', 'no verdict.jpg', 3, 1, NULL, 0), ('d', '/images/', 'problem 2.jpg', 3, 1, 2, 0);

-- 2: two classes, so many images that both are cut (1280 and 128 each); the validation split sees them in the other order
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 3999)
INSERT INTO files SELECT printf('%08x', i), '/', printf('%04d.png', i), CASE WHEN i * 7 % 3 = 0 THEN 5 ELSE 4 END, 2, 0, i >= 3600
FROM n;

-- 17: 59 classes, below the limit of 60, of uneven sizes
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 3499)
INSERT INTO files SELECT printf('%08x', i), '/art/', i || '.jpg', (i * 37 + i / 59) % 59 % (1 + i % 59), 17, 0, i % 10 / 8 + i % 10 / 9
FROM n;
INSERT INTO files SELECT 'v', '/art/', 'more ' || class_id || '.jpg', class_id, 17, 0, 1 FROM
  (SELECT DISTINCT class_id FROM files WHERE dataset_id = 17);
INSERT INTO files SELECT 't', '/art/', 'train ' || class_id || '.jpg', class_id, 17, 0, 0 FROM
  (SELECT DISTINCT class_id FROM files WHERE dataset_id = 17 AND "set" = 1);

-- 18: 60 classes; validation sees them backwards
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 7199)
INSERT INTO files SELECT printf('%08x', i), '/s/', i || '.webp', i * 17 % 60, 18, 0, 0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 899)
INSERT INTO files SELECT printf('%08x', i), '/v/', i || '.webp', 59 - i * 17 % 60, 18, 0, 1 FROM n;

-- 46: rows come in no order of classes; some of the rows are another set's by their number
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299)
INSERT INTO files SELECT printf('%08x', i), '/food/' || (i * i % 13) || '/', i || '.jpg', i * i % 13 % 7, 46 + (i % 17 = 3), 0, i * 7 % 3
FROM n;

-- 48: 310 classes, of which the first 300 count; validation has rows of all of them, the last seen first
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 6199)
INSERT INTO files SELECT printf('%08x', i), '/m/', i || '.jpg', 1000 + i * 13 % 310, 48, 0, 0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 929)
INSERT INTO files SELECT printf('%08x', i), '/mv/', i || '.jpg', 1309 - i * 3 % 310, 48, 0, 1 + (i >= 620) FROM n;

-- 99: not good, so it is not found unless it is named
INSERT INTO files VALUES ('', '/', 'a.jpg', 0, 99, 0, 0), ('', '/', 'b.jpg', 1, 99, 0, 0), ('', '/', 'c.jpg', 0, 99, 0, 1),
  ('', '/', 'd.jpg', 1, 99, 0, 1);

-- 108: a name that is not ASCII
INSERT INTO files VALUES ('', '/ü/', 'ä.jpg', 1, 108, 0, 0), ('', '/ü/', 'ö.jpg', 0, 108, 0, 0), ('', '/ü/', 'c.jpg', 0, 108, 0, 1),
  ('', '/ü/', 'd.jpg', 1, 108, 0, 1);
