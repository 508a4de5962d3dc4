"""The processes of the queue, each of which dies with the one that started it: `python -m pim_site.cluster <pid>`.

django-q2 leaves its other processes running when its master or its sentinel is killed. Linux can be asked to
kill a process when its parent ends, but forgets the wish at each fork; so it is renewed in every child.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class Lifeline:
    def __init__(self, parent: int) -> None:
        self.parent = parent

    def note(self) -> None:
        """Before a fork: who the parent will be."""
        self.parent = os.getpid()

    def tie(self) -> None:
        """In the child: die with the parent, also if it died before this line."""
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.parent:
            os._exit(1)


def main(supervisor: int) -> None:
    lifeline = Lifeline(supervisor)
    if sys.platform == "linux":
        lifeline.tie()
        os.register_at_fork(before=lifeline.note, after_in_child=lifeline.tie)
    # Forked processes would share the sockets of a connection pool.
    os.environ["PIM_DATABASE_POOL"] = "0"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pim_site.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "qcluster"])


if __name__ == "__main__":
    main(int(sys.argv[1]))
