"""Archives as tests need them: of a tree, or of members that no honest tar would write."""

import io
import tarfile
from pathlib import Path


def packed(
    tree: Path, name: str = "sosreport-db01-2024-11-15-abcdefg", mode: str = "w:xz"
) -> bytes:
    """`tree` as one archive, below the folder `name` as sos packs it (none if it is empty)."""
    out = io.BytesIO()
    options = {"preset": 0} if mode.endswith("xz") else {}
    with tarfile.open(fileobj=out, mode=mode, **options) as tar:
        for path in sorted(tree.rglob("*")):
            inside = path.relative_to(tree).as_posix()
            tar.add(path, f"{name}/{inside}" if name else inside, recursive=False)
    return out.getvalue()


def of_members(*members, mode: str = "w") -> bytes:
    """An archive of (name, bytes) for a file, or of TarInfo objects with their bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.GNU_FORMAT) as tar:
        for info, data in members:
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
            if info.type == tarfile.REGTYPE:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """A link, a device or a pipe."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info, b""
