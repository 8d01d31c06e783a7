#!/usr/bin/env python3
"""Writes the hand-made seed files of corpus/: deflate streams, pickles, lists, folders, names, databases, rows, logs, orders. Files found by fuzzing are beside them."""
import os
import sqlite3
import struct
import zlib

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def path(name):
    return os.path.join(here, name)


def write(name, content):
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    with open(path(name), "wb") as file:
        file.write(content)


def database(name, sql):
    if os.path.exists(path(name)):
        os.remove(path(name))
    connection = sqlite3.connect(path(name))
    connection.executescript("PRAGMA page_size = 512;" + sql)
    connection.commit()
    connection.close()


write("list/labels", b"# two classes\na.pgm cat\nb.pgm dog\nc c.pgm cat\n")
write("list/numbers", b"\xef\xbb\xbfa.pgm\t10\r\n\r\n./b.pgm\t9\r\nabsent.pgm 9\n")
write("list/tabs", b"a.pgm\tgolden cat\nb.pgm\t7\tgolden dog\nc c.pgm\t\tgolden cat\n")
write("folders/splits", b"a/Training/x/1\na/Training/y/2\na/valid_set/x/3\na/Testing/y/4\na/@eaDir/5\nb/x/6\nb/y/desktop.ini\nb/y/7\n")
write("folders/unclear", b"train2017/x/1\nval2017/x/2\nannotations/x/3\n")
write("folders/classes", b"train/1\ntrain/2\nbus/3\nbus/deep/4\n")
write("folders/twice", "train/Ä/1\ntrain/b/2\nval/A\u0308/3\nval/b/4\n".encode())
write("names/forms", "Äpfel각A\u0308pfel\u1100\u1161\u11a8".encode())
write("names/bytes", b"caf\xe9\\x1b[2J\x1b\xe2\x80\xae\xed\xa0\x80")
database("skill_database/small", """
CREATE TABLE datasets(dataset_id INTEGER PRIMARY KEY, dataset_name TEXT, good INTEGER);
CREATE TABLE files(path TEXT, filename TEXT, class_id INTEGER, dataset_id INTEGER, problem INTEGER, "set" INTEGER);
INSERT INTO datasets VALUES (1, 'one', 1), (7, 'seven', 0);
INSERT INTO files VALUES ('/', 'a.pgm', 3, 1, 0, 0), ('/', 'b.pgm', 12, 1, 0, 0), ('/', 'c c.pgm', 3, 1, 0, 1),
  ('/', 'b.pgm', 12, 1, 0, 1);
""")
database("collection_database/small", """
CREATE TABLE images(dataset TEXT, class_id INTEGER, relative_path TEXT, problem INTEGER, set_id INTEGER);
INSERT INTO images VALUES ('one', 0, 'a.pgm', 0, 0), ('one', 1, 'b.pgm', 0, 0), ('one', 1, 'c c.pgm', 0, 1),
  ('one', 0, 'a.pgm', 0, 1), ('one', 1, 'd.pgm', 0, -1);
""")


def row(*values):
    """Encodes a row as the target reads it: for each value a kind, then a number, or a length and that many bytes."""
    out = b""
    for v in values:
        out += bytes([0, 0]) if v is None else bytes([1, v + 2]) if isinstance(v, int) else bytes([4, len(v)]) + v
    return out


write("database_rows/plain", row(2, b"two", 1) + row(b"/", b"a.pgm", 1) + row(b"/", b"b.pgm", 2)
      + row(b"", b"c c.pgm", 1) + row(b"/..", b"a.pgm", 2) + row(None, b"a.pgm", b"2") + 3 * row(b"/", b"a.pgm", 1)
      + row(b"/", b"a.pgm", 1, 1, 0, 1) + row(b"/", b"b.pgm", 2, 1, 0, 1))


def deflate(data):
    """As the target takes a stream: the size it becomes in two bytes, then raw deflate."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return struct.pack(">H", len(data)) + c.compress(data) + c.flush()


write("deflate/stored", struct.pack(">HBHH", 3, 1, 0x0300, 0xFCFF) + b"abc")
write("deflate/fixed", deflate(b"abcabcabcabc"))
write("deflate/dynamic", deflate(bytes(i * i % 251 for i in range(3000)) * 3))
write("deflate/zeros", deflate(bytes(65535)))


def tensor(key):
    """The opcodes of a tensor of two floats."""
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" + key
            + b"U\x03cpuK\x02tQK\x00K\x02\x85K\x01\x85\x89}}U\x03neg\x88stR")


write("pickle/objects", b"\x80\x02}(U\x01ocargparse\nNamespace\n)\x81q\x01}U\x04selfh\x01sbU\x03set\x8f(K\x01\x90"
      b"U\x06frozen(K\x01\x91U\x03old(c__main__\nOld\nK\x01oU\x05namedca.b\nC\n)}\x92U\x03two\x96\x01" + bytes(7)
      + b"xU\x05model}U\x01a" + tensor(b"0") + b"sU\x03emaccollections\ndefaultdict\n(cbuiltins\nlist\ntRU\x01b"
      + tensor(b"1") + b"su.")
write("pickle/rebuilt", b"\x80\x02}(U\x01pctorch._utils\n_rebuild_parameter_with_state\n(" + tensor(b"0")
      + b"\x88}}tRU\x01sctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v3\nca\nB\n((U\x07storage"
      b"ctorch\nUntypedStorage\nU\x011U\x03cpuK\x04tQK\x00K\x02\x85K\x01\x85\x89}ctorch\nuint16\nt}tRu.")
write("log_file/quoted", b'a,"b ""c"", d",,e\r\n')
write("order_file/two", b"0 1 2,3\n\n6 5 4\n")
