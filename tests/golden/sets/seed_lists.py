"""The images that the original learns from a SKILL/DCT database, in Python, with Python's own `random`.

Written independently of Reprise, for comparison: `seed_split(connection, dataset_id, split)`.
"""
import random

SETS = {"train": 0, "val": 1, "test": 2}
ROWS = 'SELECT class_id, path, filename FROM files WHERE dataset_id=? AND problem=0 AND "set"=?'


def labels(connection, dataset_id):
    """Returns class id -> label, in the order of the first training row, for the first 300 classes."""
    ids = dict.fromkeys(row[0] for row in connection.execute(ROWS, (dataset_id, 0)))
    return {class_id: label for label, class_id in enumerate(list(ids)[:300])}


def seed_split(connection, dataset_id, split):
    """Returns [(label, class id, path below original_images)] in the order of the data set object."""
    name = connection.execute("SELECT dataset_name FROM datasets WHERE dataset_id=?", (dataset_id,)).fetchone()[0]
    known = labels(connection, dataset_id)
    by_class = {}
    for class_id, path, filename in connection.execute(ROWS, (dataset_id, SETS[split])):
        if class_id in known:
            by_class.setdefault(class_id, []).append(name + path + filename)
    count = len(by_class)
    amount = (5120 if count >= 60 else 2560) if split == "train" else (512 if count >= 60 else 256)
    generator = random.Random()
    generator.seed(27)
    out = []
    for class_id, images in by_class.items():
        generator.shuffle(images)
        out += [(known[class_id], class_id, image) for image in images[: round(amount / count)]]
    return out


def lines(connection, dataset_id, root_prefix="original_images/"):
    """Returns the lines of `clr tasks --list`, with paths below the root."""
    return [
        f"{split}\t{label}\t{class_id}\t{root_prefix}{path}"
        for split in SETS
        for label, class_id, path in seed_split(connection, dataset_id, split)
    ]
