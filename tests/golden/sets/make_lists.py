"""Writes lists.tsv: the images of every task of small.sql, without and with an index that changes the order of rows.

Columns: indexed, dataset id, split, images, classes, SHA-256 of the lines of `clr tasks --list` (paths below the root)
of that split. Also writes `scenes.list`, the whole list of the first data set. Run it in this folder.
"""
import hashlib
import pathlib
import sqlite3

from seed_lists import SETS, lines

here = pathlib.Path(__file__).parent
INDEX = 'CREATE INDEX by_class ON files(dataset_id, "set", problem, class_id)'

table = ["indexed\tdataset\tsplit\timages\tclasses\tsha256"]
for indexed in (0, 1):
    connection = sqlite3.connect(":memory:")
    connection.executescript((here / "small.sql").read_text())
    if indexed:
        connection.execute(INDEX)
    for (dataset,) in connection.execute("SELECT dataset_id FROM datasets ORDER BY dataset_id"):
        every = lines(connection, dataset)
        if dataset == 1 and not indexed:
            (here / "scenes.list").write_text("".join(line + "\n" for line in every))
        for split in SETS:
            part = [line for line in every if line.startswith(split + "\t")]
            classes = {line.split("\t")[2] for line in part}
            digest = hashlib.sha256("".join(line + "\n" for line in part).encode()).hexdigest()
            table.append(f"{indexed}\t{dataset}\t{split}\t{len(part)}\t{len(classes)}\t{digest}")
(here / "lists.tsv").write_text("".join(line + "\n" for line in table))
