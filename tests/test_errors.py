import pytest

from streamdyn import SourceError
from streamdyn.errors import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.8:554/door", "rtsp://***@10.0.0.8:554/door"),
        ("at http://user@host/a and https://u:p@host", "at http://***@host/a and https://***@host"),
        ("rtsp://admin:p%40ss:w@host/x?y=z@w", "rtsp://***@host/x?y=z@w"),
        ("rtsp://admin:p@ss@host/x", "rtsp://***@host/x"),
        ("rtsp://admin:a/b@host/x failed", "rtsp://***@host/x failed"),
        ("http://host/a.m3u8?token=abc&t=1", "http://host/a.m3u8?token=***&t=1"),
        ("http://host/a?t=1&api_key=abc", "http://host/a?t=1&api_key=***"),
        ("http://host:80/path@2x.png", "http://host:80/path@2x.png"),
        ("http://host/path@2x.png", "http://host/path@2x.png"),
        ("http://host/path/2x.png?size=3", "http://host/path/2x.png?size=3"),
        ("mail me@example.org", "mail me@example.org"),
    ],
)
def test_credentials_are_hidden(text, shown):
    assert redact(text) == shown


def test_no_error_shows_a_password():
    assert "secret" not in str(SourceError("cannot open rtsp://admin:secret@camera/1"))
