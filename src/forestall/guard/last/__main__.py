"""`python -P -m forestall.guard.last ROLE DESCRIPTOR`: started by `guard/hosted.py` alone."""

import sys

from forestall.guard.last.serving import main

sys.exit(main(sys.argv[1:]))
