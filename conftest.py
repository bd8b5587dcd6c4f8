"""For pytest alone: the folder `cims/` holds a distribution, the package `cims` is inside it.

In importlib mode pytest names a test module after its path and makes up its parents from the
folders, so `cims/tests/...` would hide the installed package unless that is imported first.
"""

import cims  # noqa: F401
