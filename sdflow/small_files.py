"""What kind of file something is, and its bytes: for face files and recipes."""

from __future__ import annotations

from pathlib import Path


def has_suffix(source: object, suffix: str) -> bool:
    """Whether it is a path that ends so, in any case."""
    return isinstance(source, (str, Path)) and Path(source).suffix.lower() == suffix


def first_bytes(source: object) -> bytes:
    """The first 64 bytes of a path or of bytes; none of what cannot be read."""
    if isinstance(source, (str, Path)):
        try:
            with open(source, "rb") as stream:
                return stream.read(64)
        except (OSError, ValueError):
            return b""
    return source[:64] if isinstance(source, bytes) else b""


def read_small(
    source: str | Path | bytes, largest: int, what: str, error: type[ValueError]
) -> bytes:
    """Up to one byte more than the largest size of such a file; bytes are taken as they are.

    Raises:
        error: no such file, or it cannot be read; the sentence says `what` it is.
    """
    if isinstance(source, bytes):
        return source
    try:
        with open(source, "rb") as stream:
            return stream.read(largest + 1)
    except FileNotFoundError:
        raise error(f"There is no {what} {str(source)!r}. Check the path.") from None
    except (OSError, ValueError) as reason:
        why = getattr(reason, "strerror", None) or reason
        raise error(f"The {what} cannot be read ({why}). Check the path.") from reason
