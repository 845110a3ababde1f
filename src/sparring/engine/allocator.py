"""``--train.allocator keep``: freed memory stays with the process, so that the next step need not ask for it again.

By default glibc takes each large block from the system and gives it back when it is freed; a step frees and takes
gigabytes, and every page is then filled with zeros and mapped anew: about 15 % of the processor time of a small
network's step. No number changes. The price is memory: what was needed once is kept. Elsewhere than on glibc, and of a
GPU's memory, which torch keeps anyway, nothing is changed.
"""

import ctypes
import platform

# Parameters of mallopt(3) and their values: map blocks from 1 GiB on, trim a free end of 2 GiB, grow by 64 MiB.
KEEPING = {"M_MMAP_THRESHOLD": (-3, 1 << 30), "M_TRIM_THRESHOLD": (-1, (1 << 31) - 1), "M_TOP_PAD": (-2, 64 << 20)}


def keep_memory() -> bool:
    """Say so to the C library, for the whole process and from now on; call it before networks are made.

    Returns:
        whether it heeds: glibc does; False elsewhere, where nothing happened.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    told = [libc.mallopt(parameter, value) for parameter, value in KEEPING.values()]  # all of them
    return all(answer == 1 for answer in told)
