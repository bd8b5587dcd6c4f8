"""A small machine without a VM: the memory, the processes and the /proc of one host of a drill.

    with Machine(folder, name="db-1", memory_bytes=640 * MIB) as machine:
        machine.spawn([...], folder=..., log=...)   # a process of this machine
        machine.panicked.wait()                      # out of memory: everything in it stands still
        machine.reboot()                             # everything in it is gone, and it is empty

Real: the limit (a memory cgroup), the processes, what /proc/meminfo says inside, that only
the machine's own processes are seen. Played: the panic. `vm.panic_on_oom` belongs to a whole
kernel, so here it is the drill that freezes everything in the machine when its memory ends, as
`kernel.panic=0` leaves a host standing. `forestall drill panic` has the real one.
"""

from drills.machine.cgroup import NoMachineError
from drills.machine.machine import Machine

__all__ = ["Machine", "NoMachineError"]
