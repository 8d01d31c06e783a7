#!/usr/bin/env python3
"""registers.py FOLDER: reads every *.ptxas below FOLDER, which ptxas.sh wrote.

Fails if a kernel spills registers, or takes more than a thread can have in blocks of 256 with two of them on a
multiprocessor. Prints the kernels with the most registers.
"""
import pathlib
import re
import sys

LIMIT = 128  # 65,536 registers of a multiprocessor / (2 blocks x 256 threads)


def kernels(text):
    """Yields (name, registers, bytes spilled, bytes of stack) for each kernel of ptxas's report."""
    name, spilled, stack = None, 0, 0
    for line in text.splitlines():
        if found := re.search(r"Compiling entry function '(\w+)'", line):
            name, spilled, stack = found.group(1), 0, 0
        elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            stack, spilled = int(found.group(1)), int(found.group(2)) + int(found.group(3))
        elif name and (found := re.search(r"Used (\d+) registers", line)):
            yield name, int(found.group(1)), spilled, stack
            name = None


def readable(name):
    """Returns the words of a mangled name, without what all kernels share."""
    words, at = [], 0
    while found := re.compile(r"\d+").search(name, at):
        at = found.end() + int(found.group())
        words.append(name[found.end():at])
    return " ".join(w for w in words if len(w) > 2 and w not in ("reprise", "kernels", "cuda") and "_GLOBAL_" not in w)[:90]


def main():
    files = sorted(pathlib.Path(sys.argv[1]).rglob("*.ptxas"))
    found = [(registers, spilled, stack, file.name.removesuffix(".o.ptxas"), readable(name)) for file in files
             for name, registers, spilled, stack in kernels(file.read_text())]
    if not found:
        sys.exit(f"registers.py: no report of ptxas below {sys.argv[1]}")
    found.sort(reverse=True)
    bad = [k for k in found if k[0] > LIMIT or k[1] > 0]
    print(f"{len(found)} kernels in {len(files)} files; the most registers a thread:")
    for registers, spilled, stack, file, name in found[:5] + [k for k in bad if k not in found[:5]]:
        wrong = f"  MORE THAN {LIMIT}" * (registers > LIMIT) + f"  SPILLS {spilled} bytes" * (spilled > 0)
        print(f"  {registers:4} registers  {stack:4} bytes of stack  {file}  {name}{wrong}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
