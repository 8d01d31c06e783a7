"""Writes tests/golden/images: small image files, Pillow's result for each (expected.tsv, <file>.rgb), and resized
pixels (resize/<width>x<height>.rgb). Needs pillow and numpy."""
import io
import pathlib
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent / "images"
W, H = 17, 13
rng = np.random.default_rng(5)


def picture(width=W, height=H):
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / width, y * 255 / height, 127 + 120 * np.sin(x * y / 9)], -1)
    return np.clip(rgb + rng.normal(0, 20, rgb.shape), 0, 255).astype(np.uint8)


RGB = Image.fromarray(picture())
files = {}


def save(name, image, fmt, **options):
    out = io.BytesIO()
    image.save(out, fmt, **options)
    files[name] = out.getvalue()
    return out.getvalue()


# --- PNG; some files are built by hand, because Pillow cannot write them.
def chunk(kind, data, damage=0):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ damage)


def png(color, depth, raw, *between, interlace=0, idat_damage=0, end=True, width=W, height=H, stream=None):
    stream = zlib.compress(raw) if stream is None else stream
    half = len(stream) // 2
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace))
    out += b"".join(between) + chunk(b"IDAT", stream[:half], idat_damage) + chunk(b"IDAT", stream[half:])
    return out + (chunk(b"IEND", b"") if end else b"")


def rows(array):
    return b"".join(b"\0" + line.tobytes() for line in array)


def adam7(array):
    out = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        part = array[y0::dy, x0::dx]
        if part.size:
            out += rows(np.ascontiguousarray(part))
    return out


rgb, rgb16 = picture(), rng.integers(0, 65536, (H, W, 3)).astype(">u2")
grey16 = rng.integers(0, 65536, (H, W)).astype(">u2")
index = rng.integers(0, 12, (H, W)).astype(np.uint8)
palette = rng.integers(0, 256, 36).astype(np.uint8).tobytes()
for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
    save(f"{mode.lower()}.png", RGB.convert(mode), "PNG")
for bits in (1, 2, 4):
    save(f"palette{bits}.png", RGB.quantize(2**bits), "PNG", bits=bits)
alpha = RGB.convert("RGBA")
alpha.putalpha(Image.fromarray(rng.integers(0, 256, (H, W)).astype(np.uint8)))
save("alpha.png", alpha, "PNG")
save("grey_alpha.png", alpha.convert("LA"), "PNG")
save("palette_transparent.png", RGB.quantize(16), "PNG", transparency=3)
files["rgb_transparent.png"] = png(2, 8, rows(rgb), chunk(b"tRNS", struct.pack(">HHH", *map(int, rgb[0, 0]))))
files["grey_transparent.png"] = png(0, 8, rows(rgb[:, :, 0].copy()), chunk(b"tRNS", struct.pack(">H", int(rgb[0, 0, 0]))))
files["rgb16.png"] = png(2, 16, rows(rgb16))
files["rgba16.png"] = png(6, 16, rows(np.concatenate([rgb16, rgb16[:, :, :1]], -1)))
files["grey_alpha16.png"] = png(4, 16, rows(rgb16[:, :, :2].copy()))
files["grey16.png"] = png(0, 16, rows(grey16))
files["interlaced.png"] = png(2, 8, adam7(rgb), interlace=1)
files["interlaced_palette.png"] = png(3, 8, adam7(index), chunk(b"PLTE", palette), interlace=1)
files["palette_short.png"] = png(3, 8, rows(index), chunk(b"PLTE", palette[:12]))
files["no_iend.png"] = png(2, 8, rows(rgb), end=False)
files["idat_checksum_wrong.png"] = png(2, 8, rows(rgb), idat_damage=1)
damaged = bytearray(zlib.compress(rows(rgb), 0))
damaged[40] ^= 16
files["pixels_damaged.png"] = png(2, 8, b"", stream=bytes(damaged), idat_damage=1)
files["cut_stream.png"] = png(2, 8, b"", stream=zlib.compress(rows(rgb))[:200])
files["ancillary_checksum_wrong.png"] = png(2, 8, rows(rgb), chunk(b"tEXt", b"a\0b", damage=1))
files["depth3.png"] = png(2, 3, rows(rgb))
files["grey_depth16_color1.png"] = png(1, 16, rows(grey16))
files["no_pixels.png"] = png(2, 8, rows(rgb))[:33] + chunk(b"IEND", b"")
files["long_rows.png"] = png(2, 8, rows(rgb) + bytes(99))
files["short_rows.png"] = png(2, 8, rows(rgb)[:300])
files["filter9.png"] = png(2, 8, b"\x09" + rows(rgb)[1:])

# --- JPEG
for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
    save(f"{name}.jpg", RGB, "JPEG", quality=80, subsampling=sampling)
