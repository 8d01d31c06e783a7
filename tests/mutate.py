#!/usr/bin/env python3
"""Breaks the code at random, one place at a time, and prints the share of the faults that the tests notice.

    python3 tests/mutate.py BUILD [--seed 7] [--count 20] [--in layers data] [--minutes 2] [--quick] [--only FILE:LINE]

A fault turns a comparison, moves a boundary by one, changes a sign, and/or, true/false or min/max, negates a condition,
drops a statement, or swaps two arguments. A file's chance grows with its lines. Faults that do not compile are drawn
again. Those that match a line of mutate_harmless.txt are counted apart: their results cannot differ in what a user sees.
For each fault the test programs of its folder run, quick tests first; a program that fails, crashes or hangs notices it.

BUILD is a configured build folder of this tree. A tree with uncommitted changes is refused; every source is restored.
The programs in BUILD hold the last fault until they are built again.
Use a worktree of its own (`git worktree add`) and a compiler cache. The same tree, seed and folders give the same faults.
"""
import argparse
import glob
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# The programs that should notice a fault, the nearest first, with variables that ctest sets for them, too.
PROGRAMS = {
    "engine/kernels/profile": ["engine", "ops", "apps"],
    "engine/kernels/": ["ops", "cpu", "engine", "layers", "optim", "ops REPRISE_CPU_ISA=avx512 REPRISE_BF16_ORDER=blocks",
                        "ops REPRISE_CPU_ISA=avx2", "ops REPRISE_CPU_ISA=portable"],
    "engine/": ["engine", "ops", "optim", "layers", "data", "apps"],
    "layers/": ["layers", "apps"],
    "optim/": ["optim", "apps"],
    "data/io/": ["data", "survive", "apps"],
    "data/": ["data", "apps"],
    "apps/clr/learn/": ["apps", "survive"],
    "apps/clr/": ["apps"],
}
FOLDERS = ["engine", "layers", "optim", "data", "apps/clr"]
CASES = "engine/cases/"  # the tests of ops
FOR_A_GPU = ("engine/kernels/cuda/", "engine/base/gpu.")  # run only in an emulated build
TIERS = [0, 0.1, 0.5, 1e9]  # tests of so many seconds run one group after the other
STEPS = 30  # a fault in a file that more compilations depend on is drawn again
MEMORY = 16 << 30

TURNED = {"==": "!=", "!=": "==", "<": ">=", ">": "<=", "<=": ">", ">=": "<"}
MOVED = {"<": "<=", ">": ">=", "<=": "<", ">=": ">"}
ARGUMENT = r"([\w.]+(?:->\w+)?(?:\(\))?)"
STATEMENT = re.compile(r"(?<=[;{}])\s*\n\s+(?!return|const|auto|static|using|case|break|continue|else|if|for|while|throw|do\b)"
                       r"([A-Za-z_+*(][^;{}]*[=(+][^;{}]*;)")


