"""`python -m cims.stock_sync` is `stock-sync`."""

import sys

from cims.stock_sync.command import main

sys.exit(main())
