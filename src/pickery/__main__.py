"""`python -m pickery` is `pickery`."""

import sys

from pickery.cli import main

sys.exit(main())
