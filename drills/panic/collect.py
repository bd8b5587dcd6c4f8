"""Run by the Python that the guest will run: copies its standard library, compiled.

The guest is slow and forgets everything when it ends, so it gets byte code and no sources:
compiling them under emulation would take longer than the whole drill.

usage: PYTHON collect.py TARGET [SOURCE_FOLDER...]    without sources: its standard library
"""

import compileall
import importlib.util
import json
import os
import py_compile
import shutil
import sys
import sysconfig

# What needs a screen, a person, a compiler or a network, and what only tests Python itself.
LEFT_OUT = {
    "__pycache__", "config", "dist-packages", "distutils", "ensurepip", "idlelib", "lib2to3",
    "msilib", "pydoc_data", "site-packages", "sqlite3", "test", "tests", "tkinter", "turtledemo",
    "venv", "wsgiref", "xmlrpc",
}  # fmt: skip
LEFT_OUT_STARTS = (
    "config-", "_test", "_xxtest", "_tkinter", "_sqlite3", "_curses", "_dbm", "_gdbm", "_codecs_",
    "nis.", "ossaudiodev", "readline", "xxlimited", "audioop",
)  # fmt: skip


def left_out(name: str) -> bool:
    return name in LEFT_OUT or name.startswith(LEFT_OUT_STARTS)


def copy_tree(source: str, target: str) -> None:
    """Copy modules: byte code that is already there as it is, the rest as source for now."""
    for folder, subfolders, names in os.walk(source):
        subfolders[:] = sorted(name for name in subfolders if not left_out(name))
        into = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(into, exist_ok=True)
        for name in sorted(names):
            path = os.path.join(folder, name)
            if left_out(name):
                continue
            if name.endswith(".py"):
                copy_module(path, os.path.join(into, name))
            elif name.endswith((".so", ".toml")):
                shutil.copyfile(path, os.path.join(into, name))


def copy_module(path: str, target: str) -> None:
    compiled = importlib.util.cache_from_source(path)
    if is_fresh(compiled, path):
        shutil.copyfile(compiled, target + "c")
    else:
        shutil.copyfile(path, target)


def is_fresh(compiled: str, source: str) -> bool:
    try:
        with open(compiled, "rb") as file:
            header = file.read(16)
        status = os.stat(source)
    except OSError:
        return False
    made_from = (
        header[4:8] == bytes(4)
        and int.from_bytes(header[8:12], "little") == int(status.st_mtime) & 0xFFFFFFFF
        and int.from_bytes(header[12:16], "little") == status.st_size & 0xFFFFFFFF
    )
    return header[:4] == importlib.util.MAGIC_NUMBER and made_from


def compile_rest(target: str) -> None:
    compileall.compile_dir(
        target,
        quiet=2,
        legacy=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    for folder, _, names in os.walk(target):
        for name in names:
            if name.endswith(".py"):
                os.unlink(os.path.join(folder, name))


def main() -> None:
    target, sources = sys.argv[1], sys.argv[2:]
    for source in sources or [sysconfig.get_path("stdlib")]:
        into = os.path.join(target, os.path.basename(source)) if sources else target
        copy_tree(source, into)
    if not sources:
        copy_tree(sysconfig.get_config_var("DESTSHARED"), os.path.join(target, "lib-dynload"))
    compile_rest(target)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    print(json.dumps({"version": version, "executable": os.path.realpath(sys.executable)}))


if __name__ == "__main__":
    main()