def code_only(text):
    """Blanks comments, literals and preprocessor lines; positions stay."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', blank, text, flags=re.S)
    return re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)


def faults_of(text, header):
    """Lists the faults of a source by kind: (begin, end, replacement)."""
    code = code_only(text)
    kinds = {}

    def add(kind, begin, end, replacement):
        kinds.setdefault(kind, []).append((begin, end, replacement))

    def each(kind, pattern, replacement, group=0):
        for m in re.finditer(pattern, code):
            add(kind, m.start(group), m.end(group), replacement(m))

    each("comparison", r" (==|!=|<=|>=|<|>) ", lambda m: f" {TURNED[m[1]]} ")
    each("boundary", r" (<=|>=|<|>) ", lambda m: f" {MOVED[m[1]]} ")
    each("boundary", r" [+-] 1\b(?!\.)", lambda m: "")
    each("sign", r" ([+-])(=?) ", lambda m: f" {'-' if m[1] == '+' else '+'}{m[2]} ")
    each("and/or", r" (&&|\|\|) ", lambda m: " || " if m[1] == "&&" else " && ")
    each("boolean", r"\b(true|false)\b", lambda m: "false" if m[1] == "true" else "true")
    each("min/max", r"\bstd::(min|max)\b", lambda m: "std::max" if m[1] == "min" else "std::min")
    each("condition", r"\bif \((?!constexpr)([^;{}()]*(?:\([^()]*\)[^;{}()]*)*)\)", lambda m: f"!({text[m.start(1):m.end(1)]})", 1)
    if not header:  # there it would be a declaration
        each("statement", STATEMENT, lambda m: ";", 1)
    # Of two arguments of min or max the order says nothing.
    each("arguments", rf"(?<=\w)(?<!\bmin)(?<!\bmax)\({ARGUMENT}, {ARGUMENT}(?=[,)])", lambda m: f"({m[2]}, {m[1]}")
    return kinds


def lines_of(text, begin, end):
    return " ".join(text[text.rfind("\n", 0, begin) + 1:(text.find("\n", end) + 1 or len(text)) - 1].split())


def first_failure(log):
    with open(log, errors="replace") as file:
        text = file.read()
    found = re.search(r"^\[  FAILED  \] (\S+\.\S+)", text, re.M) or re.search(r"^.*(?:SUMMARY|terminate called|Failure in).*", text, re.M)
    started = re.findall(r"^\[ RUN      \] (\S+)", text, re.M)
    return found[found.lastindex or 0] if found else f"{started[-1]} ended early" if started else "it ended early"


class Programs:
    """Builds and runs the test programs of a build folder."""

    def __init__(self, build):
        self.build, self.log, self.tests, self.whole = build, os.path.join(build, "mutate.log"), {}, {}

    def call(self, command, limit, flags={}):
        def prepare():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        with open(self.log, "w") as out, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, start_new_session=True, preexec_fn=prepare,
                                       env={**os.environ, "TMPDIR": scratch, "GTEST_FAIL_FAST": "1", **flags})
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                return 124
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def make(self, name, limit=900):
        return self.call(["ninja", "-C", self.build, f"test_{name}"], limit) == 0

    def path(self, name):
        return os.path.join(self.build, "tests", name, f"test_{name}")

    def digest(self, folder):
        """Returns a digest of a folder's library, and of clr if it is apps."""
        digest = hashlib.sha256()
        for path in sorted(glob.glob(os.path.join(self.build, folder, "lib*")) + glob.glob(os.path.join(self.build, folder, "clr"))):
            with open(path, "rb") as file:
                digest.update(file.read())
        return digest.digest()

    def same_code(self, file):
        folder = file.split("/")[0]
        return file.endswith(".cpp") and self.digest(folder) == self.whole[folder]  # a header's code is everywhere

    def times(self, name):
        """Returns the seconds of each test when all pass, from a run of this program by ctest or from one now."""
        if name not in self.tests:
            if not self.make(name):
                sys.exit(f"mutate: test_{name} cannot be built without any fault, see {self.log}")
            kept = os.path.join(self.build, "tests", name, "times.json")
            if not os.path.exists(kept) or os.path.getmtime(kept) <= os.path.getmtime(self.path(name)):
                if self.call([self.path(name), f"--gtest_output=json:{kept}"], 900) != 0:
                    sys.exit(f"mutate: test_{name} fails without any fault: {first_failure(self.log)}")
            with open(kept) as file:
                result = json.load(file)
            if result["failures"] != 0:
                sys.exit(f"mutate: the last run of test_{name} without any fault failed")
            suites = result["testsuites"]
            self.tests[name] = {f"{s['name']}.{t['name']}": float(t["time"][:-1]) for s in suites for t in s["testsuite"]}
        return self.tests[name]

    def notices(self, name, least, below):
        """Returns how the program's tests of so many seconds fail, or None if they pass. Tests without a time are quick."""
        name, *variables = name.split()
        chosen = [t for t, s in self.times(name).items() if least <= s < below]
        slower = [t for t, s in self.times(name).items() if s >= below]
        if least > 0 and not chosen:
            return None
        with tempfile.NamedTemporaryFile("w") as flags:
            flags.write("--gtest_filter=" + ("-" + ":".join(slower) if least == 0 else ":".join(chosen)))
            flags.flush()
            limit = 30 + 4 * sum(self.times(name)[t] for t in chosen)
            status = self.call([self.path(name), f"--gtest_flagfile={flags.name}"], limit, dict(v.split("=") for v in variables))
        return None if status == 0 else f"{name}: " + ("it hangs" if status == 124 else first_failure(self.log))


def try_fault(programs, names, file, only_quick):
    """Returns 'caught', 'SURVIVED', 'harmless' or '' (does not compile, or too much to compile), and why."""
    plan = subprocess.run(["ninja", "-C", programs.build, "-n", f"test_{names[0]}"], capture_output=True, text=True)
    if len(plan.stdout.splitlines()) > STEPS:
        return "", ""
    for tier, (least, below) in enumerate(zip(TIERS, TIERS[1:-1] if only_quick else TIERS[1:])):
        for name in names:
            if tier == 0 and not programs.make(name.split()[0]):
                return "", ""
            if tier == 0 and name == names[0] and programs.same_code(file):
                return "harmless", "the compiler makes the same code of it"
            how = programs.notices(name, least, below)
            if how:
                return "caught", how
    return "SURVIVED", ""


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
        file.write(text)


