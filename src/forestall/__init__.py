"""Keep a leaking service from taking its database host down, and close the loop when it does.

 read          judge         act                 preserve       record         learn
 sense  --->   detect --->   guard  -----------> evidence --->  incident --->  incident.review
 Sample        Verdict       Plan/Action/Outcome Bundle         Incident       Review + FollowUp
   \\_____________ agent: the on-host loop ___________/     ^
 before it happens:  audit (host facts -> Finding, one host or a fleet)
 after it happened:  audit oom (kernel messages -> who held the memory)
 faces: cli (every command), demo (the replay a newcomer runs first)
 beside it:  cims (the inventory system that is protected), drills (incidents, replayed for real)

This module imports nothing: the agent must stay small on a dying host.
"""

__version__ = "0.1.0"
