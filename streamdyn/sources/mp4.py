"""What is read of MP4 files here rather than by FFmpeg: whether they are whole."""

from __future__ import annotations

from pathlib import Path


def lacks_index(path: Path) -> bool:
    """Whether a file is an MP4 that ends before, or within, its index (moov)."""
    end = path.stat().st_size
    if not end:  # also of a pipe, where opening might wait for ever
        return False
    with path.open("rb") as file:
        if file.read(8)[4:] != b"ftyp":
            return False
        start = 0
        while start < end:
            file.seek(start)
            size, kind = int.from_bytes(file.read(4)), file.read(4)
            if size == 1:  # too large for four bytes: eight more follow
                size = int.from_bytes(file.read(8))
            if kind == b"moov":
                return start + size > end
            if size < 8:  # 0 stands for "to the end of the file"; less is damage
                return True
            start += size
    return True