def sources(folders, built):
    """Returns the texts of the sources that a build folder compiles, by path."""
    left_out = (CASES, *(() if "tests/emulation" in built else FOR_A_GPU), *(["engine/kernels/"] if folders == FOLDERS else []))
    names = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    return {f: read(f) for f in names if f.endswith((".h", ".cpp", ".cu")) and not f.startswith(left_out)
            and (f.endswith(".h") or f in built)}


def draw(texts, seed):
    """Draws faults for ever: file, line, kind, what is changed, and the whole broken text."""
    chance, seen = random.Random(seed), set()
    files = list(texts)
    weights = [texts[f].count("\n") for f in files]
    while True:
        file = chance.choices(files, weights)[0]
        text, kinds = texts[file], faults_of(texts[file], file.endswith(".h"))
        if not kinds:
            continue
        kind = chance.choice(sorted(kinds))
        begin, end, replacement = chance.choice(kinds[kind])
        broken = text[:begin] + replacement + text[end:]
        if (file, begin, replacement) in seen or broken == text:
            continue
        seen.add((file, begin, replacement))
        change = f"{lines_of(text, begin, end)} -> {lines_of(broken, begin, begin + len(replacement))}"
        yield file, 1 + text.count("\n", 0, begin), kind, change, broken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="a configured build folder of this tree")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20, help="faults that compile and are not known as harmless")
    parser.add_argument("--in", nargs="+", dest="folders", default=FOLDERS, metavar="FOLDER", help="by default all but the kernels")
    parser.add_argument("--minutes", type=float, default=1e9, help="begins no fault after this time")
    parser.add_argument("--quick", action="store_true", help=f"only the tests that take less than {TIERS[-2]} s")
    parser.add_argument("--only", nargs="+", metavar="FILE:LINE", help="of the same faults, those at these places")
    parser.add_argument("--list", action="store_true", help="prints the faults that would be tried, without building")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    ninja = os.path.join(build, "build.ninja")
    if not os.path.exists(ninja):
        sys.exit(f"mutate: {build} is not a configured build folder (no build.ninja)")
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *FOLDERS], cwd=ROOT).returncode != 0:
        sys.exit("mutate: the tree has changes of its own; commit them or use another worktree")
    with open(ninja) as file:
        texts = sources(args.folders, file.read())
    harmless = [line.split("\t") for line in read("tests/mutate_harmless.txt").splitlines() if line and line[0] != "#"]

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    programs, start = Programs(build), time.time()
    if not args.list and not programs.make("apps"):  # with all libraries
        sys.exit(f"mutate: the tree cannot be built without any fault, see {programs.log}")
    programs.whole = {f: programs.digest(f) for f in ("engine", "layers", "optim", "data", "apps")}
    counts = dict.fromkeys(["caught", "SURVIVED", "harmless", "listed"], 0)
    wanted = len(args.only) if args.only else args.count
    try:
        for file, line, kind, change, broken in draw(texts, args.seed):
            if args.only and f"{file}:{line}" not in args.only:
                continue
            began = time.time()
            if any(re.fullmatch(h[0], file) and re.search(h[1], change) for h in harmless):
                result, how = "harmless", ""
            elif args.list:
                result, how = "listed", ""
            else:
                names = next(p for f, p in PROGRAMS.items() if file.startswith(f))
                for name in names:
                    programs.times(name.split()[0])
                try:
                    write(file, broken)
                    result, how = try_fault(programs, names, file, args.quick)
                finally:
                    write(file, texts[file])
            if result:
                counts[result] += 1
                print(f"{sum(counts.values()):3} {result:8} {time.time() - began:4.0f}s {file}:{line}: {kind}: {change}"
                      + (f"\n      {how}" if how else ""), flush=True)
            done = sum(counts.values()) - (0 if args.only else counts["harmless"])
            if done >= wanted or time.time() - start >= 60 * args.minutes:
                break
    finally:
        tried = counts["caught"] + counts["SURVIVED"]
        print(f"seed {args.seed}: {counts['caught']} of {tried} faults were noticed"
              + (f" ({100 * counts['caught'] / tried:.1f} %)" if tried else "") + f"; {counts['harmless']} more are known as harmless")
    sys.exit(1 if counts["SURVIVED"] else 0)


if __name__ == "__main__":
    main()
