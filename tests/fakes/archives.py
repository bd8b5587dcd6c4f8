"""Archives as tests need them: of a tree, or of members that no honest tar would write."""

import io
import tarfile
from pathlib import Path


def packed(
    tree: Path,
    name: str = "sosreport-db01-2024-11-15-abcdefg",
    mode: str = "w:xz",
    modified_at: float | None = None,
) -> bytes:
    """`tree` as one archive, below the folder `name` as sos packs it (none if it is empty).

    `modified_at` is when the host wrote the files, None = as they lie here.
    """

    def dated(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = member.mtime if modified_at is None else modified_at
        return member

    out = io.BytesIO()
    options = {"preset": 0} if mode.endswith("xz") else {}
    with tarfile.open(fileobj=out, mode=mode, **options) as tar:
        for path in sorted(tree.rglob("*")):
            inside = path.relative_to(tree).as_posix()
            tar.add(path, f"{name}/{inside}" if name else inside, recursive=False, filter=dated)
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
