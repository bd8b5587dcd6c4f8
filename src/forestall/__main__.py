"""Entry point of `python -m forestall`."""

import sys

from forestall.cli.main import main

sys.exit(main())
