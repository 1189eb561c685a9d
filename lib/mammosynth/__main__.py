"""`python -m mammosynth`, the same as the console script."""

import sys

from mammosynth.cli import main

sys.exit(main())
