"""About three hundred strange tables, most of them made by damaging or twisting a plain one."""

import gzip
import random
from collections.abc import Iterator

PLAIN = [["age", "city", "score", "seen"]] + [
    [str(20 + k % 50), ("Rome", "Oslo", "Paris")[k % 3], f"{k * 7 % 100 / 10:.1f}", f"2024-0{1 + k % 9}-1{k % 9}"]
    for k in range(40)
]


def text(rows: list[list[str]], delimiter: str = ",", end: str = "\n") -> str:
    return end.join(delimiter.join(row) for row in rows) + end


def with_cell(value: str, column: int = 1, every: int = 1) -> str:
    rows = [list(row) for row in PLAIN]
    for row in rows[1::every]:
        row[column] = value
    return text(rows)


def tables() -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    plain = text(PLAIN)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "utf-32"):
        yield f"encoded-{encoding}.csv", with_cell("Zürich").encode(encoding)
    for delimiter, name in ((",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "pipe")):
        for end, kind in (("\n", "lf"), ("\r\n", "crlf"), ("\r", "cr")):
            yield f"{name}-{kind}.csv", text(PLAIN, delimiter, end).encode()
            yield f"{name}-{kind}.tsv", text(PLAIN, delimiter, end).encode()
            yield f"{name}-{kind}.txt", text(PLAIN, delimiter, end).encode()
    yield from edges(plain)
    # Cells that mean trouble somewhere: one in each row, one in every third, and in a column of numbers.
    cells = (
        *("inf", "-inf", "nan", "NaN", "NULL", "None", "N/A", "?", "#N/A", "", " ", "-", "1e400", "-1e400", "1e-400"),
        *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", '"=1+1"', "'=1", "1,5", '"1,5"', "1 000", "1_000"),
        *("9007199254740993", "123456789012345678901234567890", "1.7976931348623157e308", "5e-324", "-0", "+5", ".5"),
        *("5.", "007", "0x1f", "true", "TRUE", "Yes", "2024-02-30", "31/12/2024", "12/31/2024", "1/2/24", "24:00"),
        *(
            "2024-01-01T00:00:00Z",
            "\u0661\u0662\u0663",
            "\u200b",
            "\ufeff",
            "\u202eabc",
            "a\u0301",
            "\U0001f600",
            "\x07",
        ),
        *("\x1b[31m", "a\tb", "|", ";", "../../etc/passwd", "<script>", "[red]", "{}", "{0}", "%s", "%n", "\\", "\\n"),
        *("$HOME", "`id`", "a" * 5000, "x,y"),
    )
    for number, cell in enumerate(cells):
        yield f"cell-{number}.csv", with_cell(cell).encode("utf-8", "replace")
        yield f"some-{number}.csv", with_cell(cell, 2, 3).encode("utf-8", "replace")
        yield f"once-{number}.csv", with_cell(cell, 0, 40).encode("utf-8", "replace")
    for seed in range(60):
        yield f"damaged-{seed}.csv", damaged(plain.encode(), seed)


def edges(plain: str) -> Iterator[tuple[str, bytes]]:
    """Shapes that nobody expects."""
    yield "empty.csv", b""
    yield "blank.csv", b"\n\n  \n"
    yield "bom-only.csv", b"\xef\xbb\xbf"
    yield "header-only.csv", b"a,b,c\n"
    yield "one-row.csv", b"a,b\n1,x\n"
    yield "two-rows.csv", b"a,b\n1,x\n2,y\n"
    yield "one-column.csv", b"a\n" + b"".join(b"%d\n" % (k % 7) for k in range(50))
    yield "one-cell.csv", b"a"
    yield "no-header.csv", b"1,2\n" * 5 + b"3,4\n" * 5
    yield "all-numbers-header.csv", b"2019,2020\n1,2\n3,4\n5,6\n"
    yield "same-names.csv", b"a,a,a\n" + b"1,x,2\n2,y,3\n" * 9
    yield "no-names.csv", b",,\n" + b"1,x,2\n2,y,3\n" * 9
    yield "name-of-copy.csv", b"a,a,a (2)\n" + b"1,x,2\n2,y,3\n" * 9
    yield "all-missing.csv", b"a,b\n" + b",\n" * 20
    yield "one-missing-column.csv", b"a,b\n" + b"1,\n2,\n" * 20
    yield "all-constant.csv", b"a,b\n" + b"1,x\n" * 20
    yield "only-identifiers.csv", b"id,name\n" + b"".join(b"%d,person %d\n" % (k, k) for k in range(60))
    yield "categories-10000.csv", b"a,b\n" + b"".join(b"c%d,%d\n" % (k % 10_000, k % 3) for k in range(20_001))
    yield "names-10000.csv", b"a,b\n" + b"".join(b"c%d,%d\n" % (k, k % 3) for k in range(10_000))
    yield "columns-2000.csv", ",".join(f"c{k}" for k in range(2000)).encode() + b"\n" + (b"1,2," * 999 + b"1,2\n") * 3
    yield "columns-30000.csv", ",".join(f"c{k}" for k in range(30_000)).encode() + b"\n"
    yield "ragged-one.csv", (plain + "1,2\n").encode()
    yield "ragged-few.csv", (plain * 1 + "1,2\n" + plain.partition("\n")[2] * 4).encode()
    yield "ragged-all.csv", b"a,b\n1\n1,2,3\n1\n1,2,3\n"
    yield "open-quote.csv", ('a,b\n1,"x\n' + "2,y\n" * 50).encode()
    yield "long-cell.csv", b"a,b\n1," + b"x" * 2_000_000 + b"\n2,y\n"
    yield "quoted.csv", b'"a","b"\n' + b'"1","x, y"\n"2","z ""q"""\n' * 9
    yield "line-in-cell.csv", b"a,b\n" + b'1,"x\ny"\n2,z\n' * 9
    yield "nul.csv", b"a,b\n1,\0\n2,y\n" * 9
    yield "binary.csv", bytes(range(256)) * 40
    yield "zip.csv", b"PK\x03\x04" + bytes(range(200))
    yield "gzip.csv.gz", gzip.compress(plain.encode())
    yield "gzip-cut.csv.gz", gzip.compress(plain.encode() * 99)[:-9]
    yield "gzip-not.csv.gz", plain.encode()
    yield "no-last-line-end.csv", plain.rstrip("\n").encode()
    yield "blank-lines.csv", plain.replace("\n", "\n\n").encode()
    yield "comments.csv", ("# made by hand\n" + plain).encode()
    yield "not.parquet", b"PAR1" + bytes(100) + b"PAR1"
    yield "empty.parquet", b""


def damaged(data: bytes, seed: int) -> bytes:
    """A few bytes changed, left out, doubled or put in, or the end cut off."""
    draw = random.Random(seed)
    changed = bytearray(data)
    for _ in range(draw.randint(1, 12)):
        place, way = draw.randrange(len(changed)), draw.randrange(5)
        if way == 0:
            changed[place] = draw.randrange(256)
        elif way == 1:
            del changed[place : place + draw.randint(1, 30)]
        elif way == 2:
            changed[place:place] = bytes(draw.choices(b",;\"'\n\r\t|\0 =@-+\xff", k=draw.randint(1, 6)))
        elif way == 3:
            changed[place:place] = changed[place : place + draw.randint(1, 200)]
        else:
            changed = changed[: max(place, 30)]
    return bytes(changed)
