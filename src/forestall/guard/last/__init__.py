"""Guard's own processes, started before they are needed: they act when no memory is left.

memory   keeps this process in memory, and away from the OOM killer
roles    what each process hosts: the last stage contains and moves traffic, the helper keeps
         evidence and takes processes down
serving  the loop of such a process: a request, a handler, an answer
"""
