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


def bmp(bits, body, compression=0, extra=b"", top_down=False, os2=False, colors=0):
    size = 12 if os2 else 40
    if os2:
        header = struct.pack("<IHHHH", 12, W, H, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", 40, W, -H if top_down else H, 1, bits, compression, len(body), 0, 0, colors, 0)
    offset = 14 + size + len(extra)
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

# --- WebP
save("lossy.webp", RGB, "WEBP", quality=70)
save("lossless.webp", RGB, "WEBP", lossless=True)
save("alpha.webp", alpha, "WEBP", lossless=True, exact=True)
files["cut.webp"] = files["lossy.webp"][:-40]

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
