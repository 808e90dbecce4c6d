"""`longhaul worker`: one worker process."""

import sys

from longhaul.job_types.processes import run_process
from longhaul.worker.main import run

if __name__ == "__main__":
    sys.exit(run_process("worker", __doc__, run))
