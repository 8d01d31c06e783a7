#!/usr/bin/env python3
"""hottest.py FILE: sums what ncu wrote (--csv --page raw) by kernel and prints the five longest.

Each line has the time of all launches, their number, the bytes per second through device memory as a share of
4.3 TB/s (what a copy reaches on an H200), registers a thread and the warps active.
"""
import csv
import re
import sys

COPY = 4.3e12
SCALE = {"ns": 1e-9, "us": 1e-6, "usecond": 1e-6, "nsecond": 1e-9, "ms": 1e-3, "msecond": 1e-3, "s": 1, "second": 1,
         "byte": 1, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}


def short(name):
    """Returns the function that a kernel belongs to: a lambda's kernel is named by the function around it."""
    around = re.search(r"(?:::|\s)(\w+)(?:<[^<>()]*>)?\([^()]*\)::\[?.?lambda", name) or re.search(r"__nv_dl_wrapper.*?::(\w+)", name)
    kernel = re.match(r"(?:void )?(?:[\w]+::)*(\w+)", name)
    return " ".join(dict.fromkeys(m.group(1) for m in (kernel, around) if m))[:70]


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if line.startswith('"')]
    rows = list(csv.reader(lines))
    if len(rows) < 3:
        sys.exit("hottest.py: ncu listed no kernel")
    header, units = rows[0], rows[1]
    column = {name: header.index(name) for name in header}
    sums = {}

    def value(row, name):
        at = column[name]
        return float(row[at].replace(",", "") or 0) * SCALE.get(units[at], 1)

    for row in rows[2:]:
        seconds, count, moved, _, _ = sums.get(short(row[column["Kernel Name"]]), (0, 0, 0, 0, 0))
        sums[short(row[column["Kernel Name"]])] = (
            seconds + value(row, "gpu__time_duration.sum"), count + 1, moved + value(row, "dram__bytes.sum"),
            value(row, "launch__registers_per_thread"),
            value(row, "sm__warps_active.avg.pct_of_peak_sustained_active"))
    total = sum(s[0] for s in sums.values())
    for name, (seconds, count, moved, registers, warps) in sorted(sums.items(), key=lambda s: -s[1][0])[:5]:
        print(f"{name}: {seconds * 1e3:.3f} ms of {total * 1e3:.3f}, {count} launches, {moved / seconds / 1e9:.0f} GB/s "
              f"({100 * moved / seconds / COPY:.0f} % of a copy), {registers:.0f} registers, {warps:.0f} % of warps")


if __name__ == "__main__":
    main()
