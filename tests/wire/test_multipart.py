"""Forms as the SDKs write them, and those that two readers could read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest
from freehold.wire.multipart import MAX_TEXT_BYTES, FormScanner, Upload, boundary_of, is_form, read_form

TYPE = b"multipart/form-data; boundary=XX"
WANTED = frozenset(("model", "stream"))


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XX--\r\n"


FILE = part("file", b"\x00RIFF\r\n--X not a boundary\r\n\r\n", '; filename="a \\"b\\".wav"')


def test_text_fields_are_found_and_files_are_not_looked_into() -> None:
    read = read_form(TYPE, form(FILE, part("model", b"whisper-1"), part("stream", b"")), WANTED)
    assert read.texts == {"model": "whisper-1", "stream": ""}
    assert read.names == ["file", "model", "stream"]


def test_only_the_models_name_changes() -> None:
    body = form(part("model", b"fast"), FILE)
    read = read_form(TYPE, body, WANTED)
    upload = Upload(TYPE, body, read.spans["model"])
    assert b"".join(upload.pieces("openai/whisper-1")) == form(part("model", b"openai/whisper-1"), FILE)
    assert all(piece.obj is body for piece in upload.pieces("m") if isinstance(piece, memoryview)), "a file was copied"


@given(st.lists(st.tuples(st.sampled_from(["model", "a", "file"]), st.binary(max_size=40)), max_size=6), st.text(min_size=1))
def test_a_form_is_put_together_again_for_any_content(parts: list[tuple[str, bytes]], model: str) -> None:
    parts = [(name, value) for name, value in parts if name != "model" and b"--XX" not in value]
    made = [part(name, value, '; filename="f"' if name == "file" else "") for name, value in parts]
    body = form(*made, part("model", b"old"))
    read = read_form(TYPE, body, WANTED)
    assert read.names == [name for name, _ in parts] + ["model"]
    assert b"".join(Upload(TYPE, body, read.spans["model"]).pieces(model)) == form(*made, part("model", model.encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"preamble\r\n" + form(FILE),
        form(FILE)[:-4],
        form(FILE) + b"epilogue",
        form(FILE).replace(b"\r\n", b"\n"),
        form(part("model", b"a"), part("model", b"b")),
        form(part("model", b"a", '; filename="x"')),
        form(part("model", b"a", '; name="other"')),
        form(part("model", b"a", "; name*=utf-8''other")),
        form(part("model", b"\xff")),
        form(b"--XX\r\nContent-Disposition: form-data; name=model; x\r\n\r\na\r\n"),
        form(b"--XX\r\nContent-Type: text/plain\r\n\r\na\r\n"),
        form(b"--XX\r\nContent-Disposition: attachment; name=model\r\n\r\na\r\n"),
        form(b'--XX\r\nContent-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"\r\n\r\na\r\n'),
        form(b'--XX\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\na\r\n'),
        form(b'--XX\r\nContent-Disposition: form-data;\r\n name="a"\r\n\r\na\r\n'),
        form(b'--XX \r\nContent-Disposition: form-data; name="a"\r\n\r\na\r\n'),
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n--XX--\r\n',
        form(FILE, b'--XXY\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n'),
        form(*[part("a", b"")] * 257),
        form(b"--XX\r\nX: " + b"a" * 9000 + b"\r\n\r\n\r\n"),
    ],
)
def test_a_form_that_can_be_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_form(TYPE, body, WANTED)


@given(st.data())
def test_a_mutated_form_is_read_or_refused_and_never_anything_else(data: st.DataObject) -> None:
    body = bytearray(form(FILE, part("model", b"m"), part("stream", b"true")))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        read = read_form(TYPE, bytes(body), WANTED)
    except InvalidRequest:
        return
    for name, (start, end) in read.spans.items():
        assert body[start:end].decode() == read.texts[name]


@given(st.data())
def test_a_form_reads_the_same_however_its_bytes_are_cut(data: st.DataObject) -> None:
    body = bytearray(form(FILE, part("model", b"m\r\n-"), part("stream", b""), part("more", b"\r\n--X")))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    scanner = FormScanner(TYPE, WANTED)
    try:
        whole = read_form(TYPE, bytes(body), WANTED)
    except InvalidRequest:
        with pytest.raises(InvalidRequest):
            for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
                scanner.feed(bytes(body[start:end]))
            scanner.close()
        return
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        scanner.feed(bytes(body[start:end]))
    scanner.close()
    assert scanner.form == whole


def test_every_single_byte_may_come_alone() -> None:
    body = form(FILE, part("model", b"m"), part("stream", b"true"))
    scanner = FormScanner(TYPE, WANTED)
    for at in range(len(body)):
        scanner.feed(body[at : at + 1])
    scanner.close()
    assert scanner.form == read_form(TYPE, body, WANTED)


def test_a_field_is_known_before_the_form_is_whole() -> None:
    scanner = FormScanner(TYPE, WANTED)
    scanner.feed(part("model", b"m") + FILE[:-10])
    assert scanner.form.texts == {"model": "m"}


def test_nothing_of_a_file_is_kept() -> None:
    scanner = FormScanner(TYPE, WANTED)
    scanner.feed(FILE[:-2])
    for _ in range(100):
        scanner.feed(b"\r\n--X" * 1000)
        assert len(scanner._held) < 10


def test_a_field_has_a_bound() -> None:
    scanner = FormScanner(TYPE, WANTED)
    with pytest.raises(InvalidRequest, match="model"):
        scanner.feed(part("model", b"m" * (MAX_TEXT_BYTES + 100))[:-50])


@pytest.mark.parametrize("size", [0, 1, 7, 20, 50, 90])
def test_a_cut_form_is_refused(size: int) -> None:
    with pytest.raises(InvalidRequest):
        read_form(TYPE, form(FILE, part("model", b"m"))[:size], WANTED)


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data;boundary="a b:c"', b"a b:c"),
        (b"multipart/form-data; charset=utf-8; boundary=abc", b"abc"),
        (b"multipart/form-data; boundary=abc; charset=utf-8", b"abc"),
    ],
)
def test_boundaries_are_read(value: bytes, boundary: bytes) -> None:
    assert is_form(value) and boundary_of(value) == boundary


@pytest.mark.parametrize(
    "value",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=" + b"a" * 71,
        b'multipart/form-data; boundary="a\\"b"',
        b"multipart/mixed; boundary=a",
        b"multipart/form-data; boundary=a b",
    ],
)
def test_doubtful_boundaries_are_refused(value: bytes) -> None:
    with pytest.raises(InvalidRequest):
        boundary_of(value)