save("grey.jpg", RGB.convert("L"), "JPEG")
save("progressive.jpg", RGB, "JPEG", progressive=True)
save("restarts.jpg", RGB, "JPEG", restart_marker_rows=1)
save("cmyk.jpg", RGB.convert("CMYK"), "JPEG")
save("large.jpg", Image.fromarray(picture(61, 47)), "JPEG", quality=60)
jpeg = files["420.jpg"]
files["no_end.jpg"] = jpeg[:-2]
files["cut.jpg"] = jpeg[: len(jpeg) * 4 // 5]
files["twelve_bits.jpg"] = jpeg.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c")

# --- BMP
for mode in ("1", "L", "P", "RGB", "RGBA"):
    save(f"{mode.lower()}.bmp", RGB.convert(mode), "BMP")


def bmp(bits, body, compression=0, extra=b"", top_down=False, os2=False, colors=0, size=40, offset=None):
    if os2:
        size, header = 12, struct.pack("<IHHHH", 12, W, H, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", size, W, -H if top_down else H, 1, bits, compression, len(body), 0, 0, colors, 0)
    if offset is None:  # a header of more than 40 bytes holds the masks
        offset = 14 + size + (len(extra) if size <= 40 else 0)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + header + extra + body


def padded(array, row_bytes):
    return b"".join(line.tobytes().ljust((row_bytes + 3) // 4 * 4, b"\0") for line in array)


deep = rng.integers(0, 65536, (H, W)).astype("<u2")
files["555.bmp"] = bmp(16, padded(deep, 2 * W))
files["565.bmp"] = bmp(16, padded(deep, 2 * W), 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F))
files["top_down.bmp"] = bmp(24, padded(rgb.reshape(H, -1), 3 * W), top_down=True)
files["os2.bmp"] = bmp(8, padded(index, W), extra=palette.ljust(768, b"\x55"), os2=True)
files["nibbles.bmp"] = bmp(4, padded((index[:, :9] << 4 | index[:, 8:]).astype(np.uint8), 9), extra=b"".join(
    palette[3 * i:3 * i + 3] + b"\0" for i in range(12)).ljust(64, b"\0"))
files["cut.bmp"] = files["rgb.bmp"][:-60]
files["bits7.bmp"] = bmp(7, padded(index, W))

# Run lengths. `runs` writes rows of runs, literals and skips until the picture is full.
dice = np.random.default_rng(7)
table = b"".join(dice.integers(0, 256, 3).astype(np.uint8).tobytes() + b"\0" for _ in range(256))


def literal(values, nibbles):
    body = bytes(values[::2][i] << 4 | (values + [0])[1::2][i] for i in range((len(values) + 1) // 2)) if nibbles else bytes(values)
    return bytes([0, len(values)]) + body + b"\0" * (len(body) % 2)


def runs(nibbles, skips):
    out, position = b"", 0
    while position < W * H:
        left = W - position % W
        n, value = int(dice.integers(1, left + 1)), int(dice.integers(0, 256))
        kind = dice.integers(0, 4 if skips else 2)
        if kind == 1 and n >= 3:
            out += literal(dice.integers(0, 16 if nibbles else 256, n).tolist(), nibbles)
        elif kind == 2 and position % W and position + W < W * H:
            out += b"\0\0" if n % 2 else b"\0\2" + bytes([0, 1])  # to the next row's begin, or straight down
            n = left if n % 2 else W
        elif kind == 3:
            out += b"\0\2" + bytes([n, 0])
        else:
            out += bytes([n, value])
        position += n
        if position % W == 0 and position < W * H:
            out += b"\0\0"
    return out + b"\0\1"


full_rows = b"".join(bytes([W, i, 0, 0]) for i in range(H)) + b"\0\1"
files["rle8.bmp"] = bmp(8, runs(False, False), 1, table)
files["rle4.bmp"] = bmp(4, runs(True, False), 2, table[:64])
files["rle8_skips.bmp"] = bmp(8, runs(False, True), 1, table)
files["rle4_skips.bmp"] = bmp(4, runs(True, True), 2, table[:64], top_down=True)
files["rle8_short_palette.bmp"] = bmp(8, full_rows, 1, table[:20], colors=5)
files["rle8_in_4_bits.bmp"] = bmp(4, full_rows, 1, table[:64])
files["rle8_no_end.bmp"] = bmp(8, full_rows[:-4], 1, table)
odd = b""
for _ in range(H):  # a literal is padded to an even place in the file, whatever its length
    odd += bytes([0, W - 2, *range(W - 2)])
    odd += b"\x09" * ((14 + 40 + 1025 + len(odd)) % 2) + bytes([2, 7, 0, 0])
files["rle8_odd_place.bmp"] = bmp(8, odd, 1, table + b"\0")
files["rle8_long_run.bmp"] = bmp(8, bytes([W + 3, 5, 2, 6, 0, 0]) * H, 1, table)
files["rle8_literal_over_two_rows.bmp"] = bmp(8, literal(list(range(2 * W - 3)), False) + b"\0\0" + full_rows[8:], 1, table)
files["rle8_empty_rows.bmp"] = bmp(8, b"\0\0\0\0" + full_rows[:8] + b"\0\0" + full_rows[8:], 1, table)
files["rle8_ends_early.bmp"] = bmp(8, full_rows[:-10] + b"\0\1", 1, table)
files["rle8_cut.bmp"] = bmp(8, full_rows[:-9], 1, table)
files["rle8_cut_literal.bmp"] = bmp(8, full_rows[:-6] + literal(list(range(W)), False)[:-4], 1, table)
files["rle8_of_24_bits.bmp"] = bmp(24, full_rows, 1)
files["rle24.bmp"] = bmp(24, full_rows, 4)
# Bit fields; where the pixels begin.
wide = dice.integers(0, 2**32, (H, W)).astype("<u4")


def masks(*values):
    return struct.pack(f"<{len(values)}I", *values)


files["fields_555.bmp"] = bmp(16, padded(deep, 2 * W), 3, masks(0x7C00, 0x3E0, 0x1F))
files["fields_24.bmp"] = bmp(24, padded(rgb.reshape(H, -1), 3 * W), 3, masks(0xFF0000, 0xFF00, 0xFF))
for name, values in {"bgrx": (0xFF0000, 0xFF00, 0xFF, 0), "xbgr": (0xFF000000, 0xFF0000, 0xFF00, 0),
                     "abgr": (0xFF000000, 0xFF0000, 0xFF00, 0xFF), "rgba": (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
                     "bgra": (0xFF0000, 0xFF00, 0xFF, 0xFF000000), "bgar": (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
                     "none": (0, 0, 0, 0)}.items():
    files[f"fields_{name}.bmp"] = bmp(32, padded(wide, 4 * W), 3, masks(*values), size=56)
files["fields_v5.bmp"] = bmp(32, padded(wide, 4 * W), 3, masks(0xFF, 0xFF00, 0xFF0000, 0xFF000000).ljust(84, b"\0"), size=124)
files["fields_8.bmp"] = bmp(8, padded(index, W), 3, table)
files["pixels_at_0.bmp"] = bmp(8, padded(index, W), 0, table, offset=0)
files["pixels_at_palette.bmp"] = bmp(8, padded(index, W), 0, table, offset=54)
files["pixels_at_0_fields.bmp"] = bmp(16, padded(deep, 2 * W), 3, masks(0xF800, 0x7E0, 0x1F), offset=0)

# --- GIF
save("palette.gif", RGB.quantize(32), "GIF")
save("grey.gif", RGB.convert("L"), "GIF")
save("transparent.gif", RGB.quantize(16), "GIF", transparency=2)
save("interlaced.gif", RGB.quantize(16), "GIF", interlace=1)
save("animated.gif", RGB.quantize(16), "GIF", save_all=True, append_images=[RGB.rotate(90).quantize(16)])


def wider(data):
    return data[:6] + struct.pack("<HH", W + 5, H + 3) + data[10:]


files["partial.gif"] = wider(files["palette.gif"])
files["partial_background.gif"] = wider(files["palette.gif"])[:11] + b"\x03" + files["palette.gif"][12:]
files["partial_transparent.gif"] = wider(files["transparent.gif"])
files["cut.gif"] = files["palette.gif"][:-50]
whole = files["palette.gif"]
at = whole.index(b"\x2c\0\0\0\0" + struct.pack("<HH", W, H))
block = at + 11 + (3 << (whole[at + 9] % 8 + 1)) * (whole[at + 9] // 128)  # of the compressed pixels: its length, then so many bytes
rest = block + 1 + whole[block]
files["missing_pixels.gif"] = whole[:block] + bytes([whole[block] - 40]) + whole[block + 1 : rest - 40] + whole[rest:]
files["stray_bytes.gif"] = whole[:at] + b"\0\x01\0" + whole[at:]
files["no_frame.gif"] = whole[:at] + b";"

# --- WebP
save("lossy.webp", RGB, "WEBP", quality=70)
save("lossless.webp", RGB, "WEBP", lossless=True)
save("alpha.webp", alpha, "WEBP", lossless=True, exact=True)
files["cut.webp"] = files["lossy.webp"][:-40]
turned, small = RGB.rotate(90), RGB.crop((0, 0, W - 6, H - 6))
save("animated.webp", RGB, "WEBP", save_all=True, append_images=[turned], duration=50)
save("animated_lossless.webp", alpha, "WEBP", save_all=True, append_images=[turned.convert("RGBA")], lossless=True, exact=True)
save("animated_alpha.webp", alpha, "WEBP", save_all=True, append_images=[turned.convert("RGBA")], quality=60)


def part(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def animation(still, x, y, width=W, height=H, flags=2, frames=1, blend=0):
    """An animated WebP whose frames are that of a still picture, laid on a canvas of W x H that ANIM calls red."""
    def three(value):
        return struct.pack("<I", value)[:3]
    frame = three(x // 2) + three(y // 2) + three(width - 1) + three(height - 1) + three(50) + bytes([blend]) + still[12:]
    body = part(b"VP8X", struct.pack("<I", flags) + three(W - 1) + three(H - 1)) + part(b"ANIM", b"\0\0\xff\xff\0\0")
    return part(b"RIFF", b"WEBP" + body + part(b"ANMF", frame) * frames)


save("small.webp", small, "WEBP", quality=70)
files["animated_part.webp"] = animation(files["small.webp"], 4, 2, W - 6, H - 6)
files["animated_part_alpha.webp"] = animation(files["small.webp"], 2, 6, W - 6, H - 6, flags=0x12, frames=2)
files["animated_outside.webp"] = animation(files["small.webp"], 8, 2, W - 6, H - 6)
files["animated_wrong_size.webp"] = animation(files["small.webp"], 0, 0)
files["animated_no_frame.webp"] = animation(files["small.webp"], 0, 0, frames=0)
files["animated_cut.webp"] = files["animated.webp"][:-10]
files["animated_cut_first.webp"] = files["animated.webp"][:150]

# --- PNM
text = " ".join(map(str, rgb.reshape(-1)))
files["text.ppm"] = b"P3 # a comment\n%d %d\n255\n" % (W, H) + text.encode()
files["text.pgm"] = b"P2\n%d %d\n15\n" % (W, H) + " ".join(map(str, index.reshape(-1))).encode() + b"\n"
files["binary.ppm"] = b"P6\n%d %d 255\n" % (W, H) + rgb.tobytes()
files["binary.pgm"] = b"P5 %d %d\n# more\n255\n" % (W, H) + rgb[:, :, 1].tobytes()
files["max11.pgm"] = b"P5 %d %d 11\n" % (W, H) + index.tobytes()
files["max1000.ppm"] = b"P6 %d %d 1000\n" % (W, H) + (rgb16 % 1001).astype(">u2").tobytes()
files["max65535.pgm"] = b"P5 %d %d 65535\n" % (W, H) + grey16.tobytes()
files["cut.ppm"] = files["binary.ppm"][:-1]
files["value_too_large.pgm"] = b"P2 2 2 7 1 2 3 8\n"

lines = ["file\tverdict\twidth\theight"]
for name, data in files.items():
    (HERE / name).write_bytes(data)
    try:
        image = Image.open(io.BytesIO(data))
        pixels = np.asarray(image.convert("RGB"))
        if name in ("grey16.png", "max65535.pgm"):  # Pillow clips 16-bit grey; here it is scaled
            pixels = np.repeat(np.rint(grey16 / 257).astype(np.uint8)[:, :, None], 3, -1)
        lines.append(f"{name}\tOK\t{image.width}\t{image.height}")
        (HERE / f"{name}.rgb").write_bytes(pixels.tobytes())
    except Exception as error:
        lines.append(f"{name}\tERR\t0\t0")
        print(f"{name}: {error!r}")
(HERE / "expected.tsv").write_text("\n".join(lines) + "\n")

# --- resizing of a picture like large.jpg, kept as a PNG
(HERE / "resize").mkdir(exist_ok=True)
source = Image.fromarray(picture(37, 29))
source.save(HERE / "resize" / "source.png")
for width, height in ((37, 29), (1, 1), (1, 29), (37, 1), (37, 11), (37, 60), (9, 29), (70, 29), (32, 32), (16, 16), (18, 14),
                      (19, 15), (36, 28), (38, 30), (5, 70), (90, 4), (74, 58), (3, 2), (13, 40), (64, 13)):
    # In two steps, as Pillow 3.3 to 12 does. From 13 on, some sizes start vertically and round differently.
    pixels = np.asarray(source.resize((width, 29), Image.BILINEAR).resize((width, height), Image.BILINEAR))
    (HERE / "resize" / f"{width}x{height}.rgb").write_bytes(pixels.tobytes())
one = Image.fromarray(np.array([[[7, 200, 255]]], np.uint8))
assert (np.asarray(one.resize((3, 2), Image.BILINEAR)) == [7, 200, 255]).all()
