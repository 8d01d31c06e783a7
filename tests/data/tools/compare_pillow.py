"""Compares decoded pixels with Pillow's convert("RGB"), by kind of file.

    compare_pillow.py DECODE_IMAGES FOLDER... [--recode N] [--damage N] [--clip-grey16]

Walks the folders and prints a Markdown table: the number of files, how many have equal bits, the largest difference of a
value, and how many only one side reads. With --recode, Pillow also writes N of the readable images, at most 512 pixels wide
and high, in every format that it can write into a temporary folder, and these are compared too. With --damage, N damaged
copies of each file are compared instead of the files.
"""
import argparse
import collections
import pathlib
import random
import subprocess
import tempfile
import warnings

import numpy as np
from PIL import Image, ImageFile

warnings.simplefilter("ignore")
SUBSAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1", (4, 2): "4:1:0"}


def jpeg_kind(image):
    coding = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC9: "arithmetic", 0xCA: "arithmetic progressive"}
    data = pathlib.Path(image.filename).read_bytes()
    at, marker = 2, 0
    while at + 4 < len(data):  # up to the start of frame
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    kind = coding.get(marker, hex(marker))
    if image.mode == "RGB":
        kind += " " + SUBSAMPLINGS.get(tuple(image.layer[0][1:3]), str(image.layer[0][1:3]))
    return f"JPEG {image.mode} {kind}"


def kind_of(image):
    if image.format in ("JPEG", "MPO"):
        return jpeg_kind(image)
    name = {"PPM": "PNM"}.get(image.format, image.format)
    if image.format == "PNG":
        header = pathlib.Path(image.filename).read_bytes()[24:26]
        color = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}.get(header[1], "?")
        return f"PNG {color}, {header[0]} bits"
    return f"{name} {image.mode}"


def pillow(path):
    """Returns (kind, pixels); pixels is None if Pillow cannot read the file."""
    kind = "not read by Pillow"
    try:
        with Image.open(path) as image:
            kind = kind_of(image)
            return kind, np.asarray(image.convert("RGB"))
    except Exception:  # Pillow raises many types
        return kind, None


class Decoder:
    def __init__(self, program, clip):
        command = [program] + (["--clip-grey16"] if clip else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, path):
        self.process.stdin.write(str(path).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().split()
        if line[0] != b"OK":
            return None
        width, height = int(line[1]), int(line[2])
        pixels = self.process.stdout.read(3 * width * height)
        return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def recoded(path, folder, number):
    """Writes the image in every format that Pillow can write."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((512, 512))
    grey = image.convert("L")
    alpha = image.copy()
    alpha.putalpha(grey)
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257 ^ 85)
    kinds = {
        "bmp": [(image, {}), (grey, {}), (image.convert("P"), {}), (image.convert("1"), {})],
        "gif": [(image, {}), (grey, {}), (image.convert("P"), {"interlace": 0})],
        "ppm": [(image, {}), (grey, {}), (sixteen, {})],
        "png": [(image, {}), (grey, {}), (alpha, {}), (alpha.convert("LA"), {}), (image.convert("P"), {}),
                (image.convert("1"), {}), (image.quantize(13), {}), (sixteen, {})],
        "webp": [(image, {}), (image, {"lossless": True}), (alpha, {}), (image, {"quality": 30, "method": 6})],
        "jpg": [(image, {"subsampling": s, "progressive": p, "quality": q})
                for s in ("4:4:4", "4:2:2", "4:2:0") for p in (False, True) for q in (40, 90)]
               + [(grey, {}), (grey, {"progressive": True}), (image.convert("CMYK"), {})],
    }
    for ending, variants in kinds.items():
        for i, (variant, options) in enumerate(variants):
            target = folder / f"{number}-{i}.{ending}"
            variant.save(target, **options)
            yield target


def damaged(path, folder, number):
    """A copy with a few bytes changed, removed or added, often in the header. The same for the same number."""
    dice, data = random.Random(f"{path.name} {number}"), bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 1, 2, 4))):
        at = dice.randrange(min(len(data), dice.choice((64, 256, 1 << 30))) or 1)
        kind, some = dice.randrange(16), dice.randbytes(dice.randrange(1, 9))
        if kind == 0:
            del data[at:]
        elif kind < 3:
            del data[at : at + len(some)]
        elif kind < 5:
            data[at:at] = some
        elif kind < 10:
            data[at : at + 1] = some[:1]
        elif at < len(data):
            data[at] ^= 1 << some[0] % 8
    target = folder / f"{number}{path.suffix}"
    target.write_bytes(data)
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--recode", type=int, default=0)
    parser.add_argument("--damage", type=int, default=0)
    parser.add_argument("--clip-grey16", action="store_true")
    arguments = parser.parse_args()
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    decode = Decoder(arguments.program, arguments.clip_grey16)
    counts = collections.defaultdict(lambda: [0, 0, 0, 0, 0])  # files, equal, largest, only Pillow, only ours

    def compare(path):
        kind, expected = pillow(path)
        got = decode(path)
        row = counts[kind]
        row[0] += 1
        if expected is None or got is None:
            row[3] += got is None and expected is not None
            row[4] += expected is None and got is not None
            row[1] += expected is None and got is None
            return
        largest = int(np.abs(got.astype(int) - expected.astype(int)).max()) if got.shape == expected.shape else 256
        row[1] += largest == 0
        row[2] = max(row[2], largest)

    files = [f for folder in arguments.folders for f in sorted(folder.rglob("*")) if f.is_file()]
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            for target in [damaged(file, pathlib.Path(folder), n) for n in range(arguments.damage)] or [file]:
                compare(target)
    if arguments.recode:
        readable = [f for f in files if pillow(f)[1] is not None]
        step = max(1, len(readable) // arguments.recode)
        with tempfile.TemporaryDirectory() as folder:
            for number, file in enumerate(readable[::step][: arguments.recode]):
                for target in recoded(file, pathlib.Path(folder), number):
                    compare(target)
                    target.unlink()
    print("| kind | files | equal | largest difference | only Pillow reads | only Reprise reads |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind, (n, equal, largest, only_pillow, only_ours) in sorted(counts.items()):
        print(f"| {kind} | {n} | {equal} | {largest} | {only_pillow or ''} | {only_ours or ''} |")


if __name__ == "__main__":
    main()
