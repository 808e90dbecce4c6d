"""`longhaul api`: one API process."""

import sys

from longhaul.api.main import run
from longhaul.job_types.processes import run_process

if __name__ == "__main__":
    sys.exit(run_process("api", __doc__, run))
