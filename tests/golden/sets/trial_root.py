"""Builds a SKILL/DCT root over real tasks and compares `clr tasks --list` with Python's lists.

    trial_root.py TASKS ROOT [--clr PATH]

TASKS has class folders (<task>/<class>/… or <task>/{train,val}/<class>/…). ROOT gets original_images/ (hard links, or copies
if links are impossible) and rolling_releases/database_2.sqlite. Its data sets are the tasks, one of all classes together,
and one that divides these into more than 300. A tenth of each class is for validation and a tenth for testing; rows are
shuffled. With --clr, compares the lists of every data set and of the whole; the exit status is 1 if one differs.
"""
import argparse
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys

from seed_lists import SETS, lines

SCHEMA = """
CREATE TABLE datasets(dataset_id INTEGER PRIMARY KEY, dataset_name TEXT, good INTEGER);
CREATE TABLE files(hash TEXT, path TEXT, filename TEXT, class_id INTEGER, dataset_id INTEGER, problem INTEGER, "set" INTEGER);
"""
IMAGES = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".ppm", ".pgm"}


def classes_of(task):
    """Returns {class: [files]} of all splits."""
    splits = [task / s for s in ("train", "val", "test") if (task / s).is_dir()]
    found = {}
    for folder in splits or [task]:
        for cls in sorted(p for p in folder.iterdir() if p.is_dir()):
            files = [f for f in sorted(cls.rglob("*")) if f.suffix.lower() in IMAGES]
            found.setdefault(cls.name, []).extend(files)
    return found


def place(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def add(connection, root, dataset, name, classes, generator, base):
    """Links the images of `classes` ({class id: files}, paths below `base`) and writes their rows."""
    connection.execute("INSERT INTO datasets VALUES (?, ?, 1)", (dataset, name))
    rows = []
    for class_id, files in classes.items():
        files = list(files)
        generator.shuffle(files)
        tenth = max(1, len(files) // 10)
        for i, file in enumerate(files):
            path, filename = "/" + str(file.parent.relative_to(base)) + "/", file.name
            target = pathlib.Path(f"{root}/original_images/{name}{path}{filename}")
            if not target.exists():
                place(file, target)
            split = 1 if i < tenth else 2 if i < 2 * tenth and len(files) > 2 * tenth else 0
            rows.append(("", path, filename, class_id, dataset, int(generator.random() < 0.02 and i > 2 * tenth), split))
    generator.shuffle(rows)
    connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def build(tasks, root):
    (root / "rolling_releases").mkdir(parents=True)
    connection = sqlite3.connect(root / "rolling_releases" / "database_2.sqlite")
    connection.executescript(SCHEMA)
    generator = random.Random(1)
    everything = []
    for dataset, task in enumerate(sorted(p for p in tasks.iterdir() if p.is_dir()), start=1):
        found = classes_of(task)
        ids = generator.sample(range(10 * len(found)), len(found))
        add(connection, root, dataset, task.name, dict(zip(ids, found.values())), generator, task)
        everything += found.values()
    dataset += 1
    add(connection, root, dataset, "all classes", dict(enumerate(everything)), generator, tasks)
    parts = 1
    while sum(1 for files in everything for p in range(parts) if len(files[p::parts]) >= 3) <= 300:
        parts += 1
    divided = [files[p::parts] for files in everything for p in range(parts) if len(files[p::parts]) >= 3]
    add(connection, root, dataset + 1, "more than 300", dict(enumerate(divided)), generator, tasks)
    connection.commit()


def compare(root, clr):
    connection = sqlite3.connect(root / "rolling_releases" / "database_2.sqlite")
    failed = 0
    print("data set               classes  train   val  test  equal")
    for dataset, name in connection.execute("SELECT dataset_id, dataset_name FROM datasets").fetchall():
        expected = lines(connection, dataset, f"{root}/original_images/")
        command = [clr, "tasks", "--quiet", "--no-check", "--data", root, "--list", str(dataset)]
        got = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        counts = [sum(line.startswith(split + "\t") for line in got) for split in SETS]
        classes = len({line.split("\t")[1] for line in got if line.startswith("train\t")})
        failed += got != expected
        print(f"{name:22} {classes:7} {counts[0]:6} {counts[1]:5} {counts[2]:5}  {'yes' if got == expected else 'NO'}")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=pathlib.Path)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--clr")
    arguments = parser.parse_args()
    if not arguments.root.exists():
        build(arguments.tasks, arguments.root)
    if arguments.clr:
        sys.exit(compare(arguments.root, arguments.clr) != 0)
