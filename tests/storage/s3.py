"""A small server of the S3 protocol on 127.0.0.1: reads objects and lists folders; the bucket "secret" is denied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@contextmanager
def s3_server(objects: dict[str, bytes]) -> Iterator[str]:
    """The options of a URL, "?endpoint_override=…", of a server of objects, "bucket/key" → content."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            url = urlsplit(self.path)
            path, query = unquote(url.path).strip("/"), parse_qs(url.query)
            bucket, _, key = path.partition("/")
            if bucket == "secret":
                self.send(403, _DENIED.encode(), "application/xml")
            elif not key and "list-type" in query:
                self.send(200, _listing(objects, bucket, query).encode(), "application/xml")
            elif path in objects or not key:
                content = objects.get(path, b"")
                piece = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                part = content[int(piece[1]) : int(piece[2]) + 1] if piece else content
                self.send(206 if piece else 200, part, "binary/octet-stream")
            else:
                self.send(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")

        def send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
            self.send_header("ETag", '"e"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"?endpoint_override=127.0.0.1:{server.server_address[1]}&scheme=http&region=us-east-1"
        finally:
            server.shutdown()


def _listing(objects: dict[str, bytes], bucket: str, query: dict[str, list[str]]) -> str:
    """The answer of ListObjectsV2."""
    prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
    lines, folders = [], []
    for path, content in sorted(objects.items()):
        key = path.removeprefix(f"{bucket}/")
        if key == path or not key.startswith(prefix):
            continue
        first, more, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        if more:
            folders.append(prefix + first + delimiter)
        else:
            about = f"<Size>{len(content)}</Size><LastModified>2026-11-30T00:00:00.000Z</LastModified>"
            lines.append(f"<Contents><Key>{escape(key)}</Key>{about}</Contents>")
    lines += [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in dict.fromkeys(folders)]
    head = f"<Name>{bucket}</Name><KeyCount>{len(lines)}</KeyCount><IsTruncated>false</IsTruncated>"
    return f"<ListBucketResult>{head}{''.join(lines)}</ListBucketResult>"
